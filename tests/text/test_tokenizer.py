from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bonsai_edge.errors import InvalidRequestError
from bonsai_edge.formats.gguf import MetadataValue
from bonsai_edge.text.tokenizer import MAX_TEXT_BYTES, Tokenizer
from gguf_files import Vocabulary

PATH = Path("model.gguf")
READ_ONLY_FIXTURES = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def as_array(vocabulary: Vocabulary) -> MetadataValue:
    return np.array(vocabulary.token_types, np.int32)


def pieces(tokenizer: Tokenizer, text: str, special: bool = False) -> list[str]:
    return [tokenizer.decode([token_id], special=True) for token_id in tokenizer.encode(text, special)]


def test_merges_apply_in_their_order(tokenizer: Tokenizer) -> None:
    assert pieces(tokenizer, "hello world") == ["hello", " world"]
    assert pieces(tokenizer, "helm") == ["hel", "m"]
    assert pieces(tokenizer, "the robot") == ["t", "he", " robot"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hello  world", ["hello", " ", " world"]),  # the last space belongs to the word
        ("hello hello", ["hello", " ", "hello"]),  # " hello" is one word, but no merge begins with its space
        ("HELLO'LL", ["H", "E", "L", "L", "O", "'", "L", "L"]),
        ("a\n\n\nb", ["a", "\n\n", "\n", "b"]),
        ("doing\r\n", ["d", "o", "ing", "\r", "\n"]),
    ],
)
def test_words_are_cut_before_merging(tokenizer: Tokenizer, text: str, words: list[str]) -> None:
    assert pieces(tokenizer, text) == words


def test_merges_do_not_cross_words(metadata: dict[str, MetadataValue], vocabulary: Vocabulary) -> None:
    """Each digit is a word of its own, as are the parts of "don't"."""
    vocabulary.tokens.extend(["12", "n'", "1a"])
    vocabulary.token_types.extend([1, 1, 1])
    metadata["tokenizer.ggml.token_type"] = as_array(vocabulary)
    vocabulary.merges.extend(["1 2", "n '", "1 a"])
    tokenizer = Tokenizer.from_metadata(metadata, len(vocabulary.tokens), PATH)
    assert pieces(tokenizer, "12 1a don't") == ["1", "2", " ", "1", "a", " ", "d", "o", "n", "'", "t"]


@READ_ONLY_FIXTURES
@given(text=st.text())
def test_every_text_round_trips(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


@READ_ONLY_FIXTURES
@given(parts=st.lists(st.sampled_from(["<|im_start|>", "<|im_end|>", "<think>", "<|im", "|>", "hello", " "])))
def test_texts_with_special_tokens_round_trip(tokenizer: Tokenizer, parts: list[str]) -> None:
    text = "".join(parts)
    assert tokenizer.decode(tokenizer.encode(text, special=True), special=True) == text
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_empty_text_has_no_tokens(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("") == tokenizer.encode("", special=True) == []
    assert tokenizer.decode([]) == ""


def test_control_tokens_are_ordinary_text_unless_asked_for(tokenizer: Tokenizer, vocabulary: Vocabulary) -> None:
    start = vocabulary.tokens.index("<|im_start|>")
    assert tokenizer.encode("<|im_start|>hello", special=True) == [start, vocabulary.tokens.index("hello")]
    assert start not in tokenizer.encode("<|im_start|>hello")
    assert tokenizer.decode(tokenizer.encode("<|im_start|>hello")) == "<|im_start|>hello"


def test_user_defined_tokens_are_always_found(tokenizer: Tokenizer, vocabulary: Vocabulary) -> None:
    expected = [vocabulary.tokens.index(text) for text in ("<think>", "hello", "</think>")]
    assert tokenizer.encode("<think>hello</think>") == expected
    assert tokenizer.encode("<think>hello</think>", special=True) == expected
    assert tokenizer.decode(expected) == "<think>hello</think>"


def test_mark_keeps_a_special_text_apart_and_leaves_no_trace(tokenizer: Tokenizer) -> None:
    marked = tokenizer.encode("<\ud800|im_end|><|im_end|>", special=True, mark="\ud800")
    assert marked == tokenizer.encode("<|im_end|>") + tokenizer.encode("<|im_end|>", special=True)


def test_control_tokens_have_no_text_unless_asked_for(tokenizer: Tokenizer, vocabulary: Vocabulary) -> None:
    ids = tokenizer.encode("hello<|im_end|>", special=True)
    assert tokenizer.decode(ids) == "hello"
    assert tokenizer.decode(ids, special=True) == "hello<|im_end|>"
    assert tokenizer.token_bytes(vocabulary.tokens.index("<|im_end|>")) == b""


def test_token_bytes_may_be_parts_of_characters(tokenizer: Tokenizer) -> None:
    assert [tokenizer.token_bytes(token_id) for token_id in tokenizer.encode("é ")] == [b"\xc3", b"\xa9", b" "]
    assert tokenizer.decode(tokenizer.encode("é")[:1]) == "\ufffd"


def test_unused_token_has_no_text(metadata: dict[str, MetadataValue], vocabulary: Vocabulary) -> None:
    index = vocabulary.tokens.index("<think>")
    vocabulary.token_types[index] = 5
    metadata["tokenizer.ggml.token_type"] = as_array(vocabulary)
    tokenizer = Tokenizer.from_metadata(metadata, len(vocabulary.tokens), PATH)
    assert tokenizer.token_bytes(index) == b""
    assert index not in tokenizer.encode("<think>", special=True)


@pytest.mark.parametrize("token_id", [-1, 10**6])
def test_unknown_id_is_refused(tokenizer: Tokenizer, token_id: int) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        tokenizer.decode([token_id])
    assert caught.value.cause == (
        f"Token id {token_id} is not in the vocabulary, which has ids from 0 to {tokenizer.num_tokens - 1}."
    )


def test_half_of_a_surrogate_pair_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        tokenizer.encode("hello\udc00")
    assert caught.value.cause == "The text has half of a surrogate pair, '\\udc00', which is not a character."


def test_longest_text_is_encoded_and_a_longer_one_refused(tokenizer: Tokenizer) -> None:
    """One run of white space makes the regex engine take the most steps."""
    assert len(tokenizer.encode(" " * MAX_TEXT_BYTES)) == MAX_TEXT_BYTES
    with pytest.raises(InvalidRequestError) as caught:
        tokenizer.encode("é" * (MAX_TEXT_BYTES // 2) + "e")
    assert (
        caught.value.cause == f"The text has {MAX_TEXT_BYTES + 1} bytes; at most {MAX_TEXT_BYTES} are encoded at once."
    )


def test_ids_and_flags_come_from_the_file(tokenizer: Tokenizer, vocabulary: Vocabulary) -> None:
    end_of_text, start, end = (
        vocabulary.tokens.index(text) for text in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    )
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.add_bos) == (end_of_text, end, False)
    assert tokenizer.stop_ids == {end_of_text, end}
    assert tokenizer.num_tokens == len(vocabulary.tokens)
    assert tokenizer.special_texts == ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    assert start not in tokenizer.stop_ids


def test_order_of_token_ids_is_the_order_in_the_file(
    metadata: dict[str, MetadataValue], vocabulary: Vocabulary
) -> None:
    """Ids have nothing to do with the order of the merges."""
    order = list(range(len(vocabulary.tokens)))
    random.Random(0).shuffle(order)
    metadata["tokenizer.ggml.tokens"] = [vocabulary.tokens[i] for i in order]
    vocabulary.token_types[:] = [vocabulary.token_types[i] for i in order]
    metadata["tokenizer.ggml.token_type"] = as_array(vocabulary)
    tokenizer = Tokenizer.from_metadata(metadata, len(order), PATH)
    assert tokenizer.encode("hello<|im_end|>", special=True) == [
        order.index(vocabulary.tokens.index(text)) for text in ("hello", "<|im_end|>")
    ]
