"""Writes tiny GGUF models with random weights, for tests of every part that opens a model file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType, GGUFWriter, quants
from tokenizers.pre_tokenizers import ByteLevel

WeightType = Literal["Q1_0", "Q8_0", "F16", "BF16", "F32"]
MetadataItem = bool | int | float | str | Sequence[str] | Sequence[int]

NORMAL, CONTROL, USER_DEFINED = 1, 3, 4
"""Token types as they stand in `tokenizer.ggml.token_type`."""

CHATML_TEMPLATE = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
_MERGED_WORDS = ("hello", "Ġworld", "Ġthe", "Ġrobot", "ing", "ĊĊ")
_Q1_0_BLOCK = 128


@dataclass(frozen=True)
class Vocabulary:
    """A byte-level BPE vocabulary as GGUF stores it; texts are in GPT-2's byte alphabet, merges are "left right"."""

    tokens: list[str]
    token_types: list[int]
    merges: list[str]
    eos_id: int
    pad_id: int


def small_vocabulary(user_defined: Sequence[str] = ()) -> Vocabulary:
    """Return the 256 bytes, a few merged words, the given user-defined tokens and the three ChatML control tokens."""
    tokens = sorted(ByteLevel.alphabet())
    merges = []
    for word in _MERGED_WORDS:
        for length in range(1, len(word)):
            left, right = word[:length], word[length]
            if left + right not in tokens:
                tokens.append(left + right)
                merges.append(f"{left} {right}")
    control = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    token_types = [NORMAL] * len(tokens) + [USER_DEFINED] * len(user_defined) + [CONTROL] * len(control)
    tokens += [*user_defined, *control]
    return Vocabulary(tokens, token_types, merges, eos_id=len(tokens) - 1, pad_id=len(tokens) - 3)


def write_random_model(
    path: Path,
    *,
    hidden: int = 256,
    intermediate: int = 384,
    layers: int = 2,
    heads: int = 4,
    kv_heads: int = 2,
    head_dim: int = 64,
    tied: bool = True,
    yarn: bool = True,
    ggml_type: WeightType = "Q1_0",
    seed: int = 0,
    extra_metadata: Mapping[str, MetadataItem | None] | None = None,
    vocabulary: Vocabulary | None = None,
) -> Path:
    """Write a Qwen3 model with random weights of sane scale; return its path.

    The same shape and seed give the same weights in every type: they are drawn as Q1_0 and expanded, which F32 and F16
    hold exactly. `hidden`, `intermediate` and `heads * head_dim` must be multiples of 128. `extra_metadata` adds or
    replaces keys; None leaves a key out.
    """
    vocabulary = vocabulary or small_vocabulary()
    metadata: dict[str, MetadataItem | None] = {
        "general.name": f"random-{seed}",
        "qwen3.context_length": 4096,
        "qwen3.embedding_length": hidden,
        "qwen3.block_count": layers,
        "qwen3.feed_forward_length": intermediate,
        "qwen3.attention.head_count": heads,
        "qwen3.attention.head_count_kv": kv_heads,
        "qwen3.attention.key_length": head_dim,
        "qwen3.attention.value_length": head_dim,
        "qwen3.attention.layer_norm_rms_epsilon": 1e-6,
        "qwen3.rope.freq_base": 1e6,
        **_tokenizer_metadata(vocabulary),
    }
    if yarn:
        metadata |= {
            "qwen3.rope.scaling.type": "yarn",
            "qwen3.rope.scaling.factor": 4.0,
            "qwen3.rope.scaling.original_context_length": 1024,
        }
    writer = GGUFWriter(path, "qwen3")
    _add_metadata(writer, metadata | dict(extra_metadata or {}))

    rng = np.random.default_rng(seed)
    attention, kv = heads * head_dim, kv_heads * head_dim

    def matrix(name: str, num_rows: int, num_columns: int) -> None:
        _add_matrix(writer, f"{name}.weight", _random_q1_0(rng, num_rows, num_columns), ggml_type)

    def norm(name: str, size: int) -> None:
        writer.add_tensor(f"{name}.weight", (1 + 0.1 * rng.standard_normal(size)).astype(np.float32))

    matrix("token_embd", len(vocabulary.tokens), hidden)
    for layer in range(layers):
        block = f"blk.{layer}."
        norm(block + "attn_norm", hidden)
        matrix(block + "attn_q", attention, hidden)
        matrix(block + "attn_k", kv, hidden)
        matrix(block + "attn_v", kv, hidden)
        norm(block + "attn_q_norm", head_dim)
        norm(block + "attn_k_norm", head_dim)
        matrix(block + "attn_output", hidden, attention)
        norm(block + "ffn_norm", hidden)
        matrix(block + "ffn_gate", intermediate, hidden)
        matrix(block + "ffn_up", intermediate, hidden)
        matrix(block + "ffn_down", hidden, intermediate)
    norm("output_norm", hidden)
    if not tied:
        matrix("output", len(vocabulary.tokens), hidden)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _tokenizer_metadata(vocabulary: Vocabulary) -> dict[str, MetadataItem | None]:
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "qwen2",
        "tokenizer.ggml.tokens": vocabulary.tokens,
        "tokenizer.ggml.token_type": vocabulary.token_types,
        "tokenizer.ggml.merges": vocabulary.merges,
        "tokenizer.ggml.eos_token_id": vocabulary.eos_id,
        "tokenizer.ggml.padding_token_id": vocabulary.pad_id,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": CHATML_TEMPLATE,
    }


def _add_metadata(writer: GGUFWriter, metadata: Mapping[str, MetadataItem | None]) -> None:
    for key, value in metadata.items():
        if isinstance(value, bool):
            writer.add_bool(key, value)
        elif isinstance(value, int):
            writer.add_uint32(key, value)
        elif isinstance(value, float):
            writer.add_float32(key, value)
        elif isinstance(value, str):
            writer.add_string(key, value)
        elif value is not None:
            writer.add_array(key, value)


def _random_q1_0(rng: np.random.Generator, num_rows: int, num_columns: int) -> npt.NDArray[np.uint8]:
    """Return random packed rows, uint8 (num_rows, num_columns // 128 * 18), of about unit gain."""
    if num_columns % _Q1_0_BLOCK:
        raise ValueError(f"{num_columns} columns do not divide into Q1_0 blocks of {_Q1_0_BLOCK}")
    num_blocks = num_columns // _Q1_0_BLOCK
    scales = np.abs(1 + 0.2 * rng.standard_normal((num_rows, num_blocks, 1))) / np.sqrt(num_columns)
    signs = rng.integers(0, 256, (num_rows, num_blocks, _Q1_0_BLOCK // 8), dtype=np.uint8)
    return np.concatenate([scales.astype("<f2").view(np.uint8), signs], axis=2).reshape(num_rows, -1)


def _add_matrix(writer: GGUFWriter, name: str, q1_0: npt.NDArray[np.uint8], ggml_type: WeightType) -> None:
    if ggml_type == "Q1_0":
        writer.add_tensor(name, q1_0, raw_dtype=GGMLQuantizationType.Q1_0)
        return
    target = GGMLQuantizationType[ggml_type]
    blocks = q1_0.reshape(len(q1_0), -1, 2 + _Q1_0_BLOCK // 8)
    scales = np.ascontiguousarray(blocks[:, :, :2]).view("<f2").astype(np.float32)
    signs = np.unpackbits(blocks[:, :, 2:], axis=2, bitorder="little").astype(np.float32) * 2 - 1
    weights = (scales * signs).reshape(len(q1_0), -1)
    writer.add_tensor(name, quants.quantize(weights, target), raw_dtype=target)
