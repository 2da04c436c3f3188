from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from bonsai_edge.text.special_tokens import protect, split_special

MARK = "\ud800"


def test_ordinary_text_is_one_part() -> None:
    assert split_special("hello", {"<a>": 1}) == ["hello"]
    assert split_special("", {"<a>": 1}) == []


def test_tokens_are_cut_out_wherever_they_stand() -> None:
    assert split_special("<a>x<b><a>y", {"<a>": 1, "<b>": 2}) == [1, "x", 2, 1, "y"]


def test_longest_token_wins_over_one_that_begins_before_it() -> None:
    """llama.cpp looks for the tokens one after the other, the longest first."""
    assert split_special("abcd", {"ab": 1, "bcd": 2}) == ["a", 2]
    assert split_special("aaaaa", {"aa": 1, "aaa": 2}) == [2, 1]


def test_length_is_that_of_the_utf_8_bytes() -> None:
    assert split_special("abcé€", {"abc": 1, "cé€": 2}) == ["ab", 2]


def test_protected_text_differs_by_the_mark_only() -> None:
    assert protect("a <b> c", ["<b>"], MARK) == f"a <{MARK}b> c"
    assert protect("a <b> c", [], MARK) == "a <b> c"


@settings(deadline=None)
@given(text=st.text(alphabet="ab<", max_size=30))
def test_nothing_special_is_left_in_protected_text(text: str) -> None:
    """Texts that overlap themselves and each other are the hard ones."""
    special = ["aba", "ab", "<<", "b<a"]
    protected = protect(text, special, MARK)
    assert not any(token_text in protected for token_text in special)
    assert protected.replace(MARK, "") == text
