"""Chooses the instruction set of the kernels from those that the processor supports."""

from __future__ import annotations

import os
from collections.abc import Sequence

from bonsai_edge.errors import BackendUnavailableError

ISA_VARIABLE = "BONSAI_EDGE_CPU_ISA"
"""The environment variable that names an instruction set, for tests and comparisons."""


def choose_isa(supported: Sequence[str]) -> str:
    """Return the first of the supported ones, which is the best, or the one that the environment names.

    Raises BackendUnavailableError when the named one is unknown or would be illegal here.
    """
    wanted = os.environ.get(ISA_VARIABLE)
    if wanted and wanted not in supported:
        raise BackendUnavailableError(
            f"{ISA_VARIABLE} asks for {wanted!r}; this processor supports {', '.join(supported)}.",
            "Unset it, or choose one of them.",
        )
    return wanted or supported[0]
