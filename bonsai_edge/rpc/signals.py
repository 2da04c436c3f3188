"""Turning signals into calls, also while the main thread waits in a poller."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager


@contextmanager
def calling_on_signals(signals: Sequence[signal.Signals], action: Callable[[], None], wakeup_fd: int) -> Iterator[None]:
    """Call `action` in the main thread, which must be the caller, when one of the signals comes.

    The system may give a signal to any thread, which does not end the main thread's wait; so the interpreter also
    writes to `wakeup_fd`, for which the main thread waits. `action` must be safe between any two instructions.
    """
    if not signals:
        yield
        return
    previous_fd = signal.set_wakeup_fd(wakeup_fd, warn_on_full_buffer=False)
    previous_handlers = [(each, signal.signal(each, lambda number, frame: action())) for each in signals]
    try:
        yield
    finally:
        signal.set_wakeup_fd(previous_fd)
        for each, handler in previous_handlers:
            signal.signal(each, handler)
