"""exp on vectors, for softmax and SiLU."""

from __future__ import annotations

from llvmlite import ir

from bonsai_edge_cpu.emit import F32, I32, constant, multiply_add, vector

_LOG2_E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4  # ln 2 in two parts, so that n * ln 2 is exact (Cephes, expf)
_ROUND = 12582912.0  # 1.5 * 2**23: adding it leaves the nearest integer in the low bits
_TAYLOR = (1 / 720, 1 / 120, 1 / 24, 1 / 6, 1 / 2, 1.0, 1.0)  # |r| ≤ ln 2 / 2: relative error below 2e-7


def emit_exp(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """Return exp(x) of <n x float>; below -87 about 1e-38, above 88 about 1.7e38."""
    floats, ints = x.type, vector(I32, x.type.count)
    for name, bound in (("llvm.maxnum", -87.0), ("llvm.minnum", 88.0)):
        function_type = ir.FunctionType(floats, [floats, floats])
        declared = builder.module.declare_intrinsic(f"{name}.v{floats.count}f32", (), function_type)
        x = builder.call(declared, [x, constant(floats, bound)])
    shifted = builder.fadd(builder.fmul(x, constant(floats, _LOG2_E)), constant(floats, _ROUND))
    n = builder.fsub(shifted, constant(floats, _ROUND))
    r = multiply_add(builder, n, constant(floats, -_LN2_HIGH), x)
    r = multiply_add(builder, n, constant(floats, -_LN2_LOW), r)
    result = constant(floats, _TAYLOR[0])
    for coefficient in _TAYLOR[1:]:
        result = multiply_add(builder, result, r, constant(floats, coefficient))
    exponent = builder.fptosi(n, ints)
    power = builder.shl(builder.add(exponent, constant(ints, 127)), constant(ints, 23))
    return builder.fmul(result, builder.bitcast(power, vector(F32, floats.count)))
