"""Types that the settings of several processes share."""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

_UNITS = {"": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_SIZE = re.compile(r"(\d+)\s*([KMGT]iB)?")
_RATES = {"": 1, "kbit/s": 10**3, "Mbit/s": 10**6, "Gbit/s": 10**9}
_RATE = re.compile(r"(\d+)\s*([kMG]bit/s)?")
_ADDRESS = re.compile(r"(\[[0-9a-fA-F:]+\]|[^:\s]+):(\d{1,5})")


class Settings(BaseModel):
    """Frozen, strict about names, every field documented."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True)


def _bytes(value: Any) -> Any:
    if isinstance(value, str):
        match = _SIZE.fullmatch(value.strip())
        if not match:
            raise ValueError("a size is a number with KiB, MiB, GiB or TiB: `10GiB`")
        return int(match[1]) * _UNITS[match[2] or ""]
    return value


def _bits(value: Any) -> Any:
    if isinstance(value, str):
        match = _RATE.fullmatch(value.strip())
        if not match:
            raise ValueError("a rate is a number with kbit/s, Mbit/s or Gbit/s: `25Mbit/s`")
        return int(match[1]) * _RATES[match[2] or ""]
    return value


def _listen(value: str) -> str:
    match = _ADDRESS.fullmatch(value)
    if not match or int(match[2]) > 65535:
        raise ValueError("an address is HOST:PORT: `127.0.0.1:8080`")
    return value


def _base_url(value: str) -> str:
    if not re.fullmatch(r"https?://[^/\s?#]+(/[^\s?#]*)?", value):
        raise ValueError("a base URL is http:// or https:// with a host: `http://127.0.0.1:9000`")
    return value.rstrip("/")


def _networks(value: tuple[str, ...]) -> tuple[str, ...]:
    for each in value:
        ipaddress.ip_network(each)
    return value


Size = Annotated[int, BeforeValidator(_bytes), Field(ge=0)]
"""Bytes; files and flags may write `10GiB`."""
BitRate = Annotated[int, BeforeValidator(_bits), Field(gt=0)]
"""Bits a second; files may write `25Mbit/s`."""
Address = Annotated[str, AfterValidator(_listen)]
"""`HOST:PORT`; port 0 asks the system for a free one."""
BaseUrl = Annotated[str, AfterValidator(_base_url)]
"""An absolute http(s) URL without query, no slash at its end."""
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
"""The id of a node or region: lower case, at most 63."""


def _files(value: Any) -> Any:
    return [value] if isinstance(value, str | Path) else value


Files = Annotated[tuple[Path, ...], BeforeValidator(_files), Field(max_length=8)]
"""One file or several."""
Networks = Annotated[tuple[str, ...], AfterValidator(_networks)]
"""Networks in CIDR."""
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
"""ISO 3166-1 alpha-2, in capitals."""
Seconds = Annotated[float, Field(gt=0, le=31_536_000)]


def host_port(address: str) -> tuple[str, int]:
    """`127.0.0.1:80` -> ("127.0.0.1", 80); brackets of IPv6 are taken off."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class NodeIdentity(Settings):
    """Who this process is towards control and the next tier."""

    id: Name
    """The node's id, unique in the installation."""
    credential: Path
    """File with the node credential (mode 600), as `headrace up` or enrolment wrote it."""
    control: BaseUrl | None = None
    """Control's public address; without one the process works alone."""
