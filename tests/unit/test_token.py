"""Play tokens: CDN-05, CDN-09, T-018; contracts.md 'URLs, key, token'."""

from pathlib import Path

import pytest

from origin.contract import token
from origin.contract.token import LICENCE, Keys, Reason, TokenRefused, Verifier, mint

NOW = 1_800_000_000.0
PATH = "/content/bbb/"


@pytest.fixture(params=["ES256", "EdDSA", "HS256"])
def keys(request: pytest.FixtureRequest, tmp_path: Path) -> Keys:
    token.new_key(tmp_path / "keys", request.param)
    return Keys.load(tmp_path / "keys")


def _reason(verifier: Verifier, text: str | None, path: str = PATH + "v/x", now: float = NOW, **more: str) -> str:
    with pytest.raises(TokenRefused) as caught:
        verifier.check(text, path=path, now=now, **more)
    return caught.value.reason


def test_a_genuine_token_opens_its_title_for_its_time(keys: Keys) -> None:
    text = mint(keys, path=PATH, now=NOW, ttl_s=60, subject="s1", cap_kbps=6000)
    grant = Verifier(keys).check(text, path=PATH + "v1/master.m3u8", now=NOW + 59)
    assert (grant.subject, grant.cap_kbps, grant.path, grant.expires) == ("s1", 6000, PATH, NOW + 60)


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ({"now": NOW + 60}, Reason.EXPIRED),
        ({"now": NOW - 61}, Reason.NOT_YET),
        ({"path": "/content/other/v1/master.m3u8"}, Reason.PATH),
        ({"path": "/content/bbb"}, Reason.PATH),
        ({"audience": LICENCE}, Reason.AUDIENCE),
    ],
)
def test_refusals_of_a_genuine_token(keys: Keys, case: dict, reason: Reason) -> None:
    verifier = Verifier(keys)
    text = mint(keys, path=PATH, now=NOW, ttl_s=60)
    assert _reason(verifier, text, **case) == reason
    verifier.check(text, path=PATH + "x", now=NOW)  # remembered now: the refusals stay
    assert _reason(verifier, text, **case) == reason


def test_every_altered_character_is_refused(keys: Keys) -> None:
    text = mint(keys, path=PATH, now=NOW, ttl_s=60)
    verifier = Verifier(keys)
    for at in range(len(text)):
        other = "A" if text[at] != "A" else "B"
        assert _reason(verifier, text[:at] + other + text[at + 1 :]) in set(Reason)


@pytest.mark.parametrize("bad", ["", "=", "a", "%41", "ab\n", "a" * 5000, "AAAA", "ab cd", "é"])
def test_junk_is_malformed(keys: Keys, bad: str) -> None:
    assert _reason(Verifier(keys), bad) == Reason.MALFORMED


def test_one_token_has_one_spelling(keys: Keys) -> None:
    text = mint(keys, path=PATH, now=NOW, ttl_s=60)
    for other in (text + "=", text + "==", text + "\n", text[:10] + "." + text[10:], text.replace("_", "/")):
        if other != text:
            assert _reason(Verifier(keys), other) == Reason.MALFORMED


def test_a_key_that_is_not_ours_is_unknown(keys: Keys, tmp_path: Path) -> None:
    token.new_key(tmp_path / "theirs", "ES256")
    text = mint(Keys.load(tmp_path / "theirs"), path=PATH, now=NOW, ttl_s=60)
    assert _reason(Verifier(keys), text) == Reason.UNKNOWN_KEY


def test_an_edge_with_public_keys_verifies_and_cannot_mint(tmp_path: Path) -> None:
    token.new_key(tmp_path / "keys", "ES256")
    text = mint(Keys.load(tmp_path / "keys"), path=PATH, now=NOW, ttl_s=60)
    (public,) = (tmp_path / "keys").glob("*.public.pem")
    (tmp_path / "edge").mkdir()
    (tmp_path / "edge" / public.name).write_bytes(public.read_bytes())
    edge = Keys.load(tmp_path / "edge")
    assert Verifier(edge).check(text, path=PATH + "x", now=NOW).path == PATH
    with pytest.raises(ValueError, match="can verify but not mint"):
        mint(edge, path=PATH, now=NOW, ttl_s=60)


def test_memory_is_bounded_and_junk_does_not_push_out_genuine_tokens(keys: Keys) -> None:
    verifier = Verifier(keys, remembered=2)
    texts = [mint(keys, path=PATH, now=NOW, ttl_s=60) for _ in range(3)]
    for text in texts:
        verifier.check(text, path=PATH, now=NOW)
    assert len(verifier._memo) == 2
    for n in range(50):
        _reason(verifier, f"junk{n}")
    assert len(verifier._memo) == 2


def _public(directory: Path) -> dict[str, str]:
    return {file.name.partition(".")[0]: file.read_text() for file in directory.glob("*.public.pem")}


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
def test_keys_of_a_rollout_stand_beside_those_of_the_directory_until_they_are_dropped(
    tmp_path: Path, algorithm: str
) -> None:
    """Issue 5, part 5: tokens of either key work meanwhile."""
    for each in ("old", "new"):
        token.new_key(tmp_path / each, algorithm)
    own, brought = Keys.load(tmp_path / "old"), _public(tmp_path / "new")
    tokens = [mint(Keys.load(tmp_path / each), path=PATH, now=NOW, ttl_s=60) for each in ("old", "new")]
    both = Verifier(own.beside(brought))
    assert [both.check(each, path=PATH + "a", now=NOW).path for each in tokens] == [PATH, PATH]
    after = Verifier(own.beside({}))
    assert after.check(tokens[0], path=PATH + "a", now=NOW).path == PATH
    assert _reason(after, tokens[1]) is Reason.UNKNOWN_KEY
    assert own.beside(_public(tmp_path / "old")).signing is own.signing, "the same key again is no conflict"


def test_a_key_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    for each in ("one", "other"):
        token.new_key(tmp_path / each)
    own = Keys.load(tmp_path / "one")
    kid, (pem,) = next(iter(_public(tmp_path / "one"))), _public(tmp_path / "other").values()
    with pytest.raises(ValueError, match=f"'{kid}' is another key"):
        own.beside({kid: pem})
    with pytest.raises(ValueError, match="'k1' cannot be used"):
        own.beside({"k1": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"})
