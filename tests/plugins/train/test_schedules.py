"""Learning rate schedules: their ends, their middle, and that they never leave [0, 1]."""

import pytest

from bonsai_edge_train.config import ScheduleConfig
from bonsai_edge_train.schedules import learning_rate_share


def shares(num_steps=100, **schedule):
    config = ScheduleConfig(warmup_steps=10, **schedule)
    return [learning_rate_share(step, num_steps, config) for step in range(num_steps)]


@pytest.mark.parametrize(
    ("schedule", "middle", "last"),
    [
        ({"kind": "linear"}, 0.5, 1 / 90),
        ({"kind": "cosine"}, 0.5, 0.0003),
        ({"kind": "constant"}, 1.0, 1.0),
        ({"kind": "wsd", "decay_steps": 20}, 1.0, 1 / 20),
        ({"kind": "linear", "final_share": 0.5}, 0.75, 0.5 + 0.5 / 90),
    ],
)
def test_schedule_warms_up_to_the_peak_and_decays(schedule, middle, last):
    found = shares(**schedule)
    assert found[:10] == pytest.approx([step / 10 for step in range(1, 11)])
    assert found[10] == 1.0
    assert found[55] == pytest.approx(middle)
    assert found[99] == pytest.approx(last, abs=1e-4)
    assert found[10:] == sorted(found[10:], reverse=True)


def test_wsd_stays_at_the_peak_until_the_decay():
    found = shares(kind="wsd", decay_steps=20)
    assert found[80] == 1.0
    assert found[81] == pytest.approx(0.95)


def test_without_warm_up_the_first_step_is_the_peak():
    assert learning_rate_share(0, 10, ScheduleConfig(warmup_steps=0)) == 1.0
