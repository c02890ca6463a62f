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
