"""Replaces this process by a new one that was started in the same way: nothing else ends a hung native thread."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from bonsai_edge.cli.serve import HALTED_OPTION
from bonsai_edge.progress import progress


def restart(*, halted: bool) -> NoReturn:
    """Run the same command line again under the same process id; a halted server starts halted."""
    progress.info("starting anew")
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, new_arguments(sys.orig_argv, halted=halted))


def new_arguments(arguments: Sequence[str], *, halted: bool) -> list[str]:
    """Return the command line for the new process."""
    kept = [each for each in arguments if each != HALTED_OPTION]
    return [*kept, HALTED_OPTION] if halted else kept
