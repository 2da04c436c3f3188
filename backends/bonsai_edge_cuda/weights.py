"""Brings the weights of a model to the device, in the tiles that the kernels read 16 bytes at a time.

A GGUF row is a run of 18-byte blocks, which no wide load may read; the device itself takes them apart, slice by slice,
so that nothing large is held twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from bonsai_edge.formats.tensor import QuantizedTensor
from bonsai_edge.model_spec import ModelSpec
from bonsai_edge_cuda.driver import Driver, Launch
from bonsai_edge_cuda.geometry import TILE_ROWS, num_blocks, num_tiles

_LANES, _LANE_BYTES, _SCALE_BYTES = 32, 16, 2
_SLICE_BYTES = 16 << 20
_REPACK_THREADS = 256
_PAIRED_ROWS = 16  # of gate, then as many of up: what one tile holds of each


@dataclass(frozen=True)
class DeviceMatrix:
    """A matrix in tiles: addresses of its signs and scales, its rows without padding, Q1_0 blocks a row."""

    signs: int
    scales: int
    num_rows: int
    num_blocks: int

    @property
    def num_tiles(self) -> int:
        """Tiles of 32 rows."""
        return num_tiles(self.num_rows)


@dataclass(frozen=True)
class DeviceLayer:
    """The matrices of a layer, those that share their input joined into one; addresses of its norms, float32."""

    attention_norm: int
    qkv: DeviceMatrix
    q_norm: int
    k_norm: int
    o: DeviceMatrix
    mlp_norm: int
    gate_up: DeviceMatrix
    down: DeviceMatrix


@dataclass(frozen=True)
class DeviceWeights:
    """All weights of a model on the device; `head` is the embedding where the two are tied."""

    embedding: DeviceMatrix
    layers: tuple[DeviceLayer, ...]
    output_norm: int
    head: DeviceMatrix


@dataclass(frozen=True)
class _Part:
    """Rows of a joined matrix that come from one tensor: runs of `run` rows, `stride` apart, from row `offset` on."""

    tensor: QuantizedTensor
    run: int
    stride: int
    offset: int


def upload_weights(driver: Driver, spec: ModelSpec, tensors: Mapping[str, QuantizedTensor]) -> DeviceWeights:
    """Copy all weights to the device and wait; raises MemoryError."""
    uploader = _Uploader(driver, tensors)
    embedding = uploader.matrix("token_embd")
    layers = tuple(uploader.layer(index) for index in range(spec.num_layers))
    output_norm = uploader.norm("output_norm")
    head = embedding if spec.tied_embeddings else uploader.matrix("output")
    driver.synchronize()
    return DeviceWeights(embedding, layers, output_norm, head)


def upload_matrix(driver: Driver, tensor: QuantizedTensor) -> DeviceMatrix:
    """Copy one matrix to the device."""
    return _Uploader(driver, {"matrix.weight": tensor}).matrix("matrix")


def padding_bytes(spec: ModelSpec) -> int:
    """Return what the padding of the tiles and the slices on their way take beside the weights themselves."""
    shapes = [(spec.vocab_size, spec.hidden_size)] * (1 if spec.tied_embeddings else 2)
    for _ in range(spec.num_layers):
        shapes += [
            (spec.attention_size + 2 * spec.kv_size, spec.hidden_size),
            (spec.hidden_size, spec.attention_size),
            (2 * spec.intermediate_size, spec.hidden_size),
            (spec.hidden_size, spec.intermediate_size),
        ]
    padded_rows = ((num_tiles(rows) * TILE_ROWS - rows, columns) for rows, columns in shapes)
    block_bytes = _LANE_BYTES + _SCALE_BYTES
    return _SLICE_BYTES + sum(rows * num_blocks(columns) * block_bytes for rows, columns in padded_rows)


class _Uploader:
    def __init__(self, driver: Driver, tensors: Mapping[str, QuantizedTensor]) -> None:
        self._driver = driver
        self._tensors = tensors
        largest = max(tensor.num_bytes for tensor in tensors.values())
        self._slice = driver.allocate(min(_SLICE_BYTES, largest))

    def layer(self, index: int) -> DeviceLayer:
        block = f"blk.{index}."
        return DeviceLayer(
            attention_norm=self.norm(block + "attn_norm"),
            qkv=self.matrix(block + "attn_q", block + "attn_k", block + "attn_v"),
            q_norm=self.norm(block + "attn_q_norm"),
            k_norm=self.norm(block + "attn_k_norm"),
            o=self.matrix(block + "attn_output"),
            mlp_norm=self.norm(block + "ffn_norm"),
            gate_up=self.paired_matrix(block + "ffn_gate", block + "ffn_up"),
            down=self.matrix(block + "ffn_down"),
        )

    def norm(self, name: str) -> int:
        values = self._tensors[f"{name}.weight"].dequantize()
        address = self._driver.allocate(values.nbytes)
        self._driver.upload(address, values)
        return address

    def matrix(self, *names: str) -> DeviceMatrix:
        """Return the rows of the tensors one after the other."""
        tensors = [self._tensors[f"{name}.weight"] for name in names]
        offsets = np.cumsum([0, *(tensor.num_rows for tensor in tensors)]).tolist()
        return self._join(
            [_Part(tensor, tensor.num_rows, 0, offset) for tensor, offset in zip(tensors, offsets, strict=False)]
        )

    def paired_matrix(self, first: str, second: str) -> DeviceMatrix:
        """Return runs of 16 rows of one tensor and of the other in turns, so that a tile has both of a feature."""
        tensors = (self._tensors[f"{name}.weight"] for name in (first, second))
        return self._join(
            [_Part(tensor, _PAIRED_ROWS, 2 * _PAIRED_ROWS, i * _PAIRED_ROWS) for i, tensor in enumerate(tensors)]
        )

    def _join(self, parts: list[_Part]) -> DeviceMatrix:
        num_rows = sum(part.tensor.num_rows for part in parts)
        blocks = num_blocks(parts[0].tensor.num_columns)
        lanes = num_tiles(num_rows) * blocks * _LANES
        signs = self._driver.allocate(lanes * _LANE_BYTES)
        scales = self._driver.allocate(lanes * _SCALE_BYTES)
        matrix = DeviceMatrix(signs, scales, num_rows, blocks)
        for part in parts:
            for piece in _slices(part):
                self._repack(matrix, piece)
        return matrix

    def _repack(self, matrix: DeviceMatrix, part: _Part) -> None:
        packed, rows = part.tensor.packed, part.tensor.num_rows
        self._driver.synchronize()  # the last slice has been taken apart
        self._driver.upload(self._slice, packed)
        threads = rows * matrix.num_blocks
        numbers = (rows, matrix.num_blocks, part.run, part.stride, part.offset)
        self._driver.launch(
            Launch(
                "repack_q1_0",
                (-(-threads // _REPACK_THREADS), 1, 1),
                _REPACK_THREADS,
                (self._slice, matrix.signs, matrix.scales, *map(np.int32, numbers)),
            )
        )


def _slices(part: _Part) -> Iterator[_Part]:
    """Yield the part in pieces of whole runs, or of whole rows if it is one run, that fit into the slice."""
    tensor = part.tensor
    most_rows = max(1, _SLICE_BYTES // (tensor.num_bytes // tensor.num_rows))
    step = most_rows // part.run * part.run or most_rows
    for start in range(0, tensor.num_rows, step):
        packed = tensor.packed[start : start + step]
        piece = QuantizedTensor(tensor.name, tensor.ggml_type, tensor.num_columns, packed)
        if part.stride:
            yield _Part(piece, part.run, part.stride, part.offset + start // part.run * part.stride)
        else:
            yield _Part(piece, len(packed), 0, part.offset + start)
