"""RMSNorm (arXiv:1910.07467) and RoPE (arXiv:2104.09864) of one head."""

from __future__ import annotations

from llvmlite import ir

from bonsai_edge_cpu.emit import (
    F32,
    I64,
    constant,
    counted_loop,
    intrinsic_call,
    load,
    multiply_add,
    splat,
    store,
    sum_lanes,
    vector,
)
from bonsai_edge_cpu.intrinsics import make_intrinsic

_WIDTH = 8  # half a head is a multiple of this
_FLOATS = vector(F32, _WIDTH)


def _emit_norm_and_rotate(
    builder: ir.IRBuilder,
    x: ir.Value,
    weight: ir.Value,
    eps: ir.Value,
    cos: ir.Value,
    sin: ir.Value,
    head_dim: ir.Value,
) -> None:
    half_bytes = builder.mul(head_dim, constant(I64, 2))
    num_vectors = builder.sdiv(head_dim, constant(I64, 2 * _WIDTH))

    def load_both(address: ir.Value, offset: ir.Value) -> list[ir.Value]:
        first = builder.add(address, offset)
        return [load(builder, at, _FLOATS, align=4) for at in (first, builder.add(first, half_bytes))]

    with counted_loop(builder, num_vectors, [constant(_FLOATS, 0.0)] * 2) as squares:
        offset = builder.mul(squares.index, constant(I64, 4 * _WIDTH))
        for half, value in enumerate(load_both(x, offset)):
            squares.carried[half] = multiply_add(builder, value, value, squares.carried[half])
    total = sum_lanes(builder, builder.fadd(*squares.carried))
    mean = builder.fdiv(total, builder.sitofp(head_dim, F32))
    root = intrinsic_call(builder, "llvm.sqrt.f32", F32, [builder.fadd(mean, eps)])
    factor = splat(builder, builder.fdiv(constant(F32, 1.0), root), _WIDTH)
    with counted_loop(builder, num_vectors, []) as pairs:
        offset = builder.mul(pairs.index, constant(I64, 4 * _WIDTH))
        first, second = (
            builder.fmul(builder.fmul(value, factor), scale)
            for value, scale in zip(load_both(x, offset), load_both(weight, offset), strict=True)
        )
        cosine, sine = (load(builder, builder.add(at, offset), _FLOATS, align=4) for at in (cos, sin))
        first_at = builder.add(x, offset)
        rotated = builder.fsub(builder.fmul(first, cosine), builder.fmul(second, sine))
        store(builder, rotated, first_at, align=4)
        rotated = builder.fadd(builder.fmul(first, sine), builder.fmul(second, cosine))
        store(builder, rotated, builder.add(first_at, half_bytes), align=4)


norm_and_rotate = make_intrinsic(_emit_norm_and_rotate)
"""norm_and_rotate(x, weight, eps, cos, sin, head_dim): normalize a head and rotate its pairs (i, i + head_dim / 2).

Addresses of float32: x (head_dim), changed in place, weight (head_dim), cos and sin (head_dim / 2).
"""
