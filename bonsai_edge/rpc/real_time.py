"""The scheduling class of threads that must answer in time on a machine that is kept busy by others.

Linux runs a thread of the class SCHED_RR (sched(7)) as soon as it has something to do, before all threads without such
a class. What answers clients does little at a time; what computes never gets the class.
"""

from __future__ import annotations

import os

import zmq

from bonsai_edge.errors import InvalidRequestError

_PRIORITY = 1  # the least of the class: a robot's own real-time threads go first


def go_first() -> None:
    """Give this thread the class, but none of those that it starts.

    Raises InvalidRequestError where the system has no such class or does not let this process have it.
    """
    if not hasattr(os, "SCHED_RESET_ON_FORK"):
        raise InvalidRequestError(
            "This system does not let a program choose a real-time class.", "Leave out --real-time."
        )
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(_PRIORITY))
    except PermissionError as exc:
        raise InvalidRequestError(
            "This process may not have a real-time class.",
            "Raise RLIMIT_RTPRIO to 1 (`LimitRTPRIO=1` in a systemd unit), or leave out --real-time.",
        ) from exc


def context_that_goes_first() -> zmq.Context[zmq.Socket[bytes]]:
    """Return a context whose own threads, which send and receive, have the class; raises as `go_first` does."""
    _check()
    context = zmq.Context()
    context.set(zmq.THREAD_SCHED_POLICY, os.SCHED_RR)
    context.set(zmq.THREAD_PRIORITY, _PRIORITY)
    return context


def _check() -> None:
    """Raise what `go_first` raises, since libzmq aborts the process where it may not have the class."""
    before = (os.sched_getscheduler(0), os.sched_getparam(0)) if hasattr(os, "sched_getscheduler") else None
    go_first()
    if before is not None:
        os.sched_setscheduler(0, *before)
