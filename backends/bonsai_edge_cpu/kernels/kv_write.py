"""Prepares new queries and keys, and writes new keys and values to the cache."""

from __future__ import annotations

from bonsai_edge.kv_cache import PAGE_TOKENS
from bonsai_edge_cpu.compilation import compiled_part
from bonsai_edge_cpu.kernels.kv_values import store_row
from bonsai_edge_cpu.kernels.rope import norm_and_rotate

_SCALE_BYTES = 2


@compiled_part
def write_keys_values(layer, dims, weights, inputs, planes, work, thread, num_threads):
    """Normalize and rotate queries and keys, and store keys and values in their pages: a thread's share of the heads.

    Reads and writes work.q, work.k, work.v (num_tokens, heads * head_dim); `planes` are those of `kv_pages`.
    """
    num_heads, num_kv_heads, head_dim = dims.num_heads, dims.num_kv_heads, dims.head_dim
    q_norm, k_norm = weights.q_norm[layer].ctypes.data, weights.k_norm[layer].ctypes.data
    row_bytes = planes.scales_offset // PAGE_TOKENS
    for token in range(inputs.token_ids.size):
        cos, sin = inputs.cos[token].ctypes.data, inputs.sin[token].ctypes.data
        for head in range(num_heads * thread // num_threads, num_heads * (thread + 1) // num_threads):
            norm_and_rotate(work.q[token, head * head_dim :].ctypes.data, q_norm, dims.eps, cos, sin, head_dim)
        page_index, slot = divmod(inputs.positions[token], PAGE_TOKENS)
        page = inputs.page_tables[inputs.sequence_ids[token], page_index]
        page_at = planes.address + layer * planes.layer_bytes + page * planes.page_bytes
        for head in range(num_kv_heads * thread // num_threads, num_kv_heads * (thread + 1) // num_threads):
            k, v = work.k[token, head * head_dim :].ctypes.data, work.v[token, head * head_dim :].ctypes.data
            norm_and_rotate(k, k_norm, dims.eps, cos, sin, head_dim)
            keys = page_at + head * planes.head_bytes
            values = keys + planes.value_offset
            row, scale = slot * row_bytes, planes.scales_offset + slot * _SCALE_BYTES
            store_row(planes, k, keys + row, keys + scale, head_dim)
            store_row(planes, v, values + row, values + scale, head_dim)
