"""Run as a program: saves a session while something goes wrong, in a process of its own for each fault.

`dying_saver.py killed DIR` makes DIR/0, DIR/1, … each a store in which a process was killed (SIGKILL) at one more of
the calls that write, the last one at none; `limited DIR` the same with a limit on the size of files instead.
`repeat DIR` saves one session after the other until it is killed, and prints a line for each.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

from bonsai_edge.errors import SessionStorageError
from bonsai_edge.sessions import atomic_write
from bonsai_edge.sessions.store import SessionStore
from faulty_os import FaultyOs
from session_content import content

BEFORE, AFTER, OTHER = 1, 2, 3  # the seeds of the sessions
NAME = "dock"
_LIMIT_STEP_BYTES = 37


def prepare(directory: Path) -> SessionStore:
    store = SessionStore(directory)
    store.save(NAME, content(BEFORE))
    store.save("other", content(OTHER))
    return store


def in_child(work: Callable[[], int]) -> int:
    """Run work in a forked process and return its exit code, or the negative number of the signal that ended it."""
    child = os.fork()
    if child == 0:
        os._exit(work())
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def save_and_be_killed(store: SessionStore, at_call: int) -> int:
    faulty = FaultyOs(at_call, lambda: os.kill(os.getpid(), signal.SIGKILL))
    atomic_write.os = faulty  # type: ignore[assignment]
    store.save(NAME, content(AFTER))
    return 0


def save_under_limit(store: SessionStore, most_bytes: int) -> int:
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    try:
        store.save(NAME, content(AFTER))
    except SessionStorageError as exc:
        return 7 if "File too large" in str(exc) else 8
    return 0


def main(mode: str, directory: Path) -> None:
    if mode == "repeat":
        for seed in count():
            SessionStore(directory).save(NAME, content(seed))
            print(seed, flush=True)
    for number in count():
        store = prepare(directory / str(number))
        if mode == "killed":
            code = in_child(partial(save_and_be_killed, store, number))
            assert code in (0, -signal.SIGKILL), code
        else:
            code = in_child(partial(save_under_limit, store, number * _LIMIT_STEP_BYTES))
            assert code in (0, 7), code
        if code == 0:
            return


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
