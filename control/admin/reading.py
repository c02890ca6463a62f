"""What a call says, read into the models that its endpoint declares. BadRequest names the first thing that is wrong."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from pydantic import ValidationError

from control.contract.messages import Message
from kit.errors import BadRequest

M = TypeVar("M", bound=Message)


def from_names(model: type[M] | None, given: Iterable[tuple[str, str]], where: str) -> M | None:
    """The values of a path or query; a name that comes twice is no value."""
    named: dict[str, str] = {}
    for name, value in given:
        if name in named:
            raise BadRequest(f"{where}: {name[:64]!r} is given twice")
        named[name] = value
    if model is None:
        if named:
            raise BadRequest(f"{where}: {next(iter(named))[:64]!r} means nothing here")
        return None
    try:
        return model.model_validate(named)
    except ValidationError as error:
        raise BadRequest(f"{where}: {_first(error)}") from None


def from_body(model: type[M] | None, body: bytes) -> M | None:
    """The document in `body`; none may come where none is declared."""
    if model is None:
        if body:
            raise BadRequest("body: nothing is expected here")
        return None
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise BadRequest(f"body: {_first(error)}") from None


def idempotency_key(headers: Mapping[str, str]) -> str | None:
    """The key of either field (C-13, IDM-05). BadRequest when both differ, or it is not
    1 to 255 printable characters."""
    given = {headers[name] for name in ("Idempotency-Key", "X-Idempotency-Key") if name in headers}
    if not given:
        return None
    if len(given) > 1:
        raise BadRequest("Idempotency-Key and X-Idempotency-Key differ")
    key = given.pop()
    if not 1 <= len(key) <= 255 or not (key.isascii() and key.isprintable()):
        raise BadRequest("an idempotency key is 1 to 255 printable ASCII characters")
    return key


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part)[:64] for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]
