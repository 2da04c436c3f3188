"""A process of its own that loads a model, makes one token and says what that took: `measure_load` starts it.

    python -m bonsai_edge.profiling.load_process MODEL KEYWORDS

KEYWORDS are those of `bonsai_edge.load`, as JSON.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import msgspec
import psutil

from bonsai_edge.runtime import load

_PROMPT = "a"


class Load(msgspec.Struct, frozen=True):
    """One load in a fresh process, and its first token; the seconds of the interpreter's start are not in them.

    `peak_bytes` is the most that was resident.
    """

    load_s: float
    first_token_s: float
    peak_bytes: int


def main() -> None:
    """Load, generate, print a `Load` as JSON."""
    path, keywords = sys.argv[1], msgspec.json.decode(sys.argv[2])
    with load(path, **keywords) as model:
        began = time.perf_counter()
        model.generate_text(_PROMPT, max_tokens=1)
        first_token_s = time.perf_counter() - began
        sys.stdout.buffer.write(msgspec.json.encode(Load(model.load_s, first_token_s, _peak_bytes())))


def _peak_bytes() -> int:
    """Return the peak of this program alone: getrusage(2) on Linux goes on from what the parent had."""
    status = Path("/proc/self/status")
    if status.exists():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return max(peak, psutil.Process().memory_info().rss)  # macOS counts bytes


if __name__ == "__main__":
    main()
