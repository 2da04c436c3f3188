"""Attention on the emulated GPU: random caches and rows, the launches, and NumPy's answer from what the cache holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bonsai_edge.kv_cache import GROUP_VALUES, PAGE_TOKENS, KVType, dequantize
from bonsai_edge.reference import rms_norm, softmax
from bonsai_edge.rope import rotate
from emulated_cuda import emulated_device

Floats = npt.NDArray[np.float32]
EPS = 1e-6
CHUNK_TOKENS = 128


@dataclass
class AttentionCase:
    """Rows of sequences that lie in shuffled pages of one layer of two, and what the kernels read and write."""

    kv_type: KVType
    head_dim: int
    num_heads: int
    num_kv_heads: int
    positions: npt.NDArray[np.int32]
    sequence_ids: npt.NDArray[np.int32]
    max_pages: int = 12
    layer: int = 1
    num_layers: int = 2

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.head_dim + self.num_heads)
        num_sequences = int(self.sequence_ids.max()) + 1
        num_pages = num_sequences * self.max_pages
        self.page_tables = rng.permutation(num_pages).astype(np.int32).reshape(num_sequences, self.max_pages)
        self.plane_bytes = PAGE_TOKENS * self.kv_type.num_bytes(self.head_dim)
        self.pages = np.zeros((num_pages, self.num_layers, 2, self.num_kv_heads, self.plane_bytes), np.uint8)
        self.q_norm, self.k_norm = rng.uniform(0.5, 1.5, (2, self.head_dim)).astype(np.float32)
        angles = rng.uniform(0, 6, (self.max_pages * PAGE_TOKENS, self.head_dim // 2))
        self.rope = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
        num_all = self.num_heads + 2 * self.num_kv_heads
        # Some peaked distributions and some flat ones.
        self.qkv = rng.standard_normal((len(self.positions), num_all, self.head_dim)).astype(np.float32)
        self.q = np.zeros((len(self.positions), self.num_heads, self.head_dim), np.float16)
        self._rng = rng

    @property
    def suffix(self) -> str:
        return f"{self.kv_type.value}_d{self.head_dim}"

    def fill_cache(self) -> None:
        """Write random keys and values to all positions before each sequence's first row, through the kernel."""
        for sequence in np.unique(self.sequence_ids):
            first = int(self.positions[self.sequence_ids == sequence].min())
            qkv = self._rng.standard_normal((first, *self.qkv.shape[1:])).astype(np.float32)
            ids = np.full(first, sequence, np.int32)
            if first:
                self._prepare(
                    qkv, np.arange(first, dtype=np.int32), ids, np.zeros((first, *self.q.shape[1:]), np.float16)
                )

    def prepare_heads(self) -> None:
        """Norm and rotate the rows' heads, and write their keys and values."""
        self._prepare(self.qkv, self.positions, self.sequence_ids, self.q)

    def _prepare(self, qkv: Floats, positions: npt.NDArray[np.int32], ids: npt.NDArray[np.int32], q: Floats) -> None:
        grid = (len(positions), -(-qkv.shape[1] // 4))
        emulated_device().launch(
            f"prepare_heads_{self.suffix}", grid, 128,
            qkv, self.q_norm, self.k_norm, EPS, self.rope, positions, ids, self.page_tables, self.max_pages,
            q, self.pages, self.layer, self.num_layers, self.num_heads, self.num_kv_heads,
        )  # fmt: skip

    def attend(self, num_splits: int) -> Floats:
        """Return what decode's attention makes of all rows, float32 (rows, num_heads * head_dim)."""
        group, max_chunks = self.num_heads // self.num_kv_heads, -(-self.max_pages * PAGE_TOKENS // CHUNK_TOKENS)
        rows = len(self.positions)
        out = np.full((rows, self.num_heads * self.head_dim), np.nan, np.float32)
        partial_out = np.full((rows, self.num_kv_heads, max_chunks, group, self.head_dim), np.nan, np.float32)
        peaks_sums = np.full((rows, self.num_kv_heads, max_chunks, group, 2), np.nan, np.float32)
        tickets = np.zeros((rows, self.num_kv_heads), np.uint32)
        emulated_device().launch(
            f"attend_{self.suffix}", (num_splits, self.num_kv_heads, rows), 128,
            self.q, self.positions, self.sequence_ids, self.page_tables, self.max_pages, self.pages,
            self.layer, self.num_layers, self.num_heads, self.num_kv_heads, out, partial_out, peaks_sums, tickets,
            max_chunks,
        )  # fmt: skip
        assert not tickets.any()
        return out

    def attend_rows(self) -> Floats:
        """Return what prefill's attention makes of all rows, in the shape of `attend`."""
        group = self.num_heads // self.num_kv_heads
        tile_rows = 4 * (16 // group)
        tiles = [
            (first, min(tile_rows, int(rows[-1]) + 1 - first))
            for sequence in np.unique(self.sequence_ids)
            for rows in [np.flatnonzero(self.sequence_ids == sequence)]
            for first in range(int(rows[0]), int(rows[-1]) + 1, tile_rows)
        ]
        out = np.full((len(self.positions), self.num_heads * self.head_dim), np.nan, np.float32)
        emulated_device().launch(
            f"attend_rows_{self.suffix}", (len(tiles), self.num_kv_heads), 128,
            np.array(tiles, np.int32), self.q, self.positions, self.sequence_ids, self.page_tables, self.max_pages,
            self.pages, self.layer, self.num_layers, self.num_heads, self.num_kv_heads, out,
        )  # fmt: skip
        return out

    def prepared(self) -> tuple[Floats, Floats, Floats]:
        """Return queries, keys and values of the rows, float32 (rows, heads, head_dim), as NumPy makes them."""
        q, k, v = np.split(self.qkv, [self.num_heads, self.num_heads + self.num_kv_heads], axis=1)
        cos, sin = (self.rope[self.positions, i][:, None] for i in range(2))
        return (
            rotate(rms_norm(q, self.q_norm, EPS), cos, sin),
            rotate(rms_norm(k, self.k_norm, EPS), cos, sin),
            v,
        )

    def cached(self, sequence: int, length: int) -> tuple[Floats, Floats]:
        """Return the keys and values of a sequence as the pages hold them, float32 (length, num_kv_heads, head_dim)."""
        planes = self.pages[self.page_tables[sequence], self.layer]  # page, key or value, head, bytes
        values = self._decode(planes).transpose(1, 0, 3, 2, 4)  # key or value, page, token, head, column
        keys, values = values.reshape(2, -1, self.num_kv_heads, self.head_dim)[:, :length]
        return keys, values

    def _decode(self, planes: npt.NDArray[np.uint8]) -> Floats:
        shape = (*planes.shape[:-1], PAGE_TOKENS, self.head_dim)
        code_bytes = PAGE_TOKENS * self.head_dim * self.kv_type.bits // 8
        codes, scales = np.ascontiguousarray(planes[..., :code_bytes]), np.ascontiguousarray(planes[..., code_bytes:])
        if self.kv_type is KVType.F16:
            return codes.view(np.float16).reshape(shape).astype(np.float32)
        if self.kv_type is KVType.Q4:
            pairs = codes.reshape(*shape[:-1], -1, GROUP_VALUES // 2)
            codes = np.concatenate([pairs & 15, pairs >> 4], axis=-1)
        by_group = scales.view(np.float16).reshape(*shape[:-2], -1, PAGE_TOKENS).swapaxes(-1, -2)
        return dequantize(self.kv_type, codes.view(np.int8).reshape(shape), by_group)

    def expected(self) -> Floats:
        """Return attention in NumPy of the rows' exact queries to what the pages hold, as `attend` returns it."""
        queries, out = self.prepared()[0], []
        group = self.num_heads // self.num_kv_heads
        for query, position, sequence in zip(queries, self.positions, self.sequence_ids, strict=True):
            keys, values = self.cached(int(sequence), int(position) + 1)
            keys, values = np.repeat(keys, group, axis=1), np.repeat(values, group, axis=1)
            scores = np.einsum("hd,lhd->hl", query, keys) / np.sqrt(self.head_dim)
            out.append(np.einsum("hl,lhd->hd", softmax(scores), values).reshape(-1))
        return np.array(out, np.float32)
