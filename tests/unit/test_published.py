"""Words that one process publishes and others see at their next look; revocations are such words (contracts.md)."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.published import Publisher, Reader
from origin.contract.revoked import MOST_BYTES
from origin.contract.token import Keys, Reason, TokenRefused, Verifier, mint, new_key, verify

NOW = 1_800_000_000.0


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    made = Publisher(100)
    yield made
    made.close()


def test_a_reader_sees_what_was_published_last(publisher: Publisher) -> None:
    reader = Reader(publisher.fd)
    assert reader.words() == frozenset()
    publisher.put(["token:aa", "key:k1"])
    assert reader.words() == {"token:aa", "key:k1"}
    assert reader.words() is reader.words()
    publisher.put([])
    assert reader.words() == frozenset()


def test_a_reader_of_another_process_sees_it_too(publisher: Publisher) -> None:
    publisher.put(["first"])
    ours, theirs = os.pipe()
    pid = os.fork()
    if not pid:
        reader = Reader(publisher.fd)
        os.write(theirs, ",".join(sorted(reader.words())).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(ours, 100) == b"first"
    os.close(ours)
    os.close(theirs)


def test_half_written_words_are_not_seen(publisher: Publisher) -> None:
    """What was before holds while it is being written."""
    reader = Reader(publisher.fd)
    publisher.put(["old"])
    assert reader.words() == {"old"}
    publisher._numbers[0] += 1
    assert reader.words() == {"old"}
    publisher._numbers[0] += 1
    assert reader.words() == {"old"}


@pytest.mark.parametrize("words", [["x" * 101], ["a\nb"]])
def test_what_does_not_fit_is_refused_and_changes_nothing(publisher: Publisher, words: list[str]) -> None:
    publisher.put(["old"])
    with pytest.raises(ValueError, match="do not fit"):
        publisher.put(words)
    assert Reader(publisher.fd).words() == {"old"}


@pytest.mark.parametrize("by", ["token", "subject", "key"])
def test_a_revoked_token_is_refused_though_it_was_verified_before(tmp_path: Path, by: str) -> None:
    """contracts.md: revocation by cti or sub; and by key. Others of the same title stay good."""
    new_key(tmp_path)
    keys = Keys.load(tmp_path)
    token, other = (mint(keys, path="/a/", now=NOW, ttl_s=60, subject=name) for name in ("s1", "s2"))
    publisher = Publisher(MOST_BYTES)
    verifier = Verifier(keys, revoked=Reader(publisher.fd))
    assert verifier.check(token, path="/a/b", now=NOW)
    assert verifier.recall(token, "/a/b", NOW)
    assert verifier.session(token, now=NOW)
    grant = verify(token, keys)
    names = {"token": grant.token_id, "subject": "s1", "key": grant.key_id}
    publisher.put([f"{by}:{names[by]}", "token:another"])
    assert verifier.recall(token, "/a/b", NOW) is None
    with pytest.raises(TokenRefused) as refused:
        verifier.check(token, path="/a/b", now=NOW)
    assert refused.value.reason is Reason.REVOKED
    with pytest.raises(TokenRefused) as voiceless:
        verifier.session(token, now=NOW)
    assert voiceless.value.reason is Reason.REVOKED
    with pytest.raises(TokenRefused):
        Verifier(keys, revoked=Reader(publisher.fd)).session(token, now=NOW)
    if by == "key":
        with pytest.raises(TokenRefused):
            verifier.check(other, path="/a/b", now=NOW)
    else:
        assert verifier.check(other, path="/a/b", now=NOW)
        assert verifier.session(other, now=NOW)
    publisher.put([])
    assert verifier.recall(token, "/a/b", NOW)
    publisher.close()
