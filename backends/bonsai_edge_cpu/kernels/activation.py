"""SwiGLU's gate (arXiv:2002.05202)."""

from __future__ import annotations

from llvmlite import ir

from bonsai_edge.cpu_step.workspace import WIDTH
from bonsai_edge_cpu.emit import F32, I64, constant, counted_loop, load, store, vector
from bonsai_edge_cpu.intrinsics import make_intrinsic
from bonsai_edge_cpu.kernels.exponential import emit_exp

_FLOATS = vector(F32, WIDTH)


def _emit_silu_multiply(builder: ir.IRBuilder, gate: ir.Value, up: ir.Value, count: ir.Value) -> None:
    one = constant(_FLOATS, 1.0)
    with counted_loop(builder, builder.sdiv(count, constant(I64, WIDTH)), []) as loop:
        offset = builder.mul(loop.index, constant(I64, 4 * WIDTH))
        gate_at = builder.add(gate, offset)
        value = load(builder, gate_at, _FLOATS, align=4)
        denominator = builder.fadd(one, emit_exp(builder, builder.fsub(constant(_FLOATS, 0.0), value)))
        factor = load(builder, builder.add(up, offset), _FLOATS, align=4)
        store(builder, builder.fmul(builder.fdiv(value, denominator), factor), gate_at, align=4)


silu_multiply = make_intrinsic(_emit_silu_multiply)
"""silu_multiply(gate, up, count): gate = silu(gate) * up, float32 by address, count ≥ 16 and a multiple of it."""
