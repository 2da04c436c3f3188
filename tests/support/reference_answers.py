"""What the reference answers to the commands of `robot_answers`, for tests of processors that are emulated."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import bonsai_edge
from robot_answers import COMMANDS, PROMPT


@cache
def reference_texts() -> list[str]:
    """Return its greedy answers."""
    with bonsai_edge.load("seedling", backend="reference") as model:
        conversations = [[{"role": "user", "content": command}] for command in COMMANDS]
        return [model.generate_text(messages, temperature=0).text for messages in conversations]


@cache
def reference_logits(path_or_name: str | Path) -> np.ndarray[Any, Any]:
    """Return a model's logits after the last token of PROMPT."""
    with bonsai_edge.load(path_or_name, backend="reference") as model:
        return model.logits(PROMPT)[-1]


def check_answers(texts: list[str], logits: list[float]) -> None:
    """Assert that the embedded model answered the same, with logits as near as int8 activations allow."""
    assert texts == reference_texts()
    check_logits("seedling", logits)


def check_logits(path_or_name: str | Path, logits: list[float]) -> None:
    """Assert that a model's logits are as near as int8 activations allow."""
    expected, found = reference_logits(path_or_name), np.array(logits)
    assert (found @ expected) / np.sqrt((found @ found) * (expected @ expected)) > 0.999
