"""The random models have the shapes of the published files, and load."""

from dataclasses import replace

import pytest
from gguf import GGUFWriter

from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.formats.ggml_types import GGMLType
from bonsai_edge.formats.qwen3 import tensor_shapes
from random_bonsai import SPECS, VOCAB_SIZE, write_random_bonsai


def num_bytes(num_rows, num_columns):
    ggml_type = GGMLType.F32 if num_rows == 1 else GGMLType.Q1_0
    return num_rows * ggml_type.row_bytes(num_columns)


# Parameters as Hugging Face counts them, tensors and tensor bytes as the headers of the published files give them.
@pytest.mark.parametrize(
    ("size", "num_parameters", "num_tensors", "num_tensor_bytes", "kv_bytes_per_token"),
    [
        ("8b", 8_188_548_096, 399, 1_152_704_128, 147_456),
        ("4b", 4_021_784_576, 398, 566_320_264, 147_456),
        ("1.7b", 1_720_028_160, 310, 242_357_152, 114_688),
    ],
)
def test_shapes_are_those_of_the_published_files(
    size, num_parameters, num_tensors, num_tensor_bytes, kv_bytes_per_token
):
    shapes = tensor_shapes(SPECS[size]).values()
    assert len(shapes) == num_tensors
    assert sum(num_rows * num_columns for num_rows, num_columns in shapes) == num_parameters
    assert sum(num_bytes(*shape) for shape in shapes) == num_tensor_bytes
    assert SPECS[size].kv_bytes_per_token() == kv_bytes_per_token


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory):
    """A vocabulary-only file with more tokens than Bonsai has, as Qwen2's padded one."""
    path = tmp_path_factory.mktemp("vocabulary") / "vocabulary.gguf"
    writer = GGUFWriter(path, "qwen2")
    writer.add_token_list([f"token{index}" for index in range(VOCAB_SIZE + 10)])
    writer.add_token_types([1] * (VOCAB_SIZE + 10))
    writer.add_token_merges(["t o", "to k"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_written_file_reads_back_with_its_spec(tmp_path, vocabulary):
    checkpoint = open_checkpoint(write_random_bonsai(tmp_path / "tiny.gguf", "tiny", vocabulary))
    spec = checkpoint.spec
    assert replace(spec, rms_norm_eps=1e-6) == SPECS["tiny"]
    assert spec.rms_norm_eps == pytest.approx(1e-6)  # a float32 in the file
    assert len(checkpoint.metadata["tokenizer.ggml.tokens"]) == VOCAB_SIZE
    assert {tensor.ggml_type for tensor in checkpoint.tensors.values()} == {GGMLType.F32, GGMLType.Q1_0}


def test_the_same_seed_writes_the_same_file(tmp_path, vocabulary):
    def content(name, seed):
        return write_random_bonsai(tmp_path / name, "tiny", vocabulary, seed).read_bytes()

    first, again, other = content("first", 1), content("again", 1), content("other", 2)
    assert first == again
    assert first != other
