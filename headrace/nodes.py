"""Commands that run one process: edge, shield, origin, control."""

import asyncio
import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from configs.load import load
from configs.schema.node import EdgeSettings, ShieldSettings
from headrace.pairs import PairCommand, pairs
from kit.errors import SettingsError

Config = Annotated[Path | None, typer.Option(help="TOML file with this process's settings.")]
Tls = Annotated[
    list[str] | None,
    typer.Option(metavar="CERT KEY", help="Speak TLS only, with this certificate and key (PEM); repeat it for others."),
]
Ready = Annotated[
    Path | None, typer.Option(help="File that gets one JSON line {url, admin, pid} once the node serves.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.command("edge", cls=PairCommand)(edge)
    app.command("shield", cls=PairCommand)(shield)
    app.command("enrol")(enrol)


def edge(
    config: Config = None,
    origin: Annotated[str | None, typer.Option(help="Standalone: the HTTP origin to stand before.")] = None,
    listen: Annotated[str | None, typer.Option(help="HOST:PORT for viewers.")] = None,
    admin: Annotated[
        str | None, typer.Option(help="HOST:PORT of /health, /ready, /metrics. Default: loopback, port + 1000.")
    ] = None,
    cache_dir: Annotated[
        list[str] | None, typer.Option(help="Directory of the disk cache; repeat it for several disks.")
    ] = None,
    disk: Annotated[str | None, typer.Option(help="Bytes on disk at most, as 10GiB.")] = None,
    memory: Annotated[str | None, typer.Option(help="Bytes of bodies in memory at most, as 256MiB.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that share the port.")] = None,
    access: Annotated[Literal["open", "token"] | None, typer.Option(help="Who may ask.")] = None,
    keys: Annotated[Path | None, typer.Option("--keys", "--key", help="Directory of token keys.")] = None,
    authority: Annotated[str | None, typer.Option(help="Host sent to the origin; default: the origin's.")] = None,
    admin_token_file: Annotated[
        Path | None, typer.Option(help="File with the bearer token that /purge wants (mode 600).")
    ] = None,
    access_log: Annotated[Path | None, typer.Option(help="File for one JSON line a request, or -.")] = None,
    tls: Tls = None,
    ready_file: Ready = None,
) -> None:
    """Run an edge: alone before an origin you have, or in an installation by its settings file.

    Example: headrace edge --origin http://127.0.0.1:9000 --listen 127.0.0.1:8080 --cache-dir /var/cache/headrace
    --disk 10GiB --memory 256MiB --workers 1 --access open
    """
    with _importing():
        from edge.node.main import main

    flags: dict[str, Any] = {
        "origin": origin,
        "listen": listen,
        "admin": admin,
        "workers": workers,
        "access": access,
        "keys_dir": keys,
        "authority": authority,
        "admin_token_file": admin_token_file,
        "access_log": access_log,
        "tls": pairs(tls),
        "store": {"cache_dir": ",".join(cache_dir) if cache_dir else None, "disk": disk, "memory": memory},
    }
    main(partial(load, EdgeSettings, file=config, process="edge", flags=flags), ready_file)


def shield(config: Config = None, tls: Tls = None, ready_file: Ready = None) -> None:
    """Run a shield by its settings file.

    Example: headrace shield --config /etc/headrace/shield.toml
    """
    with _importing():
        from shield.node.main import main

    flags = {"tls": pairs(tls)}
    main(partial(load, ShieldSettings, file=config, process="shield", flags=flags), ready_file)


def enrol(
    control: Annotated[str, typer.Option(help="Control's public address, as https://control.example.")],
    node: Annotated[str, typer.Option(help="The node's id, for which the token was made.")],
    role: Annotated[Literal["edge", "shield", "origin"], typer.Option(help="What it is.")],
    token_file: Annotated[Path, typer.Option(help="File with the one-time token.")],
    out: Annotated[Path, typer.Option(help="File that gets the credential (mode 600): `identity.credential`.")],
) -> None:
    """Get a node's credential from control with the one-time token that an operator made for it; the token is used up.

    Example: headrace enrol --control https://control.example --node edge-1 --role edge --token-file t --out edge-1.json
    """
    from pydantic import ValidationError

    from control.contract.enrolment import EnrolRequest
    from control.node.enrol import fetch

    if not os.access(out.parent, os.W_OK):  # told before the token is used up
        raise SettingsError(f"--out: {out.parent} cannot be written")
    try:
        asked = EnrolRequest(token=token_file.read_text().strip(), id=node, role=role)
    except OSError as error:
        raise SettingsError(f"--token-file: {error}") from None
    except ValidationError as error:
        wrong = error.errors(include_input=False)[0]  # its text has the token
        raise SettingsError(f"--{wrong['loc'][0]}: {wrong['msg']}") from None
    asyncio.run(fetch(control, asked)).save(out)


@contextmanager
def _importing() -> Iterator[None]:
    """Imports leave no garbage: collecting meanwhile took a tenth of a node's start, and what they made is not looked
    at again."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
