"""The figures that are drawn from the rounds: spreads, ratios within a round, shares of the memory bandwidth."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

import msgspec

from speed.case import Case
from speed.results import Measurement, Roofs, Run, Shape


class Spread(msgspec.Struct, frozen=True):
    """The median of some rounds, and their range."""

    median: float
    least: float
    most: float


def spread(values: Iterable[float]) -> Spread:
    """Return the spread of at least one value."""
    ordered = sorted(values)
    return Spread(statistics.median(ordered), ordered[0], ordered[-1])


def ratios(speeds: Sequence[float], others: Sequence[float]) -> list[float]:
    """Return speed over the other speed of the same round, of each round."""
    return [speed / other for speed, other in zip(speeds, others, strict=True)]


def step_bytes(shape: Shape, case: Case) -> int:
    """Return the bytes that a decode step reads: the weights once, and the context before it of each sequence.

    The tokens that the case itself adds to the context are left out.
    """
    return shape.weight_bytes + case.num_sequences * case.depth * shape.kv_bytes


def memory_limit(shape: Shape, case: Case, roofs: Roofs) -> float:
    """Return the tokens/s of a decode case that reading memory allows."""
    return case.num_sequences * roofs.read_bytes_per_s / step_bytes(shape, case)


def bandwidth_shares(run: Run, case: Case, speeds: Sequence[float]) -> list[float]:
    """Return which share of the bandwidth of its round each speed of a decode case is; above 1 is in a cache."""
    return [speed / memory_limit(run.shape, case, roofs) for speed, roofs in zip(speeds, run.roofs, strict=True)]


def compute_limit(shape: Shape, roofs: Roofs) -> float:
    """Return the tokens/s of a prompt whose products were float32 and as fast as the BLAS."""
    return roofs.float32_macs_per_s / shape.prompt_macs


def median_roofs(run: Run) -> Roofs:
    """Return the medians over the rounds."""
    return Roofs(
        statistics.median(roofs.read_bytes_per_s for roofs in run.roofs),
        statistics.median(roofs.float32_macs_per_s for roofs in run.roofs),
    )


def median_speeds(measurement: Measurement) -> tuple[float, float]:
    """Return the median of ours and of llama.cpp."""
    return statistics.median(measurement.ours), statistics.median(measurement.llama_cpp)
