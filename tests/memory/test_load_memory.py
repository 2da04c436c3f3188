"""What loading the largest shape really costs, as `benchmarks/load_memory.py` measures it."""

import sys

import pytest

from load_memory import measure_in_fresh_processes
from random_bonsai import cached_random_bonsai

MOST_ANONYMOUS_BYTES = 300_000_000


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
def test_the_8b_shape_loads_without_copying_weights():
    report = measure_in_fresh_processes(cached_random_bonsai("8b"), backend="cpu", context=64, repetitions=1)
    figures = report.median
    # The KV cache of 64 tokens is counted too.
    assert figures.anonymous_after_load_bytes < MOST_ANONYMOUS_BYTES
    assert figures.anonymous_after_token_bytes < MOST_ANONYMOUS_BYTES
