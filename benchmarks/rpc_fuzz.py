"""Sends mutated messages to a server process, and reports its memory and the requests that were left hanging.

    python benchmarks/rpc_fuzz.py [--messages 1000000] [--seed 1] [--backend auto]

Exits with 1 when the server died or stopped answering, when a message was not answered or an accepted request not
ended, or when the resident memory grew by 10 MB or more after the first tenth of the messages.
"""

from __future__ import annotations

import argparse
import sys
import time

from wire.fuzzing import Fuzzer
from wire.served import ServedProcess

_STEPS = 20
_WARM_STEPS = 2  # in which the server allocates what it keeps
_STREAMS_PER_STEP = 50
_MOST_GROWTH_BYTES = 10_000_000


def main() -> int:
    """Fuzz, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", default="seedling", help="what `bonsai-edge serve --model` takes")
    parser.add_argument("--backend", default="auto")
    options = parser.parse_args()
    began_at = time.monotonic()
    with ServedProcess(options.model, backend=options.backend) as served:
        fuzzer = Fuzzer(served.endpoint, options.seed)
        report = fuzzer.report
        rss_bytes: list[int] = []
        for step in range(_STEPS):
            fuzzer.run(options.messages * (step + 1) // _STEPS - options.messages * step // _STEPS)
            fuzzer.send_streams(_STREAMS_PER_STEP)
            rss_bytes.append(served.rss_bytes())
            print(
                f"{report.sent:9} messages, {report.valid} valid, {report.answered} answered, {len(report.hung)} hung, "
                f"{rss_bytes[-1] / 1e6:.1f} MB, {time.monotonic() - began_at:.0f} s",
                flush=True,
            )
        is_alive = served.is_running()
    growth_bytes = rss_bytes[-1] - rss_bytes[_WARM_STEPS - 1]
    print(
        f"seed {options.seed}: memory grew by {growth_bytes / 1e6:.1f} MB, {len(report.hung)} requests hung, ", end=""
    )
    print("the server lives" if is_alive else "the server died")
    for request_id in report.hung[:10]:
        print(f"hung: {request_id.hex()}")
    return 0 if is_alive and not report.hung and growth_bytes < _MOST_GROWTH_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
