"""The OpenAPI 3.1 document, made from the rows that serve."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from pydantic import BaseModel, RootModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from control.admin.endpoint import PREFIX, Endpoint, Error, Names

_REFERENCE = "#/components/schemas/{model}"
_WORDS = {
    400: "The call cannot be understood",
    401: "No credential, or one that is unknown or past its end",
    403: "The role or the areas of the token do not reach so far",
    404: "No such thing",
    408: "The body did not arrive in time",
    409: "The state of the thing forbids it now, or the same request is under way",
    413: "The body is too long",
    422: "It cannot be done as asked, or the idempotency key belongs to another request",
    429: "Too many calls; Retry-After says when the next fits",
    502: "A server that was asked failed",
    503: "Not possible now; come back later",
}


class OpenApi(RootModel[dict[str, Any]]):
    """An OpenAPI 3.1 document."""


def document(endpoints: Iterable[Endpoint], version: str) -> dict[str, Any]:
    """The whole document."""
    rows = list(endpoints)
    paths: dict[str, Any] = {}
    for row in rows:
        paths.setdefault(PREFIX + row.path, {})[row.method.lower()] = _operation(row)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Headrace control", "version": version, "description": _ABOUT},
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "schemas": _schemas(rows),
        },
    }


_ABOUT = (
    "Operators' API. Roles: viewer, operator, admin; each has what the one before it has. A call that acts takes an"
    " Idempotency-Key: the same request gets the same answer for a day. Every such call, and every refused one, is in"
    " the audit log."
)


def _operation(row: Endpoint) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": row.id,
        "tags": [row.area.value],
        "summary": row.summary,
        "description": f"Wants role {row.role}.",
        "parameters": [*_parameters(row.in_path, "path"), *_parameters(row.in_query, "query")],
        "responses": {str(row.status): _answer("Done", row.answer)},
    }
    if row.acts:
        found["parameters"] += [_KEY]
    if row.in_body:
        found["requestBody"] = {"required": True, "content": _content(row.in_body)}
    for status in row.errors():
        found["responses"][str(status)] = _answer(_WORDS[status], Error)
    return found


_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Made once for a request, and sent again with each attempt of it.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
}


def _parameters(model: type[Names] | None, where: str) -> list[dict[str, Any]]:
    if model is None:
        return []
    whole = TypeAdapter(model).json_schema(by_alias=True, mode="validation")
    needed = set(whole.get("required", ()))
    return [
        {
            "name": name,
            "in": where,
            "required": where == "path" or name in needed,
            "description": schema.get("description", ""),
            "schema": _plain(schema, whole.get("$defs", {})),
        }
        for name, schema in whole.get("properties", {}).items()
    ]


def _plain(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """A parameter's schema without references, and without null: a parameter that is not there is left out."""
    if "$ref" in schema:
        return dict(definitions[schema["$ref"].rpartition("/")[2]])
    options = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    found = {name: value for name, value in schema.items() if name not in ("anyOf", "title", "description")}
    if len(options) == 1:
        found = _plain(options[0], definitions) | found
    elif options:
        found["anyOf"] = [_plain(each, definitions) for each in options]
    if found.get("default", 0) is None:
        del found["default"]
    return found


def _answer(text: str, model: type[BaseModel]) -> dict[str, Any]:
    return {"description": text, "content": _content(model)}


def _content(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REFERENCE.format(model=model.__name__)}}}


def _schemas(rows: list[Endpoint]) -> dict[str, Any]:
    """Bodies as they are taken, answers as they are given."""
    models: dict[type[BaseModel], str] = {Error: "serialization"}
    for row in rows:
        models[row.answer] = "serialization"
        if row.in_body:
            models[row.in_body] = "validation"
    pairs: Any = list(models.items())
    _, whole = models_json_schema(pairs, by_alias=True, ref_template=_REFERENCE)
    return dict(whole["$defs"])


@cache
def version() -> str:
    """Of the software."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as of

    try:
        return of("headrace")
    except PackageNotFoundError:
        return "0"
