"""kit.allocator: what a node is started again with."""

import pytest

from kit.allocator import environment

MADVISE = "always [madvise] never\n"


def test_the_operators_environment_is_kept_and_added_to() -> None:
    made = environment({"PATH": "/bin", "GLIBC_TUNABLES": "glibc.malloc.arena_max=2"}, MADVISE)
    assert made == {
        "PATH": "/bin",
        "PYTHONMALLOC": "malloc",
        "GLIBC_TUNABLES": "glibc.malloc.arena_max=2:glibc.malloc.hugetlb=1",
    }
    assert environment(made, MADVISE) is None, "it starts again once"


@pytest.mark.parametrize(
    ("given", "kernel"),
    [
        ({"PYTHONMALLOC": "pymalloc"}, MADVISE),
        ({"GLIBC_TUNABLES": "glibc.malloc.hugetlb=0"}, MADVISE),
        ({}, "always madvise [never]\n"),
        ({}, ""),
    ],
)
def test_nothing_happens_where_the_operator_or_the_kernel_does_not_want_it(given: dict[str, str], kernel: str) -> None:
    assert environment(given, kernel) is None
