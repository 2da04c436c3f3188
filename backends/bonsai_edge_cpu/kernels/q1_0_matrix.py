"""Q1_0 weights times a few tokens by matrix instructions: i8mm of Arm, on phones since 2021 and on Jetson Thor.

SMMLA multiplies two rows of eight bytes by two tokens' eight bytes. Since activations have a scale for 32 columns, the
eight are the four columns that a plane has of such a group and the four of the plane beside it: a row's four sign bytes
of the group stand twice in a vector, and each half is tested for another bit. Activations are brought into that order
beforehand, for pairs of tokens. The sums of two rows and two tokens come out side by side.

The arithmetic is that of `q1_0_dot` and `q1_0_tables` to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir

from bonsai_edge.cpu_step.workspace import GROUPS
from bonsai_edge_cpu.compilation import compiled_part
from bonsai_edge_cpu.emit import (
    F32,
    I8,
    I16,
    I32,
    I64,
    assembly,
    constant,
    counted_loop,
    intrinsic_call,
    load,
    multiply_add,
    shuffle,
    store,
    vector,
)
from bonsai_edge_cpu.intrinsics import Emitter, make_intrinsic
from bonsai_edge_cpu.isa.selection import selected_isa
from bonsai_edge_cpu.kernels.q1_0_dot import BLOCK_BYTES, SCALE_BYTES, store_rows

PAIR_BYTES = 24 * 16
"""A block of two tokens: sixteen vectors of quants, four of scales, four of negative sums."""

_TILE_ROWS = 4
_PLANE_PAIRS = 4
_PLANE_BYTES = _VECTOR_BYTES = 16
_SCALES_AT = _VECTOR_BYTES * _PLANE_PAIRS * GROUPS
_STARTS_AT = _SCALES_AT + _VECTOR_BYTES * GROUPS

_BYTES, _INTS, _FLOATS = vector(I8, 16), vector(I32, 4), vector(F32, 4)


def _emit_build_pair(builder: ir.IRBuilder, *addresses: ir.Value) -> None:
    """Emit `build_pair`, which is described there."""
    quants, scales, negative_sums, pair = addresses[:2], addresses[2:4], addresses[4:6], addresses[6]
    for plane_pair in range(_PLANE_PAIRS):
        planes = [
            [load(builder, address, _INTS, _PLANE_BYTES * plane) for plane in (2 * plane_pair, 2 * plane_pair + 1)]
            for address in quants
        ]
        first, second = (shuffle(builder, [0, 4, 1, 5, 2, 6, 3, 7], *of_token) for of_token in planes)
        for group in range(GROUPS):
            lanes = [2 * group, 2 * group + 1, 8 + 2 * group, 8 + 2 * group + 1]
            operand = shuffle(builder, lanes, first, second)
            store(builder, operand, pair, _VECTOR_BYTES * (GROUPS * plane_pair + group))
    for sources, type_, offset in ((scales, _FLOATS, _SCALES_AT), (negative_sums, _INTS, _STARTS_AT)):
        first, second = (load(builder, address, type_, align=4) for address in sources)
        for group in range(GROUPS):
            lanes = [group, GROUPS + group] * 2
            store(builder, shuffle(builder, lanes, first, second), pair, offset + _VECTOR_BYTES * group)


def tile_emitter(num_pairs: int) -> Emitter:
    """Return the emitter of four rows times `num_pairs` pairs of tokens; `_one_pair` tells its arguments."""

    def emit(
        builder: ir.IRBuilder,
        weights: ir.Value,
        row_bytes: ir.Value,
        num_rows: ir.Value,
        num_blocks: ir.Value,
        pairs: ir.Value,
        pair_stride: ir.Value,
        num_tokens: ir.Value,
        out: ir.Value,
        out_row_bytes: ir.Value,
        accumulate: ir.Value,
    ) -> None:
        pair_offsets = [builder.mul(pair_stride, constant(I64, pair)) for pair in range(num_pairs)]
        zeros = [constant(_FLOATS, 0.0)] * (_TILE_ROWS // 2 * num_pairs)
        with counted_loop(builder, num_blocks, zeros) as loop:
            block = builder.add(weights, builder.mul(loop.index, constant(I64, BLOCK_BYTES)))
            rows = [assembly(builder, "", "=r,0", I64, [block])]  # or LLVM would carry a pointer for each row
            while len(rows) < _TILE_ROWS:
                rows.append(builder.add(rows[-1], row_bytes))
            pair_block = builder.add(pairs, builder.mul(loop.index, constant(I64, PAIR_BYTES)))
            pairs_at = [builder.add(pair_block, offset) for offset in pair_offsets]
            for position in range(0, _TILE_ROWS, 2):
                two_rows = rows[position : position + 2]
                scales = _row_scales(builder, two_rows)
                for index, product in enumerate(_multiply_two_rows(builder, two_rows, pairs_at)):
                    carried = position // 2 * num_pairs + index
                    loop.carried[carried] = multiply_add(builder, product, scales, loop.carried[carried])
        for token in range(2 * num_pairs):
            low, high = (loop.carried[half * num_pairs + token // 2] for half in range(2))
            of_token = shuffle(builder, [token % 2 + lane for lane in (0, 2, 4, 6)], low, high)
            exists = builder.icmp_signed("<", constant(I64, token), num_tokens)
            rows_left = builder.select(exists, num_rows, constant(I64, 0))
            address = builder.add(out, builder.mul(out_row_bytes, constant(I64, token)))
            store_rows(builder, of_token, address, rows_left, accumulate)

    return emit


def _row_scales(builder: ir.IRBuilder, two_rows: Sequence[ir.Value]) -> ir.Value:
    """Return the scales of two rows' blocks, each twice."""
    halves: ir.Value = ir.Constant(vector(I16, 4), ir.Undefined)
    for lane in range(4):
        halves = builder.insert_element(halves, load(builder, two_rows[lane // 2], I16), constant(I32, lane))
    return selected_isa().half_to_float(builder, halves)


def _multiply_two_rows(
    builder: ir.IRBuilder, two_rows: Sequence[ir.Value], pairs_at: Sequence[ir.Value]
) -> list[ir.Value]:
    """Return for each pair of tokens the products of a block, without its scale: of the first row, then the second."""
    first, second = (load(builder, row, _INTS, SCALE_BYTES) for row in two_rows)
    products: list[list[ir.Value]] = [[] for _ in pairs_at]
    for group in range(GROUPS):
        bits = builder.bitcast(shuffle(builder, [group, group, 4 + group, 4 + group], first, second), _BYTES)
        totals = [constant(_INTS, 0)] * len(pairs_at)
        for plane_pair in range(_PLANE_PAIRS):
            tested = ir.Constant(_BYTES, [1 << (2 * plane_pair + lane // 4 % 2) for lane in range(16)])
            is_set = builder.icmp_unsigned("!=", builder.and_(bits, tested), constant(_BYTES, 0))
            masks = builder.sext(is_set, _BYTES)
            for index, pair in enumerate(pairs_at):
                operand = load(builder, pair, _BYTES, _VECTOR_BYTES * (GROUPS * plane_pair + group))
                arguments = [totals[index], masks, operand]
                totals[index] = intrinsic_call(builder, "llvm.aarch64.neon.smmla.v4i32.v16i8", _INTS, arguments)
        for index, pair in enumerate(pairs_at):
            start = load(builder, pair, _INTS, _STARTS_AT + _VECTOR_BYTES * group)
            scale = load(builder, pair, _FLOATS, _SCALES_AT + _VECTOR_BYTES * group)
            # A mask is -1 where a bit is set, so that the sum counts down.
            total = builder.sub(start, builder.shl(totals[index], constant(_INTS, 1)))
            products[index].append(builder.fmul(builder.sitofp(total, _FLOATS), scale))
    return [builder.fadd(builder.fadd(a, c), builder.fadd(b, d)) for a, b, c, d in products]


build_pair = make_intrinsic(_emit_build_pair)
"""build_pair(quants, quants, scales, scales, negative_sums, negative_sums, pair): addresses of a block of two tokens,
which may be the same, and of PAIR_BYTES to fill."""

_one_pair = make_intrinsic(tile_emitter(1))
_two_pairs = make_intrinsic(tile_emitter(2))
"""tile(weights, row_bytes, num_rows, num_blocks, pairs, pair_stride, num_tokens, out, out_row_bytes, accumulate):
addresses, and bytes from one to the next; four rows are read and the first num_rows stored, for num_tokens tokens."""


@compiled_part
def arrange_pairs(activations, token, count, few, first_block, last_block):
    """Bring some blocks of `count` tokens from `token` on into the order of pairs, at the address `few`."""
    max_blocks = activations.quants.shape[1]
    for first in range(token, token + count, 2):
        second = min(first + 1, token + count - 1)
        for block in range(first_block, last_block):
            build_pair(
                activations.quants[first, block].ctypes.data,
                activations.quants[second, block].ctypes.data,
                activations.scales[first, block].ctypes.data,
                activations.scales[second, block].ctypes.data,
                activations.negative_sums[first, block].ctypes.data,
                activations.negative_sums[second, block].ctypes.data,
                few + ((first - token) // 2 * max_blocks + block) * PAIR_BYTES,
            )


@compiled_part
def multiply_by_matrices(
    weights, row_bytes, num_blocks, first_row, last_row, activations, token, count, few, sums, out, accumulate, ahead
):
    """Multiply rows by `count` tokens from `token` on, whose pairs are at the address `few`.

    The rest is as in `q1_0_matmul`. Rows left over at the end are tiles of one row that is read again and again.
    """
    pair_stride, out_stride = activations.quants.shape[1] * PAIR_BYTES, out.strides[0]
    row = first_row
    while row < last_row:
        num_rows, stride = (_TILE_ROWS, row_bytes) if row + _TILE_ROWS <= last_row else (1, 0)
        for done in range(0, count, 4):
            pairs = few + done // 2 * pair_stride
            out_at = out.ctypes.data + (token + done) * out_stride + 4 * row
            if count - done > 2:
                _two_pairs(
                    weights + row * row_bytes, stride, num_rows, num_blocks,
                    pairs, pair_stride, count - done, out_at, out_stride, accumulate,
                )  # fmt: skip
            else:
                _one_pair(
                    weights + row * row_bytes, stride, num_rows, num_blocks,
                    pairs, pair_stride, count - done, out_at, out_stride, accumulate,
                )  # fmt: skip
        row += num_rows
