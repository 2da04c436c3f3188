"""Causal attention over the paged float16 KV cache, and the writing of new keys and values to it."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types

from bonsai_edge.backend import KV_PAGE_TOKENS
from bonsai_edge_cpu.compilation import compiled
from bonsai_edge_cpu.emit import F32, I64, constant, counted_loop, load, splat, store, sum_lanes, vector
from bonsai_edge_cpu.intrinsics import make_intrinsic
from bonsai_edge_cpu.kernels.dense import WIDTH, add_scaled_half, dot_half, store_half
from bonsai_edge_cpu.kernels.exponential import emit_exp
from bonsai_edge_cpu.kernels.norm import norm_head

_FLOATS = vector(F32, WIDTH)
_MASKED = np.float32(-1e30)


def _emit_exponentials(builder: ir.IRBuilder, scores: ir.Value, peak: ir.Value, count: ir.Value) -> ir.Value:
    peaks = splat(builder, peak, WIDTH)
    with counted_loop(builder, builder.sdiv(count, constant(I64, WIDTH)), [constant(_FLOATS, 0.0)]) as loop:
        address = builder.add(scores, builder.mul(loop.index, constant(I64, 4 * WIDTH)))
        weights = emit_exp(builder, builder.fsub(load(builder, address, _FLOATS, align=4), peaks))
        store(builder, weights, address, align=4)
        loop.carried[0] = builder.fadd(loop.carried[0], weights)
    return sum_lanes(builder, loop.carried[0])


exponentials = make_intrinsic(_emit_exponentials, types.float32)
"""exponentials(scores, peak, count) -> float32: replace scores by exp(score - peak), return their sum."""


@compiled
def write_keys_values(layer, dims, weights, inputs, kv_cache, work, thread, num_threads):
    """Normalize and rotate queries and keys, and store keys and values in their pages; a head at a time.

    Reads and writes work.q, work.k, work.v (num_tokens, heads * head_dim); kv_cache is uint16 float16 bits
    (num_layers, num_pages, 2, num_kv_heads, KV_PAGE_TOKENS, head_dim).
    """
    num_tokens = inputs.token_ids.size
    num_heads, num_kv_heads, head_dim = dims.num_heads, dims.num_kv_heads, dims.head_dim
    heads_per_token = num_heads + num_kv_heads
    for item in range(thread, num_tokens * heads_per_token, num_threads):
        token, head = divmod(item, heads_per_token)
        cos, sin = inputs.cos[token], inputs.sin[token]
        if head < num_heads:
            norm_head(work.q[token, head * head_dim : (head + 1) * head_dim], weights.q_norm[layer], dims.eps, cos, sin)
            continue
        kv_head = head - num_heads
        columns = slice(kv_head * head_dim, (kv_head + 1) * head_dim)
        k, v = work.k[token, columns], work.v[token, columns]
        norm_head(k, weights.k_norm[layer], dims.eps, cos, sin)
        page_index, slot = divmod(inputs.positions[token], KV_PAGE_TOKENS)
        page = inputs.page_tables[inputs.sequence_ids[token], page_index]
        store_half(k.ctypes.data, kv_cache[layer, page, 0, kv_head, slot].ctypes.data, head_dim)
        store_half(v.ctypes.data, kv_cache[layer, page, 1, kv_head, slot].ctypes.data, head_dim)


@compiled
def attend(layer, dims, inputs, kv_cache, work, thread, num_threads):
    """Write softmax(q·k / √head_dim)·v of every token and head to work.attention (num_tokens, heads * head_dim).

    work.scores float32 (num_threads, context) is this thread's alone, its row a multiple of the page size.
    """
    num_tokens = inputs.token_ids.size
    num_heads, head_dim = dims.num_heads, dims.head_dim
    group = num_heads // dims.num_kv_heads
    scale = np.float32(1.0 / np.sqrt(head_dim))
    scores = work.scores[thread]
    for item in range(thread, num_tokens * num_heads, num_threads):
        token, head = divmod(item, num_heads)
        length = inputs.positions[token] + 1
        pages = inputs.page_tables[inputs.sequence_ids[token]]
        q = work.q[token, head * head_dim : (head + 1) * head_dim]
        peak = _score(q, scores, length, pages, kv_cache[layer, :, 0, head // group], scale)
        padded = (length + WIDTH - 1) // WIDTH * WIDTH
        scores[length:padded] = _MASKED
        total = exponentials(scores.ctypes.data, peak, padded)
        out = work.attention[token, head * head_dim : (head + 1) * head_dim]
        _mix(out, scores, length, pages, kv_cache[layer, :, 1, head // group])
        out *= np.float32(1.0) / total


@compiled
def _score(q, scores, length, pages, keys, scale):
    """Fill scores[:length] and return the largest; keys uint16 (num_pages, KV_PAGE_TOKENS, head_dim)."""
    peak = _MASKED
    for position in range(length):
        page_index, slot = divmod(position, KV_PAGE_TOKENS)
        key = keys[pages[page_index], slot]
        score = dot_half(key.ctypes.data, q.ctypes.data, q.size) * scale
        scores[position] = score
        peak = max(peak, score)
    return peak


@compiled
def _mix(out, weights, length, pages, values):
    """Set out to the sum of weights[:length] times values uint16 (num_pages, KV_PAGE_TOKENS, head_dim)."""
    out[:] = np.float32(0.0)
    for position in range(length):
        page_index, slot = divmod(position, KV_PAGE_TOKENS)
        value = values[pages[page_index], slot]
        add_scaled_half(out.ctypes.data, value.ctypes.data, weights[position], out.size)
