"""The process that forks workers: it has imported all that they need, and holds no thread, no loop, no connection.

It hears from its supervisor over a socket: the module of the worker and the names of the descriptors that come along.
A worker is forked twice, so that it becomes the supervisor's own child (the supervisor takes in orphans); the answer
goes out once that has happened.
"""

import contextlib
import gc
import importlib
import os
import signal
import socket
import sys
import traceback
from typing import NoReturn

import orjson

from kit import kin

NAME, WORKER_NAME = "headrace-nurse", "headrace-worker"
"""How these processes are called (kin.rename)."""
MOST_FDS = 64
"""Descriptors that a worker may be given; the kernel sends at most 253 at a time."""
_REQUEST_BYTES = 65_536
HELD_BACK = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""What a group of processes may be sent: the nurse lives as long as its supervisor, and a worker that is being forked
must not lose one."""


def main(channel: socket.socket, parent: int) -> NoReturn:
    """Fork workers until the process `parent` is gone or closes its end of `channel`."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
    code = 1
    try:
        kin.die_with_parent(parent)
        kin.rename(NAME)
        _empty_stdin()
        _serve(channel, parent)
        code = 0
    except SystemExit:
        code = 0
    except BaseException:
        traceback.print_exc()
    os._exit(code)  # what the supervisor would do at its end is not ours to do


def _serve(channel: socket.socket, parent: int) -> None:
    while True:
        request, fds, _, _ = socket.recv_fds(channel, _REQUEST_BYTES, MOST_FDS, socket.MSG_CMSG_CLOEXEC)
        if not request:
            return
        answer: dict[str, int | str]
        try:
            answer = {"pid": _twice(channel, parent, request, fds)}
        except OSError as error:
            answer = {"error": str(error)}
        for fd in fds:
            os.close(fd)
        channel.send(orjson.dumps(answer))


def _twice(channel: socket.socket, parent: int, request: bytes, fds: list[int]) -> int:
    """Fork a process that forks the worker and ends; the worker's pid."""
    told, tell = os.pipe()
    with os.fdopen(told, "rb") as heard:
        between = os.fork()
        if not between:
            _between(channel, parent, request, fds, tell)
        os.close(tell)
        text = heard.read()
    os.waitpid(between, 0)
    if not text:
        raise OSError("cannot fork")
    return int(text)


def _between(channel: socket.socket, parent: int, request: bytes, fds: list[int], tell: int) -> NoReturn:
    code = 1
    with contextlib.suppress(OSError):
        worker = os.fork()
        if not worker:
            os.close(tell)
            channel.close()
            _live(parent, request, fds)
        os.write(tell, str(worker).encode())
        code = 0
    os._exit(code)


def _live(parent: int, request: bytes, fds: list[int]) -> NoReturn:
    """Be a worker. It ends here, whatever happens: the frames above are the nurse's."""
    code = 1
    try:
        kin.rename(WORKER_NAME)
        _own_signals()
        asked = orjson.loads(request)
        importlib.import_module(asked["module"]).main(parent, dict(zip(asked["names"], fds, strict=True)))
        code = 0
    except SystemExit as leaving:
        code = _exit_code(leaving)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _own_signals() -> None:
    """SIGHUP is for the supervisor alone, also where the whole group gets it."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)


def _exit_code(leaving: SystemExit) -> int:
    """As the interpreter would have it: a text is printed and counts as 1."""
    if leaving.code is None or isinstance(leaving.code, int):
        return leaving.code or 0
    print(leaving.code, file=sys.stderr)  # noqa: T201 what the interpreter does
    return 1


def _empty_stdin() -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


if __name__ == "__main__":
    hears = socket.socket(fileno=os.dup(0))
    importlib.import_module(sys.argv[2])
    gc.freeze()
    main(hears, int(sys.argv[1]))
