from pathlib import Path

import pytest

from bonsai_edge.formats.checkpoint import Checkpoint, open_checkpoint
from bonsai_edge.profiling.roofline import bandwidth_share, weight_bytes_per_token
from gguf_files import write_random_model


def open_model(path: Path, *, tied: bool) -> tuple[Checkpoint, int]:
    """Return a checkpoint and the bytes of all its tensors."""
    checkpoint = open_checkpoint(write_random_model(path, tied=tied))
    return checkpoint, sum(tensor.num_bytes for tensor in checkpoint.tensors.values())


def test_tied_embedding_is_read_once_as_the_output(tmp_path: Path) -> None:
    checkpoint, all_bytes = open_model(tmp_path / "tied.gguf", tied=True)
    assert weight_bytes_per_token(checkpoint) == all_bytes


def test_untied_embedding_gives_one_row(tmp_path: Path) -> None:
    checkpoint, all_bytes = open_model(tmp_path / "untied.gguf", tied=False)
    embedding = checkpoint.tensors["token_embd.weight"]
    row_bytes = 256 // 128 * 18
    assert weight_bytes_per_token(checkpoint) == all_bytes - embedding.num_bytes + row_bytes


def test_share_is_bytes_read_over_bytes_readable() -> None:
    assert bandwidth_share(weight_bytes=250_000_000, tokens_per_s=60.0, memory_read_bytes_per_s=20e9) == pytest.approx(
        0.75
    )
