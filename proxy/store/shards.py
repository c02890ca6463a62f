"""Which counter of invalidations a key shares. One for all keys would let every POST spoil every fill under way."""

import zlib

from proxy.rules.variants import MARK as VARIANT

SHARDS = tuple(f"{number:02x}" for number in range(32))


def shard_of(key: str) -> str:
    """Which counter a key shares, with its variants; the same in every worker."""
    return SHARDS[zlib.crc32(key.partition(VARIANT)[0].encode("utf-8", "surrogateescape")) % len(SHARDS)]
