"""Where this program computes and how much of the machine it takes from others.

Linux gives a new thread the cores and the niceness of the one that starts it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from bonsai_edge.cpu_list import format_cpu_list
from bonsai_edge.errors import InvalidRequestError


def stay_on(cpus: Collection[int]) -> None:
    """Keep this thread, and those that it starts from now on, on some logical processors.

    Raises InvalidRequestError for processors that it may not use, and where the system does not let a program choose.
    """
    if not hasattr(os, "sched_setaffinity"):
        raise InvalidRequestError(
            "This system does not let a program choose its cores.", "Leave out --cores, or limit --threads instead."
        )
    allowed = os.sched_getaffinity(0)
    missing = set(cpus) - allowed
    if missing or not cpus:
        raise InvalidRequestError(
            f"The cores {format_cpu_list(missing) or '(none)'} cannot be used; this process may run on "
            f"{format_cpu_list(allowed)}.",
            "Choose some of those.",
        )
    os.sched_setaffinity(0, cpus)


def be_nice(niceness: int) -> None:
    """Let others go first from now on; raises InvalidRequestError if the system refuses to."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, niceness)
    except OSError as exc:
        raise InvalidRequestError(
            f"A niceness of {niceness} cannot be had: {exc.strerror}.", "Choose one between the present one and 19."
        ) from exc


@contextmanager
def starting_threads_on(cpus: Collection[int]) -> Iterator[None]:
    """Let threads that are started meanwhile stay on some processors, of those that may be used; all if there is none.

    For what a program does by itself: where it is not possible it does not matter.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    chosen = before.intersection(cpus) or before
    os.sched_setaffinity(0, chosen)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
