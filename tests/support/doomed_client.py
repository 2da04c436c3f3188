"""Run as a program, `doomed_client.py ENDPOINT NUM`: has one answer streamed and more requests queued, until killed."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

from bonsai_edge.generation import GenerationEvent
from bonsai_edge.rpc.client import Client
from long_answers import long_answer


def main(endpoint: str, num_requests: int) -> None:
    """Print a line when the first chunk has come."""
    with Client(endpoint, timeout_s=60.0) as client:
        options = long_answer(client)
        running = client.generate("move", **options)
        next(running)
        waiting = [client.generate("move", **options) for _ in range(num_requests - 1)]
        threads = [threading.Thread(target=_exhaust, args=(events,), daemon=True) for events in waiting]
        for thread in threads:
            thread.start()
        while client.status().queued < len(waiting):
            pass
        print("streaming", flush=True)
        _exhaust(running)


def _exhaust(events: Iterator[GenerationEvent]) -> None:
    for _ in events:
        pass


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
