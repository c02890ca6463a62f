"""What is done from the console: asked back, once, by this session's pages only, on record as from the API."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from control.admin.endpoint import PREFIX
from control.admin.roles import Area, Role
from control.console.deeds import DEEDS
from control.console.session import COOKIE
from control.rollout.model import Content
from control.rollout.rules import proven
from kit.clock import ManualClock
from tests.control.admin_client import TOKEN, Console, console
from tests.control.support import report
from tests.support.browser import chromium

DRAIN = {"action": "nodes.drain", "id": "edge-1"}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Console]:
    async with console(tmp_path, administration={"failures_per_min": 3}) as made:
        await made.admin.service.registry.beat("edge-1", report(region="default"))
        yield made


async def enter(desk: Console, token: str = TOKEN) -> None:
    async with desk.session.post(desk.url + "/login", data={"token": token}) as response:
        assert (response.status, response.url.path) == (200, "/")


async def question(desk: Console, **fields: str) -> dict[str, str]:
    """The fields of the form on the page that asks back."""
    async with desk.session.get(desk.url + "/confirm", params=fields) as response:
        assert response.status == 200
        return dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', await response.text()))


async def act(desk: Console, form: dict[str, str], **headers: str) -> tuple[int, str]:
    given = {"allow_redirects": False, "headers": headers}
    async with desk.session.post(desk.url + "/act", data=form, **given) as response:
        return response.status, response.headers.get("Location") or await response.text()


async def test_a_deed_is_asked_back_done_once_and_on_record(desk: Console) -> None:
    await enter(desk)
    form = await question(desk, **DRAIN)
    assert [await act(desk, form) for _ in range(2)] == [(303, "/?done")] * 2
    orders = await desk.admin.service.orders.list()
    assert [(each.order.command.kind, each.targets.nodes, each.by) for each in orders] == [
        ("drain", ("edge-1",), "operators' token")
    ]
    done, again = await desk.entries()
    assert (done.action, done.outcome, done.target) == ("nodes.drain", "done", f"POST {PREFIX}/nodes/edge-1/drain")
    assert (again.action, again.outcome) == ("nodes.drain", "replayed")


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"action": "orders.purge", "by": "tag", "what": "title:film", "soft": "1"}, "purge"),
        ({"action": "orders.purge", "by": "prefix", "what": "/content/film/", "soft": ""}, "purge"),
        ({"action": "nodes.undrain", "id": "edge-1"}, "undrain"),
    ],
)
async def test_orders_from_the_page(desk: Console, given: dict[str, str], kind: str) -> None:
    await enter(desk)
    assert await act(desk, await question(desk, **given)) == (303, "/?done")
    (only,) = await desk.admin.service.orders.list()
    assert only.order.command.kind == kind


async def test_an_override_is_made_and_lifted(desk: Console) -> None:
    await enter(desk)
    given = {"action": "steering.override", "kind": "avoid", "edge": "edge-1", "minutes": "5", "percent": "50"}
    assert await act(desk, await question(desk, **given, title="", region="", reason="disk")) == (303, "/?done")
    (override,) = desk.admin.service.overrides.in_force()
    assert (override.edge, override.until - desk.clock.wall(), override.percent) == ("edge-1", 300, 50)
    assert await act(desk, await question(desk, action="steering.lift", id=override.id)) == (303, "/?done")
    assert desk.admin.service.overrides.in_force() == ()


async def test_a_version_is_shown_activated_and_taken_back(desk: Console) -> None:
    """Issue 5, part 8: where rollouts stand, and what may be done, as the role allows."""
    rollout = desk.admin.service.rollout
    number = (await rollout.stage(Content(edge={"fast_lane": False}), by="ann", note="<try>")).last
    await rollout.try_on(number, ["edge-1"], 1, soak_s=60, goes_on=False, by="ann")
    await enter(desk)
    page = await shown(desk)
    assert "Version 1 is tried on edge-1 for 60 s, then it waits to be activated" in page
    assert "&lt;try&gt;" in page
    assert ('id="do-rollout-back"' in page, 'id="do-rollout-activate-1"' in page) == (True, False)
    state = rollout.state
    await rollout._shelf.put(proven(state, now=1.0).model_copy(update={"revision": state.revision + 1}))
    await rollout.look()
    assert 'id="do-rollout-activate-1"' in await shown(desk)
    assert await act(desk, await question(desk, action="rollout.activate", number="1")) == (303, "/?done")
    assert rollout.wanted("edge-1") == number
    assert "Active: version 1." in await shown(desk)
    assert await act(desk, await question(desk, action="rollout.back", why="slow")) == (303, "/?done")
    assert (rollout.wanted("edge-1"), rollout.state.events[-1].why) == (0, "slow")
    assert [each.action for each in await desk.entries()][:2] == ["rollout.activate", "rollout.back"]


async def shown(desk: Console) -> str:
    """The page, as it is now."""
    desk.clock.advance(1.0)
    async with desk.session.get(desk.url + "/") as response:
        return await response.text()


async def test_another_site_s_form_does_nothing(desk: Console) -> None:
    """The cookie alone is not enough: the form carries a token of the session."""
    await enter(desk)
    form = await question(desk, **DRAIN)
    async with desk.session.post(desk.url + "/logout", allow_redirects=False):
        pass
    await enter(desk)  # another session of the same person
    assert isinstance(desk.clock, ManualClock)
    for wrong in ({"form": ""}, {"form": "x" * 64}, {"form": "\udcff"}):
        status, _ = await act(desk, form | {"form": wrong["form"].encode("utf-8", "replace").decode()})
        assert status == 403
    assert await desk.admin.service.orders.list() == ()


async def test_a_viewer_sees_no_button_and_gets_no_further_by_hand(desk: Console) -> None:
    await enter(desk, await desk.token(Role.VIEWER))
    async with desk.session.get(desk.url + "/") as response:
        page = await response.text()
    assert "edge-1" in page
    assert "/confirm" not in page
    status, text = await act(desk, await question(desk, **DRAIN))
    assert status == 403
    assert "this wants operator" in text
    assert (await desk.entries())[-1].reason == "forbidden"


async def test_an_operator_of_one_area_has_its_buttons_alone(desk: Console) -> None:
    await enter(desk, await desk.token(Role.OPERATOR, Area.NODES))
    async with desk.session.get(desk.url + "/") as response:
        page = await response.text()
    assert "Drain edge-1" in page
    assert 'value="orders.purge"' not in page
    assert 'value="steering.override"' not in page


async def test_a_session_ends_with_its_token_and_by_itself(desk: Console) -> None:
    assert isinstance(desk.clock, ManualClock)
    await enter(desk, await desk.token(Role.OPERATOR, lifetime_s=60))
    desk.clock.advance(60)
    async with desk.session.get(desk.url + "/") as response:
        assert response.url.path == "/login"
    await enter(desk)
    desk.clock.advance(12 * 3600)
    async with desk.session.get(desk.url + "/events") as response:
        assert response.status == 401


@pytest.mark.parametrize("cookie", ["", "x", "operators.99999999999.", "operators.99999999999." + "0" * 64, ".."])
async def test_a_made_up_session_is_none(desk: Console, cookie: str) -> None:
    async with desk.session.get(desk.url + "/events", headers={"Cookie": f"{COOKIE}={cookie}"}) as response:
        assert response.status == 401


async def test_guessing_at_the_login_is_slowed_down(desk: Console) -> None:
    answers = []
    for _ in range(5):
        async with desk.session.post(desk.url + "/login", data={"token": "wrong"}) as response:
            answers.append(response.status)
    assert answers == [403, 403, 403, 429, 429]


async def test_values_are_text_on_every_page(desk: Console) -> None:
    evil = "<script>alert(1)</script>"
    await enter(desk)
    for action in DEEDS:
        fields = {"action": action, "id": evil, "what": evil, "edge": evil, "by": evil, "kind": evil, "reason": evil}
        async with desk.session.get(desk.url + "/confirm", params=fields) as response:
            assert "<script>alert" not in await response.text()
    await desk.call("POST", "/purge", json={"tag": evil})
    assert isinstance(desk.clock, ManualClock)
    desk.clock.advance(1)
    async with desk.session.get(desk.url + "/") as response:
        page = await response.text()
    assert "&lt;script&gt;" in page
    assert "<script>alert" not in page


async def test_the_stream_sends_what_changed_and_ends_with_the_listener(desk: Console) -> None:
    await enter(desk)
    async with desk.session.get(desk.url + "/events") as response:
        first = await response.content.readuntil(b"\n\n")
        assert b"edge-1" in first
        await desk.admin.service.registry.beat("edge-2", report(region="default"))
        assert isinstance(desk.clock, ManualClock)
        desk.clock.advance(1)
        while b"edge-2" not in (line := await response.content.readuntil(b"\n\n")):
            assert line


@pytest.mark.browser
async def test_drain_by_keyboard_in_a_browser(tmp_path: Path) -> None:
    """Tab to the button, Enter, Tab, Enter: done, and the page says so; at 360 px nothing is wider than the screen."""
    async with console(tmp_path) as desk, chromium() as browser:
        service = desk.admin.service
        await service.registry.beat("edge-1", report(region="default"))
        for width in (360, 1000):
            page = await browser.new_page(viewport={"width": width, "height": 700})
            await page.goto(desk.url)
            await page.fill("#token", TOKEN)
            await page.keyboard.press("Enter")
            await page.wait_for_selector("#live:text('Live.')")
            await page.locator("#do-nodes-drain-edge-1").focus()
            await page.keyboard.press("Enter")
            await page.wait_for_selector("#yes")
            assert await page.inner_text("h1") == "Drain edge-1?"
            await page.keyboard.press("Tab")
            assert await page.evaluate("document.activeElement.id") == "yes"
            await page.keyboard.press("Enter")
            await page.wait_for_selector(".said:text('Done.')")
            assert "drain edge-1" in await page.inner_text("#orders")
            assert await page.evaluate("document.documentElement.scrollWidth") <= width
            await page.close()
        orders: tuple[Any, ...] = await service.orders.list()
        assert [each.order.command.kind for each in orders] == ["drain", "drain"]


async def test_too_many_orders_are_the_caller_s_fault(desk: Console) -> None:
    """429 and a time to come back, no 5xx: schemathesis found it."""
    most = desk.admin.service.settings.orders_in_flight
    for number in range(most):
        assert (await desk.call("POST", "/purge", json={"tag": f"t{number}"}))[0] == 202
    status, document, headers = await desk.call("POST", "/purge", json={"tag": "more"})
    assert (status, document["error"], headers["Retry-After"]) == (429, "too_many_at_once", "5")
    assert "in flight" in document["message"]
