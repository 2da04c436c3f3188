"""Keeps the promise of the memory plan under a hard limit, and over many requests.

    python benchmarks/memory_budget.py budget [--size 8b] [--context 4096] [--kv q8] [--margin 1.05]
    python benchmarks/memory_budget.py requests [--model seedling] [--requests 10000]

`budget` runs a child process under a limit of so many times the plan's predicted peak: in a memory cgroup of version 1
if one can be made (root), else under RLIMIT_DATA, which bounds what is allocated but not the mapped weights. The child
prefills all but 596 tokens of the context, decodes 500, and then serves four sessions in turn; it must not be killed.
`requests` sends requests of random lengths one after the other and tells how much resident memory grew meanwhile,
from a tenth of them on. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bonsai_edge
from bonsai_edge.runtime import prepare
from process_memory import status_bytes
from random_bonsai import SPECS, cached_random_bonsai

_CGROUP = Path("/sys/fs/cgroup/memory/bonsai-edge-benchmark")
_DECODED_TOKENS = 500
_SPARE_TOKENS = 96  # of the context, behind prompt and answer
_NUM_SESSIONS = 4
_SESSION_ANSWER_TOKENS = 32
_MB = 1e6


@contextmanager
def _limited(limit_bytes: int) -> Iterator[tuple[str, Path | None]]:
    """Make a cgroup with this limit if that is possible; yield how the limit is set, and the group."""
    try:
        _CGROUP.mkdir()
        (_CGROUP / "memory.limit_in_bytes").write_text(str(limit_bytes))
    except OSError:
        yield "RLIMIT_DATA", None
        return
    try:
        yield "memory cgroup (version 1)", _CGROUP
    finally:
        _CGROUP.rmdir()


def run_under_limit(size: str, context: int, kv: str, margin: float) -> None:
    """Run the child and print what it took."""
    path = cached_random_bonsai(size)
    predicted = prepare(path, context=context, kv=kv).plan.predicted_peak_bytes
    limit = int(margin * predicted)
    with _limited(limit) as (how, group):

        def enter() -> None:
            if group is None:
                resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
            else:
                (group / "cgroup.procs").write_text(str(os.getpid()))

        command = [sys.executable, __file__, "child", "--size", size, "--context", str(context), "--kv", kv]
        child = subprocess.run(command, preexec_fn=enter, stdout=subprocess.PIPE, text=True, check=False)
        charged = None if group is None else int((group / "memory.max_usage_in_bytes").read_text())
    print(f"{path.stem}, context {context:,}, KV {kv}: predicted peak {predicted / _MB:,.0f} MB")
    print(f"  limit     {limit / _MB:,.0f} MB by {how}")
    if child.returncode != 0:
        raise SystemExit(f"  the child ended with {child.returncode}")
    report = json.loads(child.stdout)
    measured = report["peak_bytes"]
    print(f"  resident  {measured / _MB:,.0f} MB at most, {predicted / measured - 1:+.1%} predicted")
    if charged is not None:
        print(f"  charged   {charged / _MB:,.0f} MB at most, page cache included")
    print(
        f"  prefilled {report['prompt_tokens']:,} tokens, decoded {report['decoded']:,}, "
        f"served {report['sessions']} sessions"
    )


def use_whole_context(size: str, context: int, kv: str) -> dict[str, int]:
    """Fill the context with a prompt and its answer, then with four sessions that take turns."""
    with bonsai_edge.load(cached_random_bonsai(size), context=context, kv=kv) as model:
        rng = random.Random(0)

        def text(num_tokens: int) -> str:
            token_ids = [rng.randrange(1000, 50_000) for _ in range(num_tokens)]
            while len(model.encode_prompt(model.tokenizer.decode(token_ids))) > num_tokens:
                token_ids.pop()
            return model.tokenizer.decode(token_ids)

        prompt = text(context - _DECODED_TOKENS - _SPARE_TOKENS)
        stop_ids = dict.fromkeys(model.tokenizer.stop_ids, float("-inf"))
        result = model.generate_text(prompt, max_tokens=_DECODED_TOKENS, temperature=0, logit_bias=stop_ids)
        room = context // _NUM_SESSIONS - _SESSION_ANSWER_TOKENS - 64
        prompts = [text(room) for _ in range(_NUM_SESSIONS)]
        answers = [
            model.generate(one, max_tokens=_SESSION_ANSWER_TOKENS, temperature=0, logit_bias=stop_ids)
            for one in prompts
        ]
        open_answers = list(answers)
        while open_answers:
            open_answers = [answer for answer in open_answers if next(answer, None) is not None]
        return {
            "prompt_tokens": result.usage.prompt_tokens,
            "decoded": result.usage.completion_tokens,
            "sessions": len(answers),
            "peak_bytes": status_bytes("VmHWM"),
        }


def serve_many(model_name: str, num_requests: int) -> None:
    """Send requests of random lengths and print how much memory they leave behind."""
    rng = random.Random(0)
    with bonsai_edge.load(model_name) as model:
        longest = model.context // 2
        stop_ids = dict.fromkeys(model.tokenizer.stop_ids, float("-inf"))
        settled = 0
        started = time.perf_counter()
        for number in range(num_requests):
            if number == num_requests // 10:
                settled = status_bytes("VmRSS")
            token_ids = [rng.randrange(300, model.spec.vocab_size // 2) for _ in range(rng.randint(1, longest))]
            prompt = model.tokenizer.decode(token_ids)[: 2 * longest]
            model.generate_text(prompt, max_tokens=rng.randint(1, 32), temperature=0, logit_bias=stop_ids)
        elapsed = time.perf_counter() - started
        final = status_bytes("VmRSS")
    print(f"{model.name}: {num_requests:,} requests in {elapsed:,.0f} s")
    print(f"  resident  {settled / _MB:.1f} MB after a tenth of them, {final / _MB:.1f} MB at the end")
    print(f"  growth    {final / settled - 1:+.2%}")


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=("budget", "requests", "child"))
    parser.add_argument("--size", choices=SPECS, default="8b")
    parser.add_argument("--context", type=int, default=4096)
    parser.add_argument("--kv", default="q8")
    parser.add_argument("--margin", type=float, default=1.05)
    parser.add_argument("--model", default="seedling")
    parser.add_argument("--requests", type=int, default=10_000)
    arguments = parser.parse_args()
    if arguments.mode == "child":
        print(json.dumps(use_whole_context(arguments.size, arguments.context, arguments.kv)))
    elif arguments.mode == "budget":
        run_under_limit(arguments.size, arguments.context, arguments.kv, arguments.margin)
    else:
        serve_many(arguments.model, arguments.requests)


if __name__ == "__main__":
    main()
