"""What a player asks: strictly, so that a mistake is an answer in plain words."""

from typing import Annotated, Literal, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from geo.territory import COUNTRY_PATTERN, MOST_COUNTRIES
from kit.errors import BadRequest

MAX_BODY = 4096
Format = Literal["hls", "dash"]


class _Body(BaseModel):
    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        validate_by_alias=True,
        serialize_by_alias=True,
    )


B = TypeVar("B", bound=_Body)


class Device(_Body):
    """What the viewer says of the device. It decides nothing yet: caps come from registered devices (T-021)."""

    device_type: Annotated[str, Field(pattern=r"^[A-Za-z0-9 ._-]{1,32}$")]
    device_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,128}$")]


class Start(_Body):
    """The body of playback/start; `format` chooses which manifest manifestUrl names."""

    content_id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    device: Device
    format: Format = "hls"


class OperatorPlaylist(_Body):
    """The body of operator/playlist."""

    content_id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    format: Format = "hls"


Country = Annotated[str, Field(pattern=COUNTRY_PATTERN)]


class TerritoryRules(_Body):
    """The body of a title's territory: `allow` empty means everywhere but in `deny`."""

    allow: tuple[Country, ...] = Field(default=(), max_length=MOST_COUNTRIES, strict=False)
    deny: tuple[Country, ...] = Field(default=(), max_length=MOST_COUNTRIES, strict=False)


def parse(model: type[B], body: bytes) -> B:
    """The request in `body`; BadRequest names the first field that is wrong."""
    try:
        tree = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadRequest("the body is no JSON") from None
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(step) for step in first["loc"]) or "body"
        raise BadRequest(f"{place[:80]}: {first['msg']}") from None
