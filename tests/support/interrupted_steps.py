"""Runs steps on three threads while a timer raises KeyboardInterrupt in the main thread again and again.

`python interrupted_steps.py MODEL.gguf` prints "finished" at its end, unless a step hangs.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from bonsai_edge.engine.engine import Engine
from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.memory.plan import MemoryPlan
from bonsai_edge_cpu.plugin import CpuBackend

_PLAN = MemoryPlan(context=256, weight_bytes=0, kv_cache_bytes=0, runtime_bytes=0)
_DURATION_S = 5.0
_EVERY_S = 0.003


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Step for a few seconds under interrupts, then once in peace."""
    engine = Engine(CpuBackend().load(open_checkpoint(Path(sys.argv[1])), _PLAN, 3))
    signal.signal(signal.SIGALRM, _interrupt)
    started, num_interrupts = time.monotonic(), 0
    while time.monotonic() - started < _DURATION_S:
        try:
            signal.setitimer(signal.ITIMER_REAL, _EVERY_S)
            with engine.sequence(32) as sequence:
                for token_id in range(32):
                    sequence.decode(token_id)
        except KeyboardInterrupt:
            num_interrupts += 1
        finally:
            with contextlib.suppress(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, 0)
    with engine.sequence(1) as sequence:
        sequence.decode(1)
    engine.close()
    print(num_interrupts, "interrupts")
    print("finished")


if __name__ == "__main__":
    main()
