"""Notes from workers to their supervisor: in order, bounded, lost rather than waited for."""

import asyncio
import contextlib

from kit.post import MOST_BYTES, Post, Sender
from tests.support.wire import until


async def test_notes_of_all_workers_arrive() -> None:
    with contextlib.closing(Post()) as post:
        got: list[bytes] = []
        post.listen(got.append)
        with contextlib.closing(Sender(post.fd)) as one, contextlib.closing(Sender(post.fd)) as two:
            sent = [b"%d" % number for number in range(100)]
            for number, note in enumerate(sent):
                while not (one, two)[number % 2].send(note):
                    await asyncio.sleep(0)
            await until(lambda: len(got) == 100)
            assert got == sent


def test_a_supervisor_that_does_not_read_holds_nobody_up() -> None:
    with contextlib.closing(Post()) as post, contextlib.closing(Sender(post.fd)) as sender:
        sent = 0
        while sender.send(b"x" * 1000):
            sent += 1
            assert sent < 100_000, "the kernel keeps notes without bound"
        assert sent > 0


def test_what_is_too_long_is_not_sent() -> None:
    with contextlib.closing(Post()) as post, contextlib.closing(Sender(post.fd)) as sender:
        assert not sender.send(b"x" * (MOST_BYTES + 1))
        assert sender.send(b"x" * MOST_BYTES)


def test_a_sender_outlives_its_supervisor() -> None:
    post = Post()
    with contextlib.closing(Sender(post.fd)) as sender:
        post.close()
        assert not sender.send(b"x")
