from __future__ import annotations

from pathlib import Path

import pytest

from bonsai_edge.errors import MalformedModelError, UnsupportedModelError
from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.formats.qwen3 import tensor_shapes
from gguf_bytes import STRING, U32, GGUFBytes, key
from gguf_files import write_random_model


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.gguf"


def test_checkpoint_has_all_tensors_of_its_spec(path: Path) -> None:
    checkpoint = open_checkpoint(write_random_model(path, tied=False))
    assert checkpoint.path == path
    assert checkpoint.num_bytes == path.stat().st_size
    assert checkpoint.metadata["tokenizer.ggml.model"] == "gpt2"
    found = {name: (tensor.num_rows, tensor.num_columns) for name, tensor in checkpoint.tensors.items()}
    assert found == tensor_shapes(checkpoint.spec)


@pytest.mark.parametrize("architecture", ["llama", "qwen35", "bitnet-b1.58", ""])
def test_other_architectures_are_unsupported(path: Path, architecture: str) -> None:
    path.write_bytes(GGUFBytes([key("general.architecture", STRING, architecture)]).build())
    with pytest.raises(UnsupportedModelError) as caught:
        open_checkpoint(path)
    assert caught.value.cause == f"{path} has the architecture {architecture!r}; supported is qwen3."


def test_architecture_must_be_a_text(path: Path) -> None:
    path.write_bytes(GGUFBytes([key("general.architecture", U32, 3)]).build())
    with pytest.raises(MalformedModelError) as caught:
        open_checkpoint(path)
    assert caught.value.cause == f"Key 'general.architecture' of {path} should hold text; found 3."


def test_file_without_keys_is_refused(path: Path) -> None:
    path.write_bytes(GGUFBytes().build())
    with pytest.raises(MalformedModelError, match=r"Key 'general\.architecture' .* should hold text; found nothing"):
        open_checkpoint(path)


def test_vocabulary_file_without_weights_is_refused(path: Path) -> None:
    path.write_bytes(
        GGUFBytes(
            [
                key("general.architecture", STRING, "qwen3"),
                *(key(f"qwen3.attention.head_count{suffix}", U32, 1) for suffix in ("", "_kv")),
                key("qwen3.embedding_length", U32, 128),
                key("qwen3.block_count", U32, 1),
                key("qwen3.feed_forward_length", U32, 128),
            ]
        ).build()
    )
    with pytest.raises(MalformedModelError) as caught:
        open_checkpoint(path)
    assert caught.value.cause == f"{path} has no tensor 'token_embd.weight'."
