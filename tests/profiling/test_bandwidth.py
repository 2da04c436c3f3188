import os

import numpy as np
import pytest

from bonsai_edge.device_description import Cluster
from bonsai_edge.profiling.bandwidth import measure_bandwidths, measure_copy_bandwidth, measure_read_bandwidth
from bonsai_edge.profiling.together import best_time_together

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


def test_a_copied_byte_counts_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bonsai_edge.profiling.bandwidth.best_time_together", lambda parts, repetitions, cpus: 0.5)
    assert measure_copy_bandwidth(2, 64 * MIB) == 8 * MIB / 0.5


def measured_points(monkeypatch: pytest.MonkeyPatch, num_cores: int, clusters: list[Cluster], usable: set[int]):
    monkeypatch.setattr("bonsai_edge.profiling.bandwidth.measure_read_bandwidth", lambda *arguments: 2.0)
    monkeypatch.setattr("bonsai_edge.profiling.bandwidth.measure_copy_bandwidth", lambda *arguments: 3.0)
    return [(each.threads, each.cpus) for each in measure_bandwidths(num_cores, clusters, MIB, usable)]


def test_threads_double_up_to_one_a_core(monkeypatch: pytest.MonkeyPatch) -> None:
    one_kind = [Cluster(6, 6, cpus="0-5")]
    assert measured_points(monkeypatch, 6, one_kind, {*range(6)}) == [(1, None), (2, None), (4, None), (6, None)]
    assert measured_points(monkeypatch, 1, one_kind, {0}) == [(1, None)]


def test_each_kind_of_core_is_measured_by_itself_where_it_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = [Cluster(4, 4, cpus="0-3"), Cluster(4, 4, cpus="4-7"), Cluster(2, 2, cpus="8,9"), Cluster(1, 1)]
    points = measured_points(monkeypatch, 2, kinds, {2, 3, 4, 5, 6, 7})
    assert points == [(1, None), (2, None), (2, "0-3"), (4, "4-7")]


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system does not let a program choose its cores")
def test_threads_stay_on_the_processors_that_are_named_and_this_one_where_it_was() -> None:
    before = os.sched_getaffinity(0)
    cpu = min(before)
    seen: list[set[int]] = []
    best_time_together([lambda: seen.append(os.sched_getaffinity(0))] * 2, 1, [cpu])
    assert seen == [{cpu}, {cpu}]
    assert os.sched_getaffinity(0) == before
