"""Orders as Redis keeps them: rows in, rows out. Every failure of Redis passes through as it is."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Self

from redis.asyncio import Redis

from control.connected import TIMEOUT_S, connected
from control.contract.orders import MAX_REVOKED, Ack, Drain, Order, Revoke, Targets, Undrain
from control.orders.feed import ROLES, Entry, Feeds, Staged, place_of, text_of
from control.orders.model import MAX_DRAINING, Bounds, Draft, NodeFate, TooManyOrders
from control.orders.record import Record, fate
from control.orders.scripts import ACK, FOLLOWS, ISSUE, RESTORE, SYNC, TELL

CONNECTIONS = 64
RING_S = 1.0
"""Without a ring the picture is brought up to date this often: what has no stream (staged, standing) is seen then."""
COUNT = 200
"""Orders read at a time."""
MAX_FOLLOWERS = 20_000


class OtherEpoch(ConnectionError):
    """Redis came back with another log, or empty: the picture must be brought up to date (`sync`) before a write."""


class OrderRows:
    """The log's rows. One per process."""

    def __init__(self, redis: Redis, ringing: Redis) -> None:
        """`ringing` is for waiting alone: its time-out is longer than RING_S."""
        self._redis, self._ringing = redis, ringing
        scripts = (redis.register_script(text) for text in (ISSUE, TELL, ACK, FOLLOWS, SYNC, RESTORE))
        self._issue, self._tell, self._ack, self._follows, self._sync, self._restore = scripts
        self._standing = -1

    @classmethod
    def connect(cls, url: str) -> Self:
        """Rows at `url`; nothing is sent yet."""
        return cls(connected(url, connections=CONNECTIONS), connected(url, connections=2, answer_s=TIMEOUT_S + RING_S))

    async def issue(self, draft: Draft, key: str, bounds: Bounds, epoch: str) -> Order:
        """See OrderLog. Like all that writes, OtherEpoch where Redis has another log than `epoch`, or none."""
        told = {
            "epoch": epoch,
            "key": key,
            "body": _body(Order(number=1, issued=draft.issued, command=draft.command)),
            "targets": draft.targets.model_dump_json(),
            "by": draft.by,
            "told": draft.told,
            "later": " ".join(draft.later),
            "expected": {role: sorted(ids) for role, ids in draft.expected.items()},
            "everybody": draft.everybody,
            "standing": _standing_of(draft),
            "issued": draft.issued,
            "since": draft.issued - bounds.flight_s,
            "kept": bounds.kept,
            "in_flight": bounds.in_flight,
            "most_revoked": MAX_REVOKED,
            "most_draining": MAX_DRAINING,
        }
        what, number, body, targets = await self._issue(args=[json.dumps(told)])
        if what == "epoch":
            raise OtherEpoch
        if what == "in_flight":
            raise TooManyOrders(f"{number} orders are in flight")
        if what == "draining":
            raise TooManyOrders(f"{number} nodes drain")
        if what == "revoked":
            raise TooManyOrders(f"{number} revocations stand")
        order = _order(number, body)
        record = Record(order, Targets.model_validate_json(targets), "", key)
        return record.repeated(draft) if what == "known" else order

    async def tell(self, number: int, kept: int, epoch: str) -> None:
        """See OrderLog."""
        if not await self._tell(args=[json.dumps({"number": number, "kept": kept, "epoch": epoch})]):
            raise OtherEpoch

    async def ack(self, number: int, node_id: str, ack: Ack, now: float, epoch: str) -> None:
        """See OrderLog."""
        if not await self._ack(args=[number, node_id, f"{now} {ack.model_dump_json()}", epoch]):
            raise OtherEpoch

    async def follows(self, node_id: str, role: str, now: float, forgotten: float) -> None:
        """See OrderLog; who asked last before `forgotten` is dropped."""
        await self._follows(args=[role, node_id, now, forgotten, MAX_FOLLOWERS])

    async def records(self, numbers: Iterable[int] | None, limit: int) -> list[Record]:
        """The orders of these numbers that are kept, or the newest, newest first."""
        if numbers is None:
            newest: list[Any] = await self._redis.zrevrange("orders:index", 0, limit - 1)
            numbers = [int(each) for each in newest]
        found = [await self._record(number) for number in numbers]
        return [record for record in found if record]

    async def _record(self, number: int) -> Record | None:
        """One at a time: the fates of thousands of nodes in many orders at once would hold Redis, and this loop, up."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hgetall(f"order:{number}")
            pipe.hgetall(f"order:{number}:fates")
            row, fates = await pipe.execute()
        return _record(number, row, fates) if row else None

    async def rung(self, feeds: Feeds) -> None:
        """Wait until a feed has something after what `feeds` has, or RING_S."""
        places: dict[Any, Any] = {f"orders:feed:{role}": text_of(feeds.roles[role].last) for role in ROLES}
        await self._ringing.xread(places, count=1, block=int(RING_S * 1000))

    async def sync(self, feeds: Feeds, kept: int) -> bool:
        """Bring `feeds` up to date; whether anything changed. A Redis that lost what they hold gets it back first."""
        answer = await self._read(feeds)
        if feeds.known and answer[0] == feeds.epoch and _lost(answer, feeds):
            await self._restore(args=[json.dumps(_whole(feeds, kept))])
            answer = await self._read(feeds)
        changed = _take(answer, feeds, self._standing)
        self._standing = answer[2]
        while any(len(entries) == COUNT for entries in answer[8::3]):
            answer = await self._read(feeds)
            changed = _take(answer, feeds, self._standing) or changed
        return changed

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()
        await self._ringing.aclose()

    async def _read(self, feeds: Feeds) -> list[Any]:
        places = {role: text_of(feeds.roles[role].last) for role in ROLES}
        asked = {"epoch": feeds.epoch, "places": places, "standing": self._standing, "count": COUNT}
        return list(await self._sync(args=[json.dumps(asked)]))


def _take(answer: list[Any], feeds: Feeds, known: int) -> bool:
    """Put what Redis answered into `feeds`; whether anything changed."""
    epoch, _, standing, draining, revoked, staged, *rest = answer
    changed = epoch != feeds.epoch
    if changed:
        anew = Feeds(epoch, feeds.kept)
        feeds.epoch, feeds.roles = anew.epoch, anew.roles
    if changed or standing != known:
        feeds.draining = set(draining)
        feeds.revoked = dict(_revocation(*pair) for pair in zip(revoked[::2], revoked[1::2], strict=True))
        changed = True
    before, feeds.staged = feeds.staged, dict(_staged(*each) for each in staged)
    for role, tail, entries in zip(ROLES, rest[::3], rest[2::3], strict=True):
        feed = feeds.roles[role]
        for id_, row in entries:
            feed.add(_entry(id_, dict(zip(row[::2], row[1::2], strict=True))))
        feed.trim(place_of(tail))
        changed = changed or bool(entries)
    return changed or feeds.staged != before


def _lost(answer: list[Any], feeds: Feeds) -> bool:
    """Whether Redis has less than we know of the same log."""
    return any(place_of(last) < feeds.roles[role].last for role, last in zip(ROLES, answer[7::3], strict=True))


def _whole(feeds: Feeds, kept: int) -> dict[str, Any]:
    """All that this process knows of the log."""
    parts = feeds.roles.items()
    roles = {
        role: {"tail": text_of(feed.tail), "entries": [_row(each) for each in feed.entries]} for role, feed in parts
    }
    numbers = [entry.order.number for _, feed in parts for entry in feed.entries]
    revoke = {f"{each.by}:{each.what}": str(each.until) for each in feeds.revoked.values()}
    return {
        "epoch": feeds.epoch,
        "number": max(numbers, default=0),
        "feeds": roles,
        "staged": {str(number): "edge" for number in feeds.staged},
        "standing": {"drain": sorted(feeds.draining), "undrain": [], "revoke": revoke},
        "kept": kept,
    }


def _row(entry: Entry) -> dict[str, str]:
    return {
        "id": text_of(entry.place),
        "number": str(entry.order.number),
        "body": _body(entry.order),
        "targets": entry.targets.model_dump_json(),
        "by": entry.by,
        "key": entry.key,
    }


def _body(order: Order) -> str:
    """An order as Redis keeps it: its number is given there."""
    return order.model_dump_json(exclude={"number"})


def _order(number: int | str, body: str) -> Order:
    return Order.model_validate({"number": int(number), **json.loads(body)})


def _entry(id_: str, row: Mapping[str, str]) -> Entry:
    order = _order(row["number"], row["body"])
    return Entry(place_of(id_), order, Targets.model_validate_json(row["targets"]), row["by"], row["key"])


def _staged(number: str, body: str, waiting: list[str]) -> tuple[int, Staged]:
    return int(number), Staged(int(number), _order(number, body).issued, frozenset(waiting))


def _revocation(name: str, until: str) -> tuple[tuple[str, str], Revoke]:
    by, _, what = name.partition(":")
    return (by, what), Revoke.model_validate({"by": by, "what": what, "until": float(until)})


def _standing_of(draft: Draft) -> dict[str, Any]:
    """What stays after the order."""
    standing: dict[str, Any] = {"drain": [], "undrain": [], "revoke": {}}
    match draft.command:
        case Drain():
            standing["drain"] = list(draft.targets.nodes)
        case Undrain():
            standing["undrain"] = list(draft.targets.nodes)
        case Revoke(by=by, what=what, until=until):
            standing["revoke"] = {f"{by}:{what}": str(until)}
        case _:
            pass
    return standing


def _record(number: int, row: Mapping[str, str], fates: Mapping[str, str]) -> Record:
    order = _order(number, row["body"])
    record = Record(order, Targets.model_validate_json(row["targets"]), row["by"], row["key"])
    record.stage = "shields" if row["stage"] == "shields" else "edges"
    record.fates = {node: _fate(node, text, order.issued) for node, text in fates.items()}
    return record


def _fate(node: str, text: str, issued: float) -> NodeFate:
    if text in ("", "-"):
        return NodeFate(node=node, outcome="waiting")
    moment, _, ack = text.partition(" ")
    return fate(node, Ack.model_validate_json(ack), issued, float(moment))
