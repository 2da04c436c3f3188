from __future__ import annotations

import pytest

from bonsai_edge.text.pre_tokenizer import qwen2_pre_tokenizer


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello world", ["Hello", "Ġworld"]),
        ("a  b", ["a", "Ġ", "Ġb"]),
        ("a \t\n b  ", ["a", "ĠĉĊ", "Ġb", "ĠĠ"]),
        ("I'LL don't", ["I", "'LL", "Ġdon", "'t"]),
        ("x'\u017f", ["x", "'Å¿"]),  # the long s is no s, as it would be without regard to case
        ("12345", ["1", "2", "3", "4", "5"]),
        ("(a)...\r\n\r\nb", ["(a", ")...čĊčĊ", "b"]),
        ("a.b _c", ["a", ".b", "Ġ_", "c"]),
    ],
)
def test_text_is_cut_into_words(text: str, words: list[str]) -> None:
    assert [word for word, _ in qwen2_pre_tokenizer().pre_tokenize_str(text)] == words


@pytest.mark.parametrize(
    ("character", "num_words"),
    [
        ("\u0431", 1),
        ("\u1c89", 2),  # a letter since Unicode 16: new for llama.cpp, so a mark before a word
        ("\U00016130", 2),  # a digit since Unicode 16
        ("\u0662", 3),  # an older digit, a word of its own
    ],
)
def test_letters_and_digits_are_those_of_unicode_15(character: str, num_words: int) -> None:
    assert len(qwen2_pre_tokenizer().pre_tokenize_str(f"a{character}a")) == num_words
