"""What a node knows of its orders across restarts (control.node.kept)."""

from pathlib import Path

import pytest

from control.contract.generation import Generations, Told
from control.contract.orders import Ack, Revoke
from control.node import kept
from control.node.kept import FILE, MAX_ACKS, Kept
from control.node.purged import Purged

CURSOR = "0123456789abcdef.17-0"
PURGED = Purged(epoch="0123456789abcdef", heard=7, done=6)
WHOLE = Kept(cursor=CURSOR, purged=PURGED, draining=True, revoked=(Revoke(by="key", what="k", until=9e9),))


def test_what_was_kept_is_read_again(tmp_path: Path) -> None:
    state = (
        kept.load(tmp_path)
        .with_(cursor=CURSOR, purged=PURGED, draining=True)
        .owing(3, Ack(outcome="done", seconds=0.5))
    )
    kept.save(tmp_path, state)
    assert kept.load(tmp_path) == state
    assert [file.name for file in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize("torn", [b"", b"{", b'{"cursor":"x"}', b"\xff"])
def test_a_torn_file_is_no_file(tmp_path: Path, torn: bytes) -> None:
    """Then the node begins anew: no cursor."""
    (tmp_path / FILE).write_bytes(torn)
    assert kept.load(tmp_path).cursor is None


def test_no_cursor_is_believed_across_a_boot(tmp_path: Path) -> None:
    """A crash of the machine may bring removed files back; a drain and revocations hold all the same."""
    kept.save(tmp_path, WHOLE.with_(boot="another"))
    state = kept.load(tmp_path)
    assert (state.cursor, state.purged, state.draining, state.revoked) == (None, None, True, WHOLE.revoked)
    kept.save(tmp_path, state.with_(cursor=CURSOR, purged=PURGED))
    assert kept.load(tmp_path).cursor == CURSOR


def test_a_file_from_before_generations_begins_anew(tmp_path: Path) -> None:
    """A shield that cannot say how far it is would revalidate until the next purge."""
    kept.save(tmp_path, kept.load(tmp_path).with_(cursor=CURSOR))
    assert kept.load(tmp_path).cursor is None


def test_a_directory_that_takes_nothing_is_an_error_and_leaves_no_part(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        kept.save(tmp_path / "none", WHOLE)
    (tmp_path / FILE).mkdir()
    with pytest.raises(OSError):
        kept.save(tmp_path, WHOLE)
    assert [file.name for file in tmp_path.iterdir()] == [FILE]


def test_revocations_do_not_depend_on_their_order_and_end(tmp_path: Path) -> None:
    short, long, over = (Revoke(by="key", what="k", until=end) for end in (20.0, 30.0, 5.0))
    other = Revoke(by="token", what="k", until=15.0)
    for given in ((short, long, over, other), (other, over, long, short)):
        state = Kept()
        for each in given:
            state = state.refusing((each,), 10.0)
        assert set(state.revoked) == {long, other}
    assert state.refusing((), 16.0).revoked == (long,)


def test_acknowledgements_are_bounded_and_each_order_has_one() -> None:
    state = Kept()
    for number in range(1, MAX_ACKS + 11):
        state = state.owing(number, Ack(outcome="failed", seconds=0)).owing(number, Ack(outcome="done", seconds=0))
    assert [each.number for each in state.untold] == list(range(11, MAX_ACKS + 11))
    assert {each.ack.outcome for each in state.untold} == {"done"}
    assert state.told(11).untold[0].number == 12


def test_workers_know_how_far_the_node_was_before_they_serve(tmp_path: Path) -> None:
    told = Told()
    seen = Generations(told.fd)
    kept.resume(tmp_path, told)
    assert (seen.heard, seen.done) == ("", "")
    kept.save(tmp_path, kept.load(tmp_path).with_(cursor=CURSOR, purged=PURGED))
    kept.resume(tmp_path, told)
    assert (seen.heard, seen.done) == ("0123456789abcdef.7", "0123456789abcdef.6")
    told.close()
