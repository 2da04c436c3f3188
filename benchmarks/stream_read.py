"""Compares the read bandwidth that `bonsai-edge` measures with that of a C program, compiled here.

    python benchmarks/stream_read.py [--rounds 9] [--threads 1 2]

The two take turns, for the machine drifts; the ratio is that of the best of all rounds, as each is the best of its
passes. Needs a C compiler (`cc`, or CC).
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

from bonsai_edge.plugin_manager import device_profile
from bonsai_edge.profiling.bandwidth import measure_read_bandwidth

_SOURCE = Path(__file__).with_suffix(".c")
_BYTES = 256 << 20
_REPETITIONS = 10


def compile_reader(folder: Path) -> Path:
    """Compile the C program for this processor and return it."""
    program = folder / "stream_read"
    command = [os.environ.get("CC", "cc"), "-O3", "-march=native", "-pthread", str(_SOURCE), "-o", str(program)]
    subprocess.run(command, check=True)
    return program


def read_in_c(program: Path, threads: int) -> float:
    """Return bytes/s."""
    command = [str(program), str(threads), str(_BYTES), str(_REPETITIONS)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Measure in turns and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    device = device_profile()
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, device.usable_cores}))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        program = compile_reader(Path(folder))
        for threads in options.threads:
            ours, in_c = [], []
            for _ in range(options.rounds):
                ours.append(measure_read_bandwidth(threads, device.available_memory_bytes))
                in_c.append(read_in_c(program, threads))
            ratios = [mine / theirs for mine, theirs in zip(ours, in_c, strict=True)]
            print(
                f"{threads} threads: ours {max(ours) / 1e9:.1f} GB/s, C {max(in_c) / 1e9:.1f} GB/s, "
                f"ratio {max(ours) / max(in_c):.3f}; ratio of the rounds {statistics.median(ratios):.3f} "
                f"({min(ratios):.3f} to {max(ratios):.3f})"
            )


if __name__ == "__main__":
    main()
