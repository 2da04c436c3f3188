"""A GGUF file and an MLX pack of the same weights: the same arrays, and the same tokens."""

import warnings
from importlib.resources import files
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

import bonsai_edge
from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge_convert.conversion import convert
from bonsai_edge_metal.weights import SignMatrix, stack_matrices

SEEDLING = Path(str(files("bonsai_edge") / "data" / "seedling.gguf"))
COMMANDS = ["pick up the red cube and bring it to the charging dock", "turn left 90 degrees", "good morning"]


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As published ones are: without the file beside it that helps to give the GGUF file back byte for byte."""
    directory = tmp_path_factory.mktemp("pack") / "seedling"
    convert(SEEDLING, directory)
    (directory / "gguf.json").unlink()
    return directory


def test_weights_of_a_gguf_file_are_the_arrays_of_the_pack(pack: Path) -> None:
    arrays, tensors = mx.load(str(pack / "model.safetensors")), open_checkpoint(SEEDLING).tensors
    modules = [f"model.layers.1.self_attn.{name}_proj" for name in "qkv"]
    matrix = stack_matrices([tensors[f"blk.1.attn_{name}.weight"] for name in "qkv"], mx.float16)
    assert isinstance(matrix, SignMatrix)
    for part, found in (("weight", matrix.words), ("scales", matrix.scales), ("biases", matrix.biases)):
        expected = mx.concatenate([arrays[f"{module}.{part}"] for module in modules])
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(np.array(found), np.array(expected))


def test_both_generate_the_same_tokens(pack: Path, tmp_path: Path) -> None:
    convert(pack, tmp_path / "from_pack.gguf")
    assert greedy_tokens(tmp_path / "from_pack.gguf") == greedy_tokens(SEEDLING)


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore")
def test_mlx_lm_generates_the_same_tokens_from_the_pack(pack: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlx_lm = pytest.importorskip("mlx_lm", reason="mlx_lm is not installed (pip install mlx-lm)")
    model, tokenizer = mlx_lm.load(str(pack))
    for command, expected in zip(COMMANDS, greedy_tokens(SEEDLING), strict=True):
        turn = [{"role": "user", "content": command}]
        prompt = tokenizer.apply_chat_template(turn, tokenize=True, add_generation_prompt=True)
        steps = mlx_lm.stream_generate(model, tokenizer, prompt, max_tokens=200)
        found = [step.token for step in steps]
        assert found[: len(expected)] == expected, command  # then the token that ends the answer


def greedy_tokens(path: Path) -> list[list[int]]:
    with bonsai_edge.load(path, backend="metal", require_backend=True) as model:
        answers = [
            model.generate_text([{"role": "user", "content": command}], temperature=0, max_tokens=200)
            for command in COMMANDS
        ]
    assert all(answer.finish_reason == "stop" for answer in answers)
    return [answer.token_ids for answer in answers]
