"""What a benchmark leaves behind: one JSON file that says what was measured, where, when and how.

Every speed is kept for every round, and ratios are taken within a round: the machine drifts, and both sides of a round
drift together.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from speed.case import Case, Phase

SCHEMA_VERSION = 1


class Machine(msgspec.Struct, frozen=True):
    """Where it was measured; `load_average` is that of the minute before, of whatever else ran."""

    name: str
    processor: str
    architecture: str
    usable_cores: int
    memory_bytes: int
    system: str
    load_average: float


class Versions(msgspec.Struct, frozen=True):
    """What was measured; `commit` ends in `-dirty` for a changed tree and is None outside of one."""

    bonsai_edge: str
    commit: str | None
    llama_cpp_python: str
    python: str
    numba: str
    numpy: str


class Shape(msgspec.Struct, frozen=True):
    """The sizes of a model that its limits follow from.

    `weight_bytes` is what decoding a token reads of the weights; `kv_bytes` what one token of context adds to it;
    `prompt_macs` the multiply-adds of the weights for a token of a prompt, which has no logits.
    """

    name: str
    file_bytes: int
    weight_bytes: int
    kv_bytes: int
    prompt_macs: int


class Roofs(msgspec.Struct, frozen=True):
    """The limits of the machine: how fast it reads memory and multiplies float32 matrices (NumPy's BLAS)."""

    read_bytes_per_s: float
    float32_macs_per_s: float


class Measurement(msgspec.Struct, frozen=True):
    """The speeds of a case, tokens/s of all its sequences together, in each round."""

    case: Case
    ours: Sequence[float]
    llama_cpp: Sequence[float]


class Run(msgspec.Struct, frozen=True):
    """One model with one number of threads: the roofs and the cases of the same rounds."""

    shape: Shape
    threads: int
    ours: str
    llama_cpp: str
    roofs: Sequence[Roofs]
    measurements: Sequence[Measurement]

    def find(
        self, phase: Phase, *, num_tokens: int | None = None, depth: int = 0, num_sequences: int = 1
    ) -> Measurement | None:
        """Return the longest measurement of that kind, or the one of `num_tokens`; None if there is none."""
        found = [
            measurement
            for measurement in self.measurements
            if (measurement.case.phase, measurement.case.depth, measurement.case.num_sequences)
            == (phase, depth, num_sequences)
            and num_tokens in (None, measurement.case.num_tokens)
        ]
        return max(found, key=lambda measurement: measurement.case.num_tokens, default=None)


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """One call of `vs_llama_cpp.py`; `isa` is the instruction set that ours was held to, if any."""

    schema: int = SCHEMA_VERSION
    label: str
    machine: Machine
    versions: Versions
    command: str
    started: datetime
    isa: str | None
    runs: Sequence[Run]

    def full_threads(self) -> list[Run]:
        """Return of each shape the run with the most threads."""
        best: dict[str, Run] = {}
        for run in sorted(self.runs, key=lambda run: run.threads):
            best[run.shape.name] = run
        return [best[name] for name in dict.fromkeys(run.shape.name for run in self.runs)]


def read_results(path: Path) -> Results:
    """Read a file that `write_results` wrote; raises ValueError for another schema."""
    schema = msgspec.json.decode(path.read_bytes(), type=_Head).schema
    if schema != SCHEMA_VERSION:
        raise ValueError(f"{path} has schema {schema}; this version reads {SCHEMA_VERSION}. Measure again.")
    return msgspec.json.decode(path.read_bytes(), type=Results)


def write_results(results: Results, path: Path) -> None:
    """Write the file, indented, so that differences can be read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n")


class _Head(msgspec.Struct):
    schema: int
