from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from bonsai_edge.text.stop_strings import StopStringFilter

LETTERS = st.text(alphabet="ab", max_size=20)
STOPS = st.lists(st.text(alphabet="ab", min_size=1, max_size=4), max_size=3)


def test_text_ends_before_a_stop_string_across_pieces() -> None:
    stop_filter = StopStringFilter(["User:"])
    assert [stop_filter.push(piece) for piece in ("Hi\nUs", "er", ":", " more")] == ["Hi\n", "", "", ""]
    assert stop_filter.stopped
    assert stop_filter.finish() == ""


def test_held_back_text_comes_when_it_was_no_stop_string() -> None:
    stop_filter = StopStringFilter(["User:"])
    assert [stop_filter.push(piece) for piece in ("Us", "ual U", "s")] == ["", "Usual ", ""]
    assert not stop_filter.stopped
    assert stop_filter.finish() == "Us"
    assert stop_filter.finish() == ""


def test_without_stop_strings_nothing_is_held_back() -> None:
    stop_filter = StopStringFilter([])
    assert stop_filter.push("text") == "text"
    assert not stop_filter.stopped


def test_stop_string_that_is_complete_first_counts() -> None:
    whole = StopStringFilter(["abcd", "bc"])
    assert whole.push("abcd") == "a"
    letter_by_letter = StopStringFilter(["abcd", "bc"])
    assert "".join(map(letter_by_letter.push, "abcd")) == "a"


def test_of_two_that_end_together_the_longer_counts() -> None:
    stop_filter = StopStringFilter(["c", "bc"])
    assert stop_filter.push("abc") == "a"


@settings(deadline=None)
@given(stops=STOPS, pieces=st.lists(LETTERS))
def test_result_does_not_depend_on_the_pieces(stops: list[str], pieces: list[str]) -> None:
    whole, piecewise = StopStringFilter(stops), StopStringFilter(stops)
    expected = whole.push("".join(pieces)) + whole.finish()
    assert "".join(map(piecewise.push, pieces)) + piecewise.finish() == expected
    assert piecewise.stopped == whole.stopped


@settings(deadline=None)
@given(stops=STOPS, pieces=st.lists(LETTERS))
def test_emitted_text_is_a_beginning_without_stop_strings(stops: list[str], pieces: list[str]) -> None:
    text = "".join(pieces)
    stop_filter = StopStringFilter(stops)
    emitted = ""
    for piece in pieces:
        emitted += stop_filter.push(piece)
        assert text.startswith(emitted)
        assert not any(stop in emitted for stop in stops)
    assert stop_filter.stopped == any(stop in text for stop in stops)
    emitted += stop_filter.finish()
    assert stop_filter.stopped or emitted == text
