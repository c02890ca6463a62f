"""DASH (ISO/IEC 23009-1, ETSI TS 103 998): one BaseURL per serviceLocation, a ContentSteering element, the cap."""

from typing import TYPE_CHECKING

from edge.render.template import NAMES, STEERING, UNTOUCHED, Template, Wanted, decoded, place
from origin.contract.urls import AVERAGE_BANDWIDTH

if TYPE_CHECKING:
    from lxml.etree import _Element

_NAMESPACE = "urn:mpeg:dash:schema:mpd:2011"


def prepare(stored: bytes, wanted: Wanted) -> Template:
    """The template. ValueError when `stored` is no MPD."""
    from lxml import etree  # an edge whose viewers all play HLS never loads it

    decoded(stored)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(stored, parser)
    except etree.XMLSyntaxError as error:
        raise ValueError(f"not XML: {error}") from None
    if root.tag != f"{{{_NAMESPACE}}}MPD":
        raise ValueError("not an MPD")
    changed = _cap(root, wanted.cap_kbps) if wanted.cap_kbps is not None else False
    if wanted.ways < 2 and not changed:
        return UNTOUCHED
    if wanted.ways >= 2:
        _steer(root, wanted)
    return Template(etree.tostring(root, xml_declaration=True, encoding="UTF-8").decode())


def _cap(root: "_Element", cap_kbps: int) -> bool:
    """Take out the video Representations above the cap (CDN-06, MAN-17), the lowest of each set kept whatever it has;
    whether there were any."""
    changed = False
    for group in root.iter(_name("AdaptationSet")):
        rungs = {each: _bits(each) for each in group.iterchildren(_name("Representation")) if each.get("width")}
        for rung, bits in rungs.items():
            if bits > max(cap_kbps * 1000, min(rungs.values())):
                group.remove(rung)
                changed = True
    return changed


def _bits(rung: "_Element") -> int:
    """What a rung needs on average, sound included, as its HLS twin says it; its peak where the MPD does not say."""
    stated = [
        each.get("value", "")
        for each in rung.iterchildren(_name("SupplementalProperty"))
        if each.get("schemeIdUri") == AVERAGE_BANDWIDTH
    ]
    text = (stated or [rung.get("bandwidth", "")])[0]
    if not text.isdecimal():
        raise ValueError("a Representation without bandwidth")
    return int(text)


def _steer(root: "_Element", wanted: Wanted) -> None:
    """BaseURL stands behind ProgramInformation (ISO/IEC 23009-1, 5.3.1.2), here with ContentSteering behind it."""
    at = len(root.findall(_name("ProgramInformation")))
    for way in range(wanted.ways):
        base = root.makeelement(_name("BaseURL"), serviceLocation=NAMES[way])
        base.text = place(way)
        root.insert(at + way, base)
    if wanted.steered:
        server = root.makeelement(_name("ContentSteering"), queryBeforeStart="false")
        if wanted.default:
            server.set("defaultServiceLocation", NAMES[0])
        server.text = STEERING
        root.insert(at + wanted.ways, server)


def _name(local: str) -> str:
    return f"{{{_NAMESPACE}}}{local}"
