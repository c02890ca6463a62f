"""Reading a body that a fill is writing."""

import os
from pathlib import Path

import pytest

from proxy.store.bodies import GrowingBody
from proxy.store.descriptors import Lease


async def test_a_file_that_was_cut_under_a_reader_is_an_error(tmp_path: Path) -> None:
    """Somebody else cut it: the reader must learn of that, not ask for the same bytes for ever."""
    path = tmp_path / "part"
    path.write_bytes(b"some bytes")
    body = GrowingBody(10, lease=Lease(os.open(path, os.O_RDONLY)))
    body.reached(10)
    reading = body.pieces(0, None)
    os.truncate(path, 0)
    with pytest.raises(OSError, match="ended early"):
        await anext(reading)
