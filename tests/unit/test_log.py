"""The log keeps secrets out: a trace names frames, never their variables."""

import logging

import pytest
import structlog

from kit import log


def test_a_logged_exception_shows_no_variables(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    try:
        log.setup("test")
        _fail("hunter2")
    finally:
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()
        logging.getLogger().handlers[:] = handlers
        logging.getLogger().setLevel(level)
    written = capfdbinary.readouterr().err
    assert b"ValueError" in written
    assert b"_fail" in written
    assert b"hunter2" not in written


def _fail(secret: str) -> None:
    try:
        raise ValueError(len(secret))
    except ValueError:
        log.get("room").error("it failed", exc_info=True)
