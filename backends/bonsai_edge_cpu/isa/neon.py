"""64-bit Arm: NEON, which every such processor has, and its dot-product extension."""

from __future__ import annotations

from collections.abc import Mapping

from llvmlite import ir

from bonsai_edge_cpu.emit import I8, I16, I32, concatenate, constant, halve, intrinsic_call, vector
from bonsai_edge_cpu.isa.base import NativeHalfISA


class Neon(NativeHalfISA):
    """Masked bytes are summed in pairs, and the pairs in pairs (SADDLP): Cortex-A53 and A72, as on a Raspberry Pi 4."""

    name = "neon"
    tile_rows = 2
    tile_tokens = 2

    @classmethod
    def is_supported(cls, cpu_features: Mapping[str, bool]) -> bool:
        """Need NEON."""
        return cpu_features.get("neon", False)

    def dot4(self, builder: ir.IRBuilder, acc: ir.Value, signs: ir.Value, activations: ir.Value) -> ir.Value:
        """See `PortableISA.dot4`."""
        selected = builder.and_(signs, activations)
        sums = []
        for quarter in _quarters(builder, selected):
            pairs = intrinsic_call(builder, "llvm.aarch64.neon.saddlp.v8i16.v16i8", vector(I16, 8), [quarter])
            doubled = builder.add(pairs, pairs)
            sums.append(intrinsic_call(builder, "llvm.aarch64.neon.saddlp.v4i32.v8i16", vector(I32, 4), [doubled]))
        return builder.add(acc, _join(builder, sums))


class NeonDotprod(Neon):
    """Sign bits become bytes 0 or 2; SDOT sums four products a lane: Raspberry Pi 5, Jetson Orin, recent phones."""

    name = "neon_dotprod"

    @classmethod
    def is_supported(cls, cpu_features: Mapping[str, bool]) -> bool:
        """Need the dot-product extension of Armv8.2."""
        return cpu_features.get("neon", False) and cpu_features.get("dotprod", False)

    def expand_signs(self, builder: ir.IRBuilder, bits: ir.Value) -> ir.Value:
        """Turn 64 sign bits into bytes 0 or 2."""
        return builder.and_(super().expand_signs(builder, bits), constant(vector(I8, 64), 2))

    def dot4(self, builder: ir.IRBuilder, acc: ir.Value, signs: ir.Value, activations: ir.Value) -> ir.Value:
        """See `PortableISA.dot4`."""
        operands = zip(_quarters(builder, acc), _quarters(builder, signs), _quarters(builder, activations), strict=True)
        sums = [
            intrinsic_call(builder, "llvm.aarch64.neon.sdot.v4i32.v16i8", vector(I32, 4), list(three))
            for three in operands
        ]
        return _join(builder, sums)


def _quarters(builder: ir.IRBuilder, value: ir.Value) -> list[ir.Value]:
    return [quarter for half in halve(builder, value) for quarter in halve(builder, half)]


def _join(builder: ir.IRBuilder, quarters: list[ir.Value]) -> ir.Value:
    return concatenate(builder, concatenate(builder, *quarters[:2]), concatenate(builder, *quarters[2:]))
