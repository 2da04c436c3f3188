"""Which goals are reached."""

import msgspec

from speed.goals import judge


def reached(results):
    return {verdict.goal.title: (verdict.least, verdict.text) for verdict in judge(results)}


def test_every_goal_is_judged_by_its_own_rounds(results):
    assert reached(results) == {
        "decode, against llama.cpp": (3.0, "3.00 x ✓"),
        "decode, share of the read bandwidth": (0.65, "60 % ✗"),
        "prompt, against llama.cpp": (8.0, "7.00 x ✗"),
        "decode at depth 4,096 against depth 0": (0.6, "25 % ✗"),
        "8 sequences together against one": (3.0, "4.00 x ✓"),
    }


def test_what_was_not_measured_is_not_met(results):
    run = results.runs[1]
    short = msgspec.structs.replace(run, measurements=run.measurements[:3])
    verdicts = judge(msgspec.structs.replace(results, runs=[short]))
    missing = [verdict for verdict in verdicts if verdict.reached is None]
    assert [verdict.text for verdict in missing] == ["not measured", "not measured"]
    assert not any(verdict.is_met for verdict in missing)


def test_avx2_alone_has_its_own_goals(results):
    assert reached(msgspec.structs.replace(results, isa="avx2")) == {
        "decode, against llama.cpp": (1.5, "3.00 x ✓"),
        "prompt, against llama.cpp": (4.0, "7.00 x ✓"),
    }


def test_a_shape_without_goals_has_no_verdict(results):
    other = msgspec.structs.replace(results.runs[0].shape, name="mine")
    run = msgspec.structs.replace(results.runs[0], shape=other)
    assert judge(msgspec.structs.replace(results, runs=[run])) == []
