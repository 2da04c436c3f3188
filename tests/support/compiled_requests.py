"""Loads models and answers requests after `warm`; prints as JSON what was compiled or read from the cache, and when.

`python compiled_requests.py MODEL.gguf ...`: {"loading": {path: compiled names}, "answering": resolved names}.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import bonsai_edge
from bonsai_edge.model import Model
from bonsai_edge_cpu.kernel_cache import KernelCache, compiled_names
from bonsai_edge_cpu.plugin import CpuBackend


def _answer(model: Model) -> None:
    """Ask in every way there is: chat, a long prompt, all options, logits, two at once, a shifted context."""
    model.generate_text([{"role": "user", "content": "hello"}], max_tokens=3, temperature=0)
    model.generate_text("hello the robot " * 100, max_tokens=3)
    model.generate_text("hello", max_tokens=3, top_k=5, top_p=0.9, min_p=0.1, repetition_penalty=1.1, logit_bias={1: 1})
    model.logits(list(range(100)))
    both = [model.generate(text, max_tokens=4) for text in ("hello", "the robot")]
    for _ in range(4):
        for events in both:
            next(events)
    model.engine.runner.rotate_keys(0, -32)


def main() -> None:
    """Warm, then load and ask each model with one thread and with two, and the first with every KV type."""
    resolved: list[str] = []
    find = KernelCache.load_overload

    def note_and_find(cache: KernelCache, sig: Any, target_context: Any) -> Any:
        resolved.append(cache._py_func.__qualname__)
        return find(cache, sig, target_context)

    CpuBackend().warm()
    loading: dict[str, list[str]] = {}
    answering: list[str] = []
    KernelCache.load_overload = note_and_find
    for path in sys.argv[1:]:
        for threads in (1, 2):
            num_compiled = len(compiled_names())
            with bonsai_edge.load(path, backend="cpu", threads=threads, context=1024) as model:
                loading[f"{Path(path).stem} {threads}"] = list(compiled_names()[num_compiled:])
                resolved.clear()
                _answer(model)
                answering += resolved
    for kv in ("q8", "q4"):
        num_compiled = len(compiled_names())
        with bonsai_edge.load(sys.argv[1], backend="cpu", threads=2, context=1024, kv=kv) as model:
            loading[f"{Path(sys.argv[1]).stem} {kv}"] = list(compiled_names()[num_compiled:])
            resolved.clear()
            _answer(model)
            answering += resolved
    print(json.dumps({"loading": loading, "answering": answering}))


if __name__ == "__main__":
    main()
