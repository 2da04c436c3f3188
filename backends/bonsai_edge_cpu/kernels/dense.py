"""Dot products with weights and cached values that are not 1-bit: float32, float16, bfloat16 and Q8_0."""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir
from numba import types

from bonsai_edge.cpu_step.workspace import WIDTH
from bonsai_edge.formats.ggml_types import GGMLType
from bonsai_edge_cpu.compilation import compiled_part
from bonsai_edge_cpu.emit import (
    F32,
    I8,
    I16,
    I32,
    I64,
    constant,
    counted_loop,
    load,
    multiply_add,
    splat,
    store,
    sum_lanes,
    vector,
)
from bonsai_edge_cpu.intrinsics import make_intrinsic
from bonsai_edge_cpu.isa.selection import selected_isa

_FLOATS = vector(F32, WIDTH)
_Q8_0_COLUMNS, _Q8_0_BYTES = 32, 34
_Q8_0 = GGMLType.Q8_0.value
_F16 = GGMLType.F16.value
_BF16 = GGMLType.BF16.value

Loader = Callable[[ir.IRBuilder, ir.Value], ir.Value]


def load_float(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
    """Load 16 float32."""
    return load(builder, address, _FLOATS, align=4)


def load_half(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
    """Load 16 float16 as float32."""
    return selected_isa().half_to_float(builder, load(builder, address, vector(I16, WIDTH)))


def load_bfloat(builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
    """Load 16 bfloat16, the upper halves of float32, as float32."""
    wide = builder.zext(load(builder, address, vector(I16, WIDTH)), vector(I32, WIDTH))
    return builder.bitcast(builder.shl(wide, constant(vector(I32, WIDTH), 16)), _FLOATS)


def _make_dot(load_weights: Loader, weight_bytes: int) -> Callable[..., float]:
    """Return dot(weights, x, num_columns) for weights of `weight_bytes` each and float32 x, given by address."""

    def emit(builder: ir.IRBuilder, weights: ir.Value, x: ir.Value, num_columns: ir.Value) -> ir.Value:
        count = builder.sdiv(num_columns, constant(I64, WIDTH))
        with counted_loop(builder, count, [constant(_FLOATS, 0.0)]) as loop:
            start = builder.mul(loop.index, constant(I64, WIDTH))
            weight = load_weights(builder, builder.add(weights, builder.mul(start, constant(I64, weight_bytes))))
            value = load_float(builder, builder.add(x, builder.mul(start, constant(I64, 4))))
            loop.carried[0] = multiply_add(builder, weight, value, loop.carried[0])
        return sum_lanes(builder, loop.carried[0])

    return make_intrinsic(emit, types.float32)


def _emit_dot_q8_0(builder: ir.IRBuilder, weights: ir.Value, x: ir.Value, num_columns: ir.Value) -> ir.Value:
    count = builder.sdiv(num_columns, constant(I64, _Q8_0_COLUMNS))
    with counted_loop(builder, count, [constant(_FLOATS, 0.0)]) as loop:
        block = builder.add(weights, builder.mul(loop.index, constant(I64, _Q8_0_BYTES)))
        values = builder.add(x, builder.mul(loop.index, constant(I64, 4 * _Q8_0_COLUMNS)))
        scale = selected_isa().load_scale(builder, block)
        partial = constant(_FLOATS, 0.0)
        for part in range(2):
            quants = load(builder, block, vector(I8, WIDTH), 2 + WIDTH * part)
            value = load(builder, values, _FLOATS, 4 * WIDTH * part, align=4)
            partial = multiply_add(builder, builder.sitofp(quants, _FLOATS), value, partial)
        loop.carried[0] = multiply_add(builder, partial, splat(builder, scale, WIDTH), loop.carried[0])
    return sum_lanes(builder, loop.carried[0])


def emit_store_half(builder: ir.IRBuilder, x: ir.Value, out: ir.Value, num_columns: ir.Value) -> None:
    """Round float32 to float16, given by address."""
    with counted_loop(builder, builder.sdiv(num_columns, constant(I64, WIDTH)), []) as loop:
        value = load_float(builder, builder.add(x, builder.mul(loop.index, constant(I64, 4 * WIDTH))))
        out_at = builder.add(out, builder.mul(loop.index, constant(I64, 2 * WIDTH)))
        store(builder, selected_isa().float_to_half(builder, value), out_at)


dot_float = _make_dot(load_float, 4)
"""dot_float(floats, x, num_columns) -> float32: float32 times float32, given by address."""

dot_half = _make_dot(load_half, 2)
"""dot_half(halves, x, num_columns) -> float32: float16 times float32, given by address."""

_dot_bfloat = _make_dot(load_bfloat, 2)
_dot_q8_0 = make_intrinsic(_emit_dot_q8_0, types.float32)


@compiled_part
def dense_matmul(weights, ggml_type, row_bytes, first_row, last_row, x, num_columns, num_tokens, out, accumulate):
    """Multiply rows first_row … last_row - 1 of a matrix at address `weights` by float32 x (max_tokens, ≥ num_columns).

    out float32 (max_tokens, num_rows) is overwritten, or added to if `accumulate` is 1.
    """
    for row in range(first_row, last_row):
        row_at = weights + row * row_bytes
        for token in range(num_tokens):
            x_at = x.ctypes.data + token * x.strides[0]
            if ggml_type == _Q8_0:
                value = _dot_q8_0(row_at, x_at, num_columns)
            elif ggml_type == _F16:
                value = dot_half(row_at, x_at, num_columns)
            elif ggml_type == _BF16:
                value = _dot_bfloat(row_at, x_at, num_columns)
            else:
                value = dot_float(row_at, x_at, num_columns)
            out[token, row] = out[token, row] + value if accumulate else value
