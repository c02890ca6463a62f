"""`headrace ingest` does not wait without end for a worker that is not there."""

import pytest

from headrace.ingest import Attendance, Unattended

HERE, AWAY = {"state": "queued", "worker": True}, {"state": "queued", "worker": False}


def test_a_job_that_nobody_works_on_is_given_up_after_a_while() -> None:
    attendance = Attendance("film", 10.0)
    attendance.seen(AWAY, 100.0)
    attendance.seen(AWAY, 109.9)
    with pytest.raises(Unattended, match=r"no ingest worker .*`film`.*headrace up"):
        attendance.seen(AWAY, 110.0)


def test_a_worker_that_comes_is_waited_for_anew() -> None:
    attendance = Attendance("film", 10.0)
    attendance.seen(AWAY, 100.0)
    attendance.seen(HERE, 109.0)
    attendance.seen(AWAY, 110.0)
    attendance.seen(AWAY, 119.9)


def test_an_origin_that_says_nothing_of_workers_is_believed() -> None:
    attendance = Attendance("film", 10.0)
    for now in (0.0, 100.0, 200.0):
        attendance.seen({"state": "encoding"}, now)
