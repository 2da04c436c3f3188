"""The GGUF architecture `qwen3`: its keys, its tensors, and what of them this package supports."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bonsai_edge.errors import MalformedModelError, UnsupportedModelError
from bonsai_edge.formats.gguf import GGUFFile, MetadataValue
from bonsai_edge.formats.metadata import require_float, require_int, require_string
from bonsai_edge.formats.tensor import QuantizedTensor
from bonsai_edge.model_spec import ModelSpec, YarnScaling

_PREFIX = "qwen3."
_UNDERSTOOD_KEYS = {
    "block_count",
    "context_length",
    "embedding_length",
    "feed_forward_length",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.value_length",
    "attention.layer_norm_rms_epsilon",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.scaling.type",
    "rope.scaling.factor",
    "rope.scaling.original_context_length",
    "rope.scaling.attn_factor",
    "rope.scaling.finetuned",
    "vocab_size",
}
_USE_BONSAI = "Use a published Bonsai-*-Q1_0.gguf, or convert the original model again."


def read_spec(file: GGUFFile) -> ModelSpec:
    """Check keys and tensors of a `qwen3` file and return its hyper-parameters.

    Raises MalformedModelError for contradictions and UnsupportedModelError for what cannot be run.
    """
    path, metadata = file.path, file.metadata
    _refuse_unknown_keys(path, metadata)

    def integer(key: str, most: int) -> int:
        return require_int(metadata, _PREFIX + key, path, 1, most)

    num_heads = integer("attention.head_count", 1024)
    num_kv_heads = integer("attention.head_count_kv", 1024)
    hidden_size = integer("embedding_length", 1 << 16)
    head_dim = (
        integer("attention.key_length", 512) if _has(metadata, "attention.key_length") else hidden_size // num_heads
    )
    if num_heads % num_kv_heads:
        raise MalformedModelError(
            f"{path} has {num_heads} query heads for {num_kv_heads} KV heads, not a multiple.", _USE_BONSAI
        )
    if head_dim % 2 or head_dim == 0:
        raise MalformedModelError(
            f"{path} has heads of size {head_dim}, whose elements RoPE cannot turn in pairs.", _USE_BONSAI
        )
    for key in ("attention.value_length", "rope.dimension_count"):
        if _has(metadata, key) and integer(key, 512) != head_dim:
            raise UnsupportedModelError(
                f"Key '{_PREFIX}{key}' of {path} is {integer(key, 512)}; supported is the head size, {head_dim}.",
                _USE_BONSAI,
            )
    spec = ModelSpec(
        name=require_string(metadata, "general.name", path) if "general.name" in metadata else path.stem,
        architecture="qwen3",
        num_layers=integer("block_count", 1024),
        hidden_size=hidden_size,
        intermediate_size=integer("feed_forward_length", 1 << 18),
        num_heads=num_heads,
        num_kv_heads=num_kv_heads,
        head_dim=head_dim,
        vocab_size=_embedding_rows(file),
        context_length=integer("context_length", 1 << 24),
        rms_norm_eps=require_float(metadata, _PREFIX + "attention.layer_norm_rms_epsilon", path, 0.0, 1.0),
        rope_base=require_float(metadata, _PREFIX + "rope.freq_base", path, 2.0, 1e12),
        yarn=_read_yarn(path, metadata),
        tied_embeddings="output.weight" not in file.tensors,
    )
    _check_tensors(path, file.tensors, spec)
    return spec


def tensor_shapes(spec: ModelSpec) -> dict[str, tuple[int, int]]:
    """Return (num_rows, num_columns) of every tensor that a model of this spec has; vectors have one row."""
    hidden, attention, kv, ffn = spec.hidden_size, spec.attention_size, spec.kv_size, spec.intermediate_size
    shapes = {"token_embd.weight": (spec.vocab_size, hidden), "output_norm.weight": (1, hidden)}
    if not spec.tied_embeddings:
        shapes["output.weight"] = (spec.vocab_size, hidden)
    for layer in range(spec.num_layers):
        block = {
            "attn_norm": (1, hidden),
            "attn_q": (attention, hidden),
            "attn_k": (kv, hidden),
            "attn_v": (kv, hidden),
            "attn_q_norm": (1, spec.head_dim),
            "attn_k_norm": (1, spec.head_dim),
            "attn_output": (hidden, attention),
            "ffn_norm": (1, hidden),
            "ffn_gate": (ffn, hidden),
            "ffn_up": (ffn, hidden),
            "ffn_down": (hidden, ffn),
        }
        shapes.update({f"blk.{layer}.{name}.weight": shape for name, shape in block.items()})
    return shapes


def _has(metadata: Mapping[str, MetadataValue], key: str) -> bool:
    return _PREFIX + key in metadata


def _refuse_unknown_keys(path: Path, metadata: Mapping[str, MetadataValue]) -> None:
    for key in metadata:
        if key.startswith("prism.hadamard."):
            raise UnsupportedModelError(
                f"{path} has the key {key!r}: it needs Hadamard-transformed inputs; supported are plain ones.",
                "Use a first-generation Bonsai Q1_0 file.",
            )
        if key.startswith(_PREFIX) and key.removeprefix(_PREFIX) not in _UNDERSTOOD_KEYS:
            raise UnsupportedModelError(
                f"{path} has the key {key!r}, which may change the result and is not supported; supported are "
                f"{', '.join(sorted(_UNDERSTOOD_KEYS))}.",
                _USE_BONSAI,
            )


def _read_yarn(path: Path, metadata: Mapping[str, MetadataValue]) -> YarnScaling | None:
    scaling = "rope.scaling."
    if not _has(metadata, scaling + "type"):
        if _has(metadata, scaling + "factor"):
            raise UnsupportedModelError(
                f"{path} has '{_PREFIX}{scaling}factor' without a type, which means linear scaling; supported is yarn.",
                _USE_BONSAI,
            )
        return None
    kind = require_string(metadata, _PREFIX + scaling + "type", path)
    if kind == "none":
        return None
    if kind != "yarn":
        raise UnsupportedModelError(f"{path} scales RoPE by {kind!r}; supported are 'none' and 'yarn'.", _USE_BONSAI)
    attention_factor = 1.0
    if _has(metadata, scaling + "attn_factor"):
        attention_factor = require_float(metadata, _PREFIX + scaling + "attn_factor", path, 1e-3, 1e3)
    return YarnScaling(
        factor=require_float(metadata, _PREFIX + scaling + "factor", path, 1.0, 1e4),
        original_context_length=require_int(metadata, _PREFIX + scaling + "original_context_length", path, 1, 1 << 24),
        attention_factor=attention_factor,
    )


def _embedding_rows(file: GGUFFile) -> int:
    embedding = file.tensors.get("token_embd.weight")
    if embedding is None:
        raise MalformedModelError(f"{file.path} has no tensor 'token_embd.weight'.", _USE_BONSAI)
    return embedding.num_rows


def _check_tensors(path: Path, tensors: Mapping[str, QuantizedTensor], spec: ModelSpec) -> None:
    expected = tensor_shapes(spec)
    for name in tensors.keys() - expected.keys():
        raise UnsupportedModelError(
            f"{path} has the tensor {name!r}, which no part of qwen3 as supported here uses.", _USE_BONSAI
        )
    for name, shape in expected.items():
        if name not in tensors:
            raise MalformedModelError(f"{path} has no tensor {name!r}, expected shape {shape}.", _USE_BONSAI)
        found = (tensors[name].num_rows, tensors[name].num_columns)
        if found != shape:
            raise MalformedModelError(
                f"Tensor {name!r} of {path} has the shape {found}, expected {shape}.", _USE_BONSAI
            )
