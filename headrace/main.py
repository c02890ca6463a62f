"""The command line's root: commands register here; errors of ours become one line and an exit code."""

import sys

import typer

from headrace import bench, cache, ingest, installation, nodes, secrets, services
from headrace.doctor import command as doctor
from kit.errors import HeadraceError, SettingsError

app = typer.Typer(
    name="headrace",
    help="A streaming CDN and the media platform behind it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
installation.register(app)
nodes.register(app)
services.register(app)
ingest.register(app)
doctor.register(app)
cache.register(app)
bench.register(app)
app.add_typer(secrets.keys, name="keys")
app.add_typer(secrets.token, name="token")


def run() -> None:
    """The console script. Exit codes: 0 done, 1 it failed, 2 used or configured wrongly."""
    try:
        app()
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
