"""Estimates from the instructions alone how fast the kernels can be on Arm boards: no measurement, an upper bound.

    python benchmarks/arm_estimate.py [--llvm-mca llvm-mca-19]

Emits the inner loops for each processor, on whatever machine this is, and asks LLVM's static analyzer (Debian package
`llvm`) for their throughput with all data in the first-level cache. Prints a Markdown table: cycles for a block of 128
weights when decoding one token, the bytes of weights that all cores could then use a second, what the board's memory
delivers at best, and cycles for a block and a token of four that are decoded together, and of a prompt.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from typing import Any, NamedTuple

from llvmlite import binding, ir

from bonsai_edge.cpu_step.isa_choice import ISA_VARIABLE
from bonsai_edge_cpu.emit import I64
from bonsai_edge_cpu.intrinsics import Emitter
from bonsai_edge_cpu.isa.selection import selected_isa
from bonsai_edge_cpu.kernels import q1_0_matrix
from bonsai_edge_cpu.kernels.q1_0_dot import BLOCK_BYTES, TILE_VECTORS, tile_emitter
from bonsai_edge_cpu.kernels.q1_0_tables import emit_add_block

_ROUNDS = 200
_NEON = "+neon,+fp-armv8"
_DOTPROD = f"{_NEON},+dotprod,+fullfp16,+v8.2a"
_I8MM = f"{_DOTPROD},+i8mm"


class Board(NamedTuple):
    """A computer; the memory's speed is bus width times transfer rate of its data sheet, which no program reaches."""

    name: str
    cpu: str
    isa: str
    features: str
    cores: int
    ghz: float
    memory_gb_s: float


BOARDS = (
    Board("Raspberry Pi 4", "cortex-a72", "neon", _NEON, 4, 1.8, 12.8),
    Board("Raspberry Pi 5", "cortex-a76", "neon_dotprod", _DOTPROD, 4, 2.4, 17.1),
    Board("Jetson Orin Nano 8 GB", "cortex-a78", "neon_dotprod", _DOTPROD, 6, 1.5, 68.0),
    Board("Jetson Thor", "neoverse-n2", "neon_dotprod", _DOTPROD, 14, 2.6, 273.0),
    Board("Jetson Thor with i8mm", "neoverse-n2", "neon_i8mm", _I8MM, 14, 2.6, 273.0),
)


def assemble(emitter: Emitter, num_arguments: int, board: Board) -> str:
    """Return the assembly of an emitter's instructions, optimized for a board's processor."""
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    target = binding.Target.from_triple("aarch64-linux-gnu")
    machine = target.create_target_machine(cpu=board.cpu, features=board.features, opt=3)
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [I64] * num_arguments), "kernel")
    builder = ir.IRBuilder(function.append_basic_block())
    emitter(builder, *function.args)
    builder.ret_void()
    parsed = binding.parse_assembly(str(module))
    passes = binding.create_pass_builder(machine, binding.create_pipeline_tuning_options(speed_level=3))
    passes.getModulePassManager().run(parsed, passes)
    return machine.emit_assembly(parsed)


def longest_loop(assembly: str) -> str:
    """Return the instructions of the largest basic block that branches back to its own label."""
    loops = re.findall(r"^(\.L\w+):.*\n((?:\t.*\n)*?\tb\.\w+\t\1\n)", assembly, re.MULTILINE)
    bodies = [[line for line in body.splitlines() if line[1].isalpha()] for _, body in loops]
    return "\n".join(max(bodies, key=len))


def cycles(llvm_mca: str, cpu: str, loop: str) -> float:
    """Return the cycles of one round of a loop."""
    command = [
        llvm_mca,
        "-mtriple=aarch64-linux-gnu",
        f"-mcpu={cpu}",
        "-mattr=+i8mm",
        f"-iterations={_ROUNDS}",
        "-json",
    ]
    answer = subprocess.run(command, input=loop, capture_output=True, text=True, check=True).stdout
    summary: dict[str, Any] = json.loads(answer)["CodeRegions"][0]["SummaryView"]
    return float(summary["TotalCycles"]) / _ROUNDS


def _few_tokens_tile(board: Board) -> str:
    isa = selected_isa()
    if isa.few_tokens == "matrices":
        return assemble(q1_0_matrix.tile_emitter(2), 10, board)
    return assemble(tile_emitter(isa.batch_tokens), 13, board)


def print_row(board: Board, llvm_mca: str) -> None:
    """Print the row of a board, whose instruction set this process has selected."""
    isa = selected_isa()
    decode = cycles(llvm_mca, board.cpu, longest_loop(assemble(tile_emitter(1), 13, board)))
    decode /= TILE_VECTORS * isa.vector_rows
    few = cycles(llvm_mca, board.cpu, longest_loop(_few_tokens_tile(board))) / (TILE_VECTORS * isa.vector_rows)
    few /= isa.batch_tokens if isa.few_tokens == "dots" else 4
    prompt = cycles(llvm_mca, board.cpu, longest_loop(assemble(emit_add_block, 7, board))) / isa.table_tokens
    bytes_s = board.cores * board.ghz / decode * BLOCK_BYTES
    print(
        f"| {board.name} | {board.cores} x {board.cpu} at {board.ghz} GHz | {isa.name} | {decode:.1f} | "
        f"{bytes_s:.1f} GB/s | {board.memory_gb_s} GB/s | {few:.1f} | {prompt:.1f} |"
    )


def main() -> None:
    """Print the table; each board's row by a process that emits for its instruction set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llvm-mca", default="llvm-mca", help="the analyzer's program")
    parser.add_argument("--board", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.board:
        print_row(next(board for board in BOARDS if board.name == arguments.board), arguments.llvm_mca)
        return
    print(
        "| board | cores | kernels | cycles/block | weights at most | memory at most "
        "| cycles/block and token, four together | cycles/block and prompt token |"
    )
    print("|---|---|---|---:|---:|---:|---:|---:|", flush=True)
    for board in BOARDS:
        environment = {ISA_VARIABLE: board.isa, "NUMBA_CPU_NAME": board.cpu, "NUMBA_CPU_FEATURES": board.features}
        command = [sys.executable, __file__, "--llvm-mca", arguments.llvm_mca, "--board", board.name]
        child = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
        if child.returncode:
            sys.exit(child.stderr)
        print(child.stdout, end="", flush=True)  # on standard error Numba says that this processor is another one


if __name__ == "__main__":
    main()
