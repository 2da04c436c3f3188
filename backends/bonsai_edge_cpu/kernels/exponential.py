"""exp on vectors, for softmax and SiLU."""

from __future__ import annotations

from llvmlite import ir

from bonsai_edge_cpu.emit import I32, constant, multiply_add, vector

_LOWEST, _HIGHEST = -87.0, 88.0  # where exp is a normal float32
_LOG2_E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4  # ln 2 in two parts, so that n * ln 2 is exact (Cephes, expf)
_ROUND = 12582912.0  # 1.5 * 2**23: adding it leaves the nearest integer in the low bits
_TAYLOR = (1 / 720, 1 / 120, 1 / 24, 1 / 6, 1 / 2, 1.0, 1.0)  # |r| ≤ ln 2 / 2: relative error below 2e-7
_MANTISSA_BITS = 23


def emit_exp(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """Return exp(x) of <n x float>, exactly 1 for 0; below -87 about 1e-38, above 88 about 1.7e38."""
    floats, ints = x.type, vector(I32, x.type.count)
    for comparison, limit in ((">", _LOWEST), ("<", _HIGHEST)):
        bound = constant(floats, limit)
        x = builder.select(builder.fcmp_ordered(comparison, x, bound), x, bound)
    rounded = multiply_add(builder, x, constant(floats, _LOG2_E), constant(floats, _ROUND))
    n = builder.fsub(rounded, constant(floats, _ROUND))
    r = multiply_add(builder, n, constant(floats, -_LN2_HIGH), x)
    r = multiply_add(builder, n, constant(floats, -_LN2_LOW), r)
    result = constant(floats, _TAYLOR[0])
    for coefficient in _TAYLOR[1:]:
        result = multiply_add(builder, result, r, constant(floats, coefficient))
    # n, the low bits of `rounded`, moves into the exponent.
    exponent = builder.shl(builder.bitcast(rounded, ints), constant(ints, _MANTISSA_BITS))
    return builder.bitcast(builder.add(builder.bitcast(result, ints), exponent), floats)
