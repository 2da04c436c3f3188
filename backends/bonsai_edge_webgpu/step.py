"""A step of the model as kernels with their buffers, bound once; a step only tells them how many rows there are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bonsai_edge.formats.tensor import QuantizedTensor
from bonsai_edge.kv_cache import PAGE_TOKENS
from bonsai_edge.model_spec import ModelSpec
from bonsai_edge_webgpu.gpu import Bound, Buffer, Gpu, Kernel, Launch, LaunchFor
from bonsai_edge_webgpu.kv_pages import KVPages
from bonsai_edge_webgpu.product import Product
from bonsai_edge_webgpu.weights import SignMatrix, upload_matrices, upload_vectors

MAX_BATCH_ROWS = 64
_THREADS = 64


@dataclass(frozen=True)
class Inputs:
    """What a step is about: `rows` has token id, position, sequence and slot, uint32 (num_rows, 4) each."""

    rows: npt.NDArray[np.uint32]
    cos_sin: npt.NDArray[np.float32]
    page_tables: npt.NDArray[np.int32]
    logit_rows: npt.NDArray[np.int32]


class Step:
    """All kernels of a model, from token ids to logits."""

    def __init__(
        self, gpu: Gpu, spec: ModelSpec, tensors: Mapping[str, QuantizedTensor], kv_pages: KVPages, num_pages: int
    ) -> None:
        self._gpu = gpu
        self._spec = spec
        self._tensors = tensors
        self._kv_pages = kv_pages
        self._buffers = _Buffers(gpu, spec, num_pages)
        self._embedding = self._matrix("token_embd")
        self._launches = self._body()
        self._head = self._logits()

    def run(self, inputs: Inputs) -> npt.NDArray[np.float32]:
        """Run a step; return logits float32 (num_logits, vocab_size)."""
        buffers, num_logits = self._buffers, len(inputs.logit_rows)
        buffers.fill(self._gpu, inputs)
        launches = [launch_for(len(inputs.rows)) for launch_for in self._launches]
        if num_logits:
            launches += [launch_for(num_logits) for launch_for in self._head]
        self._gpu.run(launches)
        shape = (num_logits, self._spec.vocab_size)
        if not num_logits:
            return np.zeros(shape, np.float32)
        return self._gpu.read(buffers.logits, math.prod(shape) * 4).view(np.float32).reshape(shape)

    def _body(self) -> list[LaunchFor]:
        spec, buffers = self._spec, self._buffers
        embed = self._gpu.kernel(["row", "embed"], "wrrr", WIDTH=spec.hidden_size)
        bound = embed.bind(buffers.x, self._embedding.signs, self._embedding.scales, buffers.rows)
        launches = [_per_row(bound)]
        kernels = _LayerKernels(self._gpu, spec)
        for layer in range(spec.num_layers):
            launches += self._attention(layer, kernels) + self._mlp(layer, kernels)
        return launches

    def _attention(self, layer: int, kernels: _LayerKernels) -> list[LaunchFor]:
        spec, buffers, block = self._spec, self._buffers, f"blk.{layer}."
        keys, values = self._kv_pages.keys[layer], self._kv_pages.values[layer]
        norms = upload_vectors(self._gpu, *(self._tensors[f"{block}attn_{part}_norm.weight"] for part in "qk"))
        heads = kernels.heads.bind(buffers.q, keys, values, buffers.qkv, norms, buffers.cos_sin, buffers.rows)
        attend = kernels.attention.bind(
            buffers.attended, buffers.q, keys, values, buffers.rows, buffers.page_tables, buffers.table_pages
        )
        quantize = kernels.quantize.bind(*buffers.activations, buffers.attended, buffers.num_rows)
        return [
            self._norm(kernels.norm, block + "attn_norm", buffers.all_rows),
            self._product(self._matrix(*(f"{block}attn_{part}" for part in "qkv")), buffers.qkv, buffers.num_rows),
            _per_row(heads, spec.num_heads + 2 * spec.num_kv_heads),
            _per_row(attend, spec.num_heads),
            _per_group(quantize, spec.attention_size),
            self._product(self._matrix(block + "attn_output"), buffers.x, buffers.num_rows, accumulate=True),
        ]

    def _mlp(self, layer: int, kernels: _LayerKernels) -> list[LaunchFor]:
        buffers, block = self._buffers, f"blk.{layer}."
        gate_up = self._matrix(block + "ffn_gate", block + "ffn_up")
        swiglu = kernels.swiglu.bind(*buffers.activations, buffers.gate_up, buffers.num_rows)
        return [
            self._norm(kernels.norm, block + "ffn_norm", buffers.all_rows),
            self._product(gate_up, buffers.gate_up, buffers.num_rows),
            _per_group(swiglu, self._spec.intermediate_size),
            self._product(self._matrix(block + "ffn_down"), buffers.x, buffers.num_rows, accumulate=True),
        ]

    def _logits(self) -> list[LaunchFor]:
        buffers = self._buffers
        output = self._embedding if self._spec.tied_embeddings else self._matrix("output")
        norm = _norm_kernel(self._gpu, self._spec)
        return [
            self._norm(norm, "output_norm", buffers.logit_rows),
            self._product(output, buffers.logits, buffers.num_logits),
        ]

    def _norm(self, kernel: Kernel, name: str, source_rows: Buffer) -> LaunchFor:
        weight = upload_vectors(self._gpu, self._tensors[f"{name}.weight"])
        bound = kernel.bind(*self._buffers.activations, self._buffers.x, weight, source_rows)
        return lambda num_rows: Launch(bound, (num_rows, 1))

    def _product(self, matrix: SignMatrix, out: Buffer, count: Buffer, *, accumulate: bool = False) -> LaunchFor:
        """Return the product of a matrix with the activations."""
        product = Product(self._gpu, matrix, out, self._buffers.activations, count, accumulate=accumulate)
        return product.launch

    def _matrix(self, *names: str) -> SignMatrix:
        return upload_matrices(self._gpu, [self._tensors[f"{name}.weight"] for name in names])


class _LayerKernels:
    """The kernels that all layers share, products apart."""

    def __init__(self, gpu: Gpu, spec: ModelSpec) -> None:
        heads = {"NUM_HEADS": spec.num_heads, "NUM_KV_HEADS": spec.num_kv_heads, "HEAD_DIM": spec.head_dim}
        self.norm = _norm_kernel(gpu, spec)
        self.heads = gpu.kernel(["row", "workgroup_sum", "heads"], "wwwrrrr", **heads, EPSILON=spec.rms_norm_eps)
        scale = 1 / math.sqrt(spec.head_dim)
        self.attention = gpu.kernel(["row", "attention"], "wrrrrru", **heads, PAGE_TOKENS=PAGE_TOKENS, SCALE=scale)
        self.quantize = gpu.kernel(["quantized_group", "each_group", "quantize"], "wwru", WIDTH=spec.attention_size)
        self.swiglu = gpu.kernel(["quantized_group", "each_group", "swiglu"], "wwru", WIDTH=spec.intermediate_size)


class _Buffers:
    """What lies between the kernels, for the most rows."""

    def __init__(self, gpu: Gpu, spec: ModelSpec, num_pages: int) -> None:
        def floats(width: int) -> Buffer:
            return gpu.buffer(MAX_BATCH_ROWS * width * 4)

        widest = max(spec.hidden_size, spec.attention_size, spec.intermediate_size)
        self.x = floats(spec.hidden_size)
        self.activations = gpu.buffer(MAX_BATCH_ROWS * widest), floats(widest // 16)  # int8; two numbers a group
        self.qkv = floats(spec.attention_size + 2 * spec.kv_size)
        self.q, self.attended = floats(spec.attention_size), floats(spec.attention_size)
        self.gate_up = floats(2 * spec.intermediate_size)
        self.logits = floats(spec.vocab_size)
        self.rows, self.cos_sin = floats(4), floats(spec.head_dim)
        self.page_tables = floats(num_pages)
        self.logit_rows = floats(1)
        self.all_rows = gpu.upload(np.arange(MAX_BATCH_ROWS, dtype=np.uint32))
        self.num_rows, self.num_logits, self.table_pages = (gpu.buffer(4) for _ in range(3))

    def fill(self, gpu: Gpu, inputs: Inputs) -> None:
        """Write what a step is about."""
        gpu.write(self.rows, inputs.rows)
        gpu.write(self.cos_sin, inputs.cos_sin)
        gpu.write(self.page_tables, inputs.page_tables)
        gpu.write(self.logit_rows, inputs.logit_rows)
        counts = (len(inputs.rows), len(inputs.logit_rows), inputs.page_tables.shape[1])
        for buffer, count in zip((self.num_rows, self.num_logits, self.table_pages), counts, strict=True):
            gpu.write(buffer, np.array([count], np.uint32))


def step_bytes(spec: ModelSpec) -> int:
    """Return the bytes of the buffers between the kernels, without those of the page tables."""
    widest = max(spec.hidden_size, spec.attention_size, spec.intermediate_size)
    values = spec.hidden_size + widest // 4 + widest // 16 + 3 * spec.attention_size + 2 * spec.kv_size
    return MAX_BATCH_ROWS * 4 * (values + 2 * spec.intermediate_size + spec.vocab_size + spec.head_dim)


def _norm_kernel(gpu: Gpu, spec: ModelSpec) -> Kernel:
    constants = {"WIDTH": spec.hidden_size, "EPSILON": spec.rms_norm_eps}
    return gpu.kernel(["quantized_group", "workgroup_sum", "norm"], "wwrrr", **constants)


def _per_row(bound: Bound, num_heads: int | None = None) -> LaunchFor:
    """Return launches of a workgroup for each row, or for each head of each row."""
    return lambda num_rows: Launch(bound, (num_rows, 1) if num_heads is None else (num_heads, num_rows))


def _per_group(bound: Bound, width: int) -> LaunchFor:
    """Return launches of a thread for each group of 32 columns of all rows."""
    return lambda num_rows: Launch(bound, (-(-num_rows * width // 32 // _THREADS), 1))
