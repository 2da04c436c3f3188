"""Text to token ids and back, from the vocabulary of the model file; knows no template and no stream."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import tokenizers
from tokenizers.models import BPE

from bonsai_edge.errors import InvalidRequestError
from bonsai_edge.formats.gguf import MetadataValue
from bonsai_edge.text.byte_level import to_bytes
from bonsai_edge.text.pre_tokenizer import qwen2_pre_tokenizer
from bonsai_edge.text.special_tokens import split_special
from bonsai_edge.text.vocabulary import Vocabulary, read_vocabulary

MAX_TEXT_BYTES = 1 << 20
"""Longest text that is encoded, in UTF-8: more than fits into a context, and few enough for little boards.

The library needs up to 100 bytes of memory for each, and its regex engine gives up after ten million steps.
"""


class Tokenizer:
    """Byte-level BPE that encodes exactly as llama.cpp does; every text can be encoded and decodes to itself.

    Safe to share between threads. `stop_ids` end a generation, whether the file calls them EOS or not. `add_bos` says
    that a raw prompt wants `bos_id` in front; `encode` never adds it.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.num_tokens = vocabulary.num_tokens
        self.bos_id = vocabulary.bos_id
        self.eos_id = vocabulary.eos_id
        self.add_bos = vocabulary.add_bos
        self.stop_ids = vocabulary.stop_ids
        self._user_defined = vocabulary.user_defined
        self._special = vocabulary.user_defined | vocabulary.control
        self._control_bytes = {token_id: text.encode() for text, token_id in vocabulary.control.items()}
        self._user_defined_bytes = {token_id: text.encode() for text, token_id in vocabulary.user_defined.items()}
        self._bpe = tokenizers.Tokenizer(BPE(vocabulary.ordinary, vocabulary.merges))
        self._bpe.pre_tokenizer = qwen2_pre_tokenizer()

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, MetadataValue], vocab_size: int, path: Path) -> Tokenizer:
        """Build the tokenizer of a GGUF file whose embedding has `vocab_size` rows.

        Raises MalformedModelError or UnsupportedModelError.
        """
        return cls(read_vocabulary(metadata, vocab_size, path))

    @property
    def special_texts(self) -> tuple[str, ...]:
        """Texts of the control tokens, which no one but the chat template should write."""
        return tuple(text.decode() for text in self._control_bytes.values())

    def encode(self, text: str, special: bool = False, *, mark: str = "") -> list[int]:
        """Return the token ids of a text.

        With `special`, the text of a control token becomes that token; otherwise it is ordinary text. User-defined
        tokens are found either way. A `mark` is removed from between the tokens after they were found.
        Raises InvalidRequestError for what is not Unicode text or too long.
        """
        _check_text(text.replace(mark, "") if mark else text)
        ids: list[int] = []
        for part in split_special(text, self._special if special else self._user_defined):
            if isinstance(part, int):
                ids.append(part)
            else:
                ordinary = part.replace(mark, "") if mark else part
                ids += self._bpe.encode(ordinary, add_special_tokens=False).ids
        return ids

    def decode(self, token_ids: Iterable[int], special: bool = False) -> str:
        """Return the text of token ids, U+FFFD for broken UTF-8; control tokens only with `special`."""
        return b"".join(self.token_bytes(token_id, special) for token_id in token_ids).decode(errors="replace")

    def token_bytes(self, token_id: int, special: bool = False) -> bytes:
        """Return the bytes of one token, which may be a part of a character; control tokens have none by default.

        Raises InvalidRequestError for an id that is not in the vocabulary.
        """
        if not 0 <= token_id < self.num_tokens:
            raise InvalidRequestError(
                f"Token id {token_id} is not in the vocabulary, which has ids from 0 to {self.num_tokens - 1}.",
                "Use ids that this model's tokenizer returned.",
            )
        if token_id in self._control_bytes:
            return self._control_bytes[token_id] if special else b""
        if token_id in self._user_defined_bytes:
            return self._user_defined_bytes[token_id]
        token = self._bpe.id_to_token(int(token_id))
        return b"" if token is None else to_bytes(token)  # None: the vocabulary marks the id as unused


def _check_text(text: str) -> None:
    try:
        num_bytes = len(text.encode())
    except UnicodeEncodeError as exc:
        raise InvalidRequestError(
            f"The text has half of a surrogate pair, {text[exc.start]!r}, which is not a character.",
            "Send valid Unicode text.",
        ) from exc
    if num_bytes > MAX_TEXT_BYTES:
        raise InvalidRequestError(
            f"The text has {num_bytes} bytes; at most {MAX_TEXT_BYTES} are encoded at once.", "Send a shorter text."
        )
