"""Chooses the instruction set once a process, from what the processor reports, or from BONSAI_EDGE_CPU_ISA."""

from __future__ import annotations

import os
from functools import cache

from llvmlite import binding

from bonsai_edge.errors import BackendUnavailableError
from bonsai_edge_cpu.isa.avx2 import AVX2
from bonsai_edge_cpu.isa.avx512_vnni import AVX512VNNI
from bonsai_edge_cpu.isa.base import PortableISA

OVERRIDE_VARIABLE = "BONSAI_EDGE_CPU_ISA"
BEST_FIRST: tuple[type[PortableISA], ...] = (AVX512VNNI, AVX2, PortableISA)


@cache
def selected_isa() -> PortableISA:
    """Return the best instruction set that this processor supports, or the one that the environment names.

    Raises BackendUnavailableError when the named one is unknown or would be illegal here.
    """
    features = binding.get_host_cpu_features()
    supported = {isa.name: isa for isa in BEST_FIRST if isa.is_supported(features)}
    wanted = os.environ.get(OVERRIDE_VARIABLE)
    if wanted is None:
        return next(iter(supported.values()))()
    if wanted not in supported:
        raise BackendUnavailableError(
            f"{OVERRIDE_VARIABLE} asks for {wanted!r}; this processor supports {', '.join(supported)}.",
            "Unset it, or choose one of them.",
        )
    return supported[wanted]()
