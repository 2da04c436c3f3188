"""GGUF Q1_0 to MLX packs and back: the same bytes."""

import json
from importlib.resources import files

import numpy as np
import pytest
from gguf import GGUFValueType
from safetensors.numpy import load_file

from bonsai_edge.errors import MalformedModelError, UnsupportedModelError
from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.formats.gguf import GGUFFile
from bonsai_edge_convert import gguf_layout
from bonsai_edge_convert.conversion import convert
from bonsai_edge_convert.gguf_output import TensorInfo, write_gguf
from bonsai_edge_convert.metadata import TypedValue, array, string


def round_trip(gguf, directory):
    convert(gguf, directory / "there")
    convert(directory / "there", directory / "back.gguf")
    return (directory / "back.gguf").read_bytes()


@pytest.mark.parametrize("options", [{}, {"tied": False}, {"yarn": False, "layers": 3}], ids=str)
def test_gguf_to_mlx_and_back_gives_the_same_file(make, tmp_path, options):
    gguf = make.gguf(**options)
    assert round_trip(gguf, tmp_path) == gguf.read_bytes()


def test_the_embedded_model_survives_the_way_there_and_back(tmp_path):
    gguf = files("bonsai_edge") / "data" / "seedling.gguf"
    assert round_trip(gguf, tmp_path) == gguf.read_bytes()


def test_metadata_that_packs_do_not_know_comes_back_with_type_and_order(make, tmp_path):
    checkpoint = open_checkpoint(make.gguf())
    layout = gguf_layout.read_layout(checkpoint)
    integers = ("UINT8", "INT8", "UINT16", "INT16", "UINT32", "INT32", "UINT64", "INT64")
    unusual = {
        "general.alignment": TypedValue(GGUFValueType.UINT32, 64),
        **{f"test.{name}": TypedValue(GGUFValueType[name], 100 + i) for i, name in enumerate(integers)},
        "test.largest": TypedValue(GGUFValueType.UINT64, 2**64 - 1),
        "test.f32": TypedValue(GGUFValueType.FLOAT32, float(np.float32(0.1))),
        "test.f64": TypedValue(GGUFValueType.FLOAT64, 0.1),
        "test.flag": TypedValue(GGUFValueType.BOOL, True),
        "test.text": string("für \u2028 alle"),
        "test.empty": string(""),
        "test.flags": array([True, False], GGUFValueType.BOOL),
        "test.shorts": array([1, -2], GGUFValueType.INT16),
        "test.doubles": array([0.5, 1e300], GGUFValueType.FLOAT64),
        "qwen3.vocab_size": TypedValue(GGUFValueType.UINT32, checkpoint.spec.vocab_size),
    }
    infos = [TensorInfo(t.name, t.ggml_type, t.num_rows, t.num_columns) for t in checkpoint.tensors.values()][::-1]
    path = tmp_path / "unusual.gguf"
    data = (checkpoint.tensors[info.name].packed for info in infos)
    write_gguf(path, unusual | layout.metadata, infos, data)
    assert round_trip(path, tmp_path) == path.read_bytes()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_json_lacks_are_refused(make, tmp_path, value):
    with pytest.raises(UnsupportedModelError, match=rf"Key 'test\.number' holds {value}, which JSON cannot hold"):
        convert(make.gguf(extra_metadata={"test.number": value}), tmp_path / "pack")


def test_a_renamed_pack_keeps_the_name_of_the_model(make, tmp_path):
    gguf = make.gguf()
    convert(gguf, tmp_path / "pack")
    (tmp_path / "pack").rename(tmp_path / "moved")
    convert(tmp_path / "moved", tmp_path / "back.gguf")
    assert (tmp_path / "back.gguf").read_bytes() == gguf.read_bytes()


@pytest.mark.parametrize("norm_dtype", ["F16", "F32"])
def test_mlx_to_gguf_and_back_gives_the_same_tensors(make, tmp_path, read_tensors, norm_dtype):
    pack = make.pack(make.gguf(tied=False), norm_dtype=norm_dtype)
    weights = dict(read_tensors(pack / "model.safetensors"))
    convert(pack, tmp_path / "there.gguf")
    convert(tmp_path / "there.gguf", tmp_path / "back")
    assert read_tensors(tmp_path / "back" / "model.safetensors") == weights


def test_an_mlx_pack_becomes_the_gguf_file_with_the_same_blocks_and_bonsai_keys(make, tmp_path):
    gguf = make.gguf()
    report = convert(make.pack(gguf), tmp_path / "converted.gguf")
    expected, found = GGUFFile(gguf), GGUFFile(tmp_path / "converted.gguf")
    for name, tensor in expected.tensors.items():
        if not name.endswith("norm.weight"):
            np.testing.assert_array_equal(found.tensors[name].packed, tensor.packed)
    assert list(found.tensors)[:4] == [
        "output_norm.weight",
        "token_embd.weight",
        "blk.0.attn_k.weight",
        "blk.0.attn_k_norm.weight",
    ]
    assert list(found.metadata) == [
        "general.architecture", "general.type", "general.sampling.top_k", "general.sampling.top_p",
        "general.sampling.temp", "general.name", "qwen3.block_count", "qwen3.context_length",
        "qwen3.embedding_length", "qwen3.feed_forward_length", "qwen3.attention.head_count",
        "qwen3.attention.head_count_kv", "qwen3.rope.freq_base", "qwen3.attention.layer_norm_rms_epsilon",
        "qwen3.attention.key_length", "qwen3.attention.value_length", "qwen3.rope.scaling.type",
        "qwen3.rope.scaling.factor", "qwen3.rope.scaling.original_context_length", "tokenizer.ggml.model",
        "tokenizer.ggml.pre", "tokenizer.ggml.tokens", "tokenizer.ggml.token_type", "tokenizer.ggml.merges",
        "tokenizer.ggml.eos_token_id", "tokenizer.ggml.padding_token_id", "tokenizer.ggml.bos_token_id",
        "tokenizer.ggml.add_bos_token", "tokenizer.chat_template", "general.quantization_version",
        "general.file_type",
    ]  # fmt: skip
    assert report.conversion == "MLX pack to GGUF"
    assert report.lossless
    assert report.destination == str(tmp_path / "converted.gguf")


def test_norms_become_float16_only_where_that_is_exact(make, tmp_path):
    gguf = make.gguf()
    convert(gguf, tmp_path / "exact")
    found = load_file(tmp_path / "exact" / "model.safetensors")
    expected = open_checkpoint(gguf).tensors["output_norm.weight"].dequantize()[0]
    assert found["model.norm.weight"].dtype == np.float32  # random float32 values
    np.testing.assert_array_equal(found["model.norm.weight"], expected)

    convert(make.pack(gguf), tmp_path / "rounded.gguf")
    convert(tmp_path / "rounded.gguf", tmp_path / "rounded")
    assert load_file(tmp_path / "rounded" / "model.safetensors")["model.norm.weight"].dtype == np.float16


def test_a_group_of_zeros_as_mlx_writes_it_comes_back(make, tmp_path, read_tensors, write_tensors):
    pack = make.pack(make.gguf())
    tensors = load_file(pack / "model.safetensors")
    module = "model.layers.0.mlp.down_proj"
    tensors[f"{module}.weight"][3, 4:8] = 0  # group 1
    tensors[f"{module}.scales"][3, 1] = 1e-7
    tensors[f"{module}.biases"][3, 1] = 0
    dtypes = {"uint32": "U32", "float16": "F16"}
    write_tensors(pack / "model.safetensors", {k: (dtypes[v.dtype.name], v) for k, v in tensors.items()})
    convert(pack, tmp_path / "zeros.gguf")
    row = open_checkpoint(tmp_path / "zeros.gguf").tensors["blk.0.ffn_down.weight"].dequantize([3])[0]
    np.testing.assert_array_equal(row[128:], 0)
    convert(tmp_path / "zeros.gguf", tmp_path / "back")
    assert read_tensors(tmp_path / "back" / "model.safetensors") == read_tensors(pack / "model.safetensors")


def test_a_group_that_is_not_plus_and_minus_s_is_refused_by_name(make, tmp_path, write_tensors):
    pack = make.pack(make.gguf())
    tensors = load_file(pack / "model.safetensors")
    tensors["model.layers.0.mlp.down_proj.biases"][5, 1] = 0.5
    scale = tensors["model.layers.0.mlp.down_proj.scales"][5, 1]
    dtypes = {"uint32": "U32", "float16": "F16"}
    write_tensors(pack / "model.safetensors", {k: (dtypes[v.dtype.name], v) for k, v in tensors.items()})
    with pytest.raises(UnsupportedModelError) as raised:
        convert(pack, tmp_path / "out.gguf")
    assert raised.value.cause == (
        f"Tensor 'model.layers.0.mlp.down_proj.scales' of {pack / 'model.safetensors'}, row 5, group 1 (columns 128 to "
        f"255) has the scale {scale} and the bias 0.5, which is not -scale/2."
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.gguf", "pack"]


def test_a_scale_that_cannot_be_doubled_is_refused_by_name(make, tmp_path):
    gguf = make.gguf()
    tensor = open_checkpoint(gguf).tensors["blk.0.ffn_up.weight"]
    raw = bytearray(gguf.read_bytes())
    position = raw.index(tensor.packed.tobytes()) + 3 * 18  # row 3: rows have one block
    raw[position : position + 2] = np.float16(40000).tobytes()
    gguf.write_bytes(raw)
    with pytest.raises(UnsupportedModelError) as raised:
        convert(gguf, tmp_path / "pack")
    assert "Tensor 'blk.0.ffn_up.weight'" in raised.value.cause
    assert raised.value.cause.endswith("row 3, group 0 has the scale 40000.0, whose double float16 lacks.")


def test_other_tensor_types_are_refused(make, tmp_path):
    gguf = make.gguf(ggml_type="Q8_0")
    with pytest.raises(UnsupportedModelError, match=r"'token_embd.weight' of .* is Q8_0; a 1-bit MLX pack needs Q1_0"):
        convert(gguf, tmp_path / "pack")


def test_an_attention_factor_is_refused(make, tmp_path):
    gguf = make.gguf(extra_metadata={"qwen3.rope.scaling.attn_factor": 1.5})
    with pytest.raises(UnsupportedModelError, match=r"has the RoPE attention factor 1\.5; an MLX pack can hold 1 only"):
        convert(gguf, tmp_path / "pack")


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda s: s["keys"].append({"key": "qwen3.x"}), "the key 'qwen3.x' has no value here nor in the pack's other"),
        (lambda s: s["keys"].append(s["keys"][0]), "the key 'general.architecture' is repeated"),
        (
            lambda s: s["keys"].append({"key": "a", "type": "UINT8", "value": 256}),
            "the value of 'a' is not of its type",
        ),
        (lambda s: s["keys"].append({"key": "a", "type": "WHAT", "value": 1}), "the key 'a' has an unknown type"),
        (
            lambda s: s["keys"].append({"key": "general.alignment", "type": "UINT32", "value": 0}),
            "general.alignment is 0; supported is a power of two from 8 to 65536.",
        ),
        (lambda s: s["keys"].remove({"key": "qwen3.block_count"}), "Key 'qwen3.block_count'"),
        (lambda s: s["keys"].append({"keys": "a"}), "Object missing required field `key`"),
        (lambda s: s["tensors"].pop(), "contradicts config.json"),
        (
            lambda s: s["keys"].append({"key": "qwen3.rope.scaling.attn_factor", "type": "FLOAT32", "value": 2.0}),
            "contradicts config.json",
        ),
    ],
)
def test_a_sidecar_that_does_not_fit_is_refused(make, tmp_path, change, cause):
    pack = tmp_path / "pack"
    convert(make.gguf(), pack)
    sidecar = json.loads((pack / "gguf.json").read_text())
    change(sidecar)
    (pack / "gguf.json").write_text(json.dumps(sidecar))
    with pytest.raises((MalformedModelError, UnsupportedModelError)) as raised:
        convert(pack, tmp_path / "out.gguf")
    assert cause in raised.value.cause
    assert not (tmp_path / "out.gguf").exists()


def test_the_pack_has_the_values_that_mlx_computes(make, tmp_path):
    mx = pytest.importorskip("mlx.core", reason="mlx is not installed (pip install 'mlx[cpu]')")
    gguf = make.gguf()
    convert(gguf, tmp_path / "pack")
    tensors = mx.load(str(tmp_path / "pack" / "model.safetensors"))
    module = "model.layers.0.mlp.down_proj"
    parts = [tensors[f"{module}.{part}"] for part in ("weight", "scales", "biases")]
    found = np.array(mx.dequantize(*parts, group_size=128, bits=1).astype(mx.float32))
    expected = open_checkpoint(gguf).tensors["blk.0.ffn_down.weight"].dequantize()
    np.testing.assert_array_equal(found, expected)


def test_weights_packed_by_mlx_are_read_exactly(make, tmp_path, write_tensors):
    mx = pytest.importorskip("mlx.core", reason="mlx is not installed (pip install 'mlx[cpu]')")
    gguf = make.gguf()
    pack = make.pack(gguf)
    tensors = {}
    for name, values in make.weights(gguf).items():
        array = mx.array(values).astype(mx.float16)
        if values.ndim == 1:
            tensors[name] = array
        else:
            module = name.removesuffix(".weight")
            packed = mx.quantize(array, group_size=128, bits=1)
            tensors |= dict(zip((name, f"{module}.scales", f"{module}.biases"), packed, strict=True))
    mx.save_safetensors(str(pack / "model.safetensors"), tensors, metadata={"format": "mlx"})
    convert(pack, tmp_path / "out.gguf")
    expected, found = open_checkpoint(gguf).tensors, open_checkpoint(tmp_path / "out.gguf").tensors
    for name in expected:
        if not name.endswith("norm.weight"):
            np.testing.assert_array_equal(found[name].packed, expected[name].packed)


def test_empty_lists_are_refused(make, tmp_path):
    checkpoint = open_checkpoint(make.gguf())
    metadata = gguf_layout.read_layout(checkpoint).metadata | {"test.list": array([], GGUFValueType.INT32)}
    with pytest.raises(UnsupportedModelError, match=r"Key 'test\.list' holds an empty list"):
        write_gguf(tmp_path / "out.gguf", metadata, [], iter(()))
