"""Language tags as manifests want them (RFC 5646): files carry the three letters of ISO 639-2, players expect two."""

import re

UNKNOWN = "und"
_TAG = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")
_PAIRS = """
    ara:ar ben:bn bul:bg cat:ca ces:cs cze:cs chi:zh zho:zh dan:da deu:de ger:de dut:nl nld:nl ell:el gre:el eng:en
    est:et eus:eu baq:eu fin:fi fra:fr fre:fr gle:ga glg:gl heb:he hin:hi hrv:hr hun:hu ice:is isl:is ind:id ita:it
    jpn:ja kor:ko lav:lv lit:lt may:ms msa:ms nor:no nob:nb nno:nn per:fa fas:fa pol:pl por:pt ron:ro rum:ro rus:ru
    slk:sk slo:sk slv:sl spa:es srp:sr swe:sv tam:ta tel:te tha:th tur:tr ukr:uk urd:ur vie:vi
"""
_TWO: dict[str, str] = {pair[:3]: pair[4:] for pair in _PAIRS.split()}
_NAMES = {
    "ar": "العربية", "cs": "Čeština", "da": "Dansk", "de": "Deutsch", "el": "Ελληνικά", "en": "English",
    "es": "Español", "fi": "Suomi", "fr": "Français", "he": "עברית", "hi": "हिन्दी", "hu": "Magyar", "it": "Italiano",
    "ja": "日本語", "ko": "한국어", "nb": "Norsk bokmål", "nl": "Nederlands", "no": "Norsk", "pl": "Polski",
    "pt": "Português", "ro": "Română", "ru": "Русский", "sv": "Svenska", "tr": "Türkçe", "uk": "Українська",
    "zh": "中文",
}  # fmt: skip


def tag(text: str | None) -> str:
    """The tag of a language as a file names it; `und` where it names none that could be a tag."""
    if not text:
        return UNKNOWN
    head, _, rest = text.strip().partition("-")
    found = _TWO.get(head.lower(), head.lower()) + (f"-{rest}" if rest else "")
    return found if _TAG.fullmatch(found) else UNKNOWN


def name(language: str) -> str:
    """What a player's menu shows: the language's own name, else its tag."""
    return _NAMES.get(language.partition("-")[0], language if language != UNKNOWN else "Default")
