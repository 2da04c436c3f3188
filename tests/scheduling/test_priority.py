import pytest

from bonsai_edge.scheduling.priority import RISE_S, Priority, risen


@pytest.mark.parametrize(
    ("waited_s", "expected"),
    [
        (0.0, Priority.BACKGROUND),
        (RISE_S - 0.01, Priority.BACKGROUND),
        (RISE_S, Priority.NORMAL),
        (2 * RISE_S, Priority.INTERACTIVE),
        (1_000 * RISE_S, Priority.INTERACTIVE),
    ],
)
def test_waiting_makes_background_work_urgent_but_never_a_matter_of_safety(waited_s, expected):
    assert risen(Priority.BACKGROUND, waited_s) is expected


def test_safety_stays_what_it_is():
    assert risen(Priority.SAFETY, 100.0) is Priority.SAFETY
