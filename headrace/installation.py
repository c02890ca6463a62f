"""Commands on a whole installation: up, demo."""

import asyncio
import re
from pathlib import Path
from typing import Annotated

import typer

from configs import profiles
from configs.demo import topology as read_topology
from control.contract.messages import ID_PATTERN
from headrace.ingest import check_readable
from kit import log
from kit.errors import SettingsError

State = Annotated[Path, typer.Option(help="Directory for everything that it keeps.")]
PLAYERS = Path(".headrace-players/node_modules")


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.command("up")(up)
    app.command("demo")(demo)
    app.command("init")(init)


def up(
    topology: Annotated[Path | None, typer.Option(help="TOML file; default: the demo's.")] = None,
    state: State = Path(".headrace"),
    media: Annotated[Path | None, typer.Option(help="Film to bring in; default: the demo clip.")] = None,
    profile: Annotated[str, typer.Option(help="Service profile for it.")] = "demo",
    redis_url: Annotated[str | None, typer.Option(help="A Redis that runs already.")] = None,
    players: Annotated[Path, typer.Option(help="Where the player libraries were installed.")] = PLAYERS,
    free_ports: Annotated[bool, typer.Option("--free-ports", help="Any free ports instead of the usual ones.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line on standard output when ready.")] = False,
) -> None:
    """Bring a whole installation up on this machine and keep it until Ctrl-C or SIGTERM.

    Example: headrace up --json --free-ports --state /tmp/try
    """
    from headrace.up.ports import check_ports, with_free_ports
    from headrace.up.run import Options
    from headrace.up.run import up as bring_up

    places = read_topology(topology)
    profiles.get(profile)
    if media:
        check_readable(media)
    if free_ports:
        places = with_free_ports(places)
    else:
        check_ports(places)
    found = players.resolve() if players.is_dir() else None
    log.setup("up", level="warning")
    asyncio.run(bring_up(Options(state, places, profile, media, redis_url, found, as_json)))


def demo(state: State = Path(".headrace")) -> None:
    """The demo: two regions, three edges, a shield, an origin and a film, in one command.

    Example: headrace demo
    """
    up(state=state)


def init(
    state: Annotated[Path, typer.Option(help="Directory that gets keys and credentials.")],
    node: Annotated[list[str], typer.Option(help="ID:ROLE (edge, shield, origin), as often as there are nodes.")],
) -> None:
    """Make token keys, the fleet key, an operator's token and the nodes' credentials; what exists is kept.

    Example: headrace init --state /var/lib/headrace --node origin:origin --node edge-1:edge
    """
    from headrace.up.layout import Layout, credentials, make_secrets

    pairs = [each.partition(":") for each in node]
    for name, _, role in pairs:
        if role not in ("edge", "shield", "origin"):
            raise SettingsError(f"--node {name}:{role}: the role is edge, shield or origin")
        if not re.match(ID_PATTERN, name):
            raise SettingsError(
                f"--node {name}:{role}: an id is 1 to 63 of a-z, 0-9, -, _ and ., first a letter or digit"
            )
    layout = Layout(state)
    layout.root.mkdir(parents=True, exist_ok=True, mode=0o700)
    make_secrets(layout)
    credentials(layout, [(name, role) for name, _, role in pairs])
