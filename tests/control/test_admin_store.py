"""What the admin API keeps, in both forms of the store: tokens, windows, idempotency keys, the audit log."""

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from configs.schema.administration import AdministrationSettings
from control.admin.audit import BACKLOG, Audit
from control.admin.errors import AuditFull, StoreAway
from control.admin.journal import Journal
from control.admin.limit import WINDOW_S, Windows
from control.admin.memory_form import MemoryStore
from control.admin.redis_form import RedisStore
from control.admin.roles import Area, Role
from control.admin.store import LOCK_S, Claimed, Kept, Running, Store
from control.admin.tokens import mint, split
from control.admin.trail import Outcome, Record, broken, when
from kit.clock import ManualClock
from kit.errors import Conflict, SettingsError
from tests.support.redis import RedisServer

SETTINGS = AdministrationSettings(max_tokens=2, max_keys=10, audit_entries=100)
KEPT = Kept("digest", 201, b'{"a":"\xc3\xa4\\n"}\n')


def record(number: int = 0, outcome: Outcome = Outcome.DONE) -> Record:
    return Record(
        at=when(1_800_000_000 + number),
        actor="a",
        actor_name="ann",
        role="admin",
        action="nodes.drain",
        target="POST /x",
        outcome=outcome,
        status=200,
        reason="",
        request_id=str(number),
        client="127.0.0.1",
        detail="",
    )


def token(name: str):
    return mint(name, Role.OPERATOR, (Area.NODES,), now=1.0, lifetime_s=60, by="test")[0]


@pytest.fixture(params=["memory", "files", "redis"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, redis_server: RedisServer) -> AsyncIterator[Store]:
    forms = {
        "memory": lambda: MemoryStore(SETTINGS, ManualClock()),
        "files": lambda: MemoryStore(SETTINGS, ManualClock(), Journal(tmp_path, SETTINGS.audit_entries)),
        "redis": lambda: RedisStore.connect(redis_server.url, SETTINGS),
    }
    made: Store = forms[request.param]()
    yield made
    await made.close()


async def test_tokens_are_kept_found_bounded_and_removed(store: Store) -> None:
    ann, bob = token("ann"), token("bob")
    await store.put_token(bob)
    await store.put_token(ann)
    assert await store.tokens() == [ann, bob]
    assert await store.token(ann.id) == ann
    assert await store.token("0" * 12) is None
    with pytest.raises(Conflict):
        await store.put_token(token("carl"))
    assert (await store.drop_token(ann.id), await store.drop_token(ann.id)) == (True, False)
    assert await store.tokens() == [bob]


async def test_a_window_counts_each_caller_alone(store: Store) -> None:
    taken = [await store.take("ann", 3) for _ in range(4)]
    assert [(each.allowed, each.remaining) for each in taken] == [(True, 2), (True, 1), (True, 0), (False, 0)]
    assert 0 < taken[-1].reset_s <= WINDOW_S
    assert (await store.take("bob", 3)).allowed


async def test_one_claim_a_key_until_it_is_settled(store: Store) -> None:
    """IDM-02, IDM-03."""
    first = await store.claim("ann", "k", "digest")
    assert isinstance(first, Claimed)
    assert await store.claim("ann", "k", "digest") == Running()
    assert isinstance(await store.claim("bob", "k", "digest"), Claimed)
    await store.settle("ann", "k", "somebody else", KEPT)
    assert await store.claim("ann", "k", "digest") == Running()
    await store.settle("ann", "k", first.owner, KEPT)
    assert await store.claim("ann", "k", "other") == KEPT
    await store.release("ann", "k", first.owner)
    assert await store.claim("ann", "k", "digest") == KEPT


async def test_a_claim_given_back_is_free(store: Store) -> None:
    first = await store.claim("ann", "k", "digest")
    assert isinstance(first, Claimed)
    await store.release("ann", "k", first.owner)
    assert isinstance(await store.claim("ann", "k", "digest"), Claimed)


async def test_keys_are_bounded_the_oldest_go(store: Store) -> None:
    for number in range(11):
        claim = await store.claim("ann", f"k{number}", "digest")
        assert isinstance(claim, Claimed)
        await store.settle("ann", f"k{number}", claim.owner, KEPT)
    assert isinstance(await store.claim("ann", "k0", "digest"), Claimed)
    assert await store.claim("ann", "k10", "digest") == KEPT


async def test_answers_too_large_are_not_kept(store: Store) -> None:
    """D-33."""
    claim = await store.claim("ann", "k", "digest")
    assert isinstance(claim, Claimed)
    await store.settle("ann", "k", claim.owner, Kept("digest", 200, b"x" * (256 * 1024 + 1)))
    assert await store.claim("ann", "k", "digest") == Running()


async def test_the_audit_log_is_one_chain_whoever_writes(store: Store) -> None:
    """OBS-22: entries of many writers at once, read page by page."""
    await asyncio.gather(*(store.append(record(number)) for number in range(20)))
    newest = await store.entries(None, 8)
    older = await store.entries(newest[-1].seq, 1000)
    whole = [*reversed(older), *reversed(newest)]
    assert [each.seq for each in whole] == list(range(1, 21))
    assert broken(whole) is None
    assert sorted(int(each.request_id) for each in whole) == list(range(20))
    assert await store.entries(1, 10) == []


async def test_the_audit_log_is_bounded_and_what_is_left_is_whole(store: Store) -> None:
    for number in range(350):
        await store.append(record(number))
    kept = list(reversed(await store.entries(None, 1000)))
    assert kept[-1].seq == 350
    assert 50 <= len(kept) <= 200  # Redis trims in blocks
    assert broken(kept) is None


async def test_a_claim_nobody_settled_is_free_after_its_lock() -> None:
    clock = ManualClock()
    store = MemoryStore(SETTINGS, clock)
    await store.claim("ann", "k", "digest")
    clock.advance(LOCK_S)
    claim = await store.claim("ann", "k", "digest")
    assert isinstance(claim, Claimed)
    await store.settle("ann", "k", claim.owner, KEPT)
    clock.advance(SETTINGS.idempotency_s)
    assert isinstance(await store.claim("ann", "k", "digest"), Claimed)


def test_a_window_slides() -> None:
    """C-23: no caller gets twice the limit around a boundary, as with fixed windows."""
    windows = Windows()
    moments = [0, 30, 59, 60, 61, 89, 90, 119]
    assert [windows.take("ann", 3, at).allowed for at in moments] == [
        True, True, True, True, False, False, True, True,
    ]  # fmt: skip


async def test_files_outlive_the_process_and_a_line_cut_by_a_crash_goes(tmp_path: Path) -> None:
    store = MemoryStore(SETTINGS, ManualClock(), Journal(tmp_path, 100))
    ann = token("ann")
    await store.put_token(ann)
    for number in range(70):  # more than half of the bound: the file has turned
        await store.append(record(number))
    assert {file.name for file in tmp_path.iterdir()} == {"tokens.json", "audit.jsonl", "audit.old.jsonl"}
    assert all(file.stat().st_mode & 0o077 == 0 for file in tmp_path.iterdir())
    with (tmp_path / "audit.jsonl").open("ab") as file:
        file.write(b'{"half')
    again = MemoryStore(SETTINGS, ManualClock(), Journal(tmp_path, 100))
    assert await again.tokens() == [ann]
    await again.append(record(70))
    entries = list(reversed(await again.entries(None, 1000)))
    assert [each.seq for each in entries] == list(range(1, 72))
    assert broken(entries) is None


def test_a_torn_state_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "tokens.json").write_text("[{]")
    with pytest.raises(SettingsError, match="state_dir"):
        MemoryStore(SETTINGS, ManualClock(), Journal(tmp_path, 100))
    with pytest.raises(SettingsError, match="state_dir"):
        Journal(tmp_path / "tokens.json" / "x", 100)


class Away(MemoryStore):
    """A store that cannot be written while `away`."""

    away = False

    async def append(self, record: Record):
        if self.away:
            raise StoreAway("away")
        return await super().append(record)


async def test_records_wait_for_a_store_that_is_away_and_then_nothing_more_is_done() -> None:
    store = Away(AdministrationSettings(), ManualClock())
    audit = Audit(store, ManualClock(), 60)
    store.away = True
    for number in range(BACKLOG):
        audit.demand_room()
        await audit.note(record(number), caller="a")
    with pytest.raises(AuditFull):
        audit.demand_room()
    await audit.note(record(-1, Outcome.REFUSED), caller="a")
    assert (audit.waiting, audit.lost) == (BACKLOG, 1)
    store.away = False
    await audit.flush()
    entries = list(reversed(await store.entries(None, BACKLOG + 1)))
    assert [int(each.request_id) for each in entries] == list(range(BACKLOG))
    assert broken(entries) is None


def test_a_token_s_text_is_strict() -> None:
    made, text = mint("ann", Role.VIEWER, (), now=0, lifetime_s=1, by="test")
    assert split(text) == (made.id, text[17:])
    for wrong in ("", text[:-1], text + "x", text.upper(), text + "\n", text.replace("_", "-")):
        assert split(wrong) is None
    assert text[17:] not in made.encode().decode()


@contextlib.contextmanager
def full_disk(most_bytes: int) -> Iterator[None]:
    """No file of this process may grow beyond `most_bytes`: a write gets as far as that."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_disk_that_is_full_for_a_while_tears_nothing(tmp_path: Path) -> None:
    store = MemoryStore(SETTINGS, ManualClock(), Journal(tmp_path, 100))
    ann = token("ann")
    await store.put_token(ann)
    await store.append(record(0))
    with full_disk((tmp_path / "audit.jsonl").stat().st_size + 100), pytest.raises(StoreAway):
        await store.append(record(1))
    await store.append(record(1))
    with full_disk((tmp_path / "tokens.json").stat().st_size + 10), pytest.raises(StoreAway):
        await store.put_token(token("bob"))
    again = MemoryStore(SETTINGS, ManualClock(), Journal(tmp_path, 100))
    assert await again.tokens() == [ann]
    assert [each.request_id for each in await again.entries(None, 10)] == ["1", "0"]


def test_a_torn_audit_log_is_told(tmp_path: Path) -> None:
    (tmp_path / "audit.jsonl").write_text('{"half{"whole":1}\n')
    with pytest.raises(SettingsError, match="state_dir"):
        MemoryStore(SETTINGS, ManualClock(), Journal(tmp_path, 100))
