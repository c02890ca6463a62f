"""The command line's root: commands register here; errors of ours become one line and an exit code."""

import importlib
import sys

import typer

from kit.allocator import prefer_large_pages
from kit.errors import HeadraceError, SettingsError

_NODES = ("edge", "shield")
_COMMANDS = {
    "installation": ("up", "demo", "init"),
    "nodes": _NODES,
    "services": ("control", "origin"),
    "ingest": ("ingest",),
    "doctor.command": ("doctor",),
    "cache": ("cache",),
    "operate.nodes": ("nodes", "drain"),
    "operate.orders": ("purge", "prefetch", "orders"),
    "operate.steer": ("steer",),
    "operate.qoe": ("qoe",),
    "operate.rollout": ("rollout",),
    "operate.audit": ("audit", "operators"),
    "bench": ("bench",),
    "secrets": ("keys", "token"),
    "geo": ("geo",),
}
"""Which module has which command, in the order of the help text."""


def application(word: str | None = None) -> typer.Typer:
    """The root with all commands, or with those of one module where `word` is a command: a node that starts does not
    wait for what the others import."""
    app = typer.Typer(
        name="headrace",
        help="A streaming CDN and the media platform behind it.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def root() -> None:
        """A streaming CDN and the media platform behind it."""

    owners = [module for module, commands in _COMMANDS.items() if word in commands]
    for module in owners or _COMMANDS:
        importlib.import_module(f"headrace.{module}").register(app)
    return app


def run() -> None:
    """The console script. Exit codes: 0 done, 1 it failed, 2 used or configured wrongly."""
    word = sys.argv[1] if len(sys.argv) > 1 else None
    if word in _NODES:
        prefer_large_pages()
    try:
        application(word)()
    except SettingsError as error:
        print(f"headrace: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except HeadraceError as error:
        print(f"headrace: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except OSError as error:
        if error.filename is None:
            raise
        print(f"headrace: {error.filename}: {error.strerror}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    run()
