import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonsai_edge.engine.repetition import RepetitionGuard


def first_alarm(token_ids, max_repeats):
    guard = RepetitionGuard(max_repeats)
    return next((index for index, token_id in enumerate(token_ids) if guard.is_repeating(token_id)), None)


@pytest.mark.parametrize("length", [1, 2, 7, 64])
@pytest.mark.parametrize("max_repeats", [2, 3, 10])
def test_it_strikes_with_the_last_token_of_the_last_repetition(length, max_repeats):
    beginning = [1_000, 1_001]
    token_ids = [*beginning, *list(range(length)) * (max_repeats + 1)]
    assert first_alarm(token_ids, max_repeats) == len(beginning) + length * max_repeats - 1


def test_longer_cycles_are_not_looked_for():
    assert first_alarm(list(range(65)) * 4, 2) is None


def test_a_difference_begins_the_count_anew():
    assert first_alarm([1, 2, 1, 2, 1, 3, 1, 2, 1, 2], 3) is None


@given(st.lists(st.integers(0, 2), max_size=40), st.integers(2, 4))
def test_it_agrees_with_the_definition(token_ids, max_repeats):
    def repeats(end):
        return any(
            length * max_repeats <= end
            and token_ids[end - length * max_repeats : end] == token_ids[end - length : end] * max_repeats
            for length in range(1, 65)
        )

    expected = next((end - 1 for end in range(1, len(token_ids) + 1) if repeats(end)), None)
    assert first_alarm(token_ids, max_repeats) == expected
