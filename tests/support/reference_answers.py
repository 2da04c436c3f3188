"""What the reference answers to the commands of `without_numba`, for tests of processors that are emulated."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

import bonsai_edge
import without_numba

PROMPT = list(range(3, 60))


@cache
def reference_answers() -> tuple[list[str], np.ndarray[Any, Any]]:
    """Return its greedy answers, and its logits after the last token of PROMPT."""
    with bonsai_edge.load("seedling", backend="reference") as model:
        conversations = [[{"role": "user", "content": command}] for command in without_numba.COMMANDS]
        texts = [model.generate_text(messages, temperature=0).text for messages in conversations]
        return texts, model.logits(PROMPT)[-1]


def check_answers(texts: list[str], logits: list[float]) -> None:
    """Assert that the same was answered, with logits as near as int8 activations allow."""
    expected_texts, expected = reference_answers()
    assert texts == expected_texts
    found = np.array(logits)
    assert (found @ expected) / np.sqrt((found @ found) * (expected @ expected)) > 0.999
