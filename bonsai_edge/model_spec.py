"""The hyper-parameters of a model, checked once when its file is read, and never guessed afterwards."""

from __future__ import annotations

from dataclasses import dataclass

from bonsai_edge.kv_cache import KVType


@dataclass(frozen=True)
class YarnScaling:
    """Static context extension of RoPE (YaRN, arXiv:2309.00071), as the model file states it."""

    factor: float
    original_context_length: int
    attention_factor: float = 1.0


@dataclass(frozen=True)
class ModelSpec:
    """Shape and constants of a Qwen3-style decoder.

    The attention width `num_heads * head_dim` may differ from `hidden_size` (it does in Bonsai 4B), and `vocab_size`
    is the number of rows of the embedding, which no constant can replace.
    """

    name: str
    architecture: str
    num_layers: int
    hidden_size: int
    intermediate_size: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    vocab_size: int
    context_length: int
    rms_norm_eps: float
    rope_base: float
    yarn: YarnScaling | None
    tied_embeddings: bool

    @property
    def attention_size(self) -> int:
        """Width of the concatenated query heads."""
        return self.num_heads * self.head_dim

    @property
    def kv_size(self) -> int:
        """Width of the concatenated key (or value) heads."""
        return self.num_kv_heads * self.head_dim

    def kv_bytes_per_token(self, kv_type: KVType = KVType.F16) -> int:
        """Bytes of KV cache that one token needs over all layers, keys and values."""
        return 2 * self.num_layers * self.num_kv_heads * kv_type.num_bytes(self.head_dim)
