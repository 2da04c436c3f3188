"""A barrier for a team of threads inside compiled code, and the atomic operations that it is made of.

Waiting threads spin, because the next part of a step is microseconds away; after a while they offer their core to
others, because it may be the last thread that needs it.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types

from bonsai_edge.cpu_step.workspace import CACHE_LINE_INTS
from bonsai_edge_cpu.compilation import compiled_part
from bonsai_edge_cpu.emit import I32, constant
from bonsai_edge_cpu.intrinsics import make_intrinsic
from bonsai_edge_cpu.isa.selection import target_triple

_SPINS_BEFORE_YIELD = 2000

_sched_yield = types.ExternalFunction("sched_yield", types.int32())


def _emit_fetch_add(builder: ir.IRBuilder, address: ir.Value, value: ir.Value) -> ir.Value:
    pointer = builder.inttoptr(address, I32.as_pointer())
    return builder.atomic_rmw("add", pointer, builder.trunc(value, I32), "seq_cst")


def _emit_load(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
    return builder.load_atomic(builder.inttoptr(address, I32.as_pointer()), "acquire", 4)


def _emit_store(builder: ir.IRBuilder, address: ir.Value, value: ir.Value) -> None:
    pointer = builder.inttoptr(address, I32.as_pointer())
    builder.store_atomic(builder.trunc(value, I32), pointer, "release", 4)


def _emit_pause(builder: ir.IRBuilder) -> None:
    """Tell the processor that this is a spin loop."""
    processor = target_triple().partition("-")[0]
    if processor == "x86_64":
        builder.call(
            builder.module.declare_intrinsic("llvm.x86.sse2.pause", (), ir.FunctionType(ir.VoidType(), [])), []
        )
    elif processor in ("aarch64", "arm64"):
        function_type = ir.FunctionType(ir.VoidType(), [I32])
        declared = builder.module.declare_intrinsic("llvm.aarch64.hint", (), function_type)
        builder.call(declared, [constant(I32, 1)])


_fetch_add = make_intrinsic(_emit_fetch_add, types.int32)
_atomic_load = make_intrinsic(_emit_load, types.int32)
_atomic_store = make_intrinsic(_emit_store)
_pause = make_intrinsic(_emit_pause)


@compiled_part
def wait_for_team(barrier, num_threads):
    """Return when all `num_threads` threads have called it; `barrier` is one of `workspace.new_barrier`."""
    if num_threads == 1:
        return
    arrivals = barrier.ctypes.data + 4 * CACHE_LINE_INTS
    rounds = arrivals + 4 * CACHE_LINE_INTS
    this_round = _atomic_load(rounds)
    if _fetch_add(arrivals, 1) == num_threads - 1:
        _atomic_store(arrivals, 0)
        _fetch_add(rounds, 1)
        return
    spins = 0
    while _atomic_load(rounds) == this_round:
        spins += 1
        if spins < _SPINS_BEFORE_YIELD:
            _pause()
        else:
            _sched_yield()
