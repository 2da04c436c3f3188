"""Keeps the promise of the memory plan under a hard limit, and over many requests.

    python benchmarks/memory_budget.py budget [--size 8b] [--context 4096] [--kv q8] [--margin 1.05] [--threads N]
    python benchmarks/memory_budget.py requests [--model seedling] [--requests 10000]

`budget` starts `bonsai-edge serve` under a limit of so many times the plan's predicted peak: in a memory cgroup of
version 1 if one can be made (root), else under RLIMIT_DATA, which bounds what is allocated but not the mapped weights.
A client has all but 596 tokens of the context prefilled and 500 decoded; then four clients at once ask for their
quarters of the context. The server must not be killed. The file is dropped from the page cache before, so that a cgroup
is charged for it.
`requests` sends requests of random lengths one after the other and tells how much resident memory grew meanwhile,
from a tenth of them on. Linux only.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import resource
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bonsai_edge
from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.rpc.client import Client
from bonsai_edge.runtime import prepare
from bonsai_edge.text.tokenizer import Tokenizer
from process_memory import status_bytes
from random_bonsai import SPECS, cached_random_bonsai
from wire.served import ServedProcess

_CGROUP = Path("/sys/fs/cgroup/memory/bonsai-edge-benchmark")
_DECODED_TOKENS = 500
_REST = 96 + _DECODED_TOKENS  # of the context, behind the long prompt
_NUM_CLIENTS = 4
_CLIENT_ANSWER_TOKENS = 32
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


def _drop_from_page_cache(path: Path) -> None:
    """Let the pages of a file be charged to whoever reads it next; those that somebody maps stay."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def run_under_limit(size: str, context: int, kv: str, margin: float, threads: int | None) -> None:
    """Serve under the limit and print what it took."""
    path = cached_random_bonsai(size)
    predicted = prepare(path, context=context, kv=kv, threads=threads).plan.predicted_peak_bytes
    limit = int(margin * predicted)
    print(f"{path.stem}, context {context:,}, KV {kv}: predicted peak {predicted / _MB:,.0f} MB", flush=True)
    _drop_from_page_cache(path)
    with _limited(limit) as (how, group):

        def enter() -> None:
            if group is None:
                resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
            else:
                (group / "cgroup.procs").write_text(str(os.getpid()))

        print(f"  limit     {limit / _MB:,.0f} MB by {how}", flush=True)
        options = ["--context", str(context), "--kv", kv, *([] if threads is None else ["--threads", str(threads)])]
        with ServedProcess(str(path), options=options, enter=enter) as served:
            _ask_for_everything(served.endpoint, path, context)
            if not served.is_running():
                raise SystemExit("  the server has ended")
            measured = status_bytes("VmHWM", served.pid)
            charged = None if group is None else _charged(group)
    print(f"  resident  {measured / _MB:,.0f} MB at most, {predicted / measured - 1:+.1%} predicted")
    if charged is not None:
        print(f"  charged   {charged}")


def _charged(group: Path) -> str:
    most = int((group / "memory.max_usage_in_bytes").read_text())
    times = int((group / "memory.failcnt").read_text())
    killed = dict(line.split() for line in (group / "memory.oom_control").read_text().splitlines()).get("oom_kill")
    return f"{most / _MB:,.0f} MB at most, page cache included; at the limit {times} times, killed {killed}"


def _ask_for_everything(endpoint: str, path: Path, context: int) -> None:
    """Fill the context with one prompt and its answer, then with four clients at once, and print what they got."""
    checkpoint = open_checkpoint(path)
    tokenizer = Tokenizer.from_metadata(checkpoint.metadata, checkpoint.spec.vocab_size, path)
    options: dict[str, Any] = {"temperature": 0.0, "logit_bias": dict.fromkeys(tokenizer.stop_ids, float("-inf"))}
    room = context // _NUM_CLIENTS - _CLIENT_ANSWER_TOKENS

    def ask(number: int) -> str:
        num_tokens, max_tokens = (room, _CLIENT_ANSWER_TOKENS) if number else (context - _REST, _DECODED_TOKENS)
        with Client(endpoint) as client:
            result = client.generate_text(_text(tokenizer, num_tokens, number), max_tokens=max_tokens, **options)
        usage, timings = result.usage, result.timings
        return (
            f"  client {number}  {usage.prompt_tokens:,} tokens prefilled, {usage.cached_tokens} of them cached, "
            f"{usage.completion_tokens} decoded, in {timings.prefill_s + timings.decode_s:,.0f} s"
        )

    print(ask(0), flush=True)
    with ThreadPoolExecutor(_NUM_CLIENTS) as executor:
        for line in executor.map(ask, range(1, _NUM_CLIENTS + 1)):
            print(line, flush=True)


def _text(tokenizer: Tokenizer, num_tokens: int, seed: int) -> str:
    """Return random words that have exactly so many tokens."""
    rng = random.Random(seed)
    words: list[str] = []
    while len(words) < num_tokens:
        word = tokenizer.decode([rng.randrange(1000, 50_000)])
        if re.fullmatch(r" [a-z]+", word) and len(tokenizer.encode(word)) == 1:
            words.append(word)
    return "".join(words)


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
    parser.add_argument("mode", choices=("budget", "requests"))
    parser.add_argument("--size", choices=SPECS, default="8b")
    parser.add_argument("--context", type=int, default=4096)
    parser.add_argument("--kv", default="q8")
    parser.add_argument("--margin", type=float, default=1.05)
    parser.add_argument("--threads", type=int, help="default: as the server chooses")
    parser.add_argument("--model", default="seedling")
    parser.add_argument("--requests", type=int, default=10_000)
    arguments = parser.parse_args()
    if arguments.mode == "budget":
        run_under_limit(arguments.size, arguments.context, arguments.kv, arguments.margin, arguments.threads)
    else:
        serve_many(arguments.model, arguments.requests)


if __name__ == "__main__":
    main()
