"""Qwen3 in PyTorch with Q1_0 weights, as llama.cpp runs the architecture `qwen3`.

Knows nothing of text, training data or files.
"""

# mypy: disallow-subclassing-any=False
# (PyTorch is an optional extra; without it mypy sees nn.Module as Any.)

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import torch
from torch import nn
from torch.nn import functional as F

from bonsai_edge_train.config import Qwen3Config, WeightFormat
from bonsai_edge_train.q1_0 import straight_through

EMBEDDING_STD = 0.25  # large enough to be heard beside the first blocks, small enough for signs to flip


def forward_weight(latent: torch.Tensor, weights: WeightFormat) -> torch.Tensor:
    """Return what the forward pass multiplies by: the latents' Q1_0 values, or the latents themselves."""
    return straight_through(latent) if weights == "q1_0" else latent


class Linear(nn.Module):
    """Linear map without bias; `weight` holds the latents (out, in) float32, `weights` the format of the forward."""

    def __init__(self, in_features: int, out_features: int, weights: WeightFormat, gain: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features) * gain * in_features**-0.5)
        self.weights = weights

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (..., in) to (..., out)."""
        return F.linear(x, forward_weight(self.weight, self.weights))


class RMSNorm(nn.Module):
    """x / sqrt(mean(x²) + eps) * weight over the last dimension (arXiv:1910.07467)."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Keep the shape of x; the result is float32 whatever the type of x."""
        return F.rms_norm(x.float(), self.weight.shape, self.weight, self.eps)


def rope_tables(num_positions: int, head_dim: int, base: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return cos and sin of position * base^(-2i / head_dim), each (num_positions, head_dim / 2) float32."""
    frequencies = base ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
    angles = torch.outer(torch.arange(num_positions, dtype=torch.float64), frequencies)
    return angles.cos().float(), angles.sin().float()


def apply_rope(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotate the pairs (i, i + head_dim / 2) of x (B, heads, T, head_dim); the NEOX pairing of llama.cpp."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, is_hidden: torch.Tensor) -> torch.Tensor:
    """Return softmax(q kᵀ / sqrt(head_dim)) v: q (B, heads, T, D), k and v (B, kv_heads, S, D) -> (B, heads, T, D).

    `is_hidden` (T, S) or (B, 1, 1, T, S) is true where a key must not be seen. Query head h uses key-value head
    h // (heads / kv_heads). Written out because on a CPU, at a few dozen tokens, torch's fused attention takes several
    times as long to differentiate.
    """
    grouped_q = q.unflatten(1, (k.shape[1], -1))
    scores = grouped_q @ k.unsqueeze(2).transpose(-1, -2) * q.shape[-1] ** -0.5
    weights = scores.masked_fill(is_hidden, -torch.inf).softmax(dim=-1)
    return (weights @ v.unsqueeze(2)).flatten(1, 2)


class KVCache:
    """Keys and values of the positions so far, one row a sequence: each (layers, B, kv_heads, capacity, D) float32.

    Row b holds `lengths[b]` positions; what stands behind them is never seen, and overwritten.
    """

    def __init__(self, config: Qwen3Config, num_rows: int, capacity: int) -> None:
        shape = (config.num_layers, num_rows, config.num_kv_heads, capacity, config.head_dim)
        self.keys, self.values = torch.zeros(shape), torch.zeros(shape)
        self.lengths = torch.zeros(num_rows, dtype=torch.int64)

    @property
    def capacity(self) -> int:
        """The number of positions that a row has room for."""
        return self.keys.shape[3]

    def append(
        self, layer: int, positions: torch.Tensor, k: torch.Tensor, v: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store k and v (B, kv_heads, T, D) at `positions` (B, T); return all of the layer up to the last of them."""
        rows = torch.arange(len(positions))[:, None]
        end = int(positions.max()) + 1
        for stored, new in ((self.keys, k), (self.values, v)):
            stored[layer, rows, :, positions] = new.transpose(1, 2)
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]

    def keep_rows(self, rows: torch.Tensor) -> None:
        """Forget all sequences but `rows`."""
        self.keys, self.values, self.lengths = self.keys[:, rows], self.values[:, rows], self.lengths[rows]


@dataclass(frozen=True)
class CachePositions:
    """The places (B, T) in a cache where the keys and values of new tokens go."""

    cache: KVCache
    indices: torch.Tensor


@dataclass(frozen=True)
class Positions:
    """What attention needs to know of where the tokens stand."""

    cos: torch.Tensor
    sin: torch.Tensor
    is_hidden: torch.Tensor
    cache: CachePositions | None = None


class Attention(nn.Module):
    """Causal grouped-query attention with an RMSNorm per query and key head before RoPE."""

    def __init__(self, config: Qwen3Config, layer: int) -> None:
        super().__init__()
        self.layer = layer
        attention_size = config.num_heads * config.head_dim
        kv_size = config.num_kv_heads * config.head_dim
        self.head_dim = config.head_dim
        self.q = Linear(config.hidden_size, attention_size, config.weights)
        self.k = Linear(config.hidden_size, kv_size, config.weights)
        self.v = Linear(config.hidden_size, kv_size, config.weights)
        self.output = Linear(attention_size, config.hidden_size, config.weights, config.residual_gain)
        self.q_norm = RMSNorm(config.head_dim, config.rms_norm_eps)
        self.k_norm = RMSNorm(config.head_dim, config.rms_norm_eps)

    def forward(self, x: torch.Tensor, positions: Positions) -> torch.Tensor:
        """Map (B, T, hidden) to (B, T, hidden)."""
        q, k, v = (
            projection(x).unflatten(-1, (-1, self.head_dim)).transpose(1, 2) for projection in (self.q, self.k, self.v)
        )
        q = apply_rope(self.q_norm(q), positions.cos, positions.sin)
        k = apply_rope(self.k_norm(k), positions.cos, positions.sin)
        if positions.cache is not None:
            k, v = positions.cache.cache.append(self.layer, positions.cache.indices, k, v)
        heads = attention(q, k, v, positions.is_hidden)
        return self.output(heads.transpose(1, 2).flatten(2))


class MLP(nn.Module):
    """SwiGLU: down(silu(gate(x)) * up(x)) (arXiv:2002.05202)."""

    def __init__(self, config: Qwen3Config) -> None:
        super().__init__()
        self.gate = Linear(config.hidden_size, config.intermediate_size, config.weights)
        self.up = Linear(config.hidden_size, config.intermediate_size, config.weights)
        self.down = Linear(config.intermediate_size, config.hidden_size, config.weights, config.residual_gain)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, T, hidden) to (B, T, hidden)."""
        return self.down(F.silu(self.gate(x)) * self.up(x))


class Block(nn.Module):
    """One pre-norm decoder layer."""

    def __init__(self, config: Qwen3Config, layer: int) -> None:
        super().__init__()
        self.attn_norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.attn = Attention(config, layer)
        self.ffn_norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.ffn = MLP(config)

    def forward(self, x: torch.Tensor, positions: Positions) -> torch.Tensor:
        """Map (B, T, hidden) to (B, T, hidden)."""
        x = x + self.attn(self.attn_norm(x), positions)
        return x + self.ffn(self.ffn_norm(x))


class Qwen3(nn.Module):
    """The decoder; a tied output head is the embedding."""

    def __init__(self, config: Qwen3Config) -> None:
        super().__init__()
        self.config = config
        self.token_embd = nn.Parameter(torch.randn(config.vocab_size, config.hidden_size) * EMBEDDING_STD)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.num_layers))
        self.output_norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.output = None if config.tied_head else Linear(config.hidden_size, config.vocab_size, config.weights)
        if config.tied_head:  # keeps the first logits near variance 1, as the embedding is also the head
            nn.init.constant_(self.output_norm.weight, config.hidden_size**-0.5 / EMBEDDING_STD)
        cos, sin = rope_tables(config.context_length, config.head_dim, config.rope_base)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(
        self, token_ids: torch.Tensor, *, rows: torch.Tensor | None = None, cache: KVCache | None = None
    ) -> torch.Tensor:
        """Map token ids (B, T) int64 to logits (B, T, vocab_size) float32.

        With `rows`, indices into the flattened (B * T) positions, to the logits of these only: (len(rows), vocab_size).
        With a cache, the tokens follow those it holds; it is the caller who advances `cache.lengths`.
        """
        positions = self._positions(token_ids) if cache is None else self._positions_after(token_ids, cache)
        embedding = forward_weight(self.token_embd, self.config.weights)
        x = F.embedding(token_ids, embedding)
        for block in self.blocks:
            x = block(x, positions)
        if rows is not None:
            x = x.flatten(0, 1)[rows]
        x = self.output_norm(x)
        return F.linear(x, embedding) if self.output is None else self.output(x)

    def _positions(self, token_ids: torch.Tensor) -> Positions:
        num_tokens = token_ids.shape[1]
        is_future = torch.ones(num_tokens, num_tokens, dtype=torch.bool, device=token_ids.device).triu(1)
        return Positions(self.cos[:num_tokens], self.sin[:num_tokens], is_future)

    def _positions_after(self, token_ids: torch.Tensor, cache: KVCache) -> Positions:
        indices = cache.lengths[:, None] + torch.arange(token_ids.shape[1])
        is_future = torch.arange(int(indices.max()) + 1) > indices[:, None, None, :, None]
        return Positions(
            self.cos[indices][:, None], self.sin[indices][:, None], is_future, CachePositions(cache, indices)
        )

    def frozen(self) -> Qwen3:
        """Return a copy for inference on the CPU whose float32 weights are those of this model's forward pass."""
        model = Qwen3(msgspec.structs.replace(self.config, weights="float32"))
        with torch.no_grad():
            model.load_state_dict(
                {
                    name: forward_weight(parameter, self.config.weights) if parameter.dim() == 2 else parameter
                    for name, parameter in self.named_parameters()
                }
            )
        return model.eval()
