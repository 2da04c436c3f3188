"""Unpacked 1-bit checkpoints to GGUF Q1_0: the same blocks, or a refusal that names the group."""

import numpy as np
import pytest

from bonsai_edge.errors import MalformedModelError, UnsupportedModelError
from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.formats.ggml_types import GGMLType
from bonsai_edge_convert import unpacked
from bonsai_edge_convert.conversion import convert
from bonsai_edge_convert.gguf_layout import read_layout
from bonsai_edge_convert.gguf_output import TensorInfo, write_gguf
from bonsai_edge_convert.names import module_name

TOKEN_IDS = [5, 17, 200, 33, 8, 91]


@pytest.mark.parametrize("options", [{}, {"tied": False, "layers": 2}], ids=str)
@pytest.mark.parametrize("shards", [1, 3])
def test_two_valued_groups_become_the_same_blocks(make, tmp_path, options, shards):
    gguf = make.gguf(**options)
    report = convert(make.checkpoint(make.weights(gguf), make.config(gguf), shards=shards), tmp_path / "out.gguf")
    expected, found = open_checkpoint(gguf), open_checkpoint(tmp_path / "out.gguf")
    for name, tensor in expected.tensors.items():
        if not name.endswith("norm.weight"):
            np.testing.assert_array_equal(found.tensors[name].packed, tensor.packed, name)
    assert found.spec.yarn == expected.spec.yarn
    assert report.lossless
    assert report.tensor_errors == []
    assert report.conversion == "unpacked checkpoint to GGUF"


@pytest.mark.parametrize("dtype", ["F16", "BF16", "F32"])
def test_the_dequantized_weights_are_those_of_the_source_in_every_dtype(make, tmp_path, dtype):
    gguf = make.gguf()
    weights = make.weights(gguf)
    if dtype == "BF16":
        weights = {name: (values.view(np.uint32) >> 16 << 16).view(np.float32) for name, values in weights.items()}
    convert(make.checkpoint(weights, make.config(gguf), dtype=dtype), tmp_path / "out.gguf")
    found = make.weights(tmp_path / "out.gguf")
    for name, values in weights.items():
        np.testing.assert_array_equal(found[name], values, name)


def test_logits_equal_those_of_the_sources_weights_in_float32(make, tmp_path, logits_of):
    gguf = make.gguf(tied=False)
    weights = make.weights(gguf)
    convert(make.checkpoint(weights, make.config(gguf)), tmp_path / "out.gguf")

    converted = open_checkpoint(tmp_path / "out.gguf")
    by_gguf_name = dict(zip(converted.tensors, map(module_name, converted.tensors), strict=True))
    infos, data = [], []
    for name, module in by_gguf_name.items():
        values = np.atleast_2d(weights[f"{module}.weight"])
        infos.append(TensorInfo(name, GGMLType.F32, *values.shape))
        data.append(values.view(np.uint8))
    write_gguf(tmp_path / "float32.gguf", read_layout(converted).metadata, infos, iter(data))
    np.testing.assert_array_equal(
        logits_of(tmp_path / "out.gguf", TOKEN_IDS), logits_of(tmp_path / "float32.gguf", TOKEN_IDS)
    )


def test_signs_of_zero_groups_are_kept(make, tmp_path):
    gguf = make.gguf()
    weights = make.weights(gguf)
    name = "model.layers.0.mlp.up_proj.weight"
    weights[name][2] = np.where(np.arange(128) % 3, 0.0, -0.0)
    convert(make.checkpoint(weights, make.config(gguf)), tmp_path / "out.gguf")
    found = make.weights(tmp_path / "out.gguf")[name][2]
    np.testing.assert_array_equal(np.signbit(found), np.signbit(weights[name][2]))
    assert not found.any()


def test_another_value_is_refused_with_tensor_row_and_group(make, tmp_path, monkeypatch):
    monkeypatch.setattr(unpacked, "_CHUNK_ELEMENTS", 1024)  # four rows at a time
    gguf = make.gguf()
    weights = make.weights(gguf)
    name = "model.layers.0.mlp.down_proj.weight"
    weights[name][77, 128:] = 0.5
    weights[name][77, 140] = -0.25
    checkpoint = make.checkpoint(weights, make.config(gguf))
    with pytest.raises(UnsupportedModelError) as raised:
        convert(checkpoint, tmp_path / "out.gguf")
    assert raised.value.cause == (
        f"Tensor '{name}' of {checkpoint / 'model.safetensors'}, row 77, group 1 (columns 128 to 255) holds values "
        f"other than +s and -s: 0.5 and 0.25 in magnitude."
    )
    assert "--quantize" in raised.value.remedy
    assert not (tmp_path / "out.gguf").exists()


@pytest.mark.parametrize(
    ("value", "what"),
    [(np.nan, "nan and nan in magnitude"), (1 / 3, "holds 0.333333, which is not exact in float16"), (1e6, "1e+06")],
)
def test_values_that_float16_lacks_are_refused(make, tmp_path, value, what):
    gguf = make.gguf()
    weights = make.weights(gguf)
    weights["model.layers.0.mlp.up_proj.weight"][9] = value
    with pytest.raises(UnsupportedModelError) as raised:
        convert(make.checkpoint(weights, make.config(gguf), dtype="F32"), tmp_path / "out.gguf")
    assert "'model.layers.0.mlp.up_proj.weight'" in raised.value.cause
    assert "row 9, group 0 (columns 0 to 127)" in raised.value.cause
    assert what in raised.value.cause


def test_a_head_that_repeats_the_tied_embedding_is_left_out(make, tmp_path):
    gguf = make.gguf()
    weights = make.weights(gguf)
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    convert(make.checkpoint(weights, make.config(gguf)), tmp_path / "out.gguf")
    assert "output.weight" not in open_checkpoint(tmp_path / "out.gguf").tensors

    weights["lm_head.weight"] = -weights["model.embed_tokens.weight"]
    with pytest.raises(UnsupportedModelError, match=r"differs from the embedding, although config\.json ties them"):
        convert(make.checkpoint(weights, make.config(gguf), name="untied"), tmp_path / "untied.gguf")


def test_missing_surplus_and_misshapen_tensors_are_refused(make, tmp_path):
    gguf = make.gguf()
    config = make.config(gguf)

    def refusal(name, weights):
        with pytest.raises((MalformedModelError, UnsupportedModelError)) as raised:
            convert(make.checkpoint(weights, config, name=name), tmp_path / "out.gguf")
        return raised.value.cause

    weights = make.weights(gguf)
    norm = weights.pop("model.norm.weight")
    assert refusal("missing", weights).endswith("missing has no tensor 'model.norm.weight'.")
    weights["model.norm.weight"] = norm[:64]
    assert "has the shape (64,), expected (128,) from config.json" in refusal("misshapen", weights)
    weights["model.norm.weight"] = norm
    weights["model.layers.0.self_attn.q_proj.bias"] = norm
    assert "has the tensor 'model.layers.0.self_attn.q_proj.bias'" in refusal("surplus", weights)


def test_a_dtype_that_no_checkpoint_has_is_refused(make, tmp_path):
    gguf = make.gguf()
    checkpoint = make.checkpoint(make.weights(gguf), make.config(gguf), dtype="F64")
    with pytest.raises(UnsupportedModelError, match="has the dtype F64; supported is F16 or BF16 or F32"):
        convert(checkpoint, tmp_path / "out.gguf")


@pytest.fixture
def transformers():
    pytest.importorskip("torch", reason="PyTorch is not installed (extra `train`)")
    return pytest.importorskip("transformers", reason="transformers is not installed")


def test_a_checkpoint_that_transformers_wrote_is_read(transformers, tmp_path, write_tokenizer):
    config = transformers.Qwen3Config(
        vocab_size=300, hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=64, max_position_embeddings=512, tie_word_embeddings=True,
    )  # fmt: skip
    transformers.Qwen3ForCausalLM(config).half().save_pretrained(tmp_path / "hf")
    write_tokenizer(tmp_path / "hf")
    report = convert(tmp_path / "hf", tmp_path / "out.gguf", quantize=True)
    assert report.tensors == 2 + 2 * 11
    assert open_checkpoint(tmp_path / "out.gguf").spec.context_length == 512


@pytest.mark.parametrize("tied", [True, False])
def test_logits_agree_with_transformers_on_the_source(transformers, make, tmp_path, logits_of, tied):
    gguf = make.gguf(tied=tied, layers=2)
    checkpoint = make.checkpoint(make.weights(gguf), make.config(gguf))
    convert(checkpoint, tmp_path / "out.gguf")
    model = transformers.Qwen3ForCausalLM.from_pretrained(checkpoint, dtype="float32")
    token_ids = transformers.AutoTokenizer.from_pretrained(checkpoint)("hello world, 12 robots")["input_ids"]
    expected = model(model.dummy_inputs["input_ids"].new_tensor([token_ids])).logits[0].detach().numpy()
    np.testing.assert_allclose(logits_of(tmp_path / "out.gguf", token_ids), expected, atol=1e-3)
