"""Rows about lifetimes: told once, is it reused a while later?"""

from tests.conformance.case import Case, Public, row
from tests.conformance.steps import WHILE_S, fetched, hit, told


def kept(name: str, section: str, public: Public | None, *lines: str) -> Case:
    """An answer with these lines is reused after a while."""
    return row(name, section, told(*lines, then=WHILE_S), hit(), public=public)


def gone(name: str, section: str, public: Public | None, *lines: str) -> Case:
    """An answer with these lines is not reused after a while."""
    return row(name, section, told(*lines, then=WHILE_S), fetched(), public=public)
