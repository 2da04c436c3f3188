"""Compiles the CUDA C++ sources with NVRTC, for any architecture and on a machine without a GPU.

    python -m bonsai_edge_cuda.compiler [FOLDER]

writes the cubins that a wheel ships. Those must come from NVRTC 12: a driver of CUDA 12 does not load what NVRTC 13 has
made, but one of CUDA 13 loads both.
"""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from pathlib import Path

from cuda.bindings import nvrtc
from cuda.core import Program, ProgramOptions

from bonsai_edge_cuda.code_store import (
    BUILT_ARCHITECTURES,
    CUBINS,
    KERNELS,
    architecture_name,
    no_compiler,
    source_hash,
    translation_units,
)

_SHIPPED_NVRTC = (12, 9)


@dataclass(frozen=True)
class CompiledUnit:
    """A cubin, and what ptxas says of its kernels."""

    cubin: bytes
    log: str


def nvrtc_version() -> tuple[int, int]:
    """Return the version of NVRTC; raises what `cuda.bindings` raises without the library."""
    _, major, minor = nvrtc.nvrtcVersion()
    return major, minor


def compile_kernels(capability: tuple[int, int]) -> dict[str, bytes]:
    """Return a cubin for each translation unit; raises BackendUnavailableError if NVRTC cannot make them."""
    try:
        return {unit: compile_unit(unit, capability).cubin for unit in translation_units()}
    except Exception as exc:
        raise no_compiler(capability, " ".join(str(exc).split())[:200]) from exc


def compile_unit(unit: str, capability: tuple[int, int]) -> CompiledUnit:
    """Compile one file; contraction to fused multiply-adds is off, because the results must not depend on it."""
    options = ProgramOptions(
        name=f"{unit}.cu",
        arch=architecture_name(capability),
        std="c++17",
        fma=False,
        include_path=str(KERNELS),
        ptxas_options=["-v"],
    )
    log = io.StringIO()
    code = Program((KERNELS / f"{unit}.cu").read_text(), "c++", options).compile("cubin", logs=log)
    return CompiledUnit(bytes(code.code), log.getvalue())


def write_cubins(folder: Path) -> int:
    """Write the cubins of all built architectures and return their bytes; raises RuntimeError for another NVRTC."""
    version = nvrtc_version()
    if version != _SHIPPED_NVRTC:
        raise RuntimeError(f"Cubins are shipped from NVRTC {_SHIPPED_NVRTC}; this is {version}.")
    num_bytes = 0
    for capability in BUILT_ARCHITECTURES:
        architecture = folder / architecture_name(capability)
        architecture.mkdir(parents=True, exist_ok=True)
        for unit in translation_units():
            cubin = compile_unit(unit, capability).cubin
            (architecture / f"{unit}.cubin").write_bytes(cubin)
            num_bytes += len(cubin)
    (folder / "source_hash").write_text(f"{source_hash()}\n")
    return num_bytes


def main() -> None:
    """Write the cubins to the folder of the command line, or where this package looks for them."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else CUBINS
    num_bytes = write_cubins(folder)
    names = ", ".join(map(architecture_name, BUILT_ARCHITECTURES))
    sys.stdout.write(f"{num_bytes:,} bytes for {names} in {folder}\n")


if __name__ == "__main__":
    main()
