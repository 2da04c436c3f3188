"""The speeds that this project wants to reach on two x86 cores, and which of them a run has reached."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from speed.results import Measurement, Results, Run
from speed.summary import Spread, bandwidth_shares, ratios, spread

_DEPTH = 4096
_SEQUENCES = 8


class Goal(msgspec.Struct, frozen=True):
    """What is wanted at least, by the name of the shape; `figures` gives each round's, None if it was not measured."""

    title: str
    unit: str
    least: Mapping[str, float]
    figures: Callable[[Run], list[float] | None]

    def format(self, value: float) -> str:
        """Write a figure of this goal with its unit."""
        return f"{value:.0%}".replace("%", " %") if self.unit == "%" else f"{value:.2f} {self.unit}"


class Verdict(msgspec.Struct, frozen=True):
    """A goal for one shape, and what was reached: None if it was not measured."""

    goal: Goal
    shape: str
    least: float
    reached: Spread | None

    @property
    def is_met(self) -> bool:
        """Whether the median is enough."""
        return self.reached is not None and self.reached.median >= self.least

    @property
    def text(self) -> str:
        """The figure and whether it is enough."""
        if self.reached is None:
            return "not measured"
        return f"{self.goal.format(self.reached.median)} {'✓' if self.is_met else '✗'}"


def judge(results: Results) -> list[Verdict]:
    """Compare the run of each shape with the most threads with its goals; a shape without goals has no verdict."""
    verdicts = []
    for goal in _AVX2_GOALS if results.isa == "avx2" else _GOALS:
        for run in results.full_threads():
            if (least := goal.least.get(run.shape.name)) is not None:
                figures = goal.figures(run)
                verdicts.append(Verdict(goal, run.shape.name, least, spread(figures) if figures else None))
    return verdicts


def _decode_ratio(run: Run) -> list[float] | None:
    found = run.find("decode")
    return ratios(found.ours, found.llama_cpp) if found else None


def _prefill_ratio(run: Run) -> list[float] | None:
    found = run.find("prefill")
    return ratios(found.ours, found.llama_cpp) if found else None


def _decode_share(run: Run) -> list[float] | None:
    found = run.find("decode")
    return bandwidth_shares(run, found.case, found.ours) if found else None


def _deep_against_shallow(run: Run) -> list[float] | None:
    return _against_plain_decode(run, run.find("decode", depth=_DEPTH))


def _together_against_alone(run: Run) -> list[float] | None:
    return _against_plain_decode(run, run.find("decode", num_sequences=_SEQUENCES))


def _against_plain_decode(run: Run, measured: Measurement | None) -> list[float] | None:
    """Compare with as many tokens of one sequence, from an empty context, of the same round."""
    plain = run.find("decode", num_tokens=measured.case.num_tokens) if measured else None
    return ratios(measured.ours, plain.ours) if measured and plain else None


_GOALS = (
    Goal("decode, against llama.cpp", "x", {"1.7b": 3.0, "8b": 3.0}, _decode_ratio),
    Goal("decode, share of the read bandwidth", "%", {"1.7b": 0.65, "8b": 0.8}, _decode_share),
    Goal("prompt, against llama.cpp", "x", {"1.7b": 8.0, "8b": 8.0}, _prefill_ratio),
    Goal(f"decode at depth {_DEPTH:,} against depth 0", "%", {"1.7b": 0.6, "8b": 0.75}, _deep_against_shallow),
    Goal(f"{_SEQUENCES} sequences together against one", "x", {"1.7b": 3.0, "8b": 3.0}, _together_against_alone),
)
_AVX2_GOALS = (
    Goal("decode, against llama.cpp", "x", {"1.7b": 1.5, "8b": 1.5}, _decode_ratio),
    Goal("prompt, against llama.cpp", "x", {"1.7b": 4.0, "8b": 4.0}, _prefill_ratio),
)
