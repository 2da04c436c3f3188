"""Writes GGUF files with the exact shapes of the Bonsai models and random Q1_0 weights, for benchmarks and peer tests.

    python benchmarks/random_bonsai.py 1.7b OUT.gguf [--vocab VOCAB.gguf]

Speed, memory and numerical agreement do not depend on the values of the weights, so nothing has to be downloaded.
VOCAB.gguf is a vocabulary-only file with the Qwen2 vocabulary; without it, llama.cpp's is fetched.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import platformdirs
from gguf import GGMLQuantizationType, GGUFWriter

from bonsai_edge.formats.ggml_types import GGMLType
from bonsai_edge.formats.gguf import GGUFFile
from bonsai_edge.formats.qwen3 import tensor_shapes
from bonsai_edge.measuring.bonsai_shapes import BONSAI_1_7B, BONSAI_4B, BONSAI_8B, VOCAB_SIZE
from bonsai_edge.model_spec import ModelSpec, YarnScaling
from llama_cpp_source import qwen2_vocabulary

_TINY = replace(
    BONSAI_1_7B.spec,
    num_layers=2,
    hidden_size=256,
    intermediate_size=768,
    num_heads=4,
    num_kv_heads=2,
    head_dim=64,
    context_length=4096,
    yarn=YarnScaling(factor=4.0, original_context_length=1024),
)

SPECS = {
    size: replace(spec, name=f"random-{size}")
    for size, spec in {"8b": BONSAI_8B.spec, "4b": BONSAI_4B.spec, "1.7b": BONSAI_1_7B.spec, "tiny": _TINY}.items()
}
"""The shapes of the published headers, and `tiny`, which has the same parts."""


def write_random_bonsai(path: Path, size: str, vocabulary: Path, seed: int = 0) -> Path:
    """Write the model `size` of `SPECS` and return its path; holds one tensor in memory at a time."""
    spec = SPECS[size]
    writer = GGUFWriter(path, spec.architecture)
    _add_hyperparameters(writer, spec)
    _add_tokenizer(writer, vocabulary)
    shapes = tensor_shapes(spec)
    for name, (num_rows, num_columns) in shapes.items():
        if num_rows == 1:
            writer.add_tensor_info(name, [num_columns], np.dtype(np.float32), 4 * num_columns)
        else:
            packed_shape = (num_rows, GGMLType.Q1_0.row_bytes(num_columns))
            num_bytes = packed_shape[0] * packed_shape[1]
            writer.add_tensor_info(name, packed_shape, np.dtype(np.uint8), num_bytes, GGMLQuantizationType.Q1_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    rng = np.random.default_rng(seed)
    for num_rows, num_columns in shapes.values():
        is_norm = num_rows == 1
        writer.write_tensor_data(_norm(rng, num_columns) if is_norm else _matrix(rng, num_rows, num_columns))
    writer.close()
    return path


def cached_random_bonsai(size: str) -> Path:
    """Return the file of that size, written into BONSAI_EDGE_BENCH_CACHE or the user's cache the first time."""
    cache = Path(os.environ.get("BONSAI_EDGE_BENCH_CACHE") or platformdirs.user_cache_path("bonsai-edge") / "bench")
    path = cache / f"random-{size}.gguf"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}")
        write_random_bonsai(unfinished, size, qwen2_vocabulary()).rename(path)
    return path


def _add_hyperparameters(writer: GGUFWriter, spec: ModelSpec) -> None:
    assert spec.yarn is not None
    writer.add_name(spec.name)
    writer.add_context_length(spec.context_length)
    writer.add_embedding_length(spec.hidden_size)
    writer.add_block_count(spec.num_layers)
    writer.add_feed_forward_length(spec.intermediate_size)
    writer.add_head_count(spec.num_heads)
    writer.add_head_count_kv(spec.num_kv_heads)
    writer.add_key_length(spec.head_dim)
    writer.add_value_length(spec.head_dim)
    writer.add_layer_norm_rms_eps(spec.rms_norm_eps)
    writer.add_rope_freq_base(spec.rope_base)
    writer.add_string("qwen3.rope.scaling.type", "yarn")
    writer.add_float32("qwen3.rope.scaling.factor", spec.yarn.factor)
    writer.add_uint32("qwen3.rope.scaling.original_context_length", spec.yarn.original_context_length)
    writer.add_file_type(41)  # what the published files carry; mainline llama.cpp would write 40


def _add_tokenizer(writer: GGUFWriter, vocabulary: Path) -> None:
    metadata = GGUFFile(vocabulary).metadata
    token_types = metadata["tokenizer.ggml.token_type"]
    assert isinstance(token_types, np.ndarray)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(metadata["tokenizer.ggml.tokens"][:VOCAB_SIZE])  # type: ignore[index]
    writer.add_token_types(token_types[:VOCAB_SIZE].tolist())
    writer.add_token_merges(metadata["tokenizer.ggml.merges"])
    writer.add_eos_token_id(151645)  # <|im_end|>
    writer.add_pad_token_id(151643)  # <|endoftext|>
    writer.add_add_bos_token(False)


def _matrix(rng: np.random.Generator, num_rows: int, num_columns: int) -> npt.NDArray[np.uint8]:
    """Return random Q1_0 rows of about unit gain, uint8 (num_rows, row_bytes)."""
    num_blocks = num_columns // GGMLType.Q1_0.block_elements
    packed = np.empty((num_rows, num_blocks, GGMLType.Q1_0.block_bytes), np.uint8)
    scales = np.abs(1 + 0.2 * rng.standard_normal((num_rows, num_blocks, 1), np.float32)) / np.sqrt(num_columns)
    packed[:, :, :2] = scales.astype("<f2").view(np.uint8)
    packed[:, :, 2:] = rng.integers(0, 256, packed[:, :, 2:].shape, np.uint8)
    return packed.reshape(num_rows, -1)


def _norm(rng: np.random.Generator, size: int) -> npt.NDArray[np.float32]:
    return (1 + 0.1 * rng.standard_normal(size)).astype(np.float32)


def main() -> None:
    """Parse the command line and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("size", choices=SPECS)
    parser.add_argument("out", type=Path)
    parser.add_argument("--vocab", type=Path, help="vocabulary-only GGUF file")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    write_random_bonsai(args.out, args.size, args.vocab or qwen2_vocabulary(), args.seed)


if __name__ == "__main__":
    main()
