"""VNNI: VPDPBUSD multiplies four unsigned bytes by signed ones and adds the products, in each 32-bit lane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from llvmlite import ir

from bonsai_edge_cpu.emit import (
    I1,
    I8,
    I16,
    I32,
    assembly,
    concatenate,
    constant,
    intrinsic_call,
    load,
    shuffle,
    vector,
)
from bonsai_edge_cpu.isa.base import ROW_BYTES, NativeHalfISA, RowLoader, TokenBlock

_PLANES = 8
_HALF_PLANES = 4


class AVX512VNNI(NativeHalfISA):
    """512-bit vectors, as on servers since Cascade Lake and on Zen 4 and later."""

    name = "avx512_vnni"
    vector_rows = 4
    batch_tokens = 4
    table_tokens = 32
    min_table_tokens = 22
    few_tokens = "lookups"
    spare_tiles = 11
    sum_multiple = 4

    @classmethod
    def is_supported(cls, cpu_features: Mapping[str, bool]) -> bool:
        """Need VNNI, and the byte operations of BW."""
        return all(cpu_features.get(name, False) for name in ("avx512f", "avx512bw", "avx512vl", "avx512vnni"))

    def row_loader(self, builder: ir.IRBuilder) -> RowLoader:
        """See `PortableISA.row_loader`; the upper rows are loads under a mask, which need no shuffle."""
        masks = [_opaque_mask(builder, mask) for mask in (0x0F00, 0xF000)]

        def load_rows(addresses: Sequence[ir.Value]) -> ir.Value:
            first, second, *upper = (load(builder, address, vector(I32, 4)) for address in addresses)
            lower = concatenate(builder, first, second)
            result = concatenate(builder, lower, ir.Constant(lower.type, ir.Undefined))
            for mask, row in zip(masks, upper, strict=True):
                result = builder.select(mask, shuffle(builder, [0, 1, 2, 3] * 4, row), result)
            return builder.bitcast(result, vector(I8, ROW_BYTES * len(addresses)))

        return load_rows

    def signed_sums(
        self, builder: ir.IRBuilder, rows: Sequence[ir.Value], tokens: Sequence[TokenBlock]
    ) -> list[list[ir.Value]]:
        """See `PortableISA.signed_sums`."""
        if len(tokens) == 1:
            return [self._sums_of_one_token(builder, rows, tokens[0])]
        totals = [[self._start(builder, token)] * len(rows) for token in tokens]
        for plane in range(_PLANES):
            signs = [self.spread_plane(builder, bits, plane) for bits in rows]
            for token, of_token in zip(tokens, totals, strict=True):
                of_token[:] = self._multiply_add(builder, of_token, signs, token.plane(plane))
        return totals

    def spread_plane(self, builder: ir.IRBuilder, bits: ir.Value, plane: int) -> ir.Value:
        """Turn bit `plane` of every byte into a byte 0 or 8."""
        words = vector(I32, bits.type.count // 4)
        moved = builder.bitcast(bits, words)
        if plane > 3:
            moved = builder.lshr(moved, constant(words, plane - 3))
        elif plane < 3:
            moved = builder.shl(moved, constant(words, 3 - plane))
        return builder.and_(builder.bitcast(moved, bits.type), constant(bits.type, 8))

    def _sums_of_one_token(self, builder: ir.IRBuilder, rows: Sequence[ir.Value], token: TokenBlock) -> list[ir.Value]:
        """Shift the sums instead of the bits.

        A masked byte leaves its sign bit worth 128 in the upper planes and 8 in the lower ones; the sums of the upper
        ones are shifted down once. The others of a half come into place by doubling, which more of the processor's
        pipes can do than shifting.
        """
        words = vector(I32, rows[0].type.count // 4)
        sources = [builder.bitcast(bits, words) for bits in rows]
        upper, lower = [constant(words, 0)] * len(rows), [self._start(builder, token)] * len(rows)
        for distance in range(_HALF_PLANES):
            if distance:
                sources = [_double(builder, source) for source in sources]
            bytes_ = [builder.bitcast(source, rows[0].type) for source in sources]
            upper_signs, lower_signs = (
                [builder.and_(bits, constant(bits.type, value)) for bits in bytes_] for value in (128, 8)
            )
            upper = self._multiply_add(builder, upper, upper_signs, token.plane(_PLANES - 1 - distance))
            lower = self._multiply_add(builder, lower, lower_signs, token.plane(_HALF_PLANES - 1 - distance))
        return [
            builder.add(low, builder.ashr(high, constant(words, 4))) for low, high in zip(lower, upper, strict=True)
        ]

    def _start(self, builder: ir.IRBuilder, token: TokenBlock) -> ir.Value:
        start = token.start()
        return builder.mul(start, constant(start.type, self.sum_multiple))

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


def _opaque_mask(builder: ir.IRBuilder, mask: int) -> ir.Value:
    """Return a mask of 16 lanes as a value that LLVM does not know, or it would turn masked loads into shuffles."""
    unknown = assembly(builder, f"movl $${mask}, $0", "=r", I32, [])
    return builder.bitcast(builder.trunc(unknown, I16), vector(I1, 16))


def _double(builder: ir.IRBuilder, words: ir.Value) -> ir.Value:
    """Add a vector to itself, by an instruction that LLVM does not merge with the next into one longer shift."""
    return assembly(builder, "vpaddd $1, $1, $0", "=v,v", words.type, [words])


class AVXVNNI(AVX512VNNI):
    """The same instruction on 256-bit vectors: Alder Lake and later desktops and laptops, which have no AVX-512."""

    row_loader = NativeHalfISA.row_loader

    name = "avx_vnni"
    vector_rows = 2
    batch_tokens = 2
    table_tokens = 16
    min_table_tokens = 8
    few_tokens = "dots"
    spare_tiles = 0

    @classmethod
    def is_supported(cls, cpu_features: Mapping[str, bool]) -> bool:
        """Need AVX-VNNI, or the 256-bit form of AVX-512's."""
        has_vnni = cpu_features.get("avxvnni", False) or AVX512VNNI.is_supported(cpu_features)
        return has_vnni and all(cpu_features.get(name, False) for name in ("avx2", "fma", "f16c"))
