"""Every task has an owner; an endless one that stops is an incident (style.md, habit 15; kit.tasks)."""

import asyncio

import pytest

from kit.tasks import Owner


async def test_close_ends_all_and_waits_for_their_clean_up() -> None:
    owner, cleaned = Owner("test"), []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    for number in range(3):
        owner.spawn(f"work-{number}", work(), endless=True)
    await asyncio.sleep(0)
    await owner.close()
    assert (len(owner), cleaned, owner.incidents) == (0, [True] * 3, 0)


@pytest.mark.parametrize(("endless", "incidents"), [(False, 0), (True, 1)])
async def test_returning_is_an_incident_only_for_an_endless_task(endless: bool, incidents: int) -> None:
    owner = Owner("test")
    await owner.spawn("short", asyncio.sleep(0), endless=endless)
    await asyncio.sleep(0)
    assert (owner.incidents, len(owner)) == (incidents, 0)
    await owner.close()


async def test_a_failure_is_an_incident_and_stays_with_its_task(capfd: pytest.CaptureFixture[str]) -> None:
    owner = Owner("test")

    async def fail() -> None:
        raise ValueError("broken")

    task = owner.spawn("failing", fail())
    with pytest.raises(ValueError, match="broken"):
        await task
    assert owner.incidents == 1
    assert "task ended" in "".join(capfd.readouterr())
    await owner.close()


async def test_tasks_are_named_after_owner_and_work() -> None:
    owner = Owner("fills")
    task = owner.spawn("fill", asyncio.sleep(0))
    assert task.get_name() == "fills:fill"
    await owner.close()


async def test_a_cancellation_that_was_swallowed_is_said_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a library does that takes the end of its connection for the reason; the whole suite once hung on it."""
    monkeypatch.setattr("kit.tasks.AGAIN_S", 0.01)
    swallowed = 0

    async def work() -> None:
        nonlocal swallowed
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed += 1
                if swallowed == 3:
                    raise

    owner = Owner("test")
    owner.spawn("deaf", work())
    await asyncio.sleep(0)
    await owner.close()
    assert (swallowed, len(owner)) == (3, 0)
