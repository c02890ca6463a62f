"""A node takes up what control lays over its settings, or says why it cannot, over real HTTP with a real credential."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from configs.overlay import ALLOWED, KEYS, TOPOLOGY
from configs.schema.base import NodeIdentity
from configs.schema.node import EdgeSettings
from control.api.app import public_app
from control.contract.credential import Credential
from control.contract.messages import HeartbeatAnswer
from control.enrol import fleet_key, write_credential
from control.node.link import ControlLink
from control.node.reporter import Reporter
from control.node.snapshots import FILE, Snapshots, at_start, kept, with_snapshot
from control.rollout.model import Content
from kit.clock import SystemClock
from kit.errors import SettingsError
from kit.service import listening
from origin.contract.token import new_key
from proxy.host.reload import APPLIED
from tests.control.admin_client import Console, console
from tests.control.support import report, until


class Node:
    """An edge's part: heartbeats, snapshots, and a reload that can be made to fail."""

    def __init__(self, desk: Console, url: str, folder: Path, session: aiohttp.ClientSession) -> None:
        self.folder, self.trouble, self.reloads = folder, "", 0
        write_credential(fleet_key(folder.parent / "fleet"), "edge-1", "edge", folder / "credential")
        self.identity = NodeIdentity(id="edge-1", credential=folder / "credential", control=url)
        credential = Credential.load(folder / "credential")
        clock = SystemClock()
        self.snapshots = Snapshots(ControlLink(self.identity, "edge", clock, session), credential, folder, self.reload)
        self.reporter = Reporter(self.identity, "edge", self.describe, clock, session, heard=self.heard)
        self.desk = desk

    async def reload(self) -> None:
        self.reloads += 1
        if self.trouble:
            raise SettingsError(self.trouble)

    def describe(self):
        return self.snapshots.on(report(region="default"))

    def heard(self, answer: HeartbeatAnswer) -> None:
        self.snapshots.want(answer.snapshot)

    def settings(self) -> EdgeSettings:
        return EdgeSettings(
            listen="127.0.0.1:0",
            store={"cache_dir": [self.folder]},
            shields=("http://own",),
            identity=self.identity,
            access="open",
        )


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[Node]:
    (tmp_path / "node").mkdir()
    async with contextlib.AsyncExitStack() as stack:
        desk = await stack.enter_async_context(
            console(tmp_path, clock=SystemClock(), interval_s=0.1, default_region="default")
        )
        url = await stack.enter_async_context(listening(public_app(desk.admin.service), "127.0.0.1", 0, drain_s=1))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        made = Node(desk, url, tmp_path / "node", session)
        made.snapshots.start()
        made.reporter.start()
        stack.push_async_callback(made.snapshots.close)
        stack.push_async_callback(made.reporter.close)
        await until(lambda: "edge-1" in desk.admin.service.registry.map().nodes)
        yield made


async def tried(node: Node, **edge: object) -> int:
    rollout = node.desk.admin.service.rollout
    number = (await rollout.stage(Content(edge=dict(edge)), by="test", note="")).last
    await rollout.try_on(number, ["edge-1"], 1, soak_s=600, goes_on=False, by="test")
    return number


async def test_a_version_is_fetched_kept_used_and_taken_back(edge: Node) -> None:
    rollout = edge.desk.admin.service.rollout
    number = await tried(edge, shields=["http://other"], store={"slice": "2MiB"})
    await until(lambda: edge.snapshots.version == number)
    settings = with_snapshot(edge.settings(), "edge")
    assert (settings.shields, settings.store.slice) == (("http://other",), 2 * 2**20)
    assert settings.store.cache_dir == (edge.folder,)
    nodes = edge.desk.admin.service.registry
    await until(lambda: nodes.map().nodes["edge-1"].snapshot == number)
    await rollout.roll_back(by="test", why="")
    await until(lambda: edge.snapshots.version == 0)
    assert with_snapshot(edge.settings(), "edge").shields == ("http://own",)
    assert (edge.reloads, edge.snapshots.error) == (2, "")


async def test_token_keys_come_and_go_with_a_version(edge: Node, tmp_path: Path) -> None:
    """Issue 5, part 5: beside those that the node has itself."""
    kid = new_key(tmp_path / "keys")
    pem = (tmp_path / "keys" / f"{kid}.public.pem").read_text()
    number = await tried(edge, token_keys={kid: pem})
    await until(lambda: edge.snapshots.version == number)
    assert with_snapshot(edge.settings(), "edge").token_keys == {kid: pem}
    await edge.desk.admin.service.rollout.roll_back(by="test", why="")
    await until(lambda: edge.snapshots.version == 0)
    assert with_snapshot(edge.settings(), "edge").token_keys == {}


async def test_what_cannot_be_used_is_told_and_the_old_stays(edge: Node) -> None:
    """The canary goes back by itself, and the node with it."""
    edge.trouble = "`shields`: no such thing"
    number = await tried(edge, fast_lane=False)
    await until(lambda: edge.snapshots.error != "")
    assert kept(edge.folder) is None
    edge.trouble = ""
    rollout = edge.desk.admin.service.rollout
    await until(lambda: rollout.state.canary is None)
    version = rollout.state.version(number)
    assert version is not None
    assert (version.stage, version.why) == ("rolled_back", "edge-1 could not use it: `shields`: no such thing")
    await until(lambda: (edge.snapshots.version, edge.snapshots.error) == (0, ""))


async def test_a_snapshot_that_control_did_not_sign_is_not_used(edge: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    from control.rollout import service

    monkeypatch.setattr(service, "signature", lambda *_: "0" * 64)
    await tried(edge, fast_lane=False)
    await until(lambda: edge.snapshots.error == "the signature is not control's")
    assert (edge.reloads, kept(edge.folder)) == (0, None)


async def test_a_node_starts_with_its_own_settings_rather_than_not_at_all(edge: Node) -> None:
    assert at_start(edge.settings(), "edge") == edge.settings()
    (edge.folder / FILE).write_text('{"version": 1, "settings": {"workers": 9}, "signature": "' + "0" * 64 + '"}')
    assert at_start(edge.settings(), "edge") == edge.settings()
    with pytest.raises(SettingsError, match="not for a snapshot"):
        with_snapshot(edge.settings(), "edge")
    (edge.folder / FILE).write_text("{half")
    assert with_snapshot(edge.settings(), "edge") == edge.settings()


def test_all_that_may_be_laid_over_is_taken_by_a_reload() -> None:
    tops = {name.partition(".")[0] for name in APPLIED if "." not in name}
    for name in [*ALLOWED, *TOPOLOGY.values(), KEYS]:
        assert name in APPLIED or name.partition(".")[0] in tops, name
