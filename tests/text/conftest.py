from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bonsai_edge.formats.gguf import MetadataValue
from bonsai_edge.text.tokenizer import Tokenizer
from gguf_files import CHATML_TEMPLATE, Vocabulary, small_vocabulary

MODEL_PATH = Path("model.gguf")


@pytest.fixture
def vocabulary() -> Vocabulary:
    return small_vocabulary(user_defined=["<think>", "</think>", "<tool_call>"])


@pytest.fixture
def metadata(vocabulary: Vocabulary) -> dict[str, MetadataValue]:
    """The tokenizer's metadata as the GGUF reader returns it."""
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "qwen2",
        "tokenizer.ggml.tokens": vocabulary.tokens,
        "tokenizer.ggml.token_type": np.array(vocabulary.token_types, np.int32),
        "tokenizer.ggml.merges": vocabulary.merges,
        "tokenizer.ggml.eos_token_id": vocabulary.eos_id,
        "tokenizer.ggml.bos_token_id": vocabulary.pad_id,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": CHATML_TEMPLATE,
    }


@pytest.fixture
def tokenizer(metadata: dict[str, MetadataValue], vocabulary: Vocabulary) -> Tokenizer:
    return Tokenizer.from_metadata(metadata, len(vocabulary.tokens), MODEL_PATH)
