"""AVX2 with F16C: 256-bit multiply-add of unsigned and signed bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from llvmlite import ir

from bonsai_edge_cpu.emit import I16, constant, intrinsic_call, vector
from bonsai_edge_cpu.isa.base import NativeHalfISA, TokenBlock


class AVX2(NativeHalfISA):
    """VPMADDUBSW sums products in pairs, in 16 bits, where all eight planes fit; VPMADDWD sums the pairs.

    As with `AVX512VNNI`, sums are shifted instead of sign bits; the upper half of each byte is brought down once.
    """

    name = "avx2"
    vector_rows = 2

    @classmethod
    def is_supported(cls, cpu_features: Mapping[str, bool]) -> bool:
        """Need AVX2, FMA and F16C."""
        return all(cpu_features.get(name, False) for name in ("avx2", "fma", "f16c"))

    def signed_sums(
        self, builder: ir.IRBuilder, rows: Sequence[ir.Value], tokens: Sequence[TokenBlock]
    ) -> list[list[ir.Value]]:
        """See `PortableISA.signed_sums`."""
        pairs = vector(I16, rows[0].type.count // 2)
        upper = [
            builder.bitcast(builder.lshr(builder.bitcast(bits, pairs), constant(pairs, 4)), bits.type) for bits in rows
        ]
        totals = [[constant(pairs, 0)] * len(rows) for _ in tokens]
        for plane in (3, 2, 1, 0):
            mask = constant(rows[0].type, 1 << plane)
            for source, offset in ((rows, 0), (upper, 4)):
                signs = [builder.and_(bits, mask) for bits in source]
                for token, of_token in zip(tokens, totals, strict=True):
                    activations = token.plane(plane + offset)
                    for index, sign in enumerate(signs):
                        products = intrinsic_call(builder, "llvm.x86.avx2.pmadd.ub.sw", pairs, [sign, activations])
                        of_token[index] = builder.add(of_token[index], products)
            if plane > 0:
                totals = [[builder.ashr(total, constant(pairs, 1)) for total in of_token] for of_token in totals]
        return [
            [self._add_twice(builder, token.start(), total) for total in of_token]
            for token, of_token in zip(tokens, totals, strict=True)
        ]

    def _add_twice(self, builder: ir.IRBuilder, start: ir.Value, pairs: ir.Value) -> ir.Value:
        twos = constant(pairs.type, 2)
        return builder.add(start, intrinsic_call(builder, "llvm.x86.avx2.pmadd.wd", start.type, [pairs, twos]))
