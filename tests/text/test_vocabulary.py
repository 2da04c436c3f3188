from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bonsai_edge.errors import MalformedModelError, UnsupportedModelError
from bonsai_edge.formats.gguf import MetadataValue
from bonsai_edge.text.vocabulary import read_vocabulary
from gguf_files import CONTROL, NORMAL, USER_DEFINED, Vocabulary

PATH = Path("model.gguf")
Metadata = dict[str, MetadataValue]


def read(metadata: Metadata) -> Any:
    return read_vocabulary(metadata, len(metadata["tokenizer.ggml.tokens"]), PATH)


def retype(metadata: Metadata, vocabulary: Vocabulary, text: str, token_type: int) -> None:
    types = np.array(vocabulary.token_types, np.int32)
    types[vocabulary.tokens.index(text)] = token_type
    metadata["tokenizer.ggml.token_type"] = types


def test_tokens_are_told_apart_by_type(metadata: Metadata, vocabulary: Vocabulary) -> None:
    result = read(metadata)
    assert set(result.control) == {"<|endoftext|>", "<|im_start|>", "<|im_end|>"}
    assert set(result.user_defined) == {"<think>", "</think>", "<tool_call>"}
    assert len(result.ordinary) == len(vocabulary.tokens) - 6
    assert all(vocabulary.tokens[token_id] == text for text, token_id in result.ordinary.items())


def test_generation_stops_on_eos_and_on_both_qwen_ends(metadata: Metadata, vocabulary: Vocabulary) -> None:
    metadata["tokenizer.ggml.eos_token_id"] = vocabulary.tokens.index("hello")
    metadata["tokenizer.ggml.eot_token_id"] = vocabulary.tokens.index("ing")
    ends = {vocabulary.tokens.index(text) for text in ("hello", "ing", "<|endoftext|>", "<|im_end|>")}
    assert read(metadata).stop_ids == ends


def test_absent_special_ids_are_none(metadata: Metadata, vocabulary: Vocabulary) -> None:
    del metadata["tokenizer.ggml.eos_token_id"], metadata["tokenizer.ggml.bos_token_id"]
    del metadata["tokenizer.ggml.add_bos_token"]
    result = read(metadata)
    assert (result.eos_id, result.bos_id, result.add_bos) == (None, None, False)
    assert result.stop_ids == {vocabulary.tokens.index(text) for text in ("<|endoftext|>", "<|im_end|>")}


@pytest.mark.parametrize("token_type", [NORMAL, USER_DEFINED])
@pytest.mark.parametrize("text", ["<|im_start|>", "<|im_end|>"])
def test_turn_tokens_are_control_tokens_whatever_the_file_says(
    metadata: Metadata, vocabulary: Vocabulary, text: str, token_type: int
) -> None:
    retype(metadata, vocabulary, text, token_type)
    assert read(metadata).control[text] == vocabulary.tokens.index(text)


def test_unused_tokens_are_of_no_kind(metadata: Metadata, vocabulary: Vocabulary) -> None:
    retype(metadata, vocabulary, "<think>", 5)
    result = read(metadata)
    assert "<think>" not in result.ordinary | result.control | result.user_defined


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("model", "llama", "model.gguf has the tokenizer 'tokenizer.ggml.model' = 'llama'; supported is 'gpt2'."),
        ("pre", "llama-bpe", "model.gguf has the tokenizer 'tokenizer.ggml.pre' = 'llama-bpe'; supported is 'qwen2'."),
        (
            "add_eos_token",
            True,
            "model.gguf sets 'tokenizer.ggml.add_eos_token'; supported are models whose prompts do not end with EOS.",
        ),
    ],
)
def test_other_tokenizers_are_refused(metadata: Metadata, key: str, value: MetadataValue, sentence: str) -> None:
    metadata[f"tokenizer.ggml.{key}"] = value
    with pytest.raises(UnsupportedModelError) as caught:
        read(metadata)
    assert caught.value.cause == sentence


@pytest.mark.parametrize("token_type", [0, 6, 7, -1])
def test_token_types_of_other_tokenizers_are_refused(
    metadata: Metadata, vocabulary: Vocabulary, token_type: int
) -> None:
    retype(metadata, vocabulary, "hello", token_type)
    with pytest.raises(UnsupportedModelError) as caught:
        read(metadata)
    assert caught.value.cause == (
        f"Key 'tokenizer.ggml.token_type' of model.gguf holds the token type {token_type}; supported are 1 (normal), "
        "2 (unknown), 3 (control), 4 (user_defined), 5 (unused)."
    )


def test_control_token_of_one_character_is_refused(metadata: Metadata, vocabulary: Vocabulary) -> None:
    vocabulary.tokens.append("§§")
    vocabulary.token_types.append(CONTROL)
    metadata["tokenizer.ggml.token_type"] = np.array(vocabulary.token_types)
    assert "§§" in read(metadata).control
    vocabulary.tokens[-1] = "\u2028"
    with pytest.raises(UnsupportedModelError, match="is one character, which any text may contain"):
        read(metadata)


@pytest.mark.parametrize(
    "types",
    [
        None,
        "1",
        [1, 2],
        np.ones(3, np.int32),
        np.ones(0, np.int32),
        np.ones(288, np.float32),
        np.ones(288, np.bool_),
    ],
    ids=str,
)
def test_token_types_must_be_one_integer_a_token(metadata: Metadata, types: Any) -> None:
    del metadata["tokenizer.ggml.token_type"]
    if types is not None:
        metadata["tokenizer.ggml.token_type"] = types
    num_tokens = len(metadata["tokenizer.ggml.tokens"])
    with pytest.raises(MalformedModelError) as caught:
        read(metadata)
    assert caught.value.cause.startswith(
        f"Key 'tokenizer.ggml.token_type' of model.gguf should hold {num_tokens} integers; found "
    )


@pytest.mark.parametrize("rows", [0, -1, 1])
def test_embedding_must_have_one_row_a_token(metadata: Metadata, rows: int) -> None:
    num_tokens = len(metadata["tokenizer.ggml.tokens"])
    rows = num_tokens + rows if rows else 0
    with pytest.raises(MalformedModelError) as caught:
        read_vocabulary(metadata, rows, PATH)
    assert caught.value.cause == (
        f"model.gguf has {num_tokens} tokens in 'tokenizer.ggml.tokens' for {rows} rows of token_embd.weight."
    )


def test_repeated_token_is_refused(metadata: Metadata, vocabulary: Vocabulary) -> None:
    vocabulary.tokens[-1] = "hello"
    with pytest.raises(MalformedModelError, match=r"repeated token in 'tokenizer.ggml.tokens'"):
        read(metadata)


def test_empty_token_is_refused(metadata: Metadata, vocabulary: Vocabulary) -> None:
    vocabulary.tokens[-1] = ""
    with pytest.raises(MalformedModelError, match="empty or repeated token"):
        read(metadata)


def test_missing_byte_is_refused(metadata: Metadata, vocabulary: Vocabulary) -> None:
    vocabulary.tokens[vocabulary.tokens.index("Ġ")] = "zz"
    with pytest.raises(MalformedModelError, match="has no token for the byte 0x20"):
        read(metadata)


def test_ordinary_token_outside_the_byte_alphabet_is_refused(metadata: Metadata, vocabulary: Vocabulary) -> None:
    index = vocabulary.tokens.index("hello")
    vocabulary.tokens[index] = "hel lo"
    with pytest.raises(MalformedModelError) as caught:
        read(metadata)
    assert caught.value.cause == f"Token {index} of model.gguf, 'hel lo', is not written in the byte-level alphabet."


@pytest.mark.parametrize(
    "merge", ["", "h", "h e l", "h  e", " h e", "h zz", "zz h", "e z", "<|im_ start|>", "hello\u2028x", "h" * 1000]
)
def test_merge_that_does_not_join_two_tokens_is_refused(metadata: Metadata, merge: str) -> None:
    metadata["tokenizer.ggml.merges"] = ["h e", merge]
    with pytest.raises(MalformedModelError) as caught:
        read(metadata)
    assert caught.value.cause == (
        f"Merge 1 of 'tokenizer.ggml.merges' of model.gguf, {merge[:80]!r}, does not join two ordinary "
        "tokens to a third."
    )


def test_merges_cannot_make_a_control_token(metadata: Metadata, vocabulary: Vocabulary) -> None:
    vocabulary.tokens.extend(["<|im_", "start|>"])
    vocabulary.token_types.extend([NORMAL, NORMAL])
    metadata["tokenizer.ggml.token_type"] = np.array(vocabulary.token_types)
    metadata["tokenizer.ggml.merges"] = ["<|im_ start|>"]
    with pytest.raises(MalformedModelError, match="does not join two ordinary tokens to a third"):
        read(metadata)


def test_repeated_merge_is_refused(metadata: Metadata) -> None:
    metadata["tokenizer.ggml.merges"] = ["h e", "h e"]
    with pytest.raises(MalformedModelError, match=r"repeats a merge in 'tokenizer.ggml.merges'"):
        read(metadata)


@pytest.mark.parametrize("name", ["bos", "eos", "eot"])
@pytest.mark.parametrize("value", [288, -1, 1 << 40, True, 1.0, "1"])
def test_special_id_must_be_in_the_vocabulary(metadata: Metadata, name: str, value: MetadataValue) -> None:
    metadata[f"tokenizer.ggml.{name}_token_id"] = value
    last = len(metadata["tokenizer.ggml.tokens"]) - 1
    with pytest.raises(MalformedModelError) as caught:
        read(metadata)
    assert caught.value.cause == (
        f"Key 'tokenizer.ggml.{name}_token_id' of model.gguf should hold an integer from 0 to {last}; found {value!r}."
    )


def test_bos_must_be_named_to_be_added(metadata: Metadata) -> None:
    metadata["tokenizer.ggml.add_bos_token"] = True
    assert read(metadata).add_bos
    del metadata["tokenizer.ggml.bos_token_id"]
    with pytest.raises(MalformedModelError, match=r"sets 'tokenizer.ggml.add_bos_token' without a BOS token id"):
        read(metadata)


def test_flag_must_be_a_boolean(metadata: Metadata) -> None:
    metadata["tokenizer.ggml.add_bos_token"] = 1
    with pytest.raises(MalformedModelError, match=r"'tokenizer.ggml.add_bos_token' of model.gguf should hold true or"):
        read(metadata)


@pytest.mark.parametrize("key", ["model", "pre", "tokens", "merges"])
def test_missing_key_is_named(metadata: Metadata, key: str) -> None:
    num_tokens = len(metadata["tokenizer.ggml.tokens"])
    del metadata[f"tokenizer.ggml.{key}"]
    with pytest.raises(
        MalformedModelError, match=f"Key 'tokenizer.ggml.{key}' of model.gguf should hold .*found nothing"
    ):
        read_vocabulary(metadata, num_tokens, PATH)
