"""HTTP dates (RFC 9110 5.6.7): all three forms read, one written. Case does not count (RFC 9111 4.2)."""

import calendar
import re
from email.utils import formatdate

_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name}
_TIME = r"(\d\d):(\d\d):(\d\d)"
_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_LOOSE = re.ASCII | re.IGNORECASE
_IMF = re.compile(rf"{_DAY}, (\d\d) (\w\w\w) (\d{{4}}) {_TIME} GMT", _LOOSE)
_RFC850 = re.compile(rf"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (\d\d)-(\w\w\w)-(\d\d) {_TIME} GMT", _LOOSE)
_ASCTIME = re.compile(rf"{_DAY} (\w\w\w) ([ \d]\d) {_TIME} (\d{{4}})", _LOOSE)


def parse(text: str | None) -> float | None:
    """Seconds since the epoch, or None for what is no date."""
    if not text:
        return None
    if match := _IMF.fullmatch(text):
        day, month, year, *clock = match.groups()
    elif match := _RFC850.fullmatch(text):
        day, month, year, *clock = match.groups()
        year = str(_century(int(year)))
    elif match := _ASCTIME.fullmatch(text):
        month, day, *clock, year = match.groups()
    else:
        return None
    return _epoch(int(year), month, int(day), *map(int, clock))


def render(seconds: float) -> str:
    """An IMF-fixdate."""
    return formatdate(seconds, usegmt=True)


def _century(two_digits: int) -> int:
    """A two-digit year more than 50 years ahead is in the past century (RFC 9110 5.6.7); as seen from 2026."""
    return two_digits + (1900 if two_digits > 76 else 2000)


def _epoch(year: int, month: str, day: int, hour: int, minute: int, second: int) -> float | None:
    number = _MONTHS.get(month.lower())
    if number is None or hour > 23 or minute > 59 or second > 60 or not 1 <= day <= 31:
        return None
    if day > calendar.monthrange(year, number)[1]:
        return None
    return float(calendar.timegm((year, number, day, hour, minute, second)))
