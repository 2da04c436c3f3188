"""Turns the cached keys of a page to other positions, where they lie."""

from __future__ import annotations

from bonsai_edge.kv_cache import PAGE_TOKENS
from bonsai_edge_cpu.compilation import compiled
from bonsai_edge_cpu.kernels.kv_values import load_row, load_scales, store_row

_SCALE_BYTES = 2


@compiled
def rotate_page_keys(planes, page, num_layers, num_heads, cos, sin, row, scales):
    """Turn the pairs (i, i + head_dim / 2) of all keys of a page, and round them to the KV type again.

    cos, sin: float32 (head_dim / 2). row, scales: work arrays, float32 (head_dim) and (head_dim / 32 * PAGE_TOKENS).
    `planes` are those of `kv_pages`. The numbers are those of `Rope.move` and `kv_cache.round_to`, to the last bit.
    """
    head_dim, half = row.size, cos.size
    row_bytes = planes.scales_offset // PAGE_TOKENS
    for layer in range(num_layers):
        for head in range(num_heads):
            keys = planes.address + layer * planes.layer_bytes + page * planes.page_bytes + head * planes.head_bytes
            load_scales(planes, keys + planes.scales_offset, scales.ctypes.data, head_dim)
            for slot in range(PAGE_TOKENS):
                row_at, scale_at = keys + slot * row_bytes, keys + planes.scales_offset + slot * _SCALE_BYTES
                load_row(planes, row.ctypes.data, row_at, scales[slot:].ctypes.data, head_dim)
                for i in range(half):
                    first, second = row[i], row[i + half]
                    row[i] = first * cos[i] - second * sin[i]
                    row[i + half] = first * sin[i] + second * cos[i]
                store_row(planes, row.ctypes.data, row_at, scale_at, head_dim)
