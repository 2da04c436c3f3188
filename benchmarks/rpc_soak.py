"""Keeps a server busy for a long time with all that clients do, and reports whether its memory stays flat.

    python benchmarks/rpc_soak.py [--minutes 30] [--model seedling] [--backend auto]

Some processes generate all the time, one cancels, one pings; meanwhile clients come, ask and vanish in the middle of
an answer, and mutated messages arrive. Memory is sampled every few seconds. Exits with 1 when a request was lost or
doubled, when something hung, or when the memory of the last quarter is 5 MB or more above that of the second.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence

from wire import workers
from wire.account import Counts
from wire.fuzzing import Fuzzer
from wire.peer import Peer, generation
from wire.served import ServedProcess
from wire.team import Team
from wire.workers import Assignment

_CLIENTS = 4
_MAX_TOKENS = 32
_SAMPLE_PERIOD_S = 5.0
_MUTATED_PER_SAMPLE = 256
_VANISHING_PER_SAMPLE = 8
_PRINT_EVERY = 12  # samples
_MOST_GROWTH_BYTES = 5_000_000


def _vanish(endpoint: str) -> None:
    """Ask, and leave without a word before the answer is complete."""
    with Peer(endpoint) as peer:
        peer.send("REQUEST", generation(workers.PROMPT, _MAX_TOKENS))
        peer.receive(_SAMPLE_PERIOD_S)


def _growth_bytes(samples: Sequence[int]) -> float:
    """Compare the last quarter with the second; the first is left to the warming up."""
    quarter = len(samples) // 4
    return statistics.median(samples[-quarter:]) - statistics.median(samples[quarter : 2 * quarter])


def main() -> int:
    """Soak, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--model", default="seedling", help="what `bonsai-edge serve --model` takes")
    parser.add_argument("--backend", default="auto")
    options = parser.parse_args()
    samples: list[int] = []
    with ServedProcess(options.model, backend=options.backend) as served:
        assignment = Assignment(served.endpoint, served.endpoint, _MAX_TOKENS)
        fuzzer = Fuzzer(served.endpoint, seed=1)
        team = Team()
        try:
            loads = [workers.generate] * _CLIENTS + [workers.cancel, workers.ping]
            numbers = [team.add(work, assignment) for work in loads]
            team.begin()
            end_at = time.monotonic() + 60 * options.minutes
            while time.monotonic() < end_at or len(samples) < 4:
                next_at = time.monotonic() + _SAMPLE_PERIOD_S
                fuzzer.run(_MUTATED_PER_SAMPLE)
                for _ in range(_VANISHING_PER_SAMPLE):
                    _vanish(served.endpoint)
                samples.append(served.rss_bytes())
                if len(samples) % _PRINT_EVERY == 1:
                    left_s = end_at - time.monotonic()
                    print(f"{left_s:6.0f} s left, {samples[-1] / 1e6:.1f} MB, {served.num_fds()} files", flush=True)
                time.sleep(max(0.0, next_at - time.monotonic()))
            team.end()
            counts = sum((report.counts for report in team.reports_of(numbers)), Counts())
        finally:
            team.kill()
    growth_bytes = _growth_bytes(samples)
    num_broken = counts.doubled + counts.gaps + counts.torn
    print(
        f"{counts.finished} generations, {num_broken} broken; {fuzzer.report.sent} mutated messages, "
        f"{len(fuzzer.report.hung)} hung; memory grew by {growth_bytes / 1e6:.2f} MB in the second half"
    )
    return 0 if not num_broken and not fuzzer.report.hung and growth_bytes < _MOST_GROWTH_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
