"""What goes on upstream and what comes back: loops, Max-Forwards, invalidation, groups, reasons. A row a case."""

import errno

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from kit.errors import UpstreamFailed, UpstreamTimeout
from proxy.http import loop, proxy_status
from proxy.http.fields import Fields
from proxy.http.groups import MOST, invalidated
from proxy.http.proxy_status import ProxyError
from proxy.rules.invalidation import named
from proxy.upstream import failures


@pytest.mark.parametrize(
    ("lines", "count"),
    [
        ((), 0),
        (("edge",), 1),
        (("other, edge; v=1",), 1),  # RFC 8586 2: parameters do not tell caches apart
        (("EDGE", "other, edge"), 2),
        (("edge2, anedge",), 0),
        (('x; p="edge, edge"',), 0),
        ((", ,",), 0),
    ],
)
def test_cdn_loop_rfc8586_2(lines: tuple[str, ...], count: int) -> None:
    fields = tuple(("CDN-Loop", line) for line in lines)
    assert loop.passes(fields, "edge") == count
    assert loop.passes((loop.appended(fields, "edge"),), "edge") == count + 1


@pytest.mark.parametrize(
    ("method", "value", "left"),
    [("OPTIONS", "0", 0), ("TRACE", "10", 10), ("GET", "0", None), ("OPTIONS", "x", None), ("OPTIONS", None, None)],
)
def test_max_forwards_rfc9110_7_6_2(method: str, value: str | None, left: int | None) -> None:
    fields: Fields = () if value is None else (("Max-Forwards", value),)
    assert loop.forwards_left(method, fields) == left
    assert not left or loop.forwarded_once(fields, left) == (("Max-Forwards", str(left - 1)),)


HERE = ("origin.test:80", "edge.test")


@pytest.mark.parametrize(
    ("field", "value", "targets"),
    [
        ("Location", "/b", ("/b",)),  # RFC 9111 4.4
        ("Content-Location", "c?x=1", ("/dir/c?x=1",)),
        ("Location", "http://origin.test:80/b", ("/b",)),
        ("Location", "http://EDGE.test/b", ("/b",)),
        ("Location", "//edge.test/b", ("/b",)),
        ("Location", "https://edge.test", ("/",)),
        ("Location", "http://other.test/b", ()),  # another origin's
        ("Location", "http://edge.test.evil/b", ()),
        ("Location", "http://user@edge.test/b", ()),
        ("Location", "", ()),
        ("Location", "/dir/a", ()),  # the target itself
        ("Location", "/b#part", ("/b",)),
        ("Location", "/b?CMCD=x", ("/b",)),
        ("Location", "http://[", ()),
        ("Location", "/\x80", ()),
        ("ETag", "/b", ()),
    ],
)
def test_what_else_is_invalidated_rfc9111_4_4(field: str, value: str, targets: tuple[str, ...]) -> None:
    assert named(((field, value),), "/dir/a", HERE) == targets


def test_location_and_content_location_are_each_named_once_rfc9111_4_4() -> None:
    assert named((("Location", "/b"), ("Content-Location", "/b")), "/a", HERE) == ("/b",)
    assert named((("Location", "/b"), ("Location", "/c")), "/a", HERE) == ()


@pytest.mark.parametrize(
    ("lines", "groups"),
    [
        ((), ()),
        (('"a", "b"',), ("a", "b")),  # RFC 9875 3
        (('"a"', '"b", "a"'), ("a", "b")),
        (('"a";x=1',), ("a",)),
        (('"q\\"q"',), ('q"q',)),
        (("token",), ()),  # no string: the field counts as absent
        (('"a", token',), ()),
        (('("a" "b")',), ()),
        (('"a',), ()),
        (("",), ()),
        (("é",), ()),
    ],
)
def test_groups_rfc9875_3(lines: tuple[str, ...], groups: tuple[str, ...]) -> None:
    assert invalidated(tuple(("Cache-Group-Invalidation", line) for line in lines)) == groups


def test_groups_are_bounded() -> None:
    many = ", ".join(f'"{number}"' for number in range(1000))
    assert len(invalidated((("Cache-Group-Invalidation", many),))) == MOST


_KEY = ConnectionKey("h", 1, False, True, None, None, None)


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (
            failures.cannot_connect(aiohttp.ClientConnectorError(_KEY, OSError(errno.ECONNREFUSED, ""))),
            ProxyError.CONNECTION_REFUSED,
        ),
        (
            failures.cannot_connect(aiohttp.ClientConnectorError(_KEY, OSError(errno.EHOSTUNREACH, ""))),
            ProxyError.DESTINATION_UNAVAILABLE,
        ),
        (failures.cannot_connect(aiohttp.ClientConnectorDNSError(_KEY, OSError())), ProxyError.DNS_ERROR),
        (failures.cannot_connect(aiohttp.ConnectionTimeoutError()), ProxyError.CONNECTION_TIMEOUT),
        (failures.no_answer(aiohttp.ServerDisconnectedError()), ProxyError.CONNECTION_TERMINATED),
        (failures.no_answer(ValueError()), ProxyError.HTTP_PROTOCOL_ERROR),
        (failures.broke_off(None), ProxyError.HTTP_RESPONSE_INCOMPLETE),
        (failures.Away(), ProxyError.DESTINATION_UNAVAILABLE),
        (UpstreamTimeout(), ProxyError.HTTP_RESPONSE_TIMEOUT),
        (UpstreamFailed(), ProxyError.PROXY_INTERNAL_ERROR),
    ],
)
def test_reasons_rfc9209_2_3(error: UpstreamFailed, word: ProxyError) -> None:
    assert failures.proxy_error(error) is word
    assert proxy_status.failed("1edge", word) == f'"1edge"; error={word.value}'
