"""Measures what is saved when a prompt begins like an earlier one, and when a session is restored in a new process.

    python benchmarks/prefix_reuse.py [--size 1.7b] [--prefix 2048] [--kv f16] [--json]

The weights are random, of the exact shape: times do not depend on their values. "cold" computes the whole prompt,
"warm" finds the prefix in the KV cache, "restored" is another process that reads it from a session file first. The
answers must be token-identical. File and kernels are in the system's and the project's caches beforehand.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import bonsai_edge
from bonsai_edge.generation import GenerationResult
from bonsai_edge.sessions.store import SessionStore
from random_bonsai import SPECS, cached_random_bonsai

_NEW_TOKENS = 16  # after the prefix, and as many for the answer
_NAME = "benchmark"
_ENGLISH = Path(__file__).parents[1] / "LICENSE"


@dataclass(frozen=True)
class ReuseFigures:
    """Seconds to the first token, and sizes."""

    model: str
    kv_type: str
    prefix_tokens: int
    cold_s: float
    warm_s: float
    warm_cached_tokens: int
    save_s: float
    file_bytes: int
    restore_s: float
    restored_s: float
    restored_cached_tokens: int
    same_tokens: bool


def _prompt(model: bonsai_edge.Model, prefix_tokens: int) -> str:
    """Return a text of about so many tokens and a few more."""
    words = _ENGLISH.read_text()
    token_ids = model.tokenizer.encode(words)
    while len(token_ids) < prefix_tokens + _NEW_TOKENS:
        words += words
        token_ids = model.tokenizer.encode(words)
    return model.tokenizer.decode(token_ids[: prefix_tokens + _NEW_TOKENS])


def _first_token(model: bonsai_edge.Model, prompt: str) -> tuple[float, GenerationResult]:
    started = time.perf_counter()
    first = None
    for event in model.generate(prompt, max_tokens=_NEW_TOKENS, temperature=0):
        first = first or time.perf_counter() - started
        if isinstance(event, GenerationResult):
            return first, event
    raise AssertionError("a generation ends with its result")


def measure_restored(path: Path, context: int, kv: str, folder: Path, prefix_tokens: int) -> dict[str, object]:
    """Restore in this fresh process and answer."""
    with bonsai_edge.load(path, context=context, kv=kv) as model:
        prompt = _prompt(model, prefix_tokens)
        started = time.perf_counter()
        model.sessions(SessionStore(folder)).restore(_NAME)
        restore_s = time.perf_counter() - started
        first_s, result = _first_token(model, prompt)
        return {
            "restore_s": restore_s,
            "restored_s": first_s,
            "cached": result.usage.cached_tokens,
            "token_ids": result.token_ids,
        }


def measure(size: str, prefix_tokens: int, kv: str) -> ReuseFigures:
    """Run cold, warm and restored."""
    path = cached_random_bonsai(size)
    context = prefix_tokens + 4 * _NEW_TOKENS
    with tempfile.TemporaryDirectory() as folder, bonsai_edge.load(path, context=context, kv=kv) as model:
        prompt = _prompt(model, prefix_tokens)
        cold_s, cold = _first_token(model, prompt)
        warm_s, warm = _first_token(model, prompt)
        prefix_ids = model.encode_prompt(prompt)[:prefix_tokens]
        started = time.perf_counter()
        saved = model.sessions(SessionStore(Path(folder))).save(_NAME, prefix_ids)
        save_s = time.perf_counter() - started
        command = [sys.executable, __file__, "--size", size, "--prefix", str(prefix_tokens), "--kv", kv]
        command += ["--restore-from", folder]
        child = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        return ReuseFigures(
            model=model.name,
            kv_type=kv,
            prefix_tokens=prefix_tokens,
            cold_s=cold_s,
            warm_s=warm_s,
            warm_cached_tokens=warm.usage.cached_tokens,
            save_s=save_s,
            file_bytes=saved.num_bytes,
            restore_s=child["restore_s"],
            restored_s=child["restored_s"],
            restored_cached_tokens=child["cached"],
            same_tokens=cold.token_ids == warm.token_ids == child["token_ids"],
        )


def print_figures(figures: ReuseFigures) -> None:
    """Print for people."""
    print(f"{figures.model}, KV {figures.kv_type}, prefix of {figures.prefix_tokens:,} tokens, to the first token:")
    print(f"  cold      {figures.cold_s:8.3f} s")
    share = figures.warm_s / figures.cold_s
    print(f"  warm      {figures.warm_s:8.3f} s, {share:.1%} of cold ({figures.warm_cached_tokens:,} cached)")
    restored_s = figures.restore_s + figures.restored_s
    print(
        f"  restored  {restored_s:8.3f} s, {figures.cold_s / restored_s:.1f} times as fast as cold "
        f"({figures.restore_s:.3f} s for the file, {figures.restored_cached_tokens:,} cached)"
    )
    print(f"  the file has {figures.file_bytes / 1e6:,.1f} MB and took {figures.save_s:.3f} s to save")
    print(f"  the answers are {'the same' if figures.same_tokens else 'DIFFERENT'}")


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SPECS, default="1.7b")
    parser.add_argument("--prefix", type=int, default=2048, help="tokens")
    parser.add_argument("--kv", default="f16")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--restore-from", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.restore_from is not None:
        context = arguments.prefix + 4 * _NEW_TOKENS
        path = cached_random_bonsai(arguments.size)
        restored = measure_restored(path, context, arguments.kv, arguments.restore_from, arguments.prefix)
        print(json.dumps(restored))
        return
    figures = measure(arguments.size, arguments.prefix, arguments.kv)
    if arguments.json:
        print(json.dumps(asdict(figures)))
    else:
        print_figures(figures)


if __name__ == "__main__":
    main()
