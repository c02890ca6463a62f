"""The CODECS string of a track, read from its init segment (MAN-07, T-010; RFC 6381, ISO/IEC 14496-15 annex E)."""

from origin.packaging.boxes import Box, one, walk

_ENTRY = "moov/trak/mdia/minf/stbl/stsd"


def codec(init: bytes) -> str:
    """`avc1.64001f`, `hvc1.1.6.L93.90`, `mp4a.40.2` or `wvtt`. ValueError for anything else."""
    table = one(init, _ENTRY)
    entry = next(walk(init, table.start + 8, table.end))
    if entry.kind == "avc1":
        return "avc1." + init[(at := one(init, f"{_ENTRY}/avc1/avcC").start) + 1 : at + 4].hex()
    if entry.kind == "hvc1":
        return _hevc(init, one(init, f"{_ENTRY}/hvc1/hvcC"))
    if entry.kind == "mp4a":
        return _aac(init, one(init, f"{_ENTRY}/mp4a/esds"))
    if entry.kind == "wvtt":
        return "wvtt"
    raise ValueError(f"no codec string known for {entry.kind}")


def _hevc(init: bytes, box: Box) -> str:
    profile = init[box.start + 1]
    space = ("", "A", "B", "C")[profile >> 6]
    compatible = int(f"{int.from_bytes(init[box.start + 2 : box.start + 6]):032b}"[::-1], 2)
    tier = "H" if profile & 0x20 else "L"
    constraints = init[box.start + 6 : box.start + 12].rstrip(b"\0")
    level = init[box.start + 12]
    parts = [f"hvc1.{space}{profile & 0x1F}", f"{compatible:x}", f"{tier}{level}", *(f"{b:x}" for b in constraints)]
    return ".".join(parts)


def _aac(init: bytes, box: Box) -> str:
    """Descriptors 3, 4 and 5 of the esds box, one inside the other (ISO/IEC 14496-1 7.2.6)."""
    at, end = box.start + 4, box.end
    at, _ = _descriptor(init, at, end, 3)
    flags = init[at + 2]
    at += 3 + (2 if flags & 0x80 else 0) + (1 + init[at + 3] if flags & 0x40 else 0) + (2 if flags & 0x20 else 0)
    at, _ = _descriptor(init, at, end, 4)
    object_type = init[at]
    at, size = _descriptor(init, at + 13, end, 5)
    if size < 2:
        raise ValueError("esds without AudioSpecificConfig")
    kind = init[at] >> 3
    if kind == 31:
        kind = 32 + ((init[at] & 7) << 3 | init[at + 1] >> 5)
    return f"mp4a.{object_type:x}.{kind}"


def _descriptor(data: bytes, at: int, end: int, tag: int) -> tuple[int, int]:
    """Where the payload of the descriptor at `at` begins, and its length."""
    if at >= end or data[at] != tag:
        raise ValueError(f"esds: descriptor {tag} expected")
    length = 0
    for byte in range(at + 1, min(at + 5, end)):
        length = length << 7 | data[byte] & 0x7F
        if not data[byte] & 0x80:
            if byte + 1 + length > end:
                break
            return byte + 1, length
    raise ValueError(f"esds: descriptor {tag} does not fit")
