"""Waiting for what is true sooner or later, with a bound; nothing in the tests sleeps for luck."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_PAUSE_S = 0.01


def eventually(condition: Callable[[], T], what: str, within_s: float = 20.0) -> T:
    """Returns the condition's first true value. An AssertionError inside counts as "not yet" and is told at the end."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            value, reason = condition(), ""
        except AssertionError as not_yet:
            value, reason = None, f": {not_yet}"
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s: {what}{reason}")
        time.sleep(_PAUSE_S)
