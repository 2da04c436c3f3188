"""Looks up token embeddings."""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from bonsai_edge.cpu_step.tables import ADDRESS, NUM_COLUMNS, ROW_BYTES, TYPE
from bonsai_edge.cpu_step.workspace import WIDTH
from bonsai_edge.formats.ggml_types import GGMLType
from bonsai_edge_cpu.compilation import compiled_part
from bonsai_edge_cpu.emit import F32, I1, I8, I16, constant, load, splat, store, vector
from bonsai_edge_cpu.intrinsics import make_intrinsic
from bonsai_edge_cpu.isa.selection import selected_isa
from bonsai_edge_cpu.kernels.dense import load_bfloat, load_float, load_half

_FLOATS = vector(F32, WIDTH)
_Q1_0, _Q8_0, _F16, _BF16 = (t.value for t in (GGMLType.Q1_0, GGMLType.Q8_0, GGMLType.F16, GGMLType.BF16))


def _make_expansion(load_weights: Callable[[ir.IRBuilder, ir.Value], ir.Value]) -> Callable[..., None]:
    """Return expand(weights, out): 16 elements to float32, by address."""

    def emit(builder: ir.IRBuilder, weights: ir.Value, out: ir.Value) -> None:
        store(builder, load_weights(builder, weights), out, align=4)

    return make_intrinsic(emit)


def _emit_expand_q8_0(builder: ir.IRBuilder, block: ir.Value, out: ir.Value) -> None:
    scale = splat(builder, selected_isa().load_scale(builder, block), WIDTH)
    for part in range(2):
        quants = builder.sitofp(load(builder, block, vector(I8, WIDTH), 2 + WIDTH * part), _FLOATS)
        store(builder, builder.fmul(quants, scale), out, 4 * WIDTH * part, align=4)


def _emit_expand_q1_0(builder: ir.IRBuilder, block: ir.Value, out: ir.Value) -> None:
    scale = splat(builder, selected_isa().load_scale(builder, block), WIDTH)
    for part in range(8):
        bits = builder.bitcast(load(builder, block, I16, 2 + 2 * part), vector(I1, WIDTH))
        signed = builder.select(bits, scale, builder.fsub(constant(_FLOATS, 0.0), scale))
        store(builder, signed, out, 4 * WIDTH * part, align=4)


_expand_float = _make_expansion(load_float)
_expand_half = _make_expansion(load_half)
_expand_bfloat = _make_expansion(load_bfloat)
_expand_q8_0 = make_intrinsic(_emit_expand_q8_0)
_expand_q1_0 = make_intrinsic(_emit_expand_q1_0)


@compiled_part
def embed(table, token_ids, out, thread, num_threads):
    """Expand the rows `token_ids` of the matrix record `table` to out, float32 (max_tokens, hidden), row by row."""
    ggml_type, num_columns = table[TYPE], table[NUM_COLUMNS]
    for token in range(thread, token_ids.size, num_threads):
        row = table[ADDRESS] + token_ids[token] * table[ROW_BYTES]
        out_at = out[token].ctypes.data
        if ggml_type == _Q1_0:
            for block in range(num_columns // 128):
                _expand_q1_0(row + block * 18, out_at + block * 128 * 4)
        elif ggml_type == _Q8_0:
            for block in range(num_columns // 32):
                _expand_q8_0(row + block * 34, out_at + block * 32 * 4)
        else:
            for start in range(0, num_columns, WIDTH):
                if ggml_type == _F16:
                    _expand_half(row + start * 2, out_at + start * 4)
                elif ggml_type == _BF16:
                    _expand_bfloat(row + start * 2, out_at + start * 4)
                else:
                    _expand_float(row + start * 4, out_at + start * 4)
