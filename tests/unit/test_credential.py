"""The node credential: 'tiers authenticate to each other' (SEC-07, contracts.md)."""

from pathlib import Path

import pytest

from control.contract.credential import WINDOW_S, Credential, CredentialRefused, issue

FLEET = b"f" * 32
NOW = 1_800_000_000.0


def test_an_edge_proves_itself_to_a_shield_and_to_control() -> None:
    edge = issue(FLEET, "edge-1", "edge")
    for role in ("shield", "control"):
        value = edge.sign(role, method="GET", target="/x?y", now=NOW)
        assert issue(FLEET, "it", role).check(value, method="GET", target="/x?y", now=NOW) == "edge-1"


def test_an_edge_cannot_speak_to_origin() -> None:
    edge = issue(FLEET, "edge-1", "edge")
    with pytest.raises(KeyError):
        edge.sign("origin", method="GET", target="/", now=NOW)
    stolen = edge.sign("shield", method="GET", target="/", now=NOW)
    with pytest.raises(CredentialRefused):
        issue(FLEET, "o", "origin").check(stolen, method="GET", target="/", now=NOW)
    with pytest.raises(CredentialRefused):
        issue(FLEET, "o", "origin").check("shield" + stolen[4:], method="GET", target="/", now=NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"method": "POST"},
        {"target": "/other"},
        {"body": b"x"},
        {"now": NOW + WINDOW_S + 1},
        {"now": NOW - WINDOW_S - 1},
    ],
)
def test_a_signature_is_for_one_request_in_its_time(change: dict) -> None:
    value = issue(FLEET, "edge-1", "edge").sign("shield", method="GET", target="/x", now=NOW)
    with pytest.raises(CredentialRefused):
        issue(FLEET, "s", "shield").check(value, **{"method": "GET", "target": "/x", "now": NOW, **change})


@pytest.mark.parametrize(
    "value",
    [
        None, "", "edge", "edge edge-1 x y", "edge edge-1 1 2 3", "edge edge-2 {now} {mac}",
        "edge edge-1 1 é", "edge \udcff {now} {mac}", "edge edge-1 {now} é{mac}", f"edge edge-1 {'9' * 5000} {{mac}}",
        "edge edge-1 -1 {mac}", "edge edge-1 ١ {mac}", "edge edge-1 {now} {mac}\n",
    ],
)  # fmt: skip
def test_junk_is_refused(value: str | None) -> None:
    if value:
        mac = issue(FLEET, "edge-1", "edge").sign("shield", method="GET", target="/", now=NOW).rpartition(" ")[2]
        value = value.replace("{now}", str(int(NOW))).replace("{mac}", mac)
    with pytest.raises(CredentialRefused):
        issue(FLEET, "s", "shield").check(value, method="GET", target="/", now=NOW)


def test_the_file_is_private_and_comes_back(tmp_path: Path) -> None:
    credential = issue(FLEET, "edge-1", "edge")
    credential.save(tmp_path / "c.json")
    assert (tmp_path / "c.json").stat().st_mode & 0o777 == 0o600
    assert Credential.load(tmp_path / "c.json") == credential
    (tmp_path / "c.json").write_text("[]")
    with pytest.raises(ValueError, match="not a node credential"):
        Credential.load(tmp_path / "c.json")


def test_no_secret_shows_when_a_credential_is_printed() -> None:
    """A traceback with local variables must not carry one into the log (SEC-07)."""
    edge = issue(FLEET, "edge-1", "edge")
    assert not [each for each in edge.secrets.values() if each in repr(edge)]
    shield = issue(FLEET, "shield-1", "shield")
    assert not [each for each in (*shield.secrets.values(), *shield.accepts.values()) if each in repr(shield)]
