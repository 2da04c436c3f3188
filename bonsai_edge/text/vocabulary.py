"""The vocabulary of a GGUF file, read from its metadata and checked: nothing later has to doubt it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bonsai_edge.errors import MalformedModelError, UnsupportedModelError
from bonsai_edge.formats.gguf import MetadataValue
from bonsai_edge.formats.metadata import require_int, require_string, require_strings
from bonsai_edge.text.byte_level import BYTE_OF_CHARACTER

_PREFIX = "tokenizer.ggml."
_SUPPORTED = {"model": "gpt2", "pre": "qwen2"}
_CONVERT_AGAIN = "Convert the model again with a current converter."
_STOP_TEXTS = ("<|endoftext|>", "<|im_end|>")
# Converters mark some of these as user-defined text. llama.cpp overrides that for all but <|im_start|>, and a user who
# can type the beginning of a turn is the worst of them.
_CONTROL_TEXTS = frozenset(
    {
        *_STOP_TEXTS,
        "<|im_start|>",
        "<|fim_prefix|>",
        "<|fim_middle|>",
        "<|fim_suffix|>",
        "<|fim_pad|>",
        "<|repo_name|>",
        "<|file_sep|>",
    }
)


class TokenType(IntEnum):
    """Values of `tokenizer.ggml.token_type` that byte-level vocabularies use."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5


@dataclass(frozen=True)
class Vocabulary:
    """Tokens by kind, as text to id.

    ordinary: written in the byte-level alphabet, reached by merges. control: have no text of their own, steer the
    model. user_defined: plain text that is always one token. Ids of unused tokens are in none of them.
    """

    num_tokens: int
    ordinary: dict[str, int]
    control: dict[str, int]
    user_defined: dict[str, int]
    merges: list[tuple[str, str]]
    bos_id: int | None
    eos_id: int | None
    add_bos: bool
    stop_ids: frozenset[int]


def read_vocabulary(metadata: Mapping[str, MetadataValue], vocab_size: int, path: Path) -> Vocabulary:
    """Read the keys `tokenizer.ggml.*`; `vocab_size` is the number of rows of the embedding.

    Raises MalformedModelError for contradictions and UnsupportedModelError for other kinds of tokenizer.
    """
    _require_supported(metadata, path)
    tokens = require_strings(metadata, _PREFIX + "tokens", path)
    if len(tokens) != vocab_size:
        # llama.cpp refuses this too; rows without a token could be sampled, and would have no text.
        raise MalformedModelError(
            f"{path} has {len(tokens)} tokens in '{_PREFIX}tokens' for {vocab_size} rows of token_embd.weight.",
            _CONVERT_AGAIN,
        )
    ordinary = {token: token_id for token_id, token in enumerate(tokens)}
    if len(ordinary) != len(tokens) or "" in ordinary:
        raise MalformedModelError(f"{path} has an empty or repeated token in '{_PREFIX}tokens'.", _CONVERT_AGAIN)
    control, user_defined = _take_special(ordinary, tokens, _token_types(metadata, len(tokens), path))
    _check_texts(ordinary, control, path)

    eos_id = optional_token_id(metadata, "eos", len(tokens), path)
    bos_id = optional_token_id(metadata, "bos", len(tokens), path)
    add_bos = _flag(metadata, "add_bos_token", path)
    if add_bos and bos_id is None:
        raise MalformedModelError(f"{path} sets '{_PREFIX}add_bos_token' without a BOS token id.", _CONVERT_AGAIN)
    ends = (eos_id, optional_token_id(metadata, "eot", len(tokens), path), *map(control.get, _STOP_TEXTS))
    return Vocabulary(
        num_tokens=len(tokens),
        ordinary=ordinary,
        control=control,
        user_defined=user_defined,
        merges=_merges(metadata, ordinary, path),
        bos_id=bos_id,
        eos_id=eos_id,
        add_bos=add_bos,
        stop_ids=frozenset(token_id for token_id in ends if token_id is not None),
    )


def optional_token_id(metadata: Mapping[str, MetadataValue], name: str, num_tokens: int, path: Path) -> int | None:
    """Return the id in `tokenizer.ggml.<name>_token_id`, or None if the key is absent."""
    key = f"{_PREFIX}{name}_token_id"
    return require_int(metadata, key, path, 0, num_tokens - 1) if key in metadata else None


def _require_supported(metadata: Mapping[str, MetadataValue], path: Path) -> None:
    for name, supported in _SUPPORTED.items():
        found = require_string(metadata, _PREFIX + name, path)
        if found != supported:
            raise UnsupportedModelError(
                f"{path} has the tokenizer '{_PREFIX}{name}' = {found!r}; supported is {supported!r}.",
                "Use a Qwen3-based model, such as Bonsai 1.7B, 4B or 8B.",
            )
    if _flag(metadata, "add_eos_token", path):
        raise UnsupportedModelError(
            f"{path} sets '{_PREFIX}add_eos_token'; supported are models whose prompts do not end with EOS.",
            "Use a model made for generating text.",
        )


def _token_types(metadata: Mapping[str, MetadataValue], num_tokens: int, path: Path) -> npt.NDArray[np.generic]:
    key = _PREFIX + "token_type"
    types = metadata.get(key)
    if not isinstance(types, np.ndarray) or types.dtype.kind not in "iu" or len(types) != num_tokens:
        found = f"{len(types)} of {types.dtype}" if isinstance(types, np.ndarray) else repr(types)[:80]
        raise MalformedModelError(
            f"Key {key!r} of {path} should hold {num_tokens} integers; found {found}.", _CONVERT_AGAIN
        )
    for found in np.unique(types).tolist():
        if found not in TokenType.__members__.values():
            supported = ", ".join(f"{kind.value} ({kind.name.lower()})" for kind in TokenType)
            raise UnsupportedModelError(
                f"Key {key!r} of {path} holds the token type {found}; supported are {supported}.",
                "Use a model with a byte-level vocabulary, such as Bonsai 1.7B, 4B or 8B.",
            )
    return types


def _take_special(
    ordinary: dict[str, int], tokens: list[str], types: npt.NDArray[np.generic]
) -> tuple[dict[str, int], dict[str, int]]:
    """Remove all but ordinary tokens from `ordinary`; return the control and the user-defined ones."""
    control: dict[str, int] = {}
    user_defined: dict[str, int] = {}
    for token_id in np.flatnonzero(types != TokenType.NORMAL).tolist():
        text = tokens[token_id]
        del ordinary[text]
        if text in _CONTROL_TEXTS or types[token_id] in (TokenType.CONTROL, TokenType.UNKNOWN):
            control[text] = token_id
        elif types[token_id] == TokenType.USER_DEFINED:
            user_defined[text] = token_id
    for text in _CONTROL_TEXTS & ordinary.keys():
        control[text] = ordinary.pop(text)
    return control, user_defined


def _check_texts(ordinary: dict[str, int], control: dict[str, int], path: Path) -> None:
    alphabet = BYTE_OF_CHARACTER.keys()
    if not alphabet <= ordinary.keys():
        missing = min(alphabet - ordinary.keys())
        raise MalformedModelError(
            f"The vocabulary of {path} has no token for the byte 0x{BYTE_OF_CHARACTER[missing]:02X}, so that not every "
            f"text can be encoded.",
            _CONVERT_AGAIN,
        )
    if not set("".join(ordinary)) <= alphabet:
        wrong = next(token for token in ordinary if not set(token) <= alphabet)
        raise MalformedModelError(
            f"Token {ordinary[wrong]} of {path}, {wrong!r}, is not written in the byte-level alphabet.", _CONVERT_AGAIN
        )
    for text in control:
        if len(text) == 1:
            raise UnsupportedModelError(
                f"The control token {text!r} of {path} is one character, which any text may contain; supported are "
                f"longer ones.",
                _CONVERT_AGAIN,
            )


def _merges(metadata: Mapping[str, MetadataValue], ordinary: dict[str, int], path: Path) -> list[tuple[str, str]]:
    merges: list[tuple[str, str]] = []
    for merge in require_strings(metadata, _PREFIX + "merges", path):
        left, space, right = merge.partition(" ")
        if not space or left not in ordinary or right not in ordinary or left + right not in ordinary:
            raise MalformedModelError(
                f"Merge {len(merges)} of '{_PREFIX}merges' of {path}, {merge[:80]!r}, does not join two ordinary "
                f"tokens to a third.",
                _CONVERT_AGAIN,
            )
        merges.append((left, right))
    if len(set(merges)) != len(merges):
        raise MalformedModelError(f"{path} repeats a merge in '{_PREFIX}merges'.", _CONVERT_AGAIN)
    return merges


def _flag(metadata: Mapping[str, MetadataValue], name: str, path: Path) -> bool:
    value = metadata.get(_PREFIX + name, False)
    if not isinstance(value, bool):
        raise MalformedModelError(
            f"Key '{_PREFIX}{name}' of {path} should hold true or false; found {value!r}.", _CONVERT_AGAIN
        )
    return value
