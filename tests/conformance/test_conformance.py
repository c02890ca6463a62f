"""Every row, on the wire; and the table in the package's docstring, which is counted and not guessed."""

from pathlib import Path

import pytest

from tests import conformance
from tests.conformance.case import Case
from tests.conformance.play import play
from tests.conformance.table import ROWS, table


@pytest.mark.parametrize("case", [pytest.param(each, id=f"{each.section}: {each.name}") for each in ROWS])
async def test_conformance(case: Case, tmp_path: Path) -> None:
    """The case comes about as it says; where we differ, exactly so."""
    assert await play(case, tmp_path) == (case.differs.found if case.differs else ())


def test_rows_have_names_of_their_own() -> None:
    names = [f"{each.section}: {each.name}" for each in ROWS]
    assert sorted(set(names)) == sorted(names)
    tests = [each.public.name for each in ROWS if each.public]
    assert sorted(set(tests)) == sorted(tests)


def test_a_row_that_differs_says_what_is_seen() -> None:
    assert all(each.differs.found and each.differs.why for each in ROWS if each.differs)


def test_the_table_in_the_map_is_what_the_rows_say() -> None:
    assert table() in (conformance.__doc__ or "")
