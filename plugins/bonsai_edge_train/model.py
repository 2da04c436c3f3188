"""Qwen3 in PyTorch with Q1_0 weights, as llama.cpp runs the architecture `qwen3`.

Knows nothing of text, training data or files.
"""

# mypy: disallow-subclassing-any=False
# (PyTorch is an optional extra; without it mypy sees nn.Module as Any.)

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from bonsai_edge_train.q1_0 import straight_through

EMBEDDING_STD = 0.25  # large enough to be heard beside the first blocks, small enough for signs to flip


@dataclass(frozen=True)
class Qwen3Config:
    """Shape and constants; every matrix input width must be a multiple of 128."""

    vocab_size: int
    hidden_size: int = 256
    intermediate_size: int = 512
    num_layers: int = 4
    num_heads: int = 4
    num_kv_heads: int = 2
    head_dim: int = 64
    context_length: int = 1024
    rope_base: float = 10000.0
    rms_norm_eps: float = 1e-6

    @property
    def residual_gain(self) -> float:
        """Initial gain of the maps that add to the residual stream, so that depth does not blow it up (GPT-2)."""
        return (2 * self.num_layers) ** -0.5


class BinaryLinear(nn.Module):
    """Linear map without bias whose forward weight is Q1_0; `weight` holds the latents (out, in) float32."""

    def __init__(self, in_features: int, out_features: int, gain: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features) * gain * in_features**-0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (..., in) to (..., out)."""
        return F.linear(x, straight_through(self.weight))


class RMSNorm(nn.Module):
    """x / sqrt(mean(x²) + eps) * weight over the last dimension (arXiv:1910.07467)."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Keep the shape of x; the result is float32 whatever the type of x."""
        x = x.float()
        return x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + self.eps) * self.weight


def rope_tables(num_positions: int, head_dim: int, base: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return cos and sin of position * base^(-2i / head_dim), each (num_positions, head_dim / 2) float32."""
    frequencies = base ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
    angles = torch.outer(torch.arange(num_positions, dtype=torch.float64), frequencies)
    return angles.cos().float(), angles.sin().float()


def apply_rope(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotate the pairs (i, i + head_dim / 2) of x (B, heads, T, head_dim); the NEOX pairing of llama.cpp."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


def causal_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Return softmax(q kᵀ / sqrt(head_dim)) v: q (B, heads, T, D), k and v (B, kv_heads, T, D) -> (B, heads, T, D).

    Query head h uses key-value head h // (heads / kv_heads). Written out because on a CPU, at a few dozen tokens,
    torch's fused attention takes several times as long to differentiate.
    """
    num_tokens, head_dim = q.shape[-2:]
    grouped_q = q.unflatten(1, (k.shape[1], -1))
    scores = grouped_q @ k.unsqueeze(2).transpose(-1, -2) * head_dim**-0.5
    is_future = torch.ones(num_tokens, num_tokens, dtype=torch.bool).triu(1)
    weights = scores.masked_fill(is_future, -torch.inf).softmax(dim=-1)
    return (weights @ v.unsqueeze(2)).flatten(1, 2)


class Attention(nn.Module):
    """Causal grouped-query attention with an RMSNorm per query and key head before RoPE."""

    def __init__(self, config: Qwen3Config) -> None:
        super().__init__()
        attention_size = config.num_heads * config.head_dim
        kv_size = config.num_kv_heads * config.head_dim
        self.head_dim = config.head_dim
        self.q = BinaryLinear(config.hidden_size, attention_size)
        self.k = BinaryLinear(config.hidden_size, kv_size)
        self.v = BinaryLinear(config.hidden_size, kv_size)
        self.output = BinaryLinear(attention_size, config.hidden_size, config.residual_gain)
        self.q_norm = RMSNorm(config.head_dim, config.rms_norm_eps)
        self.k_norm = RMSNorm(config.head_dim, config.rms_norm_eps)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        """Map (B, T, hidden) to (B, T, hidden)."""
        q, k, v = (projection(x).unflatten(-1, (-1, self.head_dim)) for projection in (self.q, self.k, self.v))
        q = apply_rope(self.q_norm(q).transpose(1, 2), cos, sin)
        k = apply_rope(self.k_norm(k).transpose(1, 2), cos, sin)
        heads = causal_attention(q, k, v.transpose(1, 2))
        return self.output(heads.transpose(1, 2).flatten(2))


class MLP(nn.Module):
    """SwiGLU: down(silu(gate(x)) * up(x)) (arXiv:2002.05202)."""

    def __init__(self, config: Qwen3Config) -> None:
        super().__init__()
        self.gate = BinaryLinear(config.hidden_size, config.intermediate_size)
        self.up = BinaryLinear(config.hidden_size, config.intermediate_size)
        self.down = BinaryLinear(config.intermediate_size, config.hidden_size, config.residual_gain)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, T, hidden) to (B, T, hidden)."""
        return self.down(F.silu(self.gate(x)) * self.up(x))


class Block(nn.Module):
    """One pre-norm decoder layer."""

    def __init__(self, config: Qwen3Config) -> None:
        super().__init__()
        self.attn_norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.attn = Attention(config)
        self.ffn_norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.ffn = MLP(config)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        """Map (B, T, hidden) to (B, T, hidden)."""
        x = x + self.attn(self.attn_norm(x), cos, sin)
        return x + self.ffn(self.ffn_norm(x))


class Qwen3(nn.Module):
    """The decoder; the output head is the embedding (tied)."""

    def __init__(self, config: Qwen3Config) -> None:
        super().__init__()
        self.config = config
        self.token_embd = nn.Parameter(torch.randn(config.vocab_size, config.hidden_size) * EMBEDDING_STD)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.output_norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        # Keeps the first logits near variance 1, as the embedding is also the head.
        nn.init.constant_(self.output_norm.weight, config.hidden_size**-0.5 / EMBEDDING_STD)
        cos, sin = rope_tables(config.context_length, config.head_dim, config.rope_base)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, token_ids: torch.Tensor) -> torch.Tensor:
        """Map token ids (B, T) int64 to logits (B, T, vocab_size) float32."""
        embedding = straight_through(self.token_embd)
        num_tokens = token_ids.shape[1]
        x = F.embedding(token_ids, embedding)
        for block in self.blocks:
            x = block(x, self.cos[:num_tokens], self.sin[:num_tokens])
        return F.linear(self.output_norm(x), embedding)
