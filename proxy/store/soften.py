"""A soft purge: an answer is made stale now, and may serve as RFC 5861 allows while it is revalidated."""

from dataclasses import replace
from pathlib import Path

from proxy.rules.freshness import age, freshness
from proxy.store import disk
from proxy.store.format import Foreign


def soften(directory: Path, key: str, now: float) -> bool:
    """Let the answer for `key` be as old as its lifetime at `now`: it is stale from here on, its grace begins here.

    False when there is none or it was stale already. The caller holds the lock.
    """
    try:
        found = disk.find(directory, key)
    except Foreign:
        return False
    if found is None:
        return False
    meta, lifetime = found.meta, freshness(found.meta).lifetime
    if age(meta, now) >= lifetime:
        return False
    # As if it had come a lifetime ago: what Date and Age say of the time before cannot make it fresh again.
    earlier = meta.response_time - (now - lifetime)
    older = replace(meta, request_time=meta.request_time - earlier, response_time=now - lifetime)
    return disk.rewrite(directory, found.layout, older) is not None
