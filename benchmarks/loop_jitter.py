"""Measures how late a 100 Hz loop on a core of its own wakes up while a model generates on the others.

    python benchmarks/loop_jitter.py [--model seedling] [--seconds 20] [--loop-core 0] [--cores 1]

The loop runs three times: alone, beside `bonsai-edge bench --cores ... --nice 10`, and beside one that may use the
loop's core as well. Prints by how much it woke up too late; the goal is a p99 below 2 ms on the reserved core.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

_PERIOD_S = 0.01
_START_S = 4.0  # until the model is loaded


def lateness_ms(seconds: float) -> list[float]:
    """Run the loop and return by how many milliseconds each turn came too late."""
    late = []
    due = time.monotonic() + _PERIOD_S
    for _ in range(round(seconds / _PERIOD_S)):
        time.sleep(max(0.0, due - time.monotonic()))
        late.append((time.monotonic() - due) * 1e3)
        due += _PERIOD_S
    return late


@contextmanager
def generating(model: str, options: list[str]) -> Iterator[None]:
    """Decode without end meanwhile."""
    command = [sys.executable, "-m", "bonsai_edge", "bench", "-m", model, "-p", "0", "-n", "512", "-r", "100000"]
    with subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL) as process:
        try:
            time.sleep(_START_S)
            if process.poll() is not None:
                raise SystemExit("The model could not be run.")
            yield
        finally:
            process.kill()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="seedling")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--loop-core", type=int, default=0)
    parser.add_argument("--cores", default="1", help="of the model, as for `--cores`")
    options = parser.parse_args()
    everywhere = os.sched_getaffinity(0)

    def measure(case: str) -> None:
        os.sched_setaffinity(0, {options.loop_core})
        late = lateness_ms(options.seconds)
        os.sched_setaffinity(0, everywhere)  # what is started next goes where it is told
        p50, p99 = np.percentile(late, (50, 99))
        print(f"{case:38} p50 {p50:.3f} ms, p99 {p99:.3f} ms, most {max(late):.3f} ms", flush=True)

    measure("alone")
    with generating(options.model, ["--cores", options.cores, "--nice", "10"]):
        measure(f"generating on {options.cores}, nice 10")
    with generating(options.model, ["--threads", str(len(everywhere))]):
        measure(f"generating with {len(everywhere)} threads anywhere")


if __name__ == "__main__":
    main()
