"""The command generator: seeded, valid, and apart from the held-out sets. Needs no PyTorch."""

from itertools import chain, islice
from random import Random

import pytest

from bonsai_edge_train.actions import UNKNOWN_COMMAND, is_valid_answer, make_action, render_answer
from bonsai_edge_train.held_out import (
    DEMO_EXAMPLES,
    held_out_examples,
    is_held_out_pair,
    normalize,
    training_examples,
)
from bonsai_edge_train.robot_commands import generate_example
from bonsai_edge_train.speaker import number_words


def draw(seed, num_examples):
    rng = Random(seed)
    return [generate_example(rng) for _ in range(num_examples)]


def test_same_seed_gives_the_same_examples():
    assert draw(7, 200) == draw(7, 200)
    assert draw(7, 200) != draw(8, 200)


def test_every_generated_answer_follows_the_schema():
    invalid = [example for example in draw(0, 5000) if not is_valid_answer(example.answer)]
    assert invalid == []


def test_every_action_of_the_schema_is_generated():
    answers = " ".join(example.answer for example in draw(0, 5000))
    for action in ("pick", "place", "give", "release", "go", "follow", "move", "turn", "stop", "wait", "look", "find",
                   "open", "close", "push", "pull", "switch", "clean", "photo", "say"):  # fmt: skip
        assert f'{{"action":"{action}"' in answers


def test_unknown_commands_are_a_part_of_the_examples():
    share = sum(example.answer == UNKNOWN_COMMAND for example in draw(0, 5000)) / 5000
    assert 0.10 < share < 0.20


def test_answers_are_compact_json_with_fields_in_canonical_order():
    actions = [
        make_action("place", target="charging dock", object="red cube"),
        make_action("move", distance_m=2, direction="forward"),
    ]
    assert render_answer(actions) == (
        '{"actions":[{"action":"place","object":"red cube","target":"charging dock"},'
        '{"action":"move","direction":"forward","distance_m":2}]}'
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"actions":[]}',
        '{"actions":[{"action":"fly"}]}',
        '{"actions":[{"action":"pick"}]}',
        '{"actions":[{"action":"stop","object":"cup"}]}',
        '{"actions":[{"action":"turn","angle_deg":"90"}]}',
        '{"actions":[{"action":"stop"}',
        '{"actions":[],"error":"other"}',
    ],
)
def test_answers_outside_the_schema_are_invalid(text):
    assert not is_valid_answer(text)


@pytest.mark.parametrize(
    ("number", "words"), [(0, "zero"), (13, "thirteen"), (45, "forty-five"), (180, "one hundred eighty")]
)
def test_numbers_are_spelled(number, words):
    assert number_words(number) == words


def test_held_out_sets_are_the_same_on_every_call_and_valid():
    held_out = held_out_examples(50)
    assert held_out == held_out_examples(50)
    assert {name: len(examples) for name, examples in held_out.items()} == {
        "demo": 6, "hand-written": 40, "generated": 50, "new combinations": 50,
    }  # fmt: skip
    assert all(is_valid_answer(example.answer) for example in chain.from_iterable(held_out.values()))


def test_training_never_sees_held_out_commands_or_combinations():
    held_out = list(chain.from_iterable(held_out_examples(200).values()))
    forbidden = {normalize(example.command) for example in held_out}
    for example in islice(training_examples(0, held_out), 5000):
        assert normalize(example.command) not in forbidden
        assert not any(map(is_held_out_pair, example.pairs))


def test_the_demo_combination_of_cube_and_charging_dock_is_held_out():
    assert "red cube" in DEMO_EXAMPLES[0].command
    assert is_held_out_pair(("cube", "charging dock"))


def test_normalizing_removes_capitals_and_punctuation_only():
    assert normalize("Turn left 90 degrees, NOW!") == "turn left 90 degrees now"
