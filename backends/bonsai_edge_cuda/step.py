"""A step of the model as launches of kernels: few columns at a time for decoding, many rows for prompts.

Both give the same bits for the same row, alone or with others: the kernels add in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bonsai_edge.kv_cache import KVType
from bonsai_edge.model_spec import ModelSpec
from bonsai_edge_cuda.driver import Argument, Launch
from bonsai_edge_cuda.step_state import StepState
from bonsai_edge_cuda.weights import DeviceLayer, DeviceMatrix, DeviceWeights
from bonsai_edge_cuda.workspace import Workspace, num_chunks

_NONE = 0  # the address of an array that is left out
_MATVEC_THREADS = _QUANTIZE_THREADS = _GEMM_THREADS = 256
_EMBED_THREADS = _HEADS_THREADS = _ATTEND_THREADS = 128
_HEADS_A_BLOCK = 4
_HEAD_TILES = {1: 4, 2: 4, 4: 2, 8: 2}  # that a block takes of the output matrix, by the columns
_GEMM_TILES, _GEMM_TOKENS = 4, 64
_ATTENTION_ROWS = 16  # of a matrix product of the prefill's attention: heads of a group times rows
_ATTENTION_WARPS = 4


@dataclass(frozen=True)
class StepKernels:
    """Makes the launches of a step; knows where everything lies on the device, and starts nothing."""

    spec: ModelSpec
    kv_type: KVType
    weights: DeviceWeights
    pages: int
    state: StepState
    work: Workspace
    max_positions: int
    num_multiprocessors: int

    @property
    def tile_rows(self) -> int:
        """Rows of a sequence that attend together in a prompt."""
        return _ATTENTION_WARPS * (_ATTENTION_ROWS // (self.spec.num_heads // self.spec.num_kv_heads))

    def decode(self, columns: int) -> Iterator[Launch]:
        """Yield the launches for so many rows, the logits of all of `logit_rows` at the end."""
        yield self._embed(columns)
        for index, layer in enumerate(self.weights.layers):
            yield self._project(columns, _NONE, layer.attention_norm, layer.qkv, self.work.qkv)
            yield self._prepare_heads(columns, index, layer)
            yield self._attend(columns, index)
            yield self._project_add(columns, self.work.o, layer.o)
            yield self._gate_up(columns, layer)
            yield self._project_add(columns, self.work.act, layer.down)
        yield self.head_of_columns(columns)

    def prefill(self, num_rows: int, num_attention_tiles: int) -> Iterator[Launch]:
        """Yield the launches for so many rows, without their logits."""
        work = self.work
        yield self._embed(num_rows)
        for index, layer in enumerate(self.weights.layers):
            yield self._quantize(num_rows, work.x, _NONE, layer.attention_norm, layer.qkv)
            yield self._gemm("gemm", num_rows, layer.qkv, work.qkv)
            yield self._prepare_heads(num_rows, index, layer)
            yield self._attend_rows(num_attention_tiles, index)
            yield self._quantize(num_rows, work.o, _NONE, _NONE, layer.o)
            yield self._gemm("gemm_add", num_rows, layer.o, work.x)
            yield self._quantize(num_rows, work.x, _NONE, layer.mlp_norm, layer.gate_up)
            yield self._gemm("gemm_swiglu", num_rows, layer.gate_up, work.act)
            yield self._quantize(num_rows, work.act, _NONE, _NONE, layer.down)
            yield self._gemm("gemm_add", num_rows, layer.down, work.x)

    def head_of_columns(self, columns: int) -> Launch:
        """Return the launch for the logits of the first `columns` of `logit_rows`."""
        head, tiles = self.weights.head, _HEAD_TILES[columns]
        arguments = (self.work.x, self.state.logit_rows(), np.int32(columns), self.weights.output_norm, self._eps)
        return Launch(
            f"project_head_c{columns}",
            (-(-head.num_tiles // tiles), 1, 1),
            _MATVEC_THREADS,
            (*arguments, *_tiled(head, self.work.logits)),
            overlaps=True,
        )

    def head_of_rows(self, first: int, num_rows: int) -> Iterator[Launch]:
        """Yield the launches for the logits of `num_rows` of `logit_rows`, from the `first` on."""
        head, rows = self.weights.head, self.state.logit_rows(first)
        yield self._quantize(num_rows, self.work.x, rows, self.weights.output_norm, head)
        yield self._gemm("gemm", num_rows, head, self.work.logits)

    def _embed(self, num_rows: int) -> Launch:
        matrix = self.weights.embedding
        arguments = (self.state.token_ids, matrix.signs, matrix.scales, self.work.x, np.int32(matrix.num_blocks))
        return Launch("embed", (num_rows, 1, 1), _EMBED_THREADS, arguments)

    def _project(self, columns: int, rows: int, norm: int, matrix: DeviceMatrix, out: int) -> Launch:
        arguments: tuple[Argument, ...] = (self.work.x, rows, np.int32(columns), norm, self._eps)
        return self._matvec(f"project_c{columns}", matrix, (*arguments, *_tiled(matrix, out)))

    def _project_add(self, columns: int, source: int, matrix: DeviceMatrix) -> Launch:
        arguments = (source, np.int32(columns), *_tiled(matrix, self.work.x))
        return self._matvec(f"project_add_c{columns}", matrix, arguments)

    def _gate_up(self, columns: int, layer: DeviceLayer) -> Launch:
        arguments: tuple[Argument, ...] = (self.work.x, np.int32(columns), layer.mlp_norm, self._eps)
        matrix = layer.gate_up
        return self._matvec(f"gate_up_c{columns}", matrix, (*arguments, *_tiled(matrix, self.work.act)))

    def _matvec(self, kernel: str, matrix: DeviceMatrix, arguments: tuple[Argument, ...]) -> Launch:
        return Launch(kernel, (matrix.num_tiles, 1, 1), _MATVEC_THREADS, arguments, overlaps=True)

    def _prepare_heads(self, num_rows: int, index: int, layer: DeviceLayer) -> Launch:
        spec, state, work = self.spec, self.state, self.work
        num_heads = spec.num_heads + 2 * spec.num_kv_heads
        arguments: tuple[Argument, ...] = (
            *(work.qkv, layer.q_norm, layer.k_norm),
            *(self._eps, work.rope, state.positions, state.sequence_ids, state.page_tables),
            *(np.int32(state.max_pages), work.q, self.pages, *self._cache_shape(index)),
        )
        grid = (num_rows, -(-num_heads // _HEADS_A_BLOCK), 1)
        return Launch(f"prepare_heads_{self._variant}", grid, _HEADS_THREADS, arguments, overlaps=True)

    def _attend(self, columns: int, index: int) -> Launch:
        spec, state, work = self.spec, self.state, self.work
        max_chunks = num_chunks(self.max_positions)
        splits = min(max_chunks, -(-2 * self.num_multiprocessors // spec.num_kv_heads))
        cache: tuple[Argument, ...] = (np.int32(state.max_pages), self.pages, *self._cache_shape(index))
        arguments = (
            *(work.q, state.positions, state.sequence_ids, state.page_tables, *cache),
            *(work.o, work.partial_out, work.partial_max_sum, work.tickets, np.int32(max_chunks)),
        )
        grid = (splits, spec.num_kv_heads, columns)
        return Launch(f"attend_{self._variant}", grid, _ATTEND_THREADS, arguments, overlaps=True)

    def _attend_rows(self, num_tiles: int, index: int) -> Launch:
        state, work = self.state, self.work
        cache: tuple[Argument, ...] = (np.int32(state.max_pages), self.pages, *self._cache_shape(index))
        rows = (state.tiles, work.q, state.positions, state.sequence_ids, state.page_tables)
        grid = (num_tiles, self.spec.num_kv_heads, 1)
        return Launch(f"attend_rows_{self._variant}", grid, _ATTEND_THREADS, (*rows, *cache, work.o))

    def _quantize(self, num_rows: int, source: int, rows: int, norm: int, matrix: DeviceMatrix) -> Launch:
        """Return the launch that quantizes rows as a product with the matrix wants them."""
        work = self.work
        arguments = (source, rows, norm, self._eps, work.codes, work.headers, work.factors, np.int32(matrix.num_blocks))
        return Launch("quantize_rows", (num_rows, 1, 1), _QUANTIZE_THREADS, arguments)

    def _gemm(self, kernel: str, num_rows: int, matrix: DeviceMatrix, out: int) -> Launch:
        work = self.work
        grid = (-(-matrix.num_tiles // _GEMM_TILES), -(-num_rows // _GEMM_TOKENS), 1)
        arguments = (work.codes, work.headers, work.factors, np.int32(num_rows), *_tiled(matrix, out))
        return Launch(kernel, grid, _GEMM_THREADS, arguments)

    def _cache_shape(self, index: int) -> tuple[np.int32, ...]:
        spec = self.spec
        return tuple(map(np.int32, (index, spec.num_layers, spec.num_heads, spec.num_kv_heads)))

    @property
    def _variant(self) -> str:
        return f"{self.kv_type.value}_d{self.spec.head_dim}"

    @property
    def _eps(self) -> np.float32:
        return np.float32(self.spec.rms_norm_eps)


def _tiled(matrix: DeviceMatrix, out: int) -> tuple[Argument, ...]:
    return (matrix.signs, matrix.scales, out, np.int32(matrix.num_rows), np.int32(matrix.num_blocks))
