"""The exported GGUF file holds exactly the trained weights, and plain NumPy computes the same logits from it."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra `train`")
gguf = pytest.importorskip("gguf", reason="needs the extra `train`")

from bonsai_edge_train.export import export, tensor_names  # noqa: E402
from bonsai_edge_train.model import Qwen3, Qwen3Config  # noqa: E402
from bonsai_edge_train.q1_0 import binarize  # noqa: E402
from bonsai_edge_train.vocabulary import train_tokenizer  # noqa: E402


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(1)
    model = Qwen3(Qwen3Config(300, hidden_size=128, intermediate_size=256, num_layers=2, num_heads=4, num_kv_heads=2))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.mul_(1 + 0.1 * torch.randn_like(parameter))
    return model.eval()


@pytest.fixture(scope="module")
def reader(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "tiny.gguf"
    export(model, train_tokenizer(["pick up the red cube"] * 2, 300), path)
    return gguf.GGUFReader(path)


@pytest.fixture(scope="module")
def tensors(reader, dequantize_q1_0):
    return {
        tensor.name: dequantize_q1_0(tensor.data) if tensor.tensor_type.name == "Q1_0" else tensor.data
        for tensor in reader.tensors
    }


def test_dequantized_tensors_equal_the_forward_weights_bit_for_bit(model, tensors):
    names = dict(tensor_names(2))
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
        "general.name": "seedling",
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
    token_ids = [3, 1, 299, 42, 7, 128, 0]
    with torch.no_grad():
        expected = model(torch.tensor([token_ids]))[0].numpy()
    np.testing.assert_allclose(numpy_logits(tensors, token_ids), expected, atol=1e-4)
