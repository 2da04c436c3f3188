"""Causal attention over the paged KV cache.

A tile is the queries that share each read of keys and values: the heads of a group, of one or a few tokens of a
sequence. It goes through the context a page at a time with an online softmax (arXiv:1805.02867), as FlashAttention
does (arXiv:2205.14135), so that memory does not grow with the context. A row's arithmetic is the same in every tile, in
the order of its positions, and masked positions take no part in it: its result depends on nothing else.
"""

from __future__ import annotations

import numpy as np

from bonsai_edge.cpu_step.workspace import ATTENTION_TILE_ROWS, WIDTH, attention_record_floats
from bonsai_edge.kv_cache import PAGE_TOKENS
from bonsai_edge_cpu.compilation import compiled_part, inlined_part
from bonsai_edge_cpu.kernels.attention_tile import (
    COLUMNS_FOUR,
    COLUMNS_ONE,
    COLUMNS_TWO,
    begin_row,
    end_row,
    mix_four,
    mix_one,
    mix_rest,
    mix_two,
    score_four,
    score_one,
    score_two,
    soften,
)
from bonsai_edge_cpu.kernels.kv_values import load_scales

_record_floats = compiled_part(attention_record_floats)


@inlined_part
def attend(layer, dims, inputs, planes, work, thread, num_threads):
    """Write softmax(q·k / √head_dim)·v of every token and head to work.attention (num_tokens, heads * head_dim).

    work.q float32 of the same shape; `planes` those of `kv_pages`, into which the tokens' own keys and values have been
    written; work.attention_scratch float32 (num_threads, attention_scratch_floats(head_dim)).
    """
    num_tokens = inputs.token_ids.size
    group = dims.num_heads // dims.num_kv_heads
    heads_together = min(group, ATTENTION_TILE_ROWS)
    tokens_together = max(1, ATTENTION_TILE_ROWS // group)
    # The same heads as this thread has projected, if they can be shared out evenly; else a tile after the other.
    heads_of_thread = dims.num_kv_heads // num_threads if dims.num_kv_heads % num_threads == 0 else 0
    tile, first = 0, 0
    while first < num_tokens:
        last = _end_of_tile(inputs.sequence_ids, first, min(first + tokens_together, num_tokens))
        for kv_head in range(dims.num_kv_heads):
            for start in range(0, group, heads_together):
                owner = kv_head // heads_of_thread if heads_of_thread else tile % num_threads
                if owner == thread:
                    num_heads = min(heads_together, group - start)
                    head = kv_head * group + start
                    _attend_tile(layer, dims, inputs, planes, work, thread, first, last, head, num_heads)
                tile += 1
        first = last


@inlined_part
def _end_of_tile(sequence_ids, first, limit):
    """Return where the rows of one sequence end that begin at `first`, at most `limit`."""
    last = first + 1
    while last < limit and sequence_ids[last] == sequence_ids[first]:
        last += 1
    return last


@inlined_part
def _attend_tile(layer, dims, inputs, planes, work, thread, first, last, head, num_heads):
    """Attend with query heads head … head + num_heads - 1, all of one KV head, of tokens first … last - 1."""
    head_dim, kv_head = dims.head_dim, head // (dims.num_heads // dims.num_kv_heads)
    records, record_bytes = work.attention_scratch[thread].ctypes.data, _record_bytes(head_dim)
    scales = records + ATTENTION_TILE_ROWS * record_bytes
    pages = inputs.page_tables[inputs.sequence_ids[first]]
    first_page = planes.address + layer * planes.layer_bytes + kv_head * planes.head_bytes
    scale = np.float32(1.0 / np.sqrt(head_dim))
    num_rows = (last - first) * num_heads
    for row in range(num_rows):
        token, column = first + row // num_heads, (head + row % num_heads) * head_dim
        begin_row(records + row * record_bytes, work.q[token, column:].ctypes.data, scale, head_dim)
    # Positions rise within a sequence: what the first token sees, all of them see.
    common = (inputs.positions[first] + 1) // PAGE_TOKENS * PAGE_TOKENS
    _attend_pages(planes, records, num_rows, head_dim, scales, pages, 0, common, first_page)
    for token in range(first, last):
        rows_at = records + (token - first) * num_heads * record_bytes
        end = inputs.positions[token] + 1
        _attend_pages(planes, rows_at, num_heads, head_dim, scales, pages, common, end, first_page)
    for row in range(num_rows):
        token, column = first + row // num_heads, (head + row % num_heads) * head_dim
        end_row(records + row * record_bytes, work.attention[token, column:].ctypes.data, head_dim)


@inlined_part
def _record_bytes(head_dim):
    return 4 * _record_floats(head_dim)


@compiled_part
def _attend_pages(planes, records, num_rows, head_dim, scales, pages, first, end, first_page):
    """Bring the records up to date with positions first … end - 1, where `first` begins a page.

    The scores of a page are computed between the softmax of the page before and its use, so that neither waits for the
    other; each prefetches what comes next.
    """
    if first == end:
        return
    record_bytes = _record_bytes(head_dim)
    page, last_page = first // PAGE_TOKENS, (end - 1) // PAGE_TOKENS
    keys = first_page + pages[page] * planes.page_bytes
    values = keys + planes.value_offset
    _score(planes, records, num_rows, head_dim, scales, page & 1, keys, min(end - first, PAGE_TOKENS), values)
    while page <= last_page:
        count = min(end - page * PAGE_TOKENS, PAGE_TOKENS)
        values = keys + planes.value_offset
        for row in range(num_rows):
            soften(records + row * record_bytes, page & 1, count)
        if page < last_page:
            keys = first_page + pages[page + 1] * planes.page_bytes
            next_count = min(end - (page + 1) * PAGE_TOKENS, PAGE_TOKENS)
            _score(planes, records, num_rows, head_dim, scales, page + 1 & 1, keys, next_count, values)
        ahead = first_page + pages[min(page + 2, last_page)] * planes.page_bytes
        _mix(planes, records, num_rows, head_dim, scales, page & 1, values, count, ahead)
        page += 1


@compiled_part
def _score(planes, records, num_rows, head_dim, scales, slot, keys, count, ahead):
    """Score `count` keys at an address for each of the rows, prefetching what lies at `ahead`.

    `scales` is the address of room for a plane's scales as float32.
    """
    record_bytes = _record_bytes(head_dim)
    load_scales(planes, keys + planes.scales_offset, scales, head_dim)
    row = 0
    while row < num_rows:
        rows_at, rows_left = records + row * record_bytes, num_rows - row
        if rows_left >= 4:
            score_four(planes, rows_at, head_dim, scales, slot, keys, count, ahead)
            row += 4
        elif rows_left >= 2:
            score_two(planes, rows_at, head_dim, scales, slot, keys, count, ahead)
            row += 2
        else:
            score_one(planes, rows_at, head_dim, scales, slot, keys, count, ahead)
            row += 1


@compiled_part
def _mix(planes, records, num_rows, head_dim, scales, slot, values, count, ahead):
    """Add `count` weighted values at an address to each of the rows; else as `_score`."""
    record_bytes = _record_bytes(head_dim)
    load_scales(planes, values + planes.scales_offset, scales, head_dim)
    row = 0
    while row < num_rows:
        rows_at, rows_left = records + row * record_bytes, num_rows - row
        if rows_left >= 4:
            whole = head_dim - head_dim % COLUMNS_FOUR
            for column in range(0, whole, COLUMNS_FOUR):
                mix_four(planes, rows_at, head_dim, scales, slot, values, count, ahead, column)
            next_row = row + 4
        elif rows_left >= 2:
            whole = head_dim - head_dim % COLUMNS_TWO
            for column in range(0, whole, COLUMNS_TWO):
                mix_two(planes, rows_at, head_dim, scales, slot, values, count, ahead, column)
            next_row = row + 2
        else:
            whole = head_dim - head_dim % COLUMNS_ONE
            for column in range(0, whole, COLUMNS_ONE):
                mix_one(planes, rows_at, head_dim, scales, slot, values, count, ahead, column)
            next_row = row + 1
        for rest_row in range(row, next_row):
            rest_at = records + rest_row * record_bytes
            for column in range(whole, head_dim, WIDTH):
                mix_rest(planes, rest_at, head_dim, scales, slot, values, count, ahead, column)
        row = next_row
