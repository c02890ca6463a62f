"""What a request for an asset is answered with, before a byte is read. Pure."""

import base64
from dataclasses import dataclass
from pathlib import PurePosixPath

from origin.catalog.models import Asset, Published
from origin.contract import headers, tags
from proxy.http import dates
from proxy.http.conditionals import Validators, Verdict, evaluate, range_applies
from proxy.http.fields import Fields, single
from proxy.http.ranges import Part, Unsatisfiable, Whole, parse_range

_ONLY_WHEN_SENT = ("Content-Type", "Repr-Digest", "Accept-Ranges")


@dataclass(frozen=True, slots=True)
class Head:
    """Status, fields and the bytes `start` to `end` (exclusive) of the object that follow; equal means no body.

    Content-Length is `end - start` unless the fields say otherwise.
    """

    status: int
    fields: dict[str, str]
    start: int = 0
    end: int = 0


def decide(request: Fields, version: Published, asset: Asset, cache_control: str) -> Head:
    """The answer to a GET (a HEAD's is the same, its body left out).

    Preconditions go before ranges (RFC 9110 13.2.2); a 304 repeats what a cache has to update (15.4.5).
    """
    fields = describe(version, asset, cache_control)
    validators = Validators(fields["ETag"], fields["Last-Modified"])
    match evaluate(request, validators):
        case Verdict.NOT_MODIFIED:
            return Head(304, _without(fields, _ONLY_WHEN_SENT))
        case Verdict.FAILED:
            return Head(412, {"Cache-Control": "no-store"})
        case Verdict.SEND:
            return _send(request, validators, asset, fields)


def describe(version: Published, asset: Asset, cache_control: str) -> dict[str, str]:
    """The fields of the whole object. The ETag is strong: it is the digest of the bytes."""
    return {
        "Content-Type": asset.content_type,
        "ETag": f'"{asset.digest}"',
        "Last-Modified": dates.render(version.published_at),
        "Repr-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(asset.digest)).decode()}:",
        "Accept-Ranges": "bytes",
        "Cache-Control": cache_control,
        headers.GROUPS: tags.field(_tags(version, asset)),
    }


def _send(request: Fields, validators: Validators, asset: Asset, fields: dict[str, str]) -> Head:
    wanted = single(request, "Range") if range_applies(request, validators) else None
    match parse_range(wanted, asset.size):
        case Whole():
            return Head(200, fields, 0, asset.size)
        case Part(start, end) as part:
            return Head(206, fields | {"Content-Range": part.content_range(asset.size)}, start, end)
        case Unsatisfiable():
            return Head(416, {"Content-Range": f"bytes */{asset.size}", "Cache-Control": "no-store"})


def _tags(version: Published, asset: Asset) -> list[str]:
    found = [("title", version.content_id), ("version", version.version), ("class", asset.kind)]
    folder = PurePosixPath(asset.name).parts[0]
    rung = [("rung", each.name) for each in version.rungs if each.name == folder]
    return [tags.tag(kind, name) for kind, name in found + rung]


def _without(fields: dict[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if name not in names}
