"""Commands on keys and tokens."""

import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from kit.errors import SettingsError
from origin.contract.token import LICENCE, MEDIA, Keys, mint, new_key

keys = typer.Typer(help="Token keys.", no_args_is_help=True)
token = typer.Typer(help="Play tokens.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.add_typer(keys, name="keys")
    app.add_typer(token, name="token")


KeysDir = Annotated[Path, typer.Option("--keys", "--key", help="Directory of token keys.")]


@keys.callback()
def _keys() -> None:
    """Token keys: origin signs with the private one, edges verify with the public one."""


@token.callback()
def _token() -> None:
    """Play tokens."""


@keys.command("new")
def keys_new(
    out: Annotated[Path, typer.Option(help="Directory that gets the key files.")],
    alg: Annotated[Literal["ES256", "EdDSA", "HS256"], typer.Option(help="Signature algorithm.")] = "ES256",
) -> None:
    """Make a new signing key; the newest in a directory signs, all of them verify.

    Example: headrace keys new --alg ES256 --out keys/
    """
    try:
        print(new_key(out, alg))
    except OSError as error:
        raise SettingsError(f"--out: {error}") from None


@token.command("mint")
def token_mint(
    keys: KeysDir,
    path: Annotated[str, typer.Option(help="Path that it opens; with a slash at its end, all below it.")],
    ttl: Annotated[float, typer.Option(min=1, max=31_536_000, help="Life in seconds.")] = 3600,
    subject: Annotated[str, typer.Option(help="Whom it is for: a session id.")] = "",
    cap_kbps: Annotated[int | None, typer.Option(help="No rung above this.")] = None,
    audience: Annotated[Literal["media", "licence"], typer.Option(help="What it is good for.")] = "media",
) -> None:
    """Print a token; a player asks for /~TOKEN/PATH.

    Example: headrace token mint --keys keys/ --path /content/bbb/ --ttl 3600
    """
    if not path.startswith("/"):
        raise SettingsError("--path: begins with /")
    try:
        ring = Keys.load(keys)
        text = mint(
            ring,
            path=path,
            now=time.time(),
            ttl_s=ttl,
            subject=subject,
            audience=LICENCE if audience == "licence" else MEDIA,
            cap_kbps=cap_kbps,
        )
    except (OSError, ValueError) as error:
        raise SettingsError(f"--keys: {error}") from None
    print(text)
