"""The settings that control lays over a node's own: a version, and a signature that only this node's control can make.

A leaf: pydantic and nothing of ours.
"""

import hashlib
import hmac
import json
from typing import Any

from pydantic import Field

from control.contract.messages import Message

SNAPSHOT_PATH = "/api/v1/nodes/{id}/snapshot"
MAX_SNAPSHOT_BYTES = 64 * 1024


class Snapshot(Message):
    """What a node should have. Version 0: its own settings alone."""

    version: int = Field(ge=0)
    settings: dict[str, Any]
    """A tree like the node's settings file, laid over it."""
    signature: str = Field(pattern=r"^[0-9a-f]{64}$")


def signature(secret: bytes, node_id: str, version: int, settings: dict[str, Any]) -> str:
    """The signature over one snapshot for one node; `secret` is the one that the node shares with control."""
    said = json.dumps(settings, sort_keys=True, separators=(",", ":"), allow_nan=False)
    text = f"snapshot\n{node_id}\n{version}\n{said}"
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()
