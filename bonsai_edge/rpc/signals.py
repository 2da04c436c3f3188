"""Turning signals into calls, also while the main thread waits in a poller."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager


@contextmanager
def calling_on_signals(actions: Mapping[signal.Signals, Callable[[], None]], wakeup_fd: int) -> Iterator[None]:
    """Call the action of a signal in the main thread, which must be the caller, when the signal comes.

    The system may give a signal to any thread, which does not end the main thread's wait; so the interpreter also
    writes to `wakeup_fd`, for which the main thread waits. Actions must be safe between any two instructions.
    """
    if not actions:
        yield
        return

    def act(number: int, frame: object) -> None:
        actions[signal.Signals(number)]()

    previous_fd = signal.set_wakeup_fd(wakeup_fd, warn_on_full_buffer=False)
    previous_handlers = [(each, signal.signal(each, act)) for each in actions]
    try:
        yield
    finally:
        signal.set_wakeup_fd(previous_fd)
        for each, handler in previous_handlers:
            signal.signal(each, handler)
