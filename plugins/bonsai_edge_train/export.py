"""Writes a trained model as a GGUF file with the keys that Bonsai files carry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType, TokenType
from tokenizers import Tokenizer

from bonsai_edge_train.chat import CHAT_TEMPLATE, END_OF_TEXT, END_OF_TURN, SPECIAL_TOKENS
from bonsai_edge_train.config import Qwen3Config
from bonsai_edge_train.model import Qwen3
from bonsai_edge_train.q1_0 import pack
from bonsai_edge_train.vocabulary import read_vocabulary, token_id

QUANTIZATION_VERSION = 2  # GGML_QNT_VERSION in llama.cpp's ggml.h


@dataclass(frozen=True)
class Header:
    """What a GGUF file says about itself."""

    name: str
    license: str | None = None


def tensor_names(config: Qwen3Config) -> Iterator[tuple[str, str]]:
    """Yield (parameter name in `Qwen3`, tensor name in GGUF)."""
    yield "token_embd", "token_embd.weight"
    for layer in range(config.num_layers):
        for ours, theirs in (
            ("attn_norm", "attn_norm"), ("attn.q", "attn_q"), ("attn.k", "attn_k"), ("attn.v", "attn_v"),
            ("attn.output", "attn_output"), ("attn.q_norm", "attn_q_norm"), ("attn.k_norm", "attn_k_norm"),
            ("ffn_norm", "ffn_norm"), ("ffn.gate", "ffn_gate"), ("ffn.up", "ffn_up"), ("ffn.down", "ffn_down"),
        ):  # fmt: skip
            yield f"blocks.{layer}.{ours}.weight", f"blk.{layer}.{theirs}.weight"
    yield "output_norm.weight", "output_norm.weight"
    if not config.tied_head:
        yield "output.weight", "output.weight"


def _add_hyper_parameters(writer: GGUFWriter, config: Qwen3Config, header: Header, *, is_q1_0: bool) -> None:
    writer.add_type("model")
    writer.add_name(header.name)
    if header.license is not None:
        writer.add_license(header.license)
    writer.add_float32("general.sampling.temp", 0.0)
    writer.add_block_count(config.num_layers)
    writer.add_context_length(config.context_length)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_heads)
    writer.add_head_count_kv(config.num_kv_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_base)
    writer.add_file_type(LlamaFileType.MOSTLY_Q1_0 if is_q1_0 else LlamaFileType.ALL_F32)
    if is_q1_0:
        writer.add_quantization_version(QUANTIZATION_VERSION)


def _add_tokenizer(writer: GGUFWriter, tokenizer: Tokenizer) -> None:
    vocabulary = read_vocabulary(tokenizer)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types([
        TokenType.CONTROL if token in SPECIAL_TOKENS else TokenType.NORMAL for token in vocabulary.tokens
    ])  # fmt: skip
    writer.add_token_merges(vocabulary.merges)
    writer.add_eos_token_id(token_id(tokenizer, END_OF_TURN))
    writer.add_pad_token_id(token_id(tokenizer, END_OF_TEXT))
    writer.add_bos_token_id(token_id(tokenizer, END_OF_TEXT))
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def _f32(parameter: torch.Tensor) -> npt.NDArray[np.float32]:
    return parameter.detach().numpy().astype(np.float32)


def export(model: Qwen3, tokenizer: Tokenizer, path: Path, header: Header, *, quantize: bool = False) -> None:
    """Write `path`: matrices as Q1_0, norms as F32, and everything a runtime needs to tokenize and sample.

    The matrices of a model with float32 weights are written as F32; with `quantize` as Q1_0, by the arithmetic that
    native training uses: post-training quantization, which loses much of what the model knows.
    """
    is_q1_0 = quantize or model.config.weights == "q1_0"
    writer = GGUFWriter(path, "qwen3")
    _add_hyper_parameters(writer, model.config, header, is_q1_0=is_q1_0)
    _add_tokenizer(writer, tokenizer)
    parameters = dict(model.named_parameters())
    for ours, theirs in tensor_names(model.config):
        parameter = parameters.pop(ours)
        if is_q1_0 and parameter.dim() == 2:
            writer.add_tensor(theirs, pack(parameter), raw_dtype=GGMLQuantizationType.Q1_0)
        else:
            writer.add_tensor(theirs, _f32(parameter))
    assert not parameters, f"parameters without a GGUF name: {sorted(parameters)}"
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
