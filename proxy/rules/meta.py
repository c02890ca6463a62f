"""What is known of a stored answer besides its bytes."""

from dataclasses import dataclass, replace

from proxy.http import dates
from proxy.http.conditionals import Validators, weak_match
from proxy.http.fields import Fields, single, values, without
from proxy.rules.selecting import names_of, selected


@dataclass(frozen=True, slots=True)
class Meta:
    """A stored answer's metadata. Times are wall-clock seconds of this node (RFC 9111 4.2.3)."""

    key: str
    status: int
    fields: Fields
    request_time: float
    response_time: float
    vary: Fields = ()
    """The request fields that Vary names, with the values of the request that was stored."""

    @property
    def validators(self) -> Validators:
        """Its ETag and Last-Modified."""
        changed = single(self.fields, "Last-Modified")
        return Validators(single(self.fields, "ETag"), changed, single(self.fields, "Date") or "")

    def identified_by(self, fields: Fields) -> bool:
        """Whether a 304 with these fields is about this answer (RFC 9111 4.3.4): no 304 with another's tag may update
        it. Weakness does not count, and a 304 without validator is taken to answer what we asked: origins send both."""
        tag, changed, ours = single(fields, "ETag"), single(fields, "Last-Modified"), self.validators
        if tag is not None and ours.etag is not None:
            return weak_match(tag, ours.etag)
        if changed is not None and ours.last_modified is not None:
            return changed == ours.last_modified
        return tag is None

    def freshened(self, fields: Fields, request_time: float, response_time: float) -> "Meta":
        """After a 304: its fields replace ours of the same name (RFC 9111 3.2, 4.3.4). `vary` stays: whether the answer
        may still be kept, and under which selecting fields, is for rules.storing to say anew."""
        tag = ("ETag",) if self.validators.etag is not None else ()  # ours is that of the stored bytes, weak or strong
        fresh = without(storable_fields(fields, response_time), (*_UNTOUCHED, *tag))
        kept = without(self.fields, {"Age", *(name for name, _ in fresh)})
        return replace(self, fields=kept + fresh, request_time=request_time, response_time=response_time)


_UNTOUCHED = ("Content-Encoding", "Content-Type", "Content-Range")
"""A 304 never changes what describes the stored bytes (RFC 9111 3.2)."""
_OF_ONE_ANSWER = ("Cache-Status", "Content-Length", "X-Request-ID")
"""Length is the body's own; Cache-Status and id were for the answer that was stored, not for those made from it."""


def storable_fields(fields: Fields, response_time: float) -> Fields:
    """The fields kept with a stored answer; one without Date gets the time of its arrival (RFC 9110 6.6.1)."""
    kept = without(fields, _OF_ONE_ANSWER)
    return kept if values(kept, "Date") else (*kept, ("Date", dates.render(response_time)))


def vary_of(response: Fields, request: Fields) -> Fields | None:
    """The selecting fields of a request (RFC 9111 4.1) in their normal form: () without Vary, None for `Vary: *`."""
    names = names_of(response)
    return None if names is None else selected(names, request)


def matches(meta: Meta, request: Fields) -> bool:
    """Whether a stored answer was selected by the same fields as this request has."""
    return not meta.vary or selected(tuple(name for name, _ in meta.vary), request) == meta.vary
