"""Options with which the embedded model answers for as long as a test needs."""

from __future__ import annotations

import math
from typing import Any

from bonsai_edge.rpc.client import Client

_STOP_TOKENS = ("<|im_end|>", "<|endoftext|>")


def long_answer(client: Client, max_tokens: int = 100_000) -> dict[str, Any]:
    """Return options that forbid the end of an answer, and let the context shift when it is full."""
    stop_ids = {client.tokenize(name, special=True)[0] for name in _STOP_TOKENS}
    return {"max_tokens": max_tokens, "on_overflow": "shift", "logit_bias": dict.fromkeys(stop_ids, -math.inf)}
