"""How cached keys and values are read and written as float32: one class a KV type; see `kv_pages` for the layout.

A chunk is 16 columns of a row. Scales have been converted to float32 when rows are read: (head_dim / 32, PAGE_TOKENS).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from llvmlite import ir

from bonsai_edge.cpu_step.kv_pages import F16Planes, Q4Planes, Q8Planes
from bonsai_edge.cpu_step.workspace import WIDTH
from bonsai_edge.kv_cache import GROUP_VALUES, PAGE_TOKENS
from bonsai_edge_cpu.emit import (
    F32,
    I8,
    I32,
    I64,
    constant,
    counted_loop,
    larger,
    largest_magnitude,
    load,
    multiply_add,
    round_to_int,
    smaller,
    splat,
    store,
    vector,
)
from bonsai_edge_cpu.intrinsics import make_generic_intrinsic
from bonsai_edge_cpu.isa.selection import selected_isa
from bonsai_edge_cpu.kernels.dense import emit_store_half, load_half

_FLOATS, _INTS, _BYTES = vector(F32, WIDTH), vector(I32, WIDTH), vector(I8, WIDTH)


class KVValues(ABC):
    """Reads and writes rows of one KV type."""

    bits: int
    chunks_together = 1
    """Chunks of a row that are best read one right after the other, as they share a load."""

    def row_bytes(self, builder: ir.IRBuilder, head_dim: ir.Value) -> ir.Value:
        """Return the bytes of a row, or of as many columns of it."""
        return builder.lshr(builder.mul(head_dim, constant(I64, self.bits)), constant(I64, 3))

    @abstractmethod
    def load(self, builder: ir.IRBuilder, row: ir.Value, chunk: ir.Value, scales: ir.Value) -> ir.Value:
        """Return a chunk of the row at an address; `scales` is the address of the scale of the row's first group."""

    def load_scales(self, builder: ir.IRBuilder, halves: ir.Value, scales: ir.Value, head_dim: ir.Value) -> None:
        """Convert all scales of a plane to float32."""
        for_a_row = builder.lshr(head_dim, constant(I64, 5))
        with counted_loop(builder, builder.mul(for_a_row, constant(I64, PAGE_TOKENS // WIDTH)), []) as loop:
            scale = load_half(builder, builder.add(halves, builder.mul(loop.index, constant(I64, 2 * WIDTH))))
            store(builder, scale, builder.add(scales, builder.mul(loop.index, constant(I64, 4 * WIDTH))), align=4)

    def load_row(self, builder: ir.IRBuilder, x: ir.Value, row: ir.Value, scales: ir.Value, head_dim: ir.Value) -> None:
        """Convert a row to float32; `scales` is the address of its first group's scale."""
        with counted_loop(builder, builder.sdiv(head_dim, constant(I64, WIDTH)), []) as loop:
            chunk = self.load(builder, row, loop.index, scales)
            store(builder, chunk, builder.add(x, builder.mul(loop.index, constant(I64, 4 * WIDTH))), align=4)

    @abstractmethod
    def store_row(
        self, builder: ir.IRBuilder, x: ir.Value, row: ir.Value, halves: ir.Value, head_dim: ir.Value
    ) -> None:
        """Store a row of float32; `halves` is the address of its first group's scale."""


class _HalfValues(KVValues):
    bits = 16

    def load(self, builder: ir.IRBuilder, row: ir.Value, chunk: ir.Value, scales: ir.Value) -> ir.Value:
        return load_half(builder, builder.add(row, builder.mul(chunk, constant(I64, 2 * WIDTH))))

    def load_scales(self, builder: ir.IRBuilder, halves: ir.Value, scales: ir.Value, head_dim: ir.Value) -> None:
        pass

    def store_row(
        self, builder: ir.IRBuilder, x: ir.Value, row: ir.Value, halves: ir.Value, head_dim: ir.Value
    ) -> None:
        emit_store_half(builder, x, row, head_dim)


class _GroupedValues(KVValues):
    """Codes with a scale for every 32."""

    chunks_together = 2
    largest_code: int

    def store_row(
        self, builder: ir.IRBuilder, x: ir.Value, row: ir.Value, halves: ir.Value, head_dim: ir.Value
    ) -> None:
        with counted_loop(builder, builder.sdiv(head_dim, constant(I64, GROUP_VALUES)), []) as loop:
            x_at = builder.add(x, builder.mul(loop.index, constant(I64, 4 * GROUP_VALUES)))
            chunks = [load(builder, x_at, _FLOATS, 4 * WIDTH * part, align=4) for part in range(2)]
            peak = largest_magnitude(builder, *chunks)
            exact = splat(builder, builder.fdiv(peak, constant(F32, float(self.largest_code))), WIDTH)
            half = selected_isa().float_to_half(builder, exact)
            scale = selected_isa().half_to_float(builder, half)
            half_at = builder.add(halves, builder.mul(loop.index, constant(I64, 2 * PAGE_TOKENS)))
            store(builder, builder.extract_element(half, constant(I32, 0)), half_at, align=2)
            is_zero = builder.fcmp_ordered("==", scale, constant(_FLOATS, 0.0))
            divisor = builder.select(is_zero, constant(_FLOATS, 1.0), scale)
            row_at = builder.add(row, builder.mul(loop.index, constant(I64, GROUP_VALUES * self.bits // 8)))
            self.store_codes(builder, [builder.fdiv(chunk, divisor) for chunk in chunks], row_at)

    @abstractmethod
    def store_codes(self, builder: ir.IRBuilder, steps: list[ir.Value], row: ir.Value) -> None:
        """Store the two chunks of a group, divided by their scale."""

    def scale(self, builder: ir.IRBuilder, chunk: ir.Value, scales: ir.Value) -> ir.Value:
        """Return the scale of a chunk in every lane."""
        group = builder.lshr(chunk, constant(I64, 1))
        scale_at = builder.add(scales, builder.mul(group, constant(I64, 4 * PAGE_TOKENS)))
        return splat(builder, load(builder, scale_at, F32, align=4), WIDTH)


class _ByteValues(_GroupedValues):
    bits, largest_code = 8, 127

    def load(self, builder: ir.IRBuilder, row: ir.Value, chunk: ir.Value, scales: ir.Value) -> ir.Value:
        codes = load(builder, builder.add(row, builder.mul(chunk, constant(I64, WIDTH))), _BYTES)
        return builder.fmul(builder.sitofp(codes, _FLOATS), self.scale(builder, chunk, scales))

    def store_codes(self, builder: ir.IRBuilder, steps: list[ir.Value], row: ir.Value) -> None:
        for part, chunk in enumerate(steps):
            code = _nearest(builder, chunk, -127.0, 127.0)
            store(builder, builder.trunc(code, _BYTES), row, WIDTH * part)


class _NibbleValues(_GroupedValues):
    bits, largest_code = 4, 15

    def load(self, builder: ir.IRBuilder, row: ir.Value, chunk: ir.Value, scales: ir.Value) -> ir.Value:
        group, is_upper = builder.lshr(chunk, constant(I64, 1)), builder.and_(chunk, constant(I64, 1))
        pairs = load(builder, builder.add(row, builder.mul(group, constant(I64, WIDTH))), _BYTES)
        shift = splat(builder, builder.trunc(builder.shl(is_upper, constant(I64, 2)), I32), WIDTH)
        levels = builder.and_(builder.lshr(builder.zext(pairs, _INTS), shift), constant(_INTS, 15))
        step = self.scale(builder, chunk, scales)
        # (2n - 15) * s as n * 2s - 15s: all but the last operation is exact
        offset = builder.fmul(step, constant(_FLOATS, -15.0))
        return multiply_add(builder, builder.sitofp(levels, _FLOATS), builder.fadd(step, step), offset)

    def store_codes(self, builder: ir.IRBuilder, steps: list[ir.Value], row: ir.Value) -> None:
        raised = [builder.fadd(chunk, constant(_FLOATS, 15.0)) for chunk in steps]
        halved = [builder.fmul(chunk, constant(_FLOATS, 0.5)) for chunk in raised]
        low, high = (_nearest(builder, chunk, 0.0, 15.0) for chunk in halved)
        pairs = builder.or_(low, builder.shl(high, constant(_INTS, 4)))
        store(builder, builder.trunc(pairs, _BYTES), row)


def _nearest(builder: ir.IRBuilder, x: ir.Value, low: float, high: float) -> ir.Value:
    """Return the nearest integers from low to high; a scale that was rounded down leaves numbers a little beyond."""
    limited = smaller(builder, larger(builder, x, constant(x.type, low)), constant(x.type, high))
    return round_to_int(builder, limited)


_VALUES: dict[type, KVValues] = {F16Planes: _HalfValues(), Q8Planes: _ByteValues(), Q4Planes: _NibbleValues()}


def values_of(planes_class: type) -> KVValues:
    """Return how the values behind a class of `KVPlanes` are read and written."""
    return _VALUES[planes_class]


load_scales = make_generic_intrinsic(lambda planes_class: values_of(planes_class).load_scales)
"""load_scales(planes, halves, scales, head_dim): convert the scales of a plane, given by address."""

load_row = make_generic_intrinsic(lambda planes_class: values_of(planes_class).load_row)
"""load_row(planes, x, row, scales, head_dim): convert a row, whose scales `load_scales` has converted, to float32 x."""

store_row = make_generic_intrinsic(lambda planes_class: values_of(planes_class).store_row)
"""store_row(planes, x, row, halves, head_dim): round float32 x and store it at a row and at its scales, by address."""
