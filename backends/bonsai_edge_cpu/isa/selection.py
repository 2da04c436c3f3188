"""Chooses the instruction set once a process, from what the processor reports, or from BONSAI_EDGE_CPU_ISA."""

from __future__ import annotations

from functools import cache

from numba.core.registry import cpu_target

from bonsai_edge.cpu_step.isa_choice import choose_isa
from bonsai_edge_cpu.isa.avx2 import AVX2
from bonsai_edge_cpu.isa.base import PortableISA
from bonsai_edge_cpu.isa.neon import Neon, NeonDotprod, NeonI8mm
from bonsai_edge_cpu.isa.vnni import AVX512VNNI, AVXVNNI

BEST_FIRST: tuple[type[PortableISA], ...] = (AVX512VNNI, AVXVNNI, AVX2, NeonI8mm, NeonDotprod, Neon, PortableISA)


@cache
def selected_isa() -> PortableISA:
    """Return the best instruction set that this processor supports, or the one that the environment names.

    Raises BackendUnavailableError when the named one is unknown or would be illegal here.
    """
    features = cpu_features()
    supported = {isa.name: isa for isa in BEST_FIRST if isa.is_supported(features)}
    return supported[choose_isa(list(supported))]()


def cpu_features() -> dict[str, bool]:
    """Return the LLVM feature flags that Numba compiles for: the processor's own unless NUMBA_CPU_FEATURES is set."""
    _, _, flags = cpu_target.target_context.codegen().magic_tuple()
    return {flag[1:]: flag.startswith("+") for flag in flags.split(",") if flag}


def target_triple() -> str:
    """Return what LLVM calls the kind of machine that is compiled for, such as "aarch64-unknown-linux-gnu"."""
    triple: str = cpu_target.target_context.codegen().magic_tuple()[0]
    return triple
