"""Settings that control may lay over those of a node, without a restart: cache policy, manners upstream, the next tier,
keys of tokens.

An overlay is a tree like the node's settings file. Whoever lays it over checks it the same way: control when it is
handed in, the node before it uses it.
"""

from typing import Any, Literal, TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from pydantic import ValidationError

from configs.load import merged
from configs.schema.node import EdgeSettings, NodeSettings, ShieldSettings
from kit.errors import SettingsError

N = TypeVar("N", bound=NodeSettings)
Tree = dict[str, Any]
Tier = Literal["edge", "shield"]
ALLOWED = frozenset(
    {
        "fast_lane",
        "limits.connections_per_client",
        "limits.drain_s",
        "limits.header_timeout_s",
        "limits.idle_timeout_s",
        "limits.send_timeout_s",
        "store.admission_above",
        "store.memory",
        "store.memory_object",
        "store.slice",
        "upstream.connect_timeout_s",
        "upstream.connections",
        "upstream.follow_timeout_s",
        "upstream.head_timeout_s",
        "upstream.idle_s",
        "upstream.probe_s",
        "upstream.read_timeout_s",
    }
)
"""What every node may be told; no path of its disk, nothing that takes a restart."""
KEYS = "token_keys"
"""What an edge may be told besides: public keys that verify tokens, by id."""
TOPOLOGY = {"edge": "shields", "shield": "origins"}
"""The next tier, by the name that it has there."""
_MODELS: dict[str, type[NodeSettings]] = {"edge": EdgeSettings, "shield": ShieldSettings}
_TRIAL: dict[str, Tree] = {
    "edge": {"listen": "127.0.0.1:0", "store": {"cache_dir": ["/"]}, "shields": ["http://shield"]},
    "shield": {"listen": "127.0.0.1:0", "store": {"cache_dir": ["/"]}, "origins": ["http://origin"]},
}


def check(tier: Tier, overlay: Tree) -> None:
    """SettingsError when a node of this tier could not use the overlay whatever its own settings are."""
    _allowed(tier, overlay)
    if TOPOLOGY[tier] in overlay and not overlay[TOPOLOGY[tier]]:
        raise SettingsError(f"`{TOPOLOGY[tier]}`: a node needs one at least")
    built = _built(_MODELS[tier], merged(_TRIAL[tier], overlay))
    for kid, pem in built.token_keys.items() if isinstance(built, EdgeSettings) else ():
        try:
            load_pem_public_key(pem.encode())
        except (ValueError, UnsupportedAlgorithm) as error:
            raise SettingsError(f"`{KEYS}.{kid}`: no public key: {error}") from None


def laid_over(settings: N, tier: Tier, overlay: Tree) -> N:
    """The settings with the overlay on top. SettingsError names what is wrong."""
    _allowed(tier, overlay)
    return _built(type(settings), merged(settings.model_dump(exclude_unset=True), overlay))


def flat(overlay: Tree, above: str = "") -> dict[str, Any]:
    """Dotted names -> values."""
    found: dict[str, Any] = {}
    for name, value in overlay.items():
        if isinstance(value, dict):
            found |= flat(value, f"{above}{name}.") if above.count(".") < 4 else {f"{above}{name}": value}
        else:
            found[f"{above}{name}"] = value
    return found


def _allowed(tier: Tier, overlay: Tree) -> None:
    wrong = sorted(name for name in flat(overlay) if not _is_allowed(tier, name))
    if wrong:
        raise SettingsError(f"`{wrong[0][:100]}`: not for a snapshot")


def _is_allowed(tier: Tier, name: str) -> bool:
    return name in ALLOWED or name == TOPOLOGY[tier] or (tier == "edge" and name.split(".")[0] == KEYS)


def _built(model: type[N], tree: Tree) -> N:
    try:
        return model.model_validate(tree, strict=False)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"`{place}`: {first['msg']}") from None
