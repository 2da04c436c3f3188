"""A Qwen3-style decoder out of MLX's operations: 1-bit products, fused norms, RoPE and attention."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import mlx.core as mx
import numpy as np

from bonsai_edge.formats.tensor import QuantizedTensor
from bonsai_edge.model_spec import ModelSpec
from bonsai_edge.rope import Rope
from bonsai_edge_metal.compilation import fused
from bonsai_edge_metal.weights import Matrix, load_vector, stack_matrices

Attention = Callable[[mx.array, mx.array, mx.array], mx.array]
"""Takes q (num_rows, num_heads, head_dim), k and v (num_rows, num_kv_heads, head_dim); keeps k and v; returns as q."""


@dataclass(frozen=True)
class Layer:
    """The weights of one block; rows of the matrices that take the same input lie below one another."""

    attention_norm: mx.array
    qkv: Matrix
    query_norm: mx.array
    key_norm: mx.array
    attention_output: Matrix
    mlp_norm: mx.array
    gate_up: Matrix
    down: Matrix


class Decoder:
    """The weights of a model in MLX's memory, and what is done with them.

    The residual stream and its norms are float32, since it grows large in some channels; products, heads and attention
    are of `dtype`. YaRN's factor for the magnitude of rotated queries and keys is in the weights of their norms.
    """

    def __init__(self, spec: ModelSpec, tensors: Mapping[str, QuantizedTensor], dtype: mx.Dtype) -> None:
        self.spec = spec
        self.dtype = dtype
        self._tensors = tensors
        rope = Rope(spec)
        self._rope_periods = mx.array((1 / rope.inverse_frequencies).astype(np.float32))
        self._embedding = self._stack("token_embd")
        self._output = self._embedding if spec.tied_embeddings else self._stack("output")
        self._output_norm = load_vector(tensors["output_norm.weight"])
        self._layers = [self._load_layer(f"blk.{layer}.", rope.magnitude) for layer in range(spec.num_layers)]
        mx.eval(self._rope_periods)

    def embed(self, token_ids: mx.array) -> mx.array:
        """Return the residual stream of tokens, float32 (num_rows, hidden_size)."""
        return self._embedding.take_rows(token_ids).astype(mx.float32)

    def run_layer(self, layer: int, x: mx.array, positions: mx.array, attention: Attention) -> mx.array:
        """Return the residual stream after a layer."""
        weights = self._layers[layer]
        q, k, v = self._heads(weights, self._norm(x, weights.attention_norm), positions)
        attended = attention(q, k, v).reshape(len(x), -1)
        x = x + weights.attention_output.multiply(attended)
        gate, up = mx.split(weights.gate_up.multiply(self._norm(x, weights.mlp_norm)), 2, axis=-1)
        return x + weights.down.multiply(swiglu(gate, up))

    def logits(self, x: mx.array) -> mx.array:
        """Return float32 (num_rows, vocab_size)."""
        return self._output.multiply(self._norm(x, self._output_norm)).astype(mx.float32)

    def _heads(self, weights: Layer, x: mx.array, positions: mx.array) -> tuple[mx.array, mx.array, mx.array]:
        spec = self.spec
        sizes = [spec.attention_size, spec.attention_size + spec.kv_size]
        q, k, v = (part.reshape(len(x), -1, spec.head_dim) for part in mx.split(weights.qkv.multiply(x), sizes, axis=1))
        q, k = (
            self._rotate(mx.fast.rms_norm(part, norm, spec.rms_norm_eps), positions)
            for part, norm in ((q, weights.query_norm), (k, weights.key_norm))
        )
        return q, k, v

    def _rotate(self, x: mx.array, positions: mx.array) -> mx.array:
        """Turn heads (num_rows, heads, head_dim) to the positions of their rows, a batch of its own each for MLX."""
        rotated = mx.fast.rope(
            x[:, :, None],
            self.spec.head_dim,
            traditional=False,
            base=None,
            scale=1.0,
            offset=positions,
            freqs=self._rope_periods,
        )
        return rotated[:, :, 0]

    def _norm(self, x: mx.array, weight: mx.array) -> mx.array:
        return mx.fast.rms_norm(x, weight, self.spec.rms_norm_eps).astype(self.dtype)

    def _load_layer(self, block: str, magnitude: float) -> Layer:
        vector = {
            name: load_vector(self._tensors[f"{block}{name}.weight"])
            for name in ("attn_norm", "attn_q_norm", "attn_k_norm", "ffn_norm")
        }
        return Layer(
            attention_norm=vector["attn_norm"],
            qkv=self._stack(block + "attn_q", block + "attn_k", block + "attn_v"),
            query_norm=(vector["attn_q_norm"] * magnitude).astype(self.dtype),
            key_norm=(vector["attn_k_norm"] * magnitude).astype(self.dtype),
            attention_output=self._stack(block + "attn_output"),
            mlp_norm=vector["ffn_norm"],
            gate_up=self._stack(block + "ffn_gate", block + "ffn_up"),
            down=self._stack(block + "ffn_down"),
        )

    def _stack(self, *names: str) -> Matrix:
        return stack_matrices([self._tensors[f"{name}.weight"] for name in names], self.dtype)


def attend(q: mx.array, k: mx.array, v: mx.array, mask: str | mx.array | None) -> mx.array:
    """Return attention of q (num_rows, num_heads, head_dim) to k, v (num_slots, num_kv_heads, head_dim), as q."""
    q, k, v = (x.swapaxes(0, 1)[None] for x in (q, k, v))
    scale = 1 / math.sqrt(q.shape[-1])
    return mx.fast.scaled_dot_product_attention(q, k, v, scale=scale, mask=mask)[0].swapaxes(0, 1)


@fused
def swiglu(gate: mx.array, up: mx.array) -> mx.array:
    """Return silu(gate) * up."""
    return gate * mx.sigmoid(gate) * up
