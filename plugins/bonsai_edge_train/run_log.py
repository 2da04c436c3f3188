"""The log of a run: one JSON object a line, and a plot of the losses."""

from __future__ import annotations

from pathlib import Path

import msgspec
from matplotlib.figure import Figure

LOG = "log.jsonl"
PLOT = "loss.png"


class Evaluation(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the model does on the development split; `valid` is the share of answers that are robot actions."""

    loss: float
    exact_match: float
    examples: int
    valid: float | None = None


class LogEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """What happened since the entry before; `loss` and `tokens_per_s` are means over that time."""

    step: int
    loss: float
    learning_rate: float
    gradient_norm: float
    tokens_per_s: float
    elapsed_s: float
    evaluation: Evaluation | None = None


class RunLog:
    """The log file of a run; a resumed run forgets what was logged after its checkpoint."""

    def __init__(self, directory: Path, resumed_step: int) -> None:
        self._path = directory / LOG
        self._plot = directory / PLOT
        self.entries = [entry for entry in read_log(self._path) if entry.step <= resumed_step]
        self._path.write_bytes(b"".join(msgspec.json.encode(entry) + b"\n" for entry in self.entries))

    def append(self, entry: LogEntry) -> None:
        """Add an entry, on the disk at once."""
        self.entries.append(entry)
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(entry) + b"\n")

    def plot(self) -> None:
        """Draw the losses and the exact match over the steps."""
        figure = Figure(figsize=(8, 5), layout="constrained")
        losses = figure.add_subplot(xlabel="step", ylabel="loss", yscale="log")
        losses.plot([entry.step for entry in self.entries], [entry.loss for entry in self.entries], label="training")
        evaluated = [(entry.step, entry.evaluation) for entry in self.entries if entry.evaluation is not None]
        if evaluated:
            steps = [step for step, _ in evaluated]
            losses.plot(steps, [found.loss for _, found in evaluated], "o-", label="development")
            matches = losses.twinx()
            matches.set_ylabel("exact match of the development split", color="tab:green")
            matches.set_ylim(0, 1)
            matches.plot(steps, [found.exact_match for _, found in evaluated], "s--", color="tab:green")
        losses.legend(loc="upper right")
        figure.savefig(self._plot, dpi=120)


def read_log(path: Path) -> list[LogEntry]:
    """Read a log; one that does not exist has no entries."""
    if not path.exists():
        return []
    return [msgspec.json.decode(line, type=LogEntry) for line in path.read_bytes().splitlines()]
