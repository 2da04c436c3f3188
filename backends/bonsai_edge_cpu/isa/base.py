"""What an instruction set provides, and the portable way of doing it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from llvmlite import ir

from bonsai_edge_cpu.emit import F32, I8, I16, I32, concatenate, constant, load, vector

ROW_BYTES = 16  # sign bits of a block

RowLoader = Callable[[Sequence[ir.Value]], ir.Value]
"""Loads ROW_BYTES from each of `vector_rows` addresses into one vector."""


class TokenBlock(Protocol):
    """A block of 128 activations of one token, loaded where it is asked for; repeated for each row of a vector."""

    def plane(self, plane: int) -> ir.Value:
        """Return <16 rows x i8>, byte i the activation of column 8i + plane."""

    def start(self) -> ir.Value:
        """Return <4 rows x i32>, what the sums of 32 columns start at."""


class PortableISA:
    """Plain LLVM integer vectors: right on every 64-bit processor, fast on none.

    An instruction set derives from this and replaces what it does better.

    - `vector_rows`: rows of weights in one vector, 128 bits each: the width of the registers.
    - `batch_tokens`: tokens that share the weights of a tile.
    - `table_tokens`: tokens in a vector of the sums that prompts are processed with; see `kernels.q1_0_tables`.
    - `min_table_tokens`: from so many tokens on those are used, though some of their lanes are then empty.
    - `few_tokens`: how fewer than that, but not one alone, are multiplied: by "dots", "lookups" or "matrices".
    - `spare_tiles`: tiles of `table_tokens` to reserve for the forms that this takes.
    - `sum_multiple`: how many times too large `signed_sums` are, a power of two.
    """

    name = "portable"
    vector_rows = 1
    batch_tokens = 2
    table_tokens = 16
    min_table_tokens = 8
    few_tokens = "dots"
    spare_tiles = 0
    sum_multiple = 1

    @classmethod
    def is_supported(cls, cpu_features: Mapping[str, bool]) -> bool:
        """Say whether a machine with these LLVM feature flags can run it."""
        return True

    def signed_sums(
        self, builder: ir.IRBuilder, rows: Sequence[ir.Value], tokens: Sequence[TokenBlock]
    ) -> list[list[ir.Value]]:
        """Multiply the signs of some rows of a block by the int8 activations of some tokens.

        rows: <16 n x i8> for n rows each; byte i of a row holds the signs of columns 8i … 8i + 7, lowest bit first.
        Returns for each token and each of `rows` <4 n x i32>, a sum for each row and 32 columns: the token's start plus
        twice the activations whose bit is set, times `sum_multiple`. With a start of minus their sum this is the
        product with +1 and -1.
        """
        pairs = vector(I16, rows[0].type.count // 2)
        totals = [[constant(pairs, 0)] * len(rows) for _ in tokens]
        for plane in range(8):
            masks = [self.spread_plane(builder, bits, plane) for bits in rows]
            for token, of_token in zip(tokens, totals, strict=True):
                activations = token.plane(plane)
                for index, mask in enumerate(masks):
                    chosen = builder.bitcast(builder.and_(mask, activations), pairs)
                    for part in _sign_extended_parts(builder, chosen, 8):
                        of_token[index] = builder.add(of_token[index], part)
        return [
            [_add_twice(builder, token.start(), total) for total in of_token]
            for token, of_token in zip(tokens, totals, strict=True)
        ]

    def row_loader(self, builder: ir.IRBuilder) -> RowLoader:
        """Return a loader of rows; called where what a loop of loads shares can be made ready."""

        def load_rows(addresses: Sequence[ir.Value]) -> ir.Value:
            return concatenate(builder, *(load(builder, address, vector(I8, ROW_BYTES)) for address in addresses))

        return load_rows

    def spread_plane(self, builder: ir.IRBuilder, bits: ir.Value, plane: int) -> ir.Value:
        """Turn bit `plane` of every byte into a whole byte, 0 or -1."""
        bit = builder.and_(bits, constant(bits.type, 1 << plane))
        return builder.sext(builder.icmp_unsigned("!=", bit, constant(bits.type, 0)), bits.type)

    def half_to_float(self, builder: ir.IRBuilder, halves: ir.Value) -> ir.Value:
        """Convert <n x i16> bit patterns of finite float16 to <n x float>, exactly, subnormals included."""
        n = halves.type.count
        wide = builder.zext(halves, vector(I32, n))
        magnitude = builder.shl(builder.and_(wide, constant(vector(I32, n), 0x7FFF)), constant(vector(I32, n), 13))
        sign = builder.shl(builder.and_(wide, constant(vector(I32, n), 0x8000)), constant(vector(I32, n), 16))
        # Read as float32 the exponent is too small by 127 - 15.
        scaled = builder.fmul(builder.bitcast(magnitude, vector(F32, n)), constant(vector(F32, n), 2.0**112))
        bits = builder.or_(builder.bitcast(scaled, vector(I32, n)), sign)
        return builder.bitcast(bits, vector(F32, n))

    def load_scale(self, builder: ir.IRBuilder, address: ir.Value) -> ir.Value:
        """Load one float16, the scale of a block, as a float."""
        half = builder.bitcast(load(builder, address, I16), vector(I16, 1))
        return builder.extract_element(self.half_to_float(builder, half), constant(I32, 0))

    def float_to_half(self, builder: ir.IRBuilder, floats: ir.Value) -> ir.Value:
        """Convert <n x float> to the bit patterns of the nearest float16, ties to even; too large becomes infinity."""
        n = floats.type.count
        ints = vector(I32, n)

        def int_constant(value: int) -> ir.Constant:
            return constant(ints, value)

        bits = builder.bitcast(floats, ints)
        magnitude = builder.and_(bits, int_constant(0x7FFFFFFF))
        is_odd = builder.and_(builder.lshr(magnitude, int_constant(13)), int_constant(1))
        rebias_and_round = int_constant(((15 - 127) << 23) + 0xFFF)
        normal = builder.lshr(builder.add(builder.add(magnitude, rebias_and_round), is_odd), int_constant(13))
        # Adding 0.5 leaves the units of a float16 subnormal in the lowest bits, rounded by the addition itself.
        half_bits = int_constant(0x3F000000)
        sum_ = builder.fadd(builder.bitcast(magnitude, vector(F32, n)), builder.bitcast(half_bits, vector(F32, n)))
        subnormal = builder.sub(builder.bitcast(sum_, ints), half_bits)
        is_subnormal = builder.icmp_unsigned("<", magnitude, int_constant(113 << 23))
        is_too_large = builder.icmp_unsigned(">=", magnitude, int_constant(143 << 23))
        is_nan = builder.icmp_unsigned(">", magnitude, int_constant(0x7F800000))
        result = builder.select(is_subnormal, subnormal, normal)
        result = builder.select(is_too_large, int_constant(0x7C00), result)
        result = builder.select(is_nan, int_constant(0x7E00), result)
        sign = builder.and_(builder.lshr(bits, int_constant(16)), int_constant(0x8000))
        return builder.trunc(builder.or_(result, sign), vector(I16, n))


class NativeHalfISA(PortableISA):
    """For processors that convert float16 by instruction (F16C, and every 64-bit Arm)."""

    def half_to_float(self, builder: ir.IRBuilder, halves: ir.Value) -> ir.Value:
        """Convert by instruction."""
        n = halves.type.count
        return builder.fpext(builder.bitcast(halves, vector(ir.HalfType(), n)), vector(F32, n))

    def float_to_half(self, builder: ir.IRBuilder, floats: ir.Value) -> ir.Value:
        """Convert by instruction."""
        n = floats.type.count
        return builder.bitcast(builder.fptrunc(floats, vector(ir.HalfType(), n)), vector(I16, n))


def _add_twice(builder: ir.IRBuilder, start: ir.Value, pairs: ir.Value) -> ir.Value:
    """Add twice the sum of two int16 to each int32 of `start`."""
    for part in _sign_extended_parts(builder, builder.bitcast(pairs, start.type), 16):
        start = builder.add(start, builder.shl(part, constant(start.type, 1)))
    return start


def _sign_extended_parts(builder: ir.IRBuilder, values: ir.Value, part_bits: int) -> list[ir.Value]:
    """Return the lower and the upper halves of integers that are two signed numbers of `part_bits` each."""
    shift = constant(values.type, part_bits)
    return [builder.ashr(builder.shl(values, shift), shift), builder.ashr(values, shift)]
