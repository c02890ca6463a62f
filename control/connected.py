"""The one way to the Redis that all control processes of an installation share."""

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

TIMEOUT_S = 1.0
"""For a connection, for an answer, and in line for a connection."""


def connected(url: str, *, connections: int, answer_s: float = TIMEOUT_S) -> Redis:
    """A client of the Redis at `url`; nothing is sent yet. Answers are text.

    More calls at once than `connections` wait in line: a burst is no reason to call Redis away. A call fails after
    `answer_s` and is not repeated here: whoever asked knows whether that is safe.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        timeout=TIMEOUT_S,
        max_connections=connections,
        protocol=2,
        decode_responses=True,
        socket_timeout=answer_s,
        socket_connect_timeout=TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )
    return Redis.from_pool(pool)
