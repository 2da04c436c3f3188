"""How near a backend comes to the reference on the embedded model and conversations with a robot.

    python benchmarks/conversation_agreement.py metal [--first 15]

A backend's activations may be rounded, and its keys and values are; the reference does neither.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

import bonsai_edge
from agreement import Logits, compare_logits

_CONVERSATIONS = Path(__file__).parents[1] / "tests" / "peer" / "data" / "robot_conversations.json"


def conversation_logits(backend: str, first: int | None = None) -> Logits:
    """Return the logits of every token of the conversations, or of the first of them, float32 (num_tokens, vocab)."""
    with bonsai_edge.load("seedling", backend=backend, require_backend=True, context=512) as model:
        texts = [
            model.encode_prompt([{"role": "user", "content": command}]) + model.tokenizer.encode(answer)
            for command, answer in json.loads(_CONVERSATIONS.read_text())[:first]
        ]
        return np.concatenate([model.logits(token_ids) for token_ids in texts])


def main() -> None:
    """Print the distance of a backend's logits from the reference's."""
    parser = argparse.ArgumentParser(description="Compare a backend with the reference on conversations.")
    parser.add_argument("backend", help="a name from `bonsai-edge backends`")
    parser.add_argument("--first", type=int, help="how many conversations; all if left out")
    arguments = parser.parse_args()
    expected, found = (conversation_logits(name, arguments.first) for name in ("reference", arguments.backend))
    print(f"{arguments.backend} against reference, {compare_logits(expected, found)}")


if __name__ == "__main__":
    main()
