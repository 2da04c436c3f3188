"""AVX-512 with VNNI: 64 products and 16 sums in one instruction."""

from __future__ import annotations

from collections.abc import Mapping

from llvmlite import ir

from bonsai_edge_cpu.emit import I1, I8, I32, constant, intrinsic_call, vector
from bonsai_edge_cpu.isa.base import NativeHalfISA


class AVX512VNNI(NativeHalfISA):
    """Sign bits go to a mask register, which blanks a vector of bytes 2; VPDPBUSD does the rest."""

    name = "avx512_vnni"
    tile_tokens = 4

    @classmethod
    def is_supported(cls, cpu_features: Mapping[str, bool]) -> bool:
        """Need VNNI, and the byte masks of BW."""
        return all(cpu_features.get(name, False) for name in ("avx512f", "avx512bw", "avx512vl", "avx512vnni"))

    def expand_signs(self, builder: ir.IRBuilder, bits: ir.Value) -> ir.Value:
        """Turn 64 sign bits into bytes 0 or 2."""
        bytes64 = vector(I8, 64)
        return builder.select(builder.bitcast(bits, vector(I1, 64)), constant(bytes64, 2), constant(bytes64, 0))

    def dot4(self, builder: ir.IRBuilder, acc: ir.Value, signs: ir.Value, activations: ir.Value) -> ir.Value:
        """See `PortableISA.dot4`."""
        return intrinsic_call(builder, "llvm.x86.avx512.vpdpbusd.512", vector(I32, 16), [acc, signs, activations])
