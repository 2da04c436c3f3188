"""Files damaged at random: whatever the damage, opening ends in a BonsaiError or in a model that can be used."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from bonsai_edge.errors import BonsaiError
from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.generation import Message
from bonsai_edge.text.chat_template import ChatTemplate
from bonsai_edge.text.tokenizer import Tokenizer
from gguf_files import write_random_model

NUM_DAMAGES = 400


def use(path: Path) -> None:
    checkpoint = open_checkpoint(path)
    for tensor in checkpoint.tensors.values():
        assert tensor.packed.shape == (tensor.num_rows, tensor.ggml_type.row_bytes(tensor.num_columns))
    tokenizer = Tokenizer.from_metadata(checkpoint.metadata, checkpoint.spec.vocab_size, path)
    assert tokenizer.decode(tokenizer.encode("hello world")) == "hello world"
    template = ChatTemplate.from_metadata(checkpoint.metadata, path)
    if template is not None:
        template.render([Message("user", "hello")])


def refused(path: Path, content: bytes) -> bool:
    """Return whether the file is refused; any error but a BonsaiError fails the test."""
    path.write_bytes(content)
    try:
        use(path)
    except BonsaiError:
        return True
    return False


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.gguf"


@pytest.fixture
def content(path: Path) -> bytes:
    """A sound file; its text arrays are a small part, so that damage also meets the rest."""
    return write_random_model(path, hidden=128, intermediate=128, layers=1, heads=2, kv_heads=1).read_bytes()


def header_size(content: bytes) -> int:
    """Return where the weights begin, which no one checks."""
    return content.index(b"output_norm.weight") + 64


def test_sound_file_is_not_refused(path: Path, content: bytes) -> None:
    assert not refused(path, content)


def test_every_truncation_is_refused(path: Path, content: bytes) -> None:
    end = header_size(content)
    sizes = [*range(64), *range(64, end, 97), end, len(content) - 1]
    assert all(refused(path, content[:size]) for size in sizes)


@pytest.mark.parametrize("seed", range(4))
def test_flipped_bytes_end_in_a_typed_error_or_a_sound_model(path: Path, content: bytes, seed: int) -> None:
    rng = random.Random(seed)
    end = header_size(content)
    num_refused = 0
    for _ in range(NUM_DAMAGES):
        damaged = bytearray(content)
        for _ in range(rng.randrange(1, 4)):
            damaged[rng.randrange(end)] = rng.choice((0, 1, 0x7F, 0xFF, rng.randrange(256)))
        num_refused += refused(path, bytes(damaged))
    assert num_refused > NUM_DAMAGES // 4


@pytest.mark.parametrize("seed", range(2))
def test_inserted_and_removed_bytes_end_in_a_typed_error(path: Path, content: bytes, seed: int) -> None:
    rng = random.Random(seed)
    end = header_size(content)
    for _ in range(NUM_DAMAGES // 2):
        start = rng.randrange(end)
        length = rng.randrange(1, 9)
        replacement = rng.randbytes(rng.randrange(9))
        refused(path, content[:start] + replacement + content[start + length :])


def test_swapped_words_end_in_a_typed_error(path: Path, content: bytes) -> None:
    """Counts, lengths, types and offsets are 32-bit words: exchange pairs of them."""
    rng = np.random.default_rng(0)
    end = header_size(content) // 4
    for _ in range(NUM_DAMAGES // 2):
        words = np.frombuffer(content[: len(content) // 4 * 4], "<u4").copy()
        i, j = rng.integers(0, end, 2)
        words[[i, j]] = words[[j, i]]
        refused(path, words.tobytes() + content[len(words) * 4 :])
