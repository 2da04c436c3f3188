"""What an instruction set provides, and the portable way of doing it."""

from __future__ import annotations

from collections.abc import Mapping

from llvmlite import ir

from bonsai_edge_cpu.emit import F32, I8, I16, I32, constant, load, vector


class PortableISA:
    """Plain LLVM integer vectors: right on every 64-bit processor, fast on none.

    An instruction set derives from this and replaces what it does better. `tile_tokens` is how many tokens share one
    expansion of the sign bits in a batch, as many as the register file bears.
    """

    name = "portable"
    tile_rows = 4
    tile_tokens = 2

    @classmethod
    def is_supported(cls, cpu_features: Mapping[str, bool]) -> bool:
        """Say whether a machine with these LLVM feature flags can run it."""
        return True

    def expand_signs(self, builder: ir.IRBuilder, bits: ir.Value) -> ir.Value:
        """Turn 64 sign bits, i64 with the first weight lowest, into what `dot4` takes, <64 x i8>: here 0 or -1."""
        eight_bytes = builder.bitcast(bits, vector(I8, 8))
        spread = ir.Constant(vector(I32, 64), [column // 8 for column in range(64)])
        repeated = builder.shuffle_vector(eight_bytes, eight_bytes, spread)
        bit_of_column = ir.Constant(vector(I8, 64), [1 << column % 8 for column in range(64)])
        is_set = builder.icmp_unsigned("!=", builder.and_(repeated, bit_of_column), constant(vector(I8, 64), 0))
        return builder.sext(is_set, vector(I8, 64))

    def dot4(self, builder: ir.IRBuilder, acc: ir.Value, signs: ir.Value, activations: ir.Value) -> ir.Value:
        """Add to each of 16 int32 lanes twice the sum of those of its 4 int8 activations whose sign bit is set.

        With the accumulator starting at minus the sum of all activations this is the product with +1 and -1.
        """
        lanes = vector(I32, 16)
        selected = builder.bitcast(builder.and_(signs, activations), lanes)
        for byte in range(4):
            sign_extended = builder.ashr(builder.shl(selected, constant(lanes, 24 - 8 * byte)), constant(lanes, 24))
            acc = builder.add(acc, builder.shl(sign_extended, constant(lanes, 1)))
        return acc

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
