"""Reads two events, waits for long, and reads again, three times: `python seldom_subscriber.py ENDPOINT`."""

from __future__ import annotations

import sys
import time

from bonsai_edge.rpc.client import Client

PAUSE_S = 15.0  # more events than a short queue holds, and then longer than heartbeats allow


def main(endpoint: str) -> None:
    """Read, and say so at the end."""
    with Client(endpoint) as client:
        events = client.events()
        for _ in range(3):
            next(events)
            next(events)
            time.sleep(PAUSE_S)
        print("alive", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
