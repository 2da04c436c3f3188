"""Prepares new queries and keys, and writes new keys and values to the cache."""

from __future__ import annotations

from bonsai_edge.kv_cache import PAGE_TOKENS
from bonsai_edge_cpu.compilation import compiled_part
from bonsai_edge_cpu.kernels.dense import store_half
from bonsai_edge_cpu.kernels.rope import norm_and_rotate


@compiled_part
def write_keys_values(layer, dims, weights, inputs, kv_cache, work, thread, num_threads):
    """Normalize and rotate queries and keys, and store keys and values in their pages: a thread's share of the heads.

    Reads and writes work.q, work.k, work.v (num_tokens, heads * head_dim); kv_cache is uint16 float16 bits
    (num_layers, num_pages, 2, num_kv_heads, PAGE_TOKENS, head_dim).
    """
    num_heads, num_kv_heads, head_dim = dims.num_heads, dims.num_kv_heads, dims.head_dim
    q_norm, k_norm = weights.q_norm[layer].ctypes.data, weights.k_norm[layer].ctypes.data
    for token in range(inputs.token_ids.size):
        cos, sin = inputs.cos[token].ctypes.data, inputs.sin[token].ctypes.data
        for head in range(num_heads * thread // num_threads, num_heads * (thread + 1) // num_threads):
            norm_and_rotate(work.q[token, head * head_dim :].ctypes.data, q_norm, dims.eps, cos, sin, head_dim)
        page_index, slot = divmod(inputs.positions[token], PAGE_TOKENS)
        page = inputs.page_tables[inputs.sequence_ids[token], page_index]
        for head in range(num_kv_heads * thread // num_threads, num_kv_heads * (thread + 1) // num_threads):
            k, v = work.k[token, head * head_dim :].ctypes.data, work.v[token, head * head_dim :].ctypes.data
            norm_and_rotate(k, k_norm, dims.eps, cos, sin, head_dim)
            store_half(k, kv_cache[layer, page, 0, head, slot].ctypes.data, head_dim)
            store_half(v, kv_cache[layer, page, 1, head, slot].ctypes.data, head_dim)
