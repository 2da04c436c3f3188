"""Sends PINGs as fast as it can and reads no answer; a test kills it: `python flooding_client.py ENDPOINT`."""

from __future__ import annotations

import sys
import uuid

import zmq

from bonsai_edge.rpc.codec import encode
from bonsai_edge.rpc.messages import Ping


def main(endpoint: str) -> None:
    """Flood until killed."""
    dealer: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
    dealer.connect(endpoint)
    frames = encode(Ping(), uuid.uuid4().bytes)
    dealer.send_multipart(frames)
    print("flooding", flush=True)
    while True:
        dealer.send_multipart(frames)


if __name__ == "__main__":
    main(sys.argv[1])
