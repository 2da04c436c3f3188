"""Runs a small model on the GPU, every kernel of it: what compute-sanitizer watches.

python tests/support/cuda_steps.py MODEL.gguf
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from bonsai_edge.engine.engine import Engine
from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.kv_cache import KVType
from bonsai_edge.memory.plan import MemoryPlan
from bonsai_edge_cuda.plugin import CudaBackend

_PLAN = MemoryPlan(context=256, weight_bytes=0, kv_cache_bytes=0, runtime_bytes=0)


def main() -> None:
    """Prefill and decode with every KV type."""
    token_ids = np.random.default_rng(0).integers(0, 250, 40).tolist()
    for kv_type in KVType:
        runner = CudaBackend().load(open_checkpoint(Path(sys.argv[1])), replace(_PLAN, kv_type=kv_type))
        with Engine(runner).sequence(len(token_ids) + 4) as sequence:
            for size in (20, 8, 4, 2, 1):
                sequence.prefill(token_ids[:size])
        runner.close()
    sys.stdout.write("computed\n")


if __name__ == "__main__":
    main()
