"""The byte-level BPE vocabulary of seedling, built the way Qwen2's is, on generated commands and answers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split
from tokenizers.trainers import BpeTrainer

from bonsai_edge_train.chat import SPECIAL_TOKENS

# The pre-tokenizer of Qwen2's tokenizer.json; llama.cpp calls it "qwen2".
QWEN2_PATTERN = (
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def make_tokenizer(bpe: BPE) -> Tokenizer:
    """Wrap byte-level merges with Qwen2's pre-tokenizer and the byte-level decoder."""
    tokenizer = Tokenizer(bpe)
    tokenizer.pre_tokenizer = Sequence(
        [
            Split(Regex(QWEN2_PATTERN), behavior="isolated"),
            ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = ByteLevelDecoder()
    return tokenizer


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Train a byte-level BPE tokenizer of `vocab_size` tokens: 256 bytes, merges, then the special tokens."""
    tokenizer = make_tokenizer(BPE())
    trainer = BpeTrainer(
        vocab_size=vocab_size - len(SPECIAL_TOKENS), initial_alphabet=ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    add_special_tokens(tokenizer)
    return tokenizer


def add_special_tokens(tokenizer: Tokenizer) -> None:
    """Make the special tokens whole tokens, wherever they stand in a text."""
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])


@dataclass(frozen=True)
class Vocabulary:
    """Tokens in id order and merges in rank order, as GGUF stores them."""

    tokens: list[str]
    merges: list[str]


def read_vocabulary(tokenizer: Tokenizer) -> Vocabulary:
    """Return the tokens and merges of a trained tokenizer."""
    ids = tokenizer.get_vocab()
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    return Vocabulary(sorted(ids, key=ids.__getitem__), [" ".join(merge) for merge in merges])


def token_id(tokenizer: Tokenizer, token: str) -> int:
    """Return the id of a token that must exist, such as a special token."""
    found = tokenizer.token_to_id(token)
    assert found is not None, f"the vocabulary lacks {token}"
    return found
