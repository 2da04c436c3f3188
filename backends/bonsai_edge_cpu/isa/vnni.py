"""VNNI: VPDPBUSD multiplies four unsigned bytes by signed ones and adds the products, in each 32-bit lane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from llvmlite import ir

from bonsai_edge_cpu.emit import I32, constant, intrinsic_call, vector
from bonsai_edge_cpu.isa.base import NativeHalfISA, TokenBlock


class AVX512VNNI(NativeHalfISA):
    """512-bit vectors, as on servers since Cascade Lake and on Zen 4 and later."""

    name = "avx512_vnni"
    vector_rows = 4
    batch_tokens = 4
    table_tokens = 32

    @classmethod
    def is_supported(cls, cpu_features: Mapping[str, bool]) -> bool:
        """Need VNNI, and the byte operations of BW."""
        return all(cpu_features.get(name, False) for name in ("avx512f", "avx512bw", "avx512vl", "avx512vnni"))

    def signed_sums(
        self, builder: ir.IRBuilder, rows: Sequence[ir.Value], tokens: Sequence[TokenBlock]
    ) -> list[list[ir.Value]]:
        """See `PortableISA.signed_sums`."""
        if len(tokens) == 1:
            return [self._sums_of_one_token(builder, rows, tokens[0])]
        totals = [[token.start()] * len(rows) for token in tokens]
        for plane in range(8):
            signs = [self.spread_plane(builder, bits, plane) for bits in rows]
            for token, of_token in zip(tokens, totals, strict=True):
                of_token[:] = self._multiply_add(builder, of_token, signs, token.plane(plane))
        return totals

    def spread_plane(self, builder: ir.IRBuilder, bits: ir.Value, plane: int) -> ir.Value:
        """Turn bit `plane` of every byte into a byte 0 or 2."""
        words = vector(I32, bits.type.count // 4)
        moved = builder.bitcast(bits, words)
        if plane > 1:
            moved = builder.lshr(moved, constant(words, plane - 1))
        elif plane == 0:
            moved = builder.shl(moved, constant(words, 1))
        return builder.and_(builder.bitcast(moved, bits.type), constant(bits.type, 2))

    def _sums_of_one_token(self, builder: ir.IRBuilder, rows: Sequence[ir.Value], token: TokenBlock) -> list[ir.Value]:
        """Shift the sums instead of the bits.

        A masked byte leaves its sign bit worth 128, 32, 8 or 2. Adding the products of the highest first and shifting
        the sums down by two bits before the next equals shifting every byte into place, at a third of the shifts.
        """
        bytes_, words = rows[0].type, vector(I32, rows[0].type.count // 4)
        shifted = [
            builder.bitcast(builder.shl(builder.bitcast(bits, words), constant(words, 1)), bytes_) for bits in rows
        ]
        totals = [constant(words, 0)] * len(rows)
        for plane in (7, 5, 3, 1):
            if plane == 1:
                totals = [builder.add(total, token.start()) for total in totals]
            for source, offset in ((rows, 0), (shifted, 1)):
                signs = [builder.and_(bits, constant(bytes_, 1 << plane)) for bits in source]
                totals = self._multiply_add(builder, totals, signs, token.plane(plane - offset))
            if plane > 1:
                totals = [builder.ashr(total, constant(words, 2)) for total in totals]
        return totals

    def _multiply_add(
        self, builder: ir.IRBuilder, totals: Sequence[ir.Value], signs: Sequence[ir.Value], activations: ir.Value
    ) -> list[ir.Value]:
        """Add to each lane of each total four products of unsigned signs and signed activations."""
        words = totals[0].type
        name = f"llvm.x86.avx512.vpdpbusd.{32 * words.count}"
        return [
            intrinsic_call(builder, name, words, [total, sign, activations])
            for total, sign in zip(totals, signs, strict=True)
        ]


class AVXVNNI(AVX512VNNI):
    """The same instruction on 256-bit vectors: Alder Lake and later desktops and laptops, which have no AVX-512."""

    name = "avx_vnni"
    vector_rows = 2
    batch_tokens = 2
    table_tokens = 16

    @classmethod
    def is_supported(cls, cpu_features: Mapping[str, bool]) -> bool:
        """Need AVX-VNNI, or the 256-bit form of AVX-512's."""
        has_vnni = cpu_features.get("avxvnni", False) or AVX512VNNI.is_supported(cpu_features)
        return has_vnni and all(cpu_features.get(name, False) for name in ("avx2", "fma", "f16c"))
