"""`config.json` of Hugging Face checkpoints and MLX packs, to and from `ModelSpec` and GGUF keys."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from bonsai_edge.errors import MalformedModelError, ModelNotFoundError, UnsupportedModelError
from bonsai_edge.model_spec import ModelSpec, YarnScaling
from bonsai_edge_convert.metadata import Metadata, float32, shortest, string, uint32

QUANTIZATION = {"group_size": 128, "bits": 1}

_Size = Annotated[int, Meta(ge=1, le=1 << 24)]
_YARN_KEYS = {"rope_theta", "factor", "original_max_position_embeddings", "attention_factor", "beta_fast", "beta_slow"}
_YARN_DEFAULTS = {"beta_fast": 32, "beta_slow": 1}  # what every implementation uses unless told otherwise
_USE_QWEN3 = "Use a plain Qwen3 checkpoint, such as Bonsai 1.7B, 4B or 8B."


class HFConfig(msgspec.Struct):
    """The fields of `config.json` that decide whether and how a model can be converted; others are ignored."""

    model_type: str
    hidden_size: _Size
    num_hidden_layers: Annotated[int, Meta(ge=1, le=1024)]
    intermediate_size: _Size
    num_attention_heads: _Size
    num_key_value_heads: _Size
    head_dim: _Size
    vocab_size: _Size
    max_position_embeddings: _Size
    rms_norm_eps: float
    tie_word_embeddings: bool = False
    rope_theta: float | None = None
    rope_scaling: dict[str, Any] | None = None
    rope_parameters: dict[str, Any] | None = None
    hidden_act: str = "silu"
    attention_bias: bool = False
    use_sliding_window: bool = False
    quantization: dict[str, Any] | None = None
    quantization_config: dict[str, Any] | None = None


def read_config(path: Path) -> HFConfig:
    """Read and check `config.json`.

    Raises ModelNotFoundError, MalformedModelError or UnsupportedModelError.
    """
    if not path.is_file():
        raise ModelNotFoundError(f"There is no {path}.", "Give a directory with a Hugging Face checkpoint or MLX pack.")
    try:
        raw: Any = msgspec.json.decode(path.read_bytes())
        model_type = raw.get("model_type") if isinstance(raw, dict) else None
        if model_type != "qwen3":
            raise UnsupportedModelError(f"{path} has the model_type {model_type!r}; supported is 'qwen3'.", _USE_QWEN3)
        config = msgspec.convert(raw, HFConfig)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise MalformedModelError(f"{path} cannot be understood: {exc}.", _USE_QWEN3) from exc
    _refuse_unsupported(config, path)
    return config


def _refuse_unsupported(config: HFConfig, path: Path) -> None:
    for name, supported in (("hidden_act", "silu"), ("attention_bias", False), ("use_sliding_window", False)):
        found = getattr(config, name)
        if found != supported:
            raise UnsupportedModelError(f"{path} has {name} = {found!r}; supported is {supported!r}.", _USE_QWEN3)
    # MLX writes the same object under both names.
    if config.quantization_config is not None and config.quantization_config != config.quantization:
        raise UnsupportedModelError(
            f"{path} has a quantization_config, so its weights are packed in a way that is not supported.",
            "Use the checkpoint in F16, BF16 or F32, or an MLX pack with bits 1 and group_size 128.",
        )
    if {"mode": "affine", **(config.quantization or QUANTIZATION)} != {"mode": "affine", **QUANTIZATION}:
        raise UnsupportedModelError(
            f"{path} has the quantization {json.dumps(config.quantization)}; supported is {json.dumps(QUANTIZATION)} "
            f"for all tensors.",
            "Use a 1-bit MLX pack, or the unpacked checkpoint.",
        )


def read_spec(config: HFConfig, path: Path) -> ModelSpec:
    """Return the hyper-parameters, rounded to float32 as GGUF stores them; the model is named after its directory.

    Raises UnsupportedModelError for RoPE scalings other than YaRN, and MalformedModelError for contradictions.
    """
    for size in (config.hidden_size, config.intermediate_size, config.num_attention_heads * config.head_dim):
        if size % QUANTIZATION["group_size"]:
            raise UnsupportedModelError(
                f"{path} gives matrices of {size} columns; supported are multiples of {QUANTIZATION['group_size']}.",
                "Use a model whose hidden_size, intermediate_size and attention width divide into groups.",
            )
    rope_base, yarn = _read_rope(config, path)
    return ModelSpec(
        name=path.resolve().parent.name,
        architecture="qwen3",
        num_layers=config.num_hidden_layers,
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        num_heads=config.num_attention_heads,
        num_kv_heads=config.num_key_value_heads,
        head_dim=config.head_dim,
        vocab_size=config.vocab_size,
        context_length=config.max_position_embeddings,
        rms_norm_eps=_as_float32(config.rms_norm_eps),
        rope_base=rope_base,
        yarn=yarn,
        tied_embeddings=config.tie_word_embeddings,
    )


def _read_rope(config: HFConfig, path: Path) -> tuple[float, YarnScaling | None]:
    """Read base and scaling from `rope_scaling`, or transformers 5's `rope_parameters`, or both if they agree."""
    found = [
        (scaling.get("rope_theta", config.rope_theta), _read_scaling(scaling, path))
        for scaling in (config.rope_scaling, config.rope_parameters)
        if scaling is not None
    ] or [(config.rope_theta, None)]
    (base, yarn), *others = found
    if any(other != (base, yarn) for other in others) or config.rope_theta not in (None, base):
        raise MalformedModelError(f"{path} contradicts itself about RoPE.", "Leave one of the spellings out of it.")
    if not isinstance(base, int | float) or not 1 <= base <= 1e12:
        raise MalformedModelError(f"{path} has rope_theta {base!r}; expected a number from 1 to 1e12.", _USE_QWEN3)
    return _as_float32(base), yarn


def _read_scaling(scaling: dict[str, Any], path: Path) -> YarnScaling | None:
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    if kind == "default":
        return None
    if kind != "yarn":
        raise UnsupportedModelError(f"{path} scales RoPE by {kind!r}; supported are 'default' and 'yarn'.", _USE_QWEN3)
    for key in scaling.keys() - _YARN_KEYS - {"rope_type", "type"}:
        raise UnsupportedModelError(f"{path} has the RoPE parameter {key!r}, which is not supported.", _USE_QWEN3)
    try:
        factor = msgspec.convert(scaling.get("factor"), Annotated[float, Meta(ge=1, le=1e4)])
        original_context_length = msgspec.convert(scaling.get("original_max_position_embeddings"), _Size)
    except msgspec.ValidationError as exc:
        raise MalformedModelError(
            f"{path} needs factor and original_max_position_embeddings for YaRN: {exc}.", _USE_QWEN3
        ) from exc
    for key, default in {**_YARN_DEFAULTS, "attention_factor": 0.1 * math.log(factor) + 1}.items():
        value = scaling.get(key)
        if value is not None and not (isinstance(value, int | float) and math.isclose(value, default, rel_tol=1e-6)):
            raise UnsupportedModelError(
                f"{path} has the RoPE parameter {key} = {value!r}; supported is {default:g}.", _USE_QWEN3
            )
    return YarnScaling(_as_float32(factor), original_context_length)


def hyper_parameter_metadata(spec: ModelSpec) -> Metadata:
    """Return the keys `qwen3.*` in the order that llama.cpp's converter writes."""
    metadata = {
        "block_count": uint32(spec.num_layers),
        "context_length": uint32(spec.context_length),
        "embedding_length": uint32(spec.hidden_size),
        "feed_forward_length": uint32(spec.intermediate_size),
        "attention.head_count": uint32(spec.num_heads),
        "attention.head_count_kv": uint32(spec.num_kv_heads),
        "rope.freq_base": float32(spec.rope_base),
        "attention.layer_norm_rms_epsilon": float32(spec.rms_norm_eps),
        "attention.key_length": uint32(spec.head_dim),
        "attention.value_length": uint32(spec.head_dim),
    }
    if spec.yarn is not None:
        metadata |= {
            "rope.scaling.type": string("yarn"),
            "rope.scaling.factor": float32(spec.yarn.factor),
            "rope.scaling.original_context_length": uint32(spec.yarn.original_context_length),
        }
    return {f"qwen3.{key}": value for key, value in metadata.items()}


def write_pack_config(path: Path, spec: ModelSpec, token_ids: dict[str, int]) -> None:
    """Write the `config.json` of an MLX pack; `token_ids` are its `eos_token_id` and the like.

    Raises UnsupportedModelError for an attention factor, which mlx_lm cannot be told.
    """
    if spec.yarn is not None and spec.yarn.attention_factor != 1:
        raise UnsupportedModelError(
            f"The model has the RoPE attention factor {spec.yarn.attention_factor:g}; an MLX pack can hold 1 only.",
            _USE_QWEN3,
        )
    config = {
        "architectures": ["Qwen3ForCausalLM"],
        "attention_bias": False,
        "head_dim": spec.head_dim,
        "hidden_act": "silu",
        "hidden_size": spec.hidden_size,
        "intermediate_size": spec.intermediate_size,
        "max_position_embeddings": spec.context_length,
        "model_type": "qwen3",
        "num_attention_heads": spec.num_heads,
        "num_hidden_layers": spec.num_layers,
        "num_key_value_heads": spec.num_kv_heads,
        "quantization": QUANTIZATION,
        "rms_norm_eps": shortest(spec.rms_norm_eps),
        "rope_scaling": spec.yarn
        and {
            "rope_type": "yarn",
            "factor": shortest(spec.yarn.factor),
            "original_max_position_embeddings": spec.yarn.original_context_length,
        },
        "rope_theta": shortest(spec.rope_base),
        "tie_word_embeddings": spec.tied_embeddings,
        "torch_dtype": "float16",
        "vocab_size": spec.vocab_size,
        **token_ids,
    }
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def _as_float32(value: float) -> float:
    return float(np.float32(value))
