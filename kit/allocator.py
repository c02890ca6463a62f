"""Which allocator this process has. It is chosen before an interpreter starts, so a process that wants another one
starts itself again.

A cache's objects lie all over a heap of hundreds of megabytes: with pages of 2 MiB the processor finds them with fewer
look-ups of addresses, and the C library's allocator is no slower than Python's own. It asks for
such pages (GLIBC_TUNABLES, glibc 2.35); Python's allocator does not. A process of either takes about 2 MB more.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

_CHOSEN = "PYTHONMALLOC"
_TUNABLES = "GLIBC_TUNABLES"
_LARGE_PAGES = "glibc.malloc.hugetlb=1"
_KERNEL = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def environment(given: Mapping[str, str], kernel: str) -> dict[str, str] | None:
    """The environment to start again with; None to stay. `kernel` is what the kernel says of large pages. What an
    operator has chosen is kept."""
    if _CHOSEN in given or "hugetlb" in given.get(_TUNABLES, "") or "[never]" in kernel or not kernel:
        return None
    tunables = ":".join(filter(None, (given.get(_TUNABLES), _LARGE_PAGES)))
    return {**given, _CHOSEN: "malloc", _TUNABLES: tunables}


def prefer_large_pages() -> None:
    """Start this process again, once, with an allocator that asks for large pages; to be called before it has done
    anything. Where the kernel or the operator does not want them, nothing happens."""
    try:
        wanted = environment(os.environ, _KERNEL.read_text())
    except OSError:
        return
    if wanted is not None:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], wanted)  # noqa: S606 no shell: ourselves
