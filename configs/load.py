"""Fill a settings model from a TOML file, the environment and flags; say exactly what is wrong where.

Order, later wins: defaults, file, environment (`HEADRACE_<PROCESS>_<FIELD>`, `__` between levels), flags.
"""

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from kit.errors import SettingsError

M = TypeVar("M", bound=BaseModel)
Tree = dict[str, Any]


def load(
    model: type[M],
    *,
    file: Path | None = None,
    process: str,
    environment: Mapping[str, str] | None = None,
    flags: Tree | None = None,
) -> M:
    """The settings of one process.

    `process` names the environment prefix (`edge` -> `HEADRACE_EDGE_`). `flags` are nested like the model; None
    values are ignored. Raises SettingsError with one line a mistake: place, what is wrong, nearest right name.
    """
    text = _read(file) if file else ""
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file}: {error}") from None
    prefix = f"HEADRACE_{process.upper()}_"
    overrides = _from_environment(os.environ if environment is None else environment, prefix)
    given = _without_none(flags or {})
    whole = merged(merged(tree, overrides), given)
    try:
        return model.model_validate(whole, strict=False)
    except ValidationError as error:
        origins = _Origins(file, text, overrides, prefix, given)
        lines = [_explain(model, each, origins) for each in error.errors()]
        raise SettingsError("\n".join(dict.fromkeys(lines))) from None


def child_environment(**extra: str) -> dict[str, str]:
    """The environment for a process that we start: ours and `extra`."""
    return {**os.environ, **extra}


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: cannot be read: {error}") from None


def _from_environment(environment: Mapping[str, str], prefix: str) -> Tree:
    tree: Tree = {}
    for name, value in environment.items():
        if name.startswith(prefix):
            _put(tree, name[len(prefix) :].lower().split("__"), _parse(value))
    return tree


def _parse(value: str) -> Any:
    """A variable's value: TOML where it starts like a list or table, else the text (pydantic converts scalars)."""
    if value[:1] in "[{":
        try:
            return tomllib.loads(f"v = {value}")["v"]
        except tomllib.TOMLDecodeError:
            return value
    return value


def _put(tree: Tree, path: list[str], value: Any) -> None:
    for step in path[:-1]:
        tree = tree.setdefault(step, {})
    tree[path[-1]] = value


def merged(below: Tree, above: Tree) -> Tree:
    """`below` with `above` laid over it, level by level."""
    found = dict(below)
    for key, value in above.items():
        old = found.get(key)
        found[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return found


def _without_none(tree: Tree) -> Tree:
    return {k: _without_none(v) if isinstance(v, dict) else v for k, v in tree.items() if v is not None}


class _Origins:
    """Where a value came from, to say so in the error."""

    def __init__(self, file: Path | None, text: str, overrides: Tree, prefix: str, flags: Tree) -> None:
        self._file, self._text = file, text
        self._overrides, self._prefix, self._flags = overrides, prefix, flags

    def place(self, path: tuple[str | int, ...]) -> str:
        """`flag --x`, `environment HEADRACE_…`, `file:line` or `settings`."""
        if not path:  # what no single field can say
            return str(self._file) if self._file else "settings"
        if _holds(self._flags, path):
            return f"flag --{str(path[-1]).replace('_', '-')}"
        if _holds(self._overrides, path):
            return f"environment {self._prefix}{'__'.join(str(p) for p in path).upper()}"
        if self._file is None:
            return "settings"
        return f"{self._file}:{line_of(self._text, path)}"


def _holds(tree: Any, path: tuple[str | int, ...]) -> bool:
    for step in path:
        inside = step in tree if isinstance(tree, dict) else isinstance(tree, list) and step in range(len(tree))
        if not inside:
            return False
        tree = tree[step]
    return True


def line_of(text: str, path: tuple[str | int, ...]) -> int:
    """The line (from 1) where `path` begins: after the longest good prefix without it.

    A value over several lines is found at its first one. A path that the file does not hold (a missing field) gives
    the line of its nearest parent that it does.
    """
    lines = text.splitlines()
    for depth in range(len(path), 0, -1):
        start = 0
        for count in range(1, len(lines) + 1):
            try:
                tree = tomllib.loads("\n".join(lines[:count]))
            except tomllib.TOMLDecodeError:
                continue
            if _holds(tree, path[:depth]):
                return start + 1
            start = count
    return 1


def _explain(model: type[BaseModel], error: ErrorDetails, origins: _Origins) -> str:
    path = tuple(p for p in error["loc"] if not (isinstance(p, str) and "[" in p))
    name = ".".join(str(p) for p in path)
    place = origins.place(path)
    if error["type"] == "extra_forbidden":
        names = _siblings(model, path[:-1])
        near = difflib.get_close_matches(str(path[-1]), names, n=1, cutoff=0.5)
        hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(sorted(names))}"
        return f"{place}: unknown setting `{name}`; {hint}"
    if error["type"] == "missing":
        return f"{place}: `{name}` is missing"
    return f"{place}: `{name}`: {error['msg'].removeprefix('Value error, ')} (given: {error['input']!r})"


def _siblings(model: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """The field names that are allowed at `path`."""
    for step in path:
        if isinstance(step, int):
            continue
        field = model.model_fields.get(step)
        inner = _model_in(field.annotation) if field else None
        if inner is None:
            return []
        model = inner
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for each in get_args(annotation):
        found = _model_in(each)
        if found:
            return found
    return None
