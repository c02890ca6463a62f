"""The fixtures of control's tests."""

from tests.support.redis import own_redis, redis_server, redis_session

__all__ = ["own_redis", "redis_server", "redis_session"]
