"""64-bit Arm: NEON, which every such processor has, and its dot-product extension."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from llvmlite import ir

from bonsai_edge_cpu.emit import I16, I32, assembly, constant, intrinsic_call, vector
from bonsai_edge_cpu.isa.base import NativeHalfISA, TokenBlock


class Neon(NativeHalfISA):
    """CMTST makes masks of sign bits; masked bytes are added in pairs, the pairs in pairs: Raspberry Pi 3 and 4."""

    name = "neon"

    @classmethod
    def is_supported(cls, cpu_features: Mapping[str, bool]) -> bool:
        """Need NEON."""
        return cpu_features.get("neon", False)

    def signed_sums(
        self, builder: ir.IRBuilder, rows: Sequence[ir.Value], tokens: Sequence[TokenBlock]
    ) -> list[list[ir.Value]]:
        """See `PortableISA.signed_sums`."""
        pairs, sums = vector(I16, 8), vector(I32, 4)
        totals = [[constant(pairs, 0)] * len(rows) for _ in tokens]
        for plane in range(8):
            masks = [self.spread_plane(builder, bits, plane) for bits in rows]
            # Hidden behind assembly of no instruction, or LLVM would test for zero instead and need one more.
            masks = [assembly(builder, "", "=w,0", mask.type, [mask]) for mask in masks]
            for token, of_token in zip(tokens, totals, strict=True):
                activations = token.plane(plane)
                for index, mask in enumerate(masks):
                    chosen = builder.and_(mask, activations)
                    added = intrinsic_call(builder, "llvm.aarch64.neon.saddlp.v8i16.v16i8", pairs, [chosen])
                    of_token[index] = builder.add(of_token[index], added)

        def finish(start: ir.Value, total: ir.Value) -> ir.Value:
            added = intrinsic_call(builder, "llvm.aarch64.neon.saddlp.v4i32.v8i16", sums, [total])
            return builder.add(start, builder.shl(added, constant(sums, 1)))

        return [
            [finish(token.start(), total) for total in of_token] for token, of_token in zip(tokens, totals, strict=True)
        ]


class NeonDotprod(Neon):
    """SDOT sums four products a lane; with masks of -1 it counts down: Raspberry Pi 5, Jetson Orin, recent phones."""

    name = "neon_dotprod"

    @classmethod
    def is_supported(cls, cpu_features: Mapping[str, bool]) -> bool:
        """Need the dot-product extension of Armv8.2."""
        return cpu_features.get("neon", False) and cpu_features.get("dotprod", False)

    def signed_sums(
        self, builder: ir.IRBuilder, rows: Sequence[ir.Value], tokens: Sequence[TokenBlock]
    ) -> list[list[ir.Value]]:
        """See `PortableISA.signed_sums`."""
        sums = vector(I32, 4)
        totals = [[constant(sums, 0)] * len(rows) for _ in tokens]
        for plane in range(8):
            masks = [self.spread_plane(builder, bits, plane) for bits in rows]
            for token, of_token in zip(tokens, totals, strict=True):
                activations = token.plane(plane)
                for index, mask in enumerate(masks):
                    operands = [of_token[index], mask, activations]
                    of_token[index] = intrinsic_call(builder, "llvm.aarch64.neon.sdot.v4i32.v16i8", sums, operands)
        return [
            [builder.sub(token.start(), builder.shl(total, constant(sums, 1))) for total in of_token]
            for token, of_token in zip(tokens, totals, strict=True)
        ]


class NeonI8mm(NeonDotprod):
    """SMMLA multiplies two rows by two tokens; for one token it has nothing to give: recent phones, Jetson Thor."""

    name = "neon_i8mm"
    few_tokens = "matrices"

    @classmethod
    def is_supported(cls, cpu_features: Mapping[str, bool]) -> bool:
        """Need the matrix multiplication of int8 of Armv8.6."""
        return super().is_supported(cpu_features) and cpu_features.get("i8mm", False)
