"""What one call of `cuda_speed.py` measured, and how it is written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from speed.case import Case
from speed.results import Shape

LEAST_RATIO = 2.0
"""How much faster than llama.cpp decoding and prompts of the 8B shape should be."""

LEAST_TOKENS_PER_S = {"NVIDIA H200": 1200.0}
"""The decode speed of the 8B shape that a GPU should reach."""


class Side(msgspec.Struct, frozen=True):
    """The tokens a second of each round, and the joules that a token took."""

    tokens_per_s: Sequence[float]
    joules_per_token: float | None = None

    @property
    def median(self) -> float:
        """The speed of the middle round."""
        return sorted(self.tokens_per_s)[len(self.tokens_per_s) // 2]


class Figure(msgspec.Struct, frozen=True):
    """One case on both sides, which took turns."""

    case: Case
    ours: Side
    llama_cpp: Side | None

    @property
    def ratio(self) -> float | None:
        """Our speed by theirs."""
        return None if self.llama_cpp is None else self.ours.median / self.llama_cpp.median


class ModelFigures(msgspec.Struct, frozen=True):
    """The cases of one model."""

    shape: Shape
    figures: Sequence[Figure]


class CudaResults(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of one run; with `emulated` the speeds are those of an emulation and mean nothing."""

    command: str
    started: str
    emulated: bool
    gpu: Mapping[str, str]
    versions: Mapping[str, str]
    copy_bytes_per_s: float
    idle_w: float | None
    notes: Sequence[str]
    models: Sequence[ModelFigures]


def write_results(results: CudaResults, path: Path) -> None:
    """Write the results as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n")


def read_results(path: Path) -> CudaResults:
    """Read what `write_results` wrote."""
    return msgspec.json.decode(path.read_bytes(), type=CudaResults)


def share_of_bandwidth(results: CudaResults, shape: Shape, case: Case, speed: float) -> float | None:
    """Return how much of the copy's bandwidth decoding used: weights and context, once a token."""
    if case.phase != "decode":
        return None
    middle = case.depth + case.num_tokens / 2
    return speed * (shape.weight_bytes + middle * shape.kv_bytes) / results.copy_bytes_per_s
