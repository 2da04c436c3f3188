import numpy as np
import pytest

from bonsai_edge.profiling.bandwidth import measure_read_bandwidth

MIB = 1 << 20


@pytest.mark.parametrize("num_threads", [1, 3])
def test_bandwidth_is_that_of_a_machine(num_threads: int) -> None:
    assert 1e8 < measure_read_bandwidth(num_threads, 64 * MIB) < 1e14


@pytest.mark.parametrize(
    ("available_bytes", "num_threads", "expected_bytes"),
    [(64 * MIB, 2, 8 * MIB), (32 << 30, 4, 256 * MIB), (64 * MIB, 1, 8 * MIB)],
)
def test_takes_at_most_an_eighth_of_what_is_available_and_256_mib(
    monkeypatch: pytest.MonkeyPatch, available_bytes: int, num_threads: int, expected_bytes: int
) -> None:
    allocated = []

    def count(num_words: int, dtype: type) -> np.ndarray:
        allocated.append(num_words * np.dtype(dtype).itemsize)
        return np.zeros(1, dtype)

    monkeypatch.setattr("bonsai_edge.profiling.bandwidth.np.ones", count)
    measure_read_bandwidth(num_threads, available_bytes)
    assert sum(allocated) == expected_bytes
    assert len(allocated) == num_threads
