"""What each CUDA kernel takes of each architecture, as ptxas tells: registers, shared memory, and spills.

    python tests/support/kernel_resources.py

compiles everything for everyone and writes the table anew; needs NVRTC (dependency group `dev`), but no GPU.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from bonsai_edge_cuda.code_store import BUILT_ARCHITECTURES, architecture_name, translation_units
from bonsai_edge_cuda.compiler import compile_unit

TABLE = Path(__file__).parents[1] / "backends" / "cuda" / "kernel_resources.csv"
COLUMNS = ("kernel", "architecture", "registers", "shared_bytes", "spill_bytes")
_KERNEL = re.compile(
    r"entry function '(?P<kernel>\w+)'.*?"
    r"(?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads.*?"
    r"Used (?P<registers>\d+) registers(?P<rest>[^\n]*)",
    re.DOTALL,
)


@dataclass(frozen=True, order=True)
class KernelResources:
    """One line of the table: registers of a thread, shared memory of a block, bytes moved for lack of registers."""

    kernel: str
    architecture: str
    registers: int
    shared_bytes: int
    spill_bytes: int


def compiled_resources(capability: tuple[int, int]) -> list[KernelResources]:
    """Compile all kernels for an architecture and return what they take, in the order of their names."""
    found = []
    for unit in translation_units():
        for match in _KERNEL.finditer(compile_unit(unit, capability).log):
            shared = re.search(r"(\d+) bytes smem", match["rest"])
            found.append(
                KernelResources(
                    match["kernel"],
                    architecture_name(capability),
                    int(match["registers"]),
                    int(shared[1]) if shared else 0,
                    int(match["stores"]) + int(match["loads"]),
                )
            )
    return sorted(found)


def read_table() -> list[KernelResources]:
    """Return the lines of the table that the repository keeps."""
    with TABLE.open(newline="") as file:
        return [
            KernelResources(row["kernel"], row["architecture"], *(int(row[name]) for name in COLUMNS[2:]))
            for row in csv.DictReader(file)
        ]


def write_table() -> None:
    """Compile all kernels for all architectures and write the table."""
    lines = sorted(line for capability in BUILT_ARCHITECTURES for line in compiled_resources(capability))
    with TABLE.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([getattr(line, name) for name in COLUMNS] for line in lines)


if __name__ == "__main__":
    write_table()
