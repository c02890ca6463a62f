"""The fixtures of control's tests."""

from tests.support.redis import durable_redis, own_redis, redis_server, redis_session

__all__ = ["durable_redis", "own_redis", "redis_server", "redis_session"]
