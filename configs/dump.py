"""Write settings as TOML, so that a process can be started from a file that its operator can read."""

import json
from typing import Any

from pydantic import BaseModel


def to_toml(settings: BaseModel) -> str:
    """The settings as TOML; values at their default are left out, None is never written."""
    return "\n".join(_table(settings.model_dump(mode="json", exclude_defaults=True, exclude_none=True), ())) + "\n"


def _table(tree: dict[str, Any], path: tuple[str, ...]) -> list[str]:
    plain = {key: value for key, value in tree.items() if not isinstance(value, dict)}
    lines = [f"{key} = {_value(value)}" for key, value in plain.items()]
    for key, value in tree.items():
        if isinstance(value, dict):
            inner = (*path, key)
            lines += ["", f"[{'.'.join(inner)}]", *_table(value, inner)]
    return lines


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_value(each) for each in value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_value(each)}" for key, each in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)
