"""The catalog on SQLite and on a real PostgreSQL (ING-04, T-002, T-006, C-40)."""

import asyncio
import contextlib
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect
from sqlalchemy.exc import IntegrityError

from kit.clock import ManualClock
from kit.errors import BadRequest, Conflict, HeadraceError, NotFound
from origin.catalog.engine import CatalogUnusable, blocking_url
from origin.catalog.models import Asset, RungInfo
from origin.catalog.service import Catalog, CatalogAway, migrate
from origin.catalog.states import MediaStatus, State, check_transition, media_status
from origin.catalog.tables import metadata

MASTER = Asset("master.m3u8", "a" * 64, 10, "application/vnd.apple.mpegurl", "master")
SEGMENT = Asset("v720/00001.m4s", "b" * 64, 5_000_000_000, "video/iso.segment", "segment")
RUNGS = [RungInfo("v360", 360, 640, "avc1.4d401e", 600), RungInfo("v720", 720, 1280, "avc1.64001f", 2400)]


async def ready(catalog: Catalog, content_id: str = "bbb", version: str = "v1") -> None:
    """Take a title from nothing to published."""
    await catalog.add_title(content_id, "Big Buck Bunny", "demo", version, {"sha256": "f" * 64})
    for state in ("probing", "encoding", "packaging", "verifying"):
        await catalog.set_state(content_id, version, state)
    await catalog.publish(content_id, version, [MASTER, SEGMENT], RUNGS, 120.5)


async def test_ing_04_the_title_row_is_there_from_the_start(catalog: Catalog, clock: ManualClock) -> None:
    await catalog.add_title("bbb", "Big Buck Bunny", "demo", "v1", {"sha256": "f" * 64})
    title = await catalog.title("bbb")
    assert title is not None
    assert (title.title, title.profile, title.version, title.state) == ("Big Buck Bunny", "demo", "v1", State.QUEUED)
    assert (title.status, title.current, title.rungs, title.progress) == (MediaStatus.INGESTING, None, (), 0.0)
    assert title.source == {"sha256": "f" * 64}
    assert title.created_at == clock.wall()
    await catalog.note_master("bbb", width=1920, height=1080, duration_s=30.0, hdr_format="HDR10")
    title = await catalog.title("bbb")
    assert title is not None
    assert (title.master_resolution, title.duration_s, title.hdr_format) == ("1920x1080", 30.0, "HDR10")


async def test_a_version_is_published_whole(catalog: Catalog, clock: ManualClock) -> None:
    await ready(catalog)
    title = await catalog.title("bbb")
    assert title is not None
    assert (title.current, title.status, title.state, title.progress) == ("v1", MediaStatus.READY, State.READY, 1.0)
    assert [r.name for r in title.rungs] == ["v720", "v360"]
    published = await catalog.published("bbb", "v1")
    assert published is not None
    assert published.assets == {MASTER.name: MASTER, SEGMENT.name: SEGMENT}
    assert (published.published_at, published.duration_s) == (clock.wall(), 120.5)
    assert await catalog.current("bbb") == "v1"


async def test_publishing_again_changes_nothing_and_other_bytes_are_refused(
    catalog: Catalog, clock: ManualClock
) -> None:
    await ready(catalog)
    clock.advance(100)
    await catalog.publish("bbb", "v1", [SEGMENT, MASTER], RUNGS, 120.5)
    published = await catalog.published("bbb", "v1")
    assert published is not None and published.published_at == clock.wall() - 100
    with pytest.raises(Conflict, match="never changes"):
        await catalog.publish("bbb", "v1", [MASTER], RUNGS, 120.5)


async def test_t_006_a_failed_publication_leaves_nothing(catalog: Catalog) -> None:
    await catalog.add_title("bbb", "B", "demo", "v1")
    with pytest.raises(IntegrityError):
        await catalog.publish("bbb", "v1", [MASTER, MASTER], RUNGS, 1.0)
    assert await catalog.published("bbb", "v1") is None
    assert await catalog.current("bbb") is None
    await catalog.publish("bbb", "v1", [MASTER], RUNGS, 1.0)
    published = await catalog.published("bbb", "v1")
    assert published is not None and list(published.assets) == [MASTER.name]


async def test_an_unpublished_version_is_not_shown(catalog: Catalog) -> None:
    await ready(catalog)
    await catalog.add_title("bbb", "Big Buck Bunny", "demo", "v2")
    await catalog.set_state("bbb", "v2", "failed", "the master has no picture")
    title = await catalog.title("bbb")
    assert title is not None
    assert (title.current, title.version, title.state) == ("v1", "v2", State.FAILED)
    assert (title.status, title.detail) == (MediaStatus.READY, "the master has no picture")
    assert await catalog.published("bbb", "v2") is None
    with pytest.raises(Conflict):
        await catalog.publish("bbb", "v2", [MASTER], RUNGS, 1.0)


async def test_a_first_step_may_repeat(catalog: Catalog) -> None:
    """T-002: the title row is the first step of a durable job, and a step may run twice."""
    for _ in range(2):
        await catalog.add_title("bbb", "B", "demo", "v1", {"sha256": "1"})
    with pytest.raises(Conflict):
        await catalog.add_title("bbb", "B", "demo", "v1", {"sha256": "2"})
    assert len(await catalog.titles()) == 1


async def test_two_that_add_the_same_title_at_once(catalog: Catalog) -> None:
    adding = [catalog.add_title("bbb", "B", "demo", f"v{n}") for n in range(4)]
    results = await asyncio.gather(*adding, return_exceptions=True)
    assert [r for r in results if r is not None] == []
    title = await catalog.title("bbb")
    assert title is not None and title.state is State.QUEUED


async def test_progress_is_kept_and_bounded(catalog: Catalog) -> None:
    await catalog.add_title("bbb", "B", "demo", "v1")
    await catalog.set_state("bbb", "v1", "encoding", "v720", progress=0.4)
    await catalog.set_state("bbb", "v1", "encoding", "v480")
    title = await catalog.title("bbb")
    assert title is not None and (title.progress, title.detail) == (0.4, "v480")
    await catalog.set_state("bbb", "v1", "packaging", progress=7)
    title = await catalog.title("bbb")
    assert title is not None and (title.progress, title.status) == (1.0, MediaStatus.PROCESSING)


async def test_removing(catalog: Catalog) -> None:
    await ready(catalog)
    with pytest.raises(Conflict):
        await catalog.remove_version("bbb", "v1")
    await catalog.add_title("bbb", "B", "demo", "v2")
    await catalog.remove_version("bbb", "v2")
    title = await catalog.title("bbb")
    assert title is not None and title.version == "v1"
    await catalog.remove("bbb")
    assert await catalog.title("bbb") is None
    assert await catalog.published("bbb", "v1") is None
    with pytest.raises(NotFound):
        await catalog.remove("bbb")
    await catalog.add_title("ccc", "C", "demo", "v1")
    await catalog.remove_version("ccc", "v1")
    assert await catalog.titles() == []


async def test_an_earlier_version_comes_back(catalog: Catalog, clock: ManualClock) -> None:
    """The same master again: viewers get it again, under the name that came with it."""
    await ready(catalog, version="v1")
    clock.advance(10)
    await ready(catalog, version="v2")
    assert await catalog.current("bbb") == "v2"
    clock.advance(10)
    assert await catalog.recall("bbb", "v1", "The first cut")
    title = await catalog.title("bbb")
    assert title
    assert (title.current, title.version, title.state, title.title) == ("v1", "v1", State.READY, "The first cut")
    assert await catalog.recall("bbb", "v1", "The first cut")
    assert not await catalog.recall("bbb", "v3", "x")
    assert not await catalog.recall("none", "v1", "x")
    assert (await catalog.current("bbb"), (await catalog.title("bbb") or title).title) == ("v1", "The first cut")


async def test_titles_newest_first(catalog: Catalog, clock: ManualClock) -> None:
    for content_id in ("aaa", "bbb", "ccc"):
        await catalog.add_title(content_id, content_id, "demo", "v1")
        clock.advance(1)
    assert [t.content_id for t in await catalog.titles()] == ["ccc", "bbb", "aaa"]
    assert [t.content_id for t in await catalog.titles(limit=1)] == ["ccc"]


@pytest.mark.parametrize("bad", ["", "A", "a/b", "..", "-a", "a" * 65, "a\n"])
async def test_ids_outside_the_grammar(catalog: Catalog, bad: str) -> None:
    for content_id, version in ((bad, "v1"), ("bbb", bad)):
        with pytest.raises(BadRequest):
            await catalog.add_title(content_id, "B", "demo", version)
    with pytest.raises(NotFound):
        await catalog.set_state("bbb", "v1", "probing")


async def test_migrations_make_the_tables_that_the_code_means(database_url: str) -> None:
    await asyncio.gather(*(migrate(database_url) for _ in range(3)))
    engine = create_engine(blocking_url(database_url))
    try:
        found = inspect(engine)
        for table in metadata.sorted_tables:
            columns = {c["name"]: (str(c["type"]).split("(")[0], c["nullable"]) for c in found.get_columns(table.name)}
            meant = {c.name: (str(c.type.compile(engine.dialect)).split("(")[0], c.nullable) for c in table.columns}
            assert {n: v[1] for n, v in columns.items()} == {n: v[1] for n, v in meant.items()}
            assert set(columns) == set(meant)
            assert set(found.get_pk_constraint(table.name)["constrained_columns"]) == {
                c.name for c in table.primary_key
            }
            assert len(found.get_foreign_keys(table.name)) == len(table.foreign_key_constraints)
    finally:
        engine.dispose()


@pytest.mark.parametrize(
    ("before", "after", "allowed"),
    [
        ("queued", "probing", True),
        ("probing", "encoding", True),
        ("encoding", "encoding", True),
        ("packaging", "encoding", True),
        ("verifying", "failed", True),
        ("failed", "queued", True),
        ("ready", "ready", True),
        ("failed", "encoding", False),
        ("verifying", "ready", False),
        *(("ready", s, False) for s in ("queued", "probing", "encoding", "packaging", "verifying", "failed")),
    ],
)
def test_what_may_follow_what(before: str, after: str, allowed: bool) -> None:
    try:
        check_transition(State(before), State(after))
    except HeadraceError as refused:
        assert isinstance(refused, Conflict) and not allowed
    else:
        assert allowed


@pytest.mark.parametrize(
    ("state", "published", "status"),
    [
        ("queued", False, "ingesting"),
        ("probing", False, "ingesting"),
        ("encoding", False, "processing"),
        ("verifying", False, "processing"),
        ("failed", False, "failed"),
        ("ready", False, "ready"),
        ("failed", True, "ready"),
        ("encoding", True, "ready"),
    ],
)
def test_c_40_media_status_is_another_field_than_state(state: str, published: bool, status: str) -> None:
    assert media_status(State(state), published=published) == status


async def test_a_database_that_is_away_is_said_so() -> None:
    url = "postgresql+asyncpg://nobody@127.0.0.1:1/none"
    with pytest.raises(CatalogAway):
        await migrate(url)
    catalog = Catalog.open(url)
    for ask in (catalog.ping(), catalog.titles(), catalog.remove("bbb")):
        with pytest.raises(CatalogAway):
            await ask
    await catalog.close()


async def test_a_file_that_is_no_catalog_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "catalog.db").write_bytes(b"no database" * 1000)
    with pytest.raises(CatalogUnusable, match=r"catalog\.db cannot be used: file is not a database"):
        await migrate(f"sqlite+aiosqlite:///{tmp_path}/catalog.db")


async def test_a_catalog_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/catalog.db"
    await migrate(url)
    with contextlib.closing(sqlite3.connect(tmp_path / "catalog.db")) as newer, newer:
        newer.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(CatalogUnusable, match="made by another version"):
        await migrate(url)
