"""Tokenizer, chat template and generation defaults: Hugging Face's files to GGUF keys, and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import msgspec
import tokenizers
from gguf import GGUFValueType, SpecialVocab
from msgspec import Meta
from tokenizers import AddedToken, Regex, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE

from bonsai_edge.errors import MalformedModelError, ModelNotFoundError, UnsupportedModelError
from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.text.tokenizer import Tokenizer
from bonsai_edge.text.vocabulary import TokenType, optional_token_id, read_vocabulary
from bonsai_edge_convert.metadata import (
    Metadata,
    TypedValue,
    array,
    boolean,
    float32,
    shortest,
    string,
    uint32,
    untyped,
)

_PREFIX = "tokenizer.ggml."
_GGUF_NAMES = {"eos": "eos", "pad": "padding", "bos": "bos"}
_SAMPLING = {"top_k": "top_k", "top_p": "top_p", "temperature": "temp"}
_USE_QWEN2 = "Use a model with Qwen2's tokenizer, as Qwen3 and Bonsai models have it."

# Qwen2's own rule, as it stands in the tokenizer.json of Qwen3 models.
_QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_PROBE = (
    "Hello world, it's the ROBOT'S 12345th  day;\tcount: 3.14!\n\n   if x != y:\r\n        return 'ok'  \n"
    "Grüße aus Köln, 你好世界, привет, नमस्ते, 🤖🔋 don'T STOP... \u00a0 end "
)
"""Words, digits, spaces, line ends, scripts and punctuation, which tokenizers other than Qwen2's cut differently."""


_TokenId = Annotated[int, Meta(ge=0, lt=1 << 31)]


class _GenerationConfig(msgspec.Struct):
    eos_token_id: _TokenId | list[_TokenId] | None = None
    top_k: Annotated[int, Meta(ge=0, lt=1 << 31)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=100)] | None = None


def read_tokenizer(directory: Path, vocab_size: int) -> Metadata:
    """Return the keys `tokenizer.*` for a model of `vocab_size` rows; rows without a token become unused tokens.

    Raises UnsupportedModelError if the tokenizer does not cut texts as the runtime's `qwen2` does.
    """
    for name in ("tokenizer.json", "tokenizer_config.json"):
        if not (directory / name).is_file():
            raise ModelNotFoundError(f"There is no {directory / name}.", "Download the tokenizer's files too.")
    tokenizer = _open_tokenizer(directory / "tokenizer.json")
    special = _read_special(directory, vocab_size)
    tokens, types = _token_table(tokenizer, vocab_size, directory / "tokenizer.json")
    metadata = {
        _PREFIX + "model": string("gpt2"),
        _PREFIX + "pre": string("qwen2"),
        _PREFIX + "tokens": array(tokens, GGUFValueType.STRING),
        _PREFIX + "token_type": array(types, GGUFValueType.INT32),
        _PREFIX + "merges": array(special.merges, GGUFValueType.STRING),
    }
    for name, token_id in special.special_token_ids.items():
        metadata[f"{_PREFIX}{_GGUF_NAMES[name]}_token_id"] = uint32(token_id)
    metadata[_PREFIX + "add_bos_token"] = boolean(special.add_special_token.get("bos", False))
    if special.add_special_token.get("eos"):
        metadata[_PREFIX + "add_eos_token"] = boolean(True)
    if special.chat_template is not None:
        if not isinstance(special.chat_template, str):
            raise UnsupportedModelError(
                f"{directory} has several chat templates; supported is one.",
                "Leave the right one in chat_template.jinja.",
            )
        metadata["tokenizer.chat_template"] = string(special.chat_template)
    _check_splits_alike(tokenizer, metadata, vocab_size, directory / "tokenizer.json")
    return metadata


def read_sampling(directory: Path) -> Metadata:
    """Return the keys `general.sampling.*` from `generation_config.json`, if there is one."""
    config = _read_generation_config(directory / "generation_config.json")
    metadata: Metadata = {}
    if config.top_k is not None:
        metadata["general.sampling.top_k"] = TypedValue(GGUFValueType.INT32, config.top_k)
    if config.top_p is not None:
        metadata["general.sampling.top_p"] = float32(config.top_p)
    if config.temperature is not None:
        metadata["general.sampling.temp"] = float32(config.temperature)
    return metadata


def _open_tokenizer(path: Path) -> tokenizers.Tokenizer:
    try:
        return tokenizers.Tokenizer.from_file(str(path))
    except Exception as exc:  # the library raises nothing narrower
        raise MalformedModelError(f"{path} is not a tokenizer: {exc}.", "Download or copy the file again.") from exc


def _read_special(directory: Path, vocab_size: int) -> SpecialVocab:
    """Read merges, special tokens and template as llama.cpp's converter does."""
    try:
        special = SpecialVocab(directory, load_merges=True, special_token_types=tuple(_GGUF_NAMES), n_vocab=vocab_size)
    except (ValueError, TypeError, AttributeError) as exc:
        raise MalformedModelError(
            f"The tokenizer of {directory} cannot be understood: {exc}.", "Download or copy its files again."
        ) from exc
    eos_ids = _read_generation_config(directory / "generation_config.json").eos_token_id
    if "eos" not in special.special_token_ids and eos_ids:
        special.special_token_ids["eos"] = eos_ids if isinstance(eos_ids, int) else eos_ids[0]
    return special


def _read_generation_config(path: Path) -> _GenerationConfig:
    if not path.is_file():
        return _GenerationConfig()
    try:
        return msgspec.json.decode(path.read_bytes(), type=_GenerationConfig)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise MalformedModelError(f"{path} cannot be understood: {exc}.", "Correct or delete the file.") from exc


def _token_table(tokenizer: tokenizers.Tokenizer, vocab_size: int, path: Path) -> tuple[list[str], list[int]]:
    """Return text and type of every id."""
    tokens = [f"[PAD{token_id}]" for token_id in range(vocab_size)]  # as llama.cpp's converter names them
    types = [TokenType.UNUSED.value] * vocab_size
    for text, token_id in tokenizer.get_vocab(with_added_tokens=True).items():
        if token_id >= vocab_size:
            raise MalformedModelError(
                f"{path} has token {token_id}, {text!r}, but the model has {vocab_size} rows.",
                "Use the tokenizer that belongs to the model.",
            )
        tokens[token_id], types[token_id] = text, TokenType.NORMAL.value
    for token_id, token in tokenizer.get_added_tokens_decoder().items():
        is_control = token.special or (token.content.startswith("<|") and token.content.endswith("|>"))
        types[token_id] = TokenType.CONTROL.value if is_control else TokenType.USER_DEFINED.value
    return tokens, types


def _check_splits_alike(tokenizer: tokenizers.Tokenizer, metadata: Metadata, vocab_size: int, path: Path) -> None:
    ours = Tokenizer.from_metadata(untyped(metadata), vocab_size, path).encode(_PROBE)
    if tokenizer.encode(_PROBE, add_special_tokens=False).ids != ours:
        raise UnsupportedModelError(f"{path} does not cut texts as the 'qwen2' tokenizer does.", _USE_QWEN2)


def write_tokenizer(directory: Path, checkpoint: Checkpoint) -> dict[str, int]:
    """Write `tokenizer.json`, `tokenizer_config.json`, `chat_template.jinja` and `generation_config.json`.

    Returns the ids of special tokens that `config.json` names. Raises UnsupportedModelError for a model whose prompts
    begin with BOS, which Qwen2's tokenizer does not do.
    """
    metadata, path, num_tokens = checkpoint.metadata, checkpoint.path, checkpoint.spec.vocab_size
    if read_vocabulary(metadata, num_tokens, path).add_bos:
        raise UnsupportedModelError(f"{path} sets '{_PREFIX}add_bos_token', which Qwen2's tokenizer lacks.", _USE_QWEN2)
    _build_tokenizer(checkpoint).save(str(directory / "tokenizer.json"), pretty=True)

    tokens: Any = metadata[_PREFIX + "tokens"]
    ids = {name: optional_token_id(metadata, gguf, num_tokens, path) for name, gguf in _GGUF_NAMES.items()}
    config = {
        "add_bos_token": False,
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "errors": "replace",
        "model_max_length": checkpoint.spec.context_length,
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
        # BOS stands in config.json only, as in Qwen's own files: the tokenizer does not use it.
        "bos_token": None,
        **{f"{name}_token": None if ids[name] is None else tokens[ids[name]] for name in ("eos", "pad")},
    }
    _write_json(directory / "tokenizer_config.json", config)
    template = metadata.get("tokenizer.chat_template")
    if isinstance(template, str):
        (directory / "chat_template.jinja").write_bytes(template.encode())
    known_ids = {f"{name}_token_id": token_id for name, token_id in ids.items() if token_id is not None}
    _write_json(directory / "generation_config.json", known_ids | _sampling_defaults(checkpoint))
    return known_ids


def _sampling_defaults(checkpoint: Checkpoint) -> dict[str, Any]:
    found = {theirs: checkpoint.metadata.get(f"general.sampling.{ours}") for theirs, ours in _SAMPLING.items()}
    values = {name: shortest(value) if isinstance(value, float) else value for name, value in found.items() if value}
    # Temperature 0 has no place there: greedy is to leave out `do_sample`, which transformers wants to be asked for.
    return values | {"do_sample": True} if "temperature" in values else {}


def _build_tokenizer(checkpoint: Checkpoint) -> tokenizers.Tokenizer:
    vocabulary = read_vocabulary(checkpoint.metadata, checkpoint.spec.vocab_size, checkpoint.path)
    added = sorted((vocabulary.control | vocabulary.user_defined).items(), key=lambda item: item[1])
    model = dict(vocabulary.ordinary)
    # The library numbers added tokens on from the model's, unless the model has them already.
    if [token_id for _, token_id in added] != list(range(len(model), len(model) + len(added))):
        model |= dict(added)
    tokenizer = tokenizers.Tokenizer(BPE(model, vocabulary.merges))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_QWEN2_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    for text, _ in added:  # one by one, so that they keep the order of their ids
        is_control = text in vocabulary.control
        add = tokenizer.add_special_tokens if is_control else tokenizer.add_tokens
        add([AddedToken(text, special=is_control, normalized=False)])
    return tokenizer


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")
