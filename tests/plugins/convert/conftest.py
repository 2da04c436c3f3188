"""Inputs of the converters: checkpoints in Hugging Face's form, written here independently of the code under test."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from tokenizers import AddedToken, Regex, decoders, normalizers, pre_tokenizers

from bonsai_edge.engine.engine import Engine
from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.reference import ReferenceRunner
from gguf_files import CHATML_TEMPLATE, CONTROL, small_vocabulary, write_random_model

OUTER_NAMES = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
BLOCK_NAMES = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
    "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}  # fmt: skip
QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def hugging_face_name(gguf_name):
    parts = gguf_name.removesuffix(".weight").split(".")
    module = OUTER_NAMES[parts[0]] if len(parts) == 1 else f"model.layers.{parts[1]}.{BLOCK_NAMES[parts[2]]}"
    return f"{module}.weight"


def encode_as(values, dtype):
    """Return the bytes of float32 values in a safetensors dtype that holds them exactly, or of any array as it is."""
    if dtype == "BF16":
        return (values.view(np.uint32) >> 16).astype("<u2").tobytes()
    return values.astype({"F16": "<f2", "F32": "<f4", "U32": "<u4", "F64": "<f8"}[dtype]).tobytes()


def write_safetensors(path, tensors):
    """Write {name: (dtype, array)}."""
    header, data = {}, b""
    for name, (dtype, array) in tensors.items():
        encoded = encode_as(array, dtype)
        header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": [len(data), len(data) + len(encoded)]}
        data += encoded
    head = json.dumps(header).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head + data)


def read_safetensors(path):
    """Return {name: (dtype, shape, bytes)}."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    header.pop("__metadata__", None)
    return {
        name: (entry["dtype"], tuple(entry["shape"]), raw[8 + length :][slice(*entry["data_offsets"])])
        for name, entry in header.items()
    }


def write_tokenizer_files(directory, split=QWEN2_SPLIT):
    vocabulary = small_vocabulary(user_defined=["<think>"])
    ordinary = {
        text: token_id for token_id, text in enumerate(vocabulary.tokens) if vocabulary.token_types[token_id] == 1
    }
    merges = [tuple(merge.split(" ")) for merge in vocabulary.merges]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(ordinary, merges))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(split), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    for text in vocabulary.tokens[len(ordinary) :]:
        special = vocabulary.token_types[vocabulary.tokens.index(text)] == CONTROL
        add = tokenizer.add_special_tokens if special else tokenizer.add_tokens
        add([AddedToken(text, special=special, normalized=False)])
    tokenizer.save(str(directory / "tokenizer.json"))
    config = {
        "eos_token": "<|im_end|>",
        "pad_token": {"__type": "AddedToken", "content": "<|endoftext|>"},
        "bos_token": None,
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(config | {"add_bos_token": False}))
    (directory / "chat_template.jinja").write_text(CHATML_TEMPLATE)
    generation = {
        "eos_token_id": [vocabulary.eos_id, vocabulary.pad_id],
        "temperature": 0.5,
        "top_k": 20,
        "top_p": 0.85,
    }
    (directory / "generation_config.json").write_text(json.dumps(generation))
    return vocabulary


class Maker:
    """Writes models into one directory."""

    def __init__(self, directory):
        self.directory = directory

    def gguf(self, name="model.gguf", **options):
        """Write a random Q1_0 model of one layer with the vocabulary of `write_tokenizer_files`."""
        shape = {"hidden": 128, "intermediate": 256, "layers": 1, "heads": 4, "kv_heads": 2, "head_dim": 64}
        vocabulary = small_vocabulary(user_defined=["<think>"])
        return write_random_model(self.directory / name, **{**shape, "vocabulary": vocabulary, **options})

    def weights(self, path):
        """Return the weights of a GGUF file by their Hugging Face names, float32, norms rounded to F16 and BF16."""
        tensors = open_checkpoint(path).tensors
        weights = {hugging_face_name(name): tensor.dequantize() for name, tensor in tensors.items()}
        for name, values in weights.items():
            if len(values) == 1:
                weights[name] = (values[0].view(np.uint32) >> 16 << 16).view(np.float32)  # 8 bits, near 1
        return weights

    def config(self, path, **changes):
        """Return the `config.json` of the model in a GGUF file; None removes a field."""
        spec = open_checkpoint(path).spec
        config = {
            "model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "hidden_size": spec.hidden_size,
            "intermediate_size": spec.intermediate_size, "num_hidden_layers": spec.num_layers,
            "num_attention_heads": spec.num_heads, "num_key_value_heads": spec.num_kv_heads,
            "head_dim": spec.head_dim, "vocab_size": spec.vocab_size, "max_position_embeddings": 4096,
            "rms_norm_eps": 1e-6, "rope_theta": 1000000, "tie_word_embeddings": spec.tied_embeddings,
            "bos_token_id": spec.vocab_size - 3,
            "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024},
        }  # fmt: skip
        return {key: value for key, value in (config | changes).items() if value is not None}

    def checkpoint(self, weights, config, *, name="checkpoint", dtype="F16", shards=1):
        """Write an unpacked checkpoint."""
        directory = self.directory / name
        directory.mkdir()
        (directory / "config.json").write_text(json.dumps(config))
        write_tokenizer_files(directory)
        names = list(weights)
        files = [f"model-{i + 1:05}-of-{shards:05}.safetensors" for i in range(shards)]
        files = files if shards > 1 else ["model.safetensors"]
        for i, file in enumerate(files):
            write_safetensors(directory / file, {key: (dtype, weights[key]) for key in names[i::shards]})
        if shards > 1:
            weight_map = {key: files[i % shards] for i, key in enumerate(names)}
            (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
        return directory

    def pack(self, gguf, name="pack", *, norm_dtype="F16"):
        """Write the MLX pack of a GGUF file, weight by weight: value = scale * bit + bias."""
        directory = self.checkpoint({}, self.config(gguf, quantization={"group_size": 128, "bits": 1}), name=name)
        tensors = {}
        for key, values in self.weights(gguf).items():
            if values.ndim == 1:
                tensors[key] = (norm_dtype, values if norm_dtype == "F16" else values / np.float32(3))
                continue
            module = key.removesuffix(".weight")
            scales = np.abs(values[:, ::128])
            bits = (values > 0).reshape(len(values), -1, 32).astype(np.uint64)
            words = (bits << np.arange(32, dtype=np.uint64)).sum(axis=2)
            tensors[f"{module}.scales"] = ("F16", 2 * scales)
            tensors[f"{module}.biases"] = ("F16", -scales)
            tensors[key] = ("U32", words)
        write_safetensors(directory / "model.safetensors", tensors)
        return directory


@pytest.fixture
def make(tmp_path):
    return Maker(tmp_path)


@pytest.fixture
def read_tensors():
    return read_safetensors


@pytest.fixture
def write_tensors():
    return write_safetensors


@pytest.fixture
def write_tokenizer():
    return write_tokenizer_files


@pytest.fixture
def logits_of():
    """Return a function that runs a GGUF file through the reference engine."""

    def run(path: Path, token_ids):
        with Engine(ReferenceRunner(open_checkpoint(path), 16)).sequence(len(token_ids)) as sequence:
            return sequence.logits(token_ids)

    return run


@pytest.fixture
def copy_tree(tmp_path):
    """Return a function that copies a directory beside itself under another name."""
    return lambda source, name: Path(shutil.copytree(source, source.with_name(name)))
