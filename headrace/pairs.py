"""Options that take two values and may be repeated: `--tls CERT KEY`. Typer knows one or the other."""

from typing import Any

from typer.core import TyperCommand

from kit.errors import SettingsError

_OPTION = "--tls"


class PairCommand(TyperCommand):
    """A command whose `--tls`, declared as a list of texts, takes two values each time."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As the base; each value of a pair becomes an option of its own."""
        return super().parse_args(ctx, flattened(args))


def flattened(args: list[str]) -> list[str]:
    """`--tls A B` -> `--tls A --tls B`. SettingsError when a value is missing."""
    flat: list[str] = []
    at = 0
    while at < len(args):
        if args[at] != _OPTION:
            flat.append(args[at])
            at += 1
            continue
        pair = args[at + 1 : at + 3]
        if len(pair) < 2 or any(value.startswith("-") for value in pair):
            raise SettingsError(f"flag {_OPTION}: wants two files, CERT KEY")
        flat += [_OPTION, pair[0], _OPTION, pair[1]]
        at += 3
    return flat


def pairs(values: list[str] | None) -> list[dict[str, str]] | None:
    """What the settings want: {cert, key} each; None when the option was not given."""
    if not values:
        return None
    if len(values) % 2:
        raise SettingsError(f"flag {_OPTION}: wants two files, CERT KEY")
    return [{"cert": cert, "key": key} for cert, key in zip(values[::2], values[1::2], strict=True)]
