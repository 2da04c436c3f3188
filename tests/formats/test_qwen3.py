"""Hyper-parameters and tensors of the architecture `qwen3`: what is read, and what is refused by name."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from bonsai_edge.errors import MalformedModelError, UnsupportedModelError
from bonsai_edge.formats.gguf import GGUFFile, MetadataValue
from bonsai_edge.formats.qwen3 import read_spec, tensor_shapes
from bonsai_edge.formats.tensor import QuantizedTensor
from bonsai_edge.model_spec import ModelSpec, YarnScaling
from gguf_files import small_vocabulary, write_random_model


class EditedFile(GGUFFile):
    """A file whose metadata and tensors tests may change after reading."""

    metadata: dict[str, MetadataValue]
    tensors: dict[str, QuantizedTensor]


@pytest.fixture
def file(tmp_path: Path) -> EditedFile:
    return EditedFile(write_random_model(tmp_path / "model.gguf"))


def malformed(file: EditedFile) -> str:
    with pytest.raises(MalformedModelError) as caught:
        read_spec(file)
    return caught.value.cause.replace(str(file.path), "model.gguf")


def unsupported(file: EditedFile) -> str:
    with pytest.raises(UnsupportedModelError) as caught:
        read_spec(file)
    return caught.value.cause.replace(str(file.path), "model.gguf")


def test_hyper_parameters_are_read(file: EditedFile) -> None:
    assert read_spec(file) == ModelSpec(
        name="random-0",
        architecture="qwen3",
        num_layers=2,
        hidden_size=256,
        intermediate_size=384,
        num_heads=4,
        num_kv_heads=2,
        head_dim=64,
        vocab_size=len(small_vocabulary().tokens),
        context_length=4096,
        rms_norm_eps=float(np.float32(1e-6)),
        rope_base=1e6,
        yarn=YarnScaling(factor=4.0, original_context_length=1024, attention_factor=1.0),
        tied_embeddings=True,
    )


def test_attention_may_be_wider_than_the_hidden_size(tmp_path: Path) -> None:
    spec = read_spec(GGUFFile(write_random_model(tmp_path / "m.gguf", heads=8, kv_heads=2, head_dim=64, tied=False)))
    assert (spec.hidden_size, spec.attention_size, spec.kv_size) == (256, 512, 128)
    assert not spec.tied_embeddings
    assert tensor_shapes(spec)["blk.1.attn_output.weight"] == (256, 512)
    assert tensor_shapes(spec)["output.weight"] == (spec.vocab_size, 256)


def test_file_type_is_not_trusted(file: EditedFile) -> None:
    spec = read_spec(file)
    file.metadata["general.file_type"] = 41
    assert read_spec(file) == spec


def test_name_of_the_file_stands_in_for_a_missing_name(file: EditedFile) -> None:
    del file.metadata["general.name"]
    assert read_spec(file).name == "model"
    file.metadata["general.name"] = 1
    assert malformed(file) == "Key 'general.name' of model.gguf should hold text; found 1."


def test_head_size_defaults_to_an_equal_share(file: EditedFile) -> None:
    for key in ("qwen3.attention.key_length", "qwen3.attention.value_length"):
        del file.metadata[key]
    assert read_spec(file).head_dim == 64


def test_files_without_yarn_have_none(file: EditedFile) -> None:
    expected = dataclasses.replace(read_spec(file), yarn=None)
    file.metadata["qwen3.rope.scaling.type"] = "none"
    assert read_spec(file) == expected
    for name in ("type", "factor", "original_context_length"):
        del file.metadata[f"qwen3.rope.scaling.{name}"]
    assert read_spec(file) == expected


def test_attention_factor_of_yarn_is_read(file: EditedFile) -> None:
    file.metadata["qwen3.rope.scaling.attn_factor"] = 0.5
    yarn = read_spec(file).yarn
    assert yarn is not None
    assert yarn.attention_factor == 0.5


@pytest.mark.parametrize(
    ("key", "most"),
    [
        ("block_count", 1024),
        ("embedding_length", 65536),
        ("feed_forward_length", 262144),
        ("attention.head_count", 1024),
        ("attention.head_count_kv", 1024),
        ("attention.key_length", 512),
        ("attention.value_length", 512),
        ("context_length", 16777216),
        ("rope.scaling.original_context_length", 16777216),
    ],
)
@pytest.mark.parametrize("value", [0, -1, 2**31, 2**32, "2", 2.0, True, np.array([2])], ids=repr)
def test_counts_must_be_integers_in_range(file: EditedFile, key: str, most: int, value: MetadataValue) -> None:
    file.metadata[f"qwen3.{key}"] = value
    assert malformed(file) == (
        f"Key 'qwen3.{key}' of model.gguf should hold an integer from 1 to {most}; found {value!r}."
    )


@pytest.mark.parametrize(
    ("key", "bounds"),
    [
        ("attention.layer_norm_rms_epsilon", "0 to 1"),
        ("rope.freq_base", "2 to 1e+12"),
        ("rope.scaling.factor", "1 to 10000"),
        ("rope.scaling.attn_factor", "0.001 to 1000"),
    ],
)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0, 1e30, 1, "1"], ids=repr)
def test_numbers_must_be_finite_and_in_range(file: EditedFile, key: str, bounds: str, value: MetadataValue) -> None:
    file.metadata[f"qwen3.{key}"] = value
    assert malformed(file) == f"Key 'qwen3.{key}' of model.gguf should hold a number from {bounds}; found {value!r}."


@pytest.mark.parametrize(
    "key",
    [
        "block_count",
        "embedding_length",
        "feed_forward_length",
        "attention.head_count",
        "attention.head_count_kv",
        "context_length",
        "attention.layer_norm_rms_epsilon",
        "rope.freq_base",
        "rope.scaling.factor",
        "rope.scaling.original_context_length",
    ],
)
def test_missing_key_is_named(file: EditedFile, key: str) -> None:
    del file.metadata[f"qwen3.{key}"]
    cause = malformed(file)
    assert cause.startswith(f"Key 'qwen3.{key}' of model.gguf should hold ")
    assert cause.endswith("; found nothing.")


@pytest.mark.parametrize("num_kv_heads", [3, 8])
def test_query_heads_must_be_a_multiple_of_kv_heads(file: EditedFile, num_kv_heads: int) -> None:
    file.metadata["qwen3.attention.head_count_kv"] = num_kv_heads
    assert malformed(file) == f"model.gguf has 4 query heads for {num_kv_heads} KV heads, not a multiple."


def test_heads_must_have_pairs_of_elements(file: EditedFile) -> None:
    for name in ("key_length", "value_length"):
        file.metadata[f"qwen3.attention.{name}"] = 63
    assert malformed(file) == "model.gguf has heads of size 63, whose elements RoPE cannot turn in pairs."


@pytest.mark.parametrize("key", ["attention.value_length", "rope.dimension_count"])
def test_other_head_sizes_are_unsupported(file: EditedFile, key: str) -> None:
    file.metadata[f"qwen3.{key}"] = 64
    assert read_spec(file).head_dim == 64
    file.metadata[f"qwen3.{key}"] = 32
    assert unsupported(file) == f"Key 'qwen3.{key}' of model.gguf is 32; supported is the head size, 64."


def test_other_rope_scaling_is_unsupported(file: EditedFile) -> None:
    file.metadata["qwen3.rope.scaling.type"] = "linear"
    assert unsupported(file) == "model.gguf scales RoPE by 'linear'; supported are 'none' and 'yarn'."
    del file.metadata["qwen3.rope.scaling.type"]
    assert unsupported(file) == (
        "model.gguf has 'qwen3.rope.scaling.factor' without a type, which means linear scaling; supported is yarn."
    )


def test_hadamard_folded_weights_are_unsupported(file: EditedFile) -> None:
    file.metadata["prism.hadamard.version"] = 1
    assert unsupported(file) == (
        "model.gguf has the key 'prism.hadamard.version': it needs Hadamard-transformed inputs; supported are plain "
        "ones."
    )


@pytest.mark.parametrize("key", ["qwen3.attention.sliding_window", "qwen3.expert_count", "qwen3.x"])
def test_keys_that_may_change_the_result_are_unsupported(file: EditedFile, key: str) -> None:
    file.metadata[key] = 4096
    assert unsupported(file).startswith(f"model.gguf has the key {key!r}, which may change the result and is not")


def test_every_tensor_must_be_there(file: EditedFile) -> None:
    for name, shape in tensor_shapes(read_spec(file)).items():
        tensor = file.tensors.pop(name)
        described = f" {name!r}, expected shape {shape}." if name != "token_embd.weight" else " 'token_embd.weight'."
        assert malformed(file) == "model.gguf has no tensor" + described
        file.tensors[name] = tensor


def test_every_tensor_must_have_its_shape(file: EditedFile) -> None:
    for name, shape in tensor_shapes(read_spec(file)).items():
        if name == "token_embd.weight":
            continue
        tensor = file.tensors[name]
        file.tensors[name] = dataclasses.replace(tensor, packed=tensor.packed.repeat(2, axis=0))
        assert malformed(file) == (
            f"Tensor {name!r} of model.gguf has the shape {(2 * shape[0], shape[1])}, expected {shape}."
        )
        file.tensors[name] = tensor


def test_transposed_tensor_is_refused(file: EditedFile) -> None:
    name = "blk.0.ffn_down.weight"
    file.tensors[name] = dataclasses.replace(file.tensors["blk.0.ffn_up.weight"], name=name)
    assert malformed(file) == f"Tensor {name!r} of model.gguf has the shape (384, 256), expected (256, 384)."


@pytest.mark.parametrize("name", ["blk.2.attn_q.weight", "blk.0.attn_q.bias", "rope_freqs.weight", ""])
def test_tensor_that_nothing_uses_is_unsupported(file: EditedFile, name: str) -> None:
    file.tensors[name] = file.tensors["output_norm.weight"]
    assert unsupported(file) == (f"model.gguf has the tensor {name!r}, which no part of qwen3 as supported here uses.")
