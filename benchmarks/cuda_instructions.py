"""Counts the machine instructions of the CUDA kernels' loops, without a GPU.

    python benchmarks/cuda_instructions.py NVDISASM [--architecture 9.0] [--unit matvec]

compiles the kernels with NVRTC (dependency group `dev`) and disassembles them with NVIDIA's nvdisasm, which the
CUDA toolkit and the wheels of Triton hold. A loop is what lies between a conditional branch backwards and its target,
without the loops inside; code that the compiler has put elsewhere, such as rare cases, is not counted.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator

from bonsai_edge_cuda.code_store import translation_units
from bonsai_edge_cuda.compiler import compile_unit

TENSOR_AND_DOT = ("BMMA", "IMMA", "HMMA", "IDP")
_FUNCTION = re.compile(r"^\.text\.(\w+):$")
_LABEL = re.compile(r"^(\.L_\w+):$")
_INSTRUCTION = re.compile(r"^\s+/\*[0-9a-f]{4,}\*/\s+(@!?U?P\d+ )?([A-Z0-9]+)(.*)$")
_TARGET = re.compile(r"`\((\.L_\w+)\)")


def disassemble(nvdisasm: str, cubin: bytes) -> dict[str, list[str]]:
    """Return the lines of each kernel's code."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        text = subprocess.run([nvdisasm, "-c", file.name], capture_output=True, text=True, check=True).stdout
    kernels: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if function := _FUNCTION.match(line):
            lines = kernels.setdefault(function[1], [])
        else:
            lines.append(line)
    return kernels


def loops(lines: list[str]) -> Iterator[Counter[str]]:
    """Yield the instructions of each loop, those of loops inside left out."""
    operations: list[str] = []
    labels: dict[str, int] = {}
    spans: list[tuple[int, int]] = []
    for line in lines:
        if label := _LABEL.match(line):
            labels[label[1]] = len(operations)
        elif instruction := _INSTRUCTION.match(line):
            condition, operation, operands = instruction.groups()
            operations.append(operation)
            target = _TARGET.search(operands)
            if condition and operation == "BRA" and target and target[1] in labels:
                spans.append((labels[target[1]], len(operations)))
    for first, last in sorted(dict(spans).items()):
        inner = {i for start, end in spans if first <= start and end <= last and (start, end) != (first, last)
                 for i in range(start, end)}  # fmt: skip
        yield Counter(operations[i] for i in range(first, last) if i not in inner and operations[i] != "NOP")


def main() -> None:
    """Print the loops that hold more than a few instructions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nvdisasm")
    parser.add_argument("--architecture", default="9.0", help="compute capability, such as 8.7")
    parser.add_argument("--kernel", default="", help="what the names of the kernels begin with")
    parser.add_argument("--unit", choices=translation_units(), help="the file that they are in")
    options = parser.parse_args()
    major, minor = map(int, options.architecture.split("."))
    for unit in [options.unit] if options.unit else translation_units():
        for name, lines in sorted(disassemble(options.nvdisasm, compile_unit(unit, (major, minor)).cubin).items()):
            if name.startswith(options.kernel):
                report(name, lines)


def report(name: str, lines: list[str]) -> None:
    """Print one line a loop."""
    for loop in loops(lines):
        if loop.total() >= 16:
            products = ", ".join(f"{loop[operation]} {operation}" for operation in TENSOR_AND_DOT if loop[operation])
            print(f"{name}: a loop of {loop.total()} instructions" + (f", {products}" if products else ""))


if __name__ == "__main__":
    main()
