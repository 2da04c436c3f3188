"""Quantizes activations to int8 for the integer dot products.

A block of 128 columns has 16 scales: lane l covers columns 4l … 4l+3 and 64+4l … 64+4l+3, the eight that one 32-bit
lane of the dot product sums. Finer than the usual 32 columns a scale, at no cost to the dot product.
"""

from __future__ import annotations

from llvmlite import ir

from bonsai_edge_cpu.emit import F32, I32, constant, intrinsic_call, load, store, vector
from bonsai_edge_cpu.intrinsics import make_intrinsic

_FLOATS, _INTS = vector(F32, 16), vector(I32, 16)
_ROUND = 12582912.0  # 1.5 * 2**23: adding it leaves the nearest integer, ties to even, in the low bits


def _emit_quantize_block(
    builder: ir.IRBuilder, x: ir.Value, quants: ir.Value, scales: ir.Value, negative_sums: ir.Value
) -> None:
    columns = [_columns_of_lanes(builder, x, half, byte) for half in range(2) for byte in range(4)]
    magnitudes = [intrinsic_call(builder, "llvm.fabs.v16f32", _FLOATS, [column]) for column in columns]
    peak = magnitudes[0]
    for magnitude in magnitudes[1:]:
        peak = builder.select(builder.fcmp_ordered(">", magnitude, peak), magnitude, peak)
    store(builder, builder.fmul(peak, constant(_FLOATS, 1 / 127)), scales)
    is_zero = builder.fcmp_ordered("==", peak, constant(_FLOATS, 0.0))
    inverse = builder.fdiv(constant(_FLOATS, 127.0), builder.select(is_zero, constant(_FLOATS, 1.0), peak))
    total = constant(_INTS, 0)
    for half in range(2):
        packed = constant(_INTS, 0)
        for byte in range(4):
            scaled = builder.fadd(builder.fmul(columns[4 * half + byte], inverse), constant(_FLOATS, _ROUND))
            quantized = builder.sub(builder.bitcast(scaled, _INTS), builder.bitcast(constant(_FLOATS, _ROUND), _INTS))
            total = builder.add(total, quantized)
            low_byte = builder.and_(quantized, constant(_INTS, 0xFF))
            packed = builder.or_(packed, builder.shl(low_byte, constant(_INTS, 8 * byte)))
        store(builder, packed, quants, 64 * half)
    store(builder, builder.sub(constant(_INTS, 0), total), negative_sums)


def _columns_of_lanes(builder: ir.IRBuilder, x: ir.Value, half: int, byte: int) -> ir.Value:
    """Return the <16 x float> of columns 64 * half + 4 * lane + byte."""
    columns = load(builder, x, vector(F32, 64), 256 * half, align=4)
    return builder.shuffle_vector(columns, columns, ir.Constant(_INTS, [4 * lane + byte for lane in range(16)]))


quantize_block = make_intrinsic(_emit_quantize_block)
"""quantize_block(x, quants, scales, negative_sums): addresses of 128 float32, 128 int8, 16 float32 and 16 int32.

`negative_sums` are minus the sums of the quants of each lane, where the dot product with signs starts.
"""
