"""The shipped file bonsai_edge/data/seedling.gguf: small, 1-bit throughout, and right about robot commands."""

import json
from importlib.resources import files

import pytest

import bonsai_edge
from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.formats.ggml_types import GGMLType

pytest.importorskip("wonderwords", reason="needs the extra `train`")

from bonsai_edge_train.robot_commands.scoring import Score
from bonsai_edge_train.robot_commands.splits import DEMO_EXAMPLES, development_examples, load_hand_written

PATH = files("bonsai_edge") / "data" / "seedling.gguf"


@pytest.fixture(scope="module")
def seedling():
    with bonsai_edge.load("seedling") as model:
        yield model


def answer(model, command):
    return model.generate_text([{"role": "user", "content": command}], temperature=0.0).text


def score(model, examples):
    result = Score()
    for example in examples:
        result.add(example, answer(model, example.command))
    return result


def test_the_file_is_small_enough_to_ship_and_has_room_for_a_conversation(seedling):
    assert PATH.stat().st_size <= 8_000_000
    assert seedling.spec.context_length >= 512


def test_every_matrix_has_one_bit_weights():
    tensors = open_checkpoint(PATH).tensors
    types = {name: tensor.ggml_type for name, tensor in tensors.items() if not name.endswith("norm.weight")}
    assert types
    assert set(types.values()) == {GGMLType.Q1_0}


def test_the_commands_of_the_demo_are_answered_exactly(seedling):
    assert score(seedling, DEMO_EXAMPLES).misses == []


@pytest.mark.parametrize("command", ["stop", "STOP", "Stop!", "halt", "freeze", "don't move", "please stop"])
def test_stop_is_understood(seedling, command):
    assert json.loads(answer(seedling, command))["actions"] == [{"action": "stop"}]


def test_most_hand_written_sentences_of_the_development_set_are_answered_exactly(seedling):
    assert score(seedling, load_hand_written("hand_written_development")[::3]).total.exact_match >= 0.7


def test_answers_to_generated_sentences_are_valid(seedling):
    total = score(seedling, development_examples(60)).total
    assert total.valid_share >= 0.98
    assert total.exact_match >= 0.75
