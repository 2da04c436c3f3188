"""Which cases are run, and what they are called."""

import pytest

from speed.case import FULL, QUICK, Case


@pytest.mark.parametrize(
    ("case", "name"),
    [
        (Case("decode", 128), "tg128"),
        (Case("prefill", 512), "pp512"),
        (Case("decode", 32, depth=4096), "tg32 @ d4096"),
        (Case("decode", 16, num_sequences=8), "tg16 x 8"),
    ],
)
def test_names_are_those_of_llama_bench(case, name):
    assert case.name == name


def test_tokens_of_all_sequences_count():
    assert Case("decode", 16, num_sequences=8).all_tokens == 128


def test_the_full_plan_has_every_sweep():
    names = [case.name for case in FULL.cases(with_sweeps=True)]
    assert names == [
        *("tg128", "pp512"),
        *("tg32", "tg32 @ d512", "tg32 @ d2048", "tg32 @ d4096"),
        *("tg16", "tg16 x 2", "tg16 x 4", "tg16 x 8"),
    ]


def test_fewer_threads_get_no_sweeps():
    assert [case.name for case in QUICK.cases(with_sweeps=False)] == ["tg128", "pp512"]
