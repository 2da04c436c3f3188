"""AVX2 with F16C: 256-bit multiply-add of unsigned and signed bytes."""

from __future__ import annotations

from collections.abc import Mapping

from llvmlite import ir

from bonsai_edge_cpu.emit import I1, I8, I16, I32, concatenate, constant, halve, intrinsic_call, vector
from bonsai_edge_cpu.isa.base import NativeHalfISA


class AVX2(NativeHalfISA):
    """Sign bits become bytes 0 or 1; VPMADDUBSW and VPMADDWD sum four products a lane without saturating."""

    name = "avx2"
    tile_tokens = 2

    @classmethod
    def is_supported(cls, cpu_features: Mapping[str, bool]) -> bool:
        """Need AVX2, FMA and F16C."""
        return all(cpu_features.get(name, False) for name in ("avx2", "fma", "f16c"))

    def expand_signs(self, builder: ir.IRBuilder, bits: ir.Value) -> ir.Value:
        """Turn 64 sign bits into bytes 0 or 1."""
        return builder.zext(builder.bitcast(bits, vector(I1, 64)), vector(I8, 64))

    def dot4(self, builder: ir.IRBuilder, acc: ir.Value, signs: ir.Value, activations: ir.Value) -> ir.Value:
        """See `PortableISA.dot4`."""
        twos = constant(vector(I16, 16), 2)
        sums = []
        for half_signs, half_activations in zip(halve(builder, signs), halve(builder, activations), strict=True):
            pairs = intrinsic_call(
                builder, "llvm.x86.avx2.pmadd.ub.sw", vector(I16, 16), [half_signs, half_activations]
            )
            sums.append(intrinsic_call(builder, "llvm.x86.avx2.pmadd.wd", vector(I32, 8), [pairs, twos]))
        return builder.add(acc, concatenate(builder, *sums))
