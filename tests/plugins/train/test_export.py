"""The exported GGUF file holds exactly the trained weights, and plain NumPy computes the same logits from it."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra `train`")
gguf = pytest.importorskip("gguf", reason="needs the extra `train`")

from bonsai_edge.engine.engine import Engine  # noqa: E402
from bonsai_edge.formats.checkpoint import open_checkpoint  # noqa: E402
from bonsai_edge.reference import ReferenceRunner  # noqa: E402
from bonsai_edge.text.tokenizer import Tokenizer  # noqa: E402
from bonsai_edge_train.config import Qwen3Config  # noqa: E402
from bonsai_edge_train.export import Header, export, tensor_names  # noqa: E402
from bonsai_edge_train.model import Qwen3  # noqa: E402
from bonsai_edge_train.q1_0 import binarize  # noqa: E402

HEADER = Header("tiny", "apache-2.0")
SHAPE = {
    "vocab_size": 300, "hidden_size": 128, "intermediate_size": 256, "num_layers": 2, "num_heads": 4, "num_kv_heads": 2,
    "head_dim": 64,
}  # fmt: skip
TOKEN_IDS = [3, 1, 299, 42, 7, 128, 0]


def make_model(**changes):
    torch.manual_seed(1)
    model = Qwen3(Qwen3Config(**SHAPE, **changes))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.mul_(1 + 0.1 * torch.randn_like(parameter))
    return model.eval()


def torch_logits(model, token_ids=TOKEN_IDS):
    with torch.no_grad():
        return model(torch.tensor([token_ids]))[0].numpy()


def reference_logits(path, token_ids=TOKEN_IDS):
    with Engine(ReferenceRunner(open_checkpoint(path), num_pages=2)).sequence(len(token_ids)) as sequence:
        return sequence.logits(token_ids)


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture(scope="module")
def path(model, tokenizer, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "tiny.gguf"
    export(model, tokenizer, path, HEADER)
    return path


@pytest.fixture(scope="module")
def reader(path):
    return gguf.GGUFReader(path)


@pytest.fixture(scope="module")
def tensors(reader, dequantize_q1_0):
    return {
        tensor.name: dequantize_q1_0(tensor.data) if tensor.tensor_type.name == "Q1_0" else tensor.data
        for tensor in reader.tensors
    }


def test_dequantized_tensors_equal_the_forward_weights_bit_for_bit(model, tensors):
    names = dict(tensor_names(model.config))
    assert set(names.values()) == set(tensors)
    for name, parameter in model.named_parameters():
        forward = binarize(parameter.detach()) if parameter.dim() == 2 else parameter.detach()
        np.testing.assert_array_equal(tensors[names[name]], forward.numpy())


def test_matrices_are_q1_0_and_norms_are_f32(reader):
    for tensor in reader.tensors:
        assert tensor.tensor_type.name == ("F32" if tensor.name.endswith("norm.weight") else "Q1_0")


def test_header_has_the_keys_of_bonsai_files(reader):
    values = {name: field.contents() for name, field in reader.fields.items() if not name.startswith("GGUF.")}
    expected = {
        "general.architecture": "qwen3",
        "general.name": "tiny",
        "general.license": "apache-2.0",
        "general.sampling.temp": 0.0,
        "general.file_type": 40,
        "general.quantization_version": 2,
        "qwen3.block_count": 2,
        "qwen3.context_length": 1024,
        "qwen3.embedding_length": 128,
        "qwen3.feed_forward_length": 256,
        "qwen3.attention.head_count": 4,
        "qwen3.attention.head_count_kv": 2,
        "qwen3.attention.key_length": 64,
        "qwen3.attention.value_length": 64,
        "qwen3.rope.freq_base": 10000.0,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "qwen2",
        "tokenizer.ggml.add_bos_token": False,
    }
    assert {key: values[key] for key in expected} == expected
    assert values["qwen3.attention.layer_norm_rms_epsilon"] == pytest.approx(1e-6)
    tokens = values["tokenizer.ggml.tokens"]
    assert tokens[values["tokenizer.ggml.eos_token_id"]] == "<|im_end|>"
    assert tokens[values["tokenizer.ggml.padding_token_id"]] == "<|endoftext|>"
    assert values["tokenizer.ggml.token_type"][-3:] == [3, 3, 3]


def rms_norm(x, weight):
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-6) * weight


def rope(x, positions):
    half = x.shape[-1] // 2
    angles = positions[:, None, None] * 10000.0 ** (-np.arange(half) / half)
    cos, sin = np.cos(angles), np.sin(angles)
    first, second = x[..., :half], x[..., half:]
    return np.concatenate((first * cos - second * sin, second * cos + first * sin), axis=-1)


def numpy_logits(tensors, token_ids, num_layers=2, num_heads=4, num_kv_heads=2, head_dim=64):
    """Qwen3 by the book in float64, from tensors as a GGUF reader sees them."""
    num_tokens = len(token_ids)
    positions = np.arange(num_tokens)
    mask = np.where(np.tri(num_tokens, dtype=bool), 0.0, -np.inf)
    x = tensors["token_embd.weight"].astype(np.float64)[token_ids]
    for layer in range(num_layers):
        w = {name: tensors[f"blk.{layer}.{name}.weight"] for name in (
            "attn_norm", "attn_q", "attn_k", "attn_v", "attn_q_norm", "attn_k_norm", "attn_output",
            "ffn_norm", "ffn_gate", "ffn_up", "ffn_down",
        )}  # fmt: skip
        h = rms_norm(x, w["attn_norm"])
        q = rope(rms_norm((h @ w["attn_q"].T).reshape(num_tokens, num_heads, head_dim), w["attn_q_norm"]), positions)
        k = rope(rms_norm((h @ w["attn_k"].T).reshape(num_tokens, num_kv_heads, head_dim), w["attn_k_norm"]), positions)
        v = (h @ w["attn_v"].T).reshape(num_tokens, num_kv_heads, head_dim)
        heads = []
        for head in range(num_heads):
            kv_head = head // (num_heads // num_kv_heads)
            scores = np.exp(q[:, head] @ k[:, kv_head].T / np.sqrt(head_dim) + mask)
            heads.append(scores / scores.sum(axis=-1, keepdims=True) @ v[:, kv_head])
        x = x + np.concatenate(heads, axis=-1) @ w["attn_output"].T
        h = rms_norm(x, w["ffn_norm"])
        gate = h @ w["ffn_gate"].T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ w["ffn_up"].T)) @ w["ffn_down"].T
    return rms_norm(x, tensors["output_norm.weight"]) @ tensors["token_embd.weight"].T


def test_numpy_on_the_exported_file_computes_the_logits_of_the_trained_model(model, tensors):
    np.testing.assert_allclose(numpy_logits(tensors, TOKEN_IDS), torch_logits(model), atol=1e-4)


@pytest.mark.parametrize("tied_head", [True, False])
def test_the_reference_engine_computes_the_logits_of_the_trained_model(tokenizer, tmp_path, tied_head):
    model = make_model(tied_head=tied_head)
    export(model, tokenizer, tmp_path / "tiny.gguf", HEADER)
    token_ids = np.random.default_rng(0).integers(0, 300, 60).tolist()
    expected = torch_logits(model, token_ids)
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(reference_logits(tmp_path / "tiny.gguf", token_ids), expected, rtol=0, atol=1e-3)


def test_float32_weights_are_written_as_they_are(tokenizer, tmp_path):
    model = make_model(weights="float32")
    export(model, tokenizer, tmp_path / "tiny.gguf", Header("tiny"))
    reader = gguf.GGUFReader(tmp_path / "tiny.gguf")
    assert {tensor.tensor_type.name for tensor in reader.tensors} == {"F32"}
    assert reader.fields["general.file_type"].contents() == 0
    assert "general.license" not in reader.fields
    np.testing.assert_allclose(reference_logits(tmp_path / "tiny.gguf"), torch_logits(model), rtol=0, atol=1e-3)


def test_quantized_float32_weights_are_those_of_native_training(tokenizer, tmp_path):
    export(make_model(weights="float32"), tokenizer, tmp_path / "quantized.gguf", HEADER, quantize=True)
    native = make_model()
    np.testing.assert_allclose(reference_logits(tmp_path / "quantized.gguf"), torch_logits(native), rtol=0, atol=1e-3)


def test_the_tokenizer_of_the_file_gives_the_tokens_of_training(path, tokenizer):
    text = "<|im_start|>user\ngo to the door, 12 °C<|im_end|>\n"
    checkpoint = open_checkpoint(path)
    exported = Tokenizer.from_metadata(checkpoint.metadata, 300, path)
    assert exported.encode(text, special=True) == tokenizer.encode(text).ids
