import logging

import pytest

from bonsai_edge.engine.engine import Engine
from fake_runner import CountingRunner

SYSTEM = [7 * index % 97 for index in range(300)]


@pytest.fixture
def engine():
    return Engine(CountingRunner(num_pages=40))


def ask(engine, prompt):
    with engine.open_prompt(prompt, 0) as sequence:
        sequence.prefill(prompt[sequence.length :])


@pytest.fixture
def hints(caplog):
    caplog.set_level(logging.INFO, logger="bonsai_edge")
    return caplog


def test_a_prompt_that_puts_the_time_before_its_long_text_is_told_the_position(engine, hints):
    ask(engine, [1, 2, 3, 50, 51, *SYSTEM])
    ask(engine, [1, 2, 3, 60, 61, 62, *SYSTEM])  # of another length, so that nothing stands where it stood
    assert [record.getMessage() for record in hints.records] == [
        "A prompt of 306 tokens differs from a cached one of at least 64 at token 3, counted from 0, and repeats its "
        "text after that: what changes from prompt to prompt, such as a time, is better put after what stays."
    ]


def test_a_difference_at_the_first_token_is_told_too(engine, hints):
    ask(engine, [1, *SYSTEM])
    ask(engine, [2, *SYSTEM])
    assert "at token 0, counted from 0" in hints.text


def test_tokens_are_never_logged(engine, hints):
    ask(engine, [1, *SYSTEM])
    ask(engine, [98, *SYSTEM])
    assert hints.text
    assert "98" not in hints.text


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([*SYSTEM, 1, 2, 3], [*SYSTEM, 4, 5, 6]),  # what changes is at the end already
        ([1, *SYSTEM], [98] * 300),  # another text
        ([1, *SYSTEM[:200]], [2, *SYSTEM[:200]]),  # too short to matter
    ],
)
def test_other_prompts_are_not_talked_about(engine, hints, first, second):
    ask(engine, first)
    ask(engine, second)
    assert hints.text == ""
