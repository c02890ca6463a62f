"""Started by `child` as a script, outside our packages: bound this process, tie it to its parent, become the tool.

Arguments: parent pid, address space bytes, file size bytes, CPU seconds (0 = unbounded), then the command. It is a
script of its own because `preexec_fn` may deadlock in a process with threads.
"""

import ctypes
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Never returns: the tool takes this process over."""
    parent, *limits = (int(each) for each in sys.argv[1:5])
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)
    for kind, limit in zip((resource.RLIMIT_AS, resource.RLIMIT_FSIZE, resource.RLIMIT_CPU), limits, strict=True):
        if limit:
            resource.setrlimit(kind, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.execv(sys.argv[5], sys.argv[5:])  # noqa: S606


main()
