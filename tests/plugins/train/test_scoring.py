"""Scores of robot commands: exact by actions, valid by schema, counted by category."""

from types import SimpleNamespace

import pytest

pytest.importorskip("jsonschema", reason="needs the extra `train`")

from bonsai_edge_train.robot_commands.scoring import Score

STOP = '{"actions":[{"action":"stop"}]}'


def example(category, answer=STOP):
    return SimpleNamespace(command="halt", answer=answer, category=category)


def test_counts_exact_and_valid_answers_by_category():
    score = Score()
    score.add(example("motion"), STOP)
    score.add(example("motion"), '{"actions":[{"action":"dock"}]}')
    score.add(example("talk"), '{"actions":[{"action":"fly"}]}')
    assert (score.total.examples, score.total.exact, score.total.valid) == (3, 1, 2)
    assert score.categories["motion"].exact_match == 0.5
    assert score.categories["talk"].valid_share == 0.0
    assert [miss.category for miss in score.misses] == ["motion", "talk"]


def test_a_reply_and_the_order_of_fields_do_not_count():
    score = Score()
    score.add(example("talk", '{"actions":[],"reply":"OK."}'), '{"actions":[]}')
    turn = '{"actions":[{"action":"turn","direction":"left","angle_deg":90}]}'
    score.add(example("motion", turn), '{"actions":[{"angle_deg":90,"action":"turn","direction":"left"}]}')
    assert score.total.exact == 2
