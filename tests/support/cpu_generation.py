"""Generates with the embedded model and the CPU backend, and prints as JSON what computed and what it answered.

With one KV type, since the step is compiled for each, which takes minutes on an emulated processor.
"""

from __future__ import annotations

import json

import bonsai_edge
from robot_answers import COMMANDS, PROMPT

if __name__ == "__main__":
    with bonsai_edge.load("seedling", backend="cpu", require_backend=True, kv="f16", threads=1) as model:
        answers = [model.generate_text([{"role": "user", "content": each}], temperature=0) for each in COMMANDS]
        found = {
            "page_layout": model.engine.runner.page_layout,
            "texts": [answer.text for answer in answers],
            "logits": model.logits(PROMPT)[-1].tolist(),
        }
    print(json.dumps(found))
