"""Generates with the embedded model, in a process of its own.

    python robot_answers.py [MODEL]

prints as JSON what computed, what it answered, and the logits of a prompt for the embedded model and for MODEL, a file.
"""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import bonsai_edge

COMMANDS = ("dock now", "move forward two meters", "turn left 90 degrees and stop")
PROMPT = list(range(3, 60))


def main() -> None:
    with bonsai_edge.load("seedling") as model:
        answers = [model.generate_text([{"role": "user", "content": each}], temperature=0) for each in COMMANDS]
        result = {
            "compilers": [name for name in ("numba", "llvmlite") if find_spec(name) is not None],
            "backend": model.backend_name,
            "note": answers[0].backend_note,
            "page_layout": model.engine.runner.page_layout,
            "texts": [answer.text for answer in answers],
            "logits": [model.logits(PROMPT)[-1].tolist()],
        }
    for path in sys.argv[1:]:
        with bonsai_edge.load(Path(path)) as model:
            result["logits"].append(model.logits(PROMPT)[-1].tolist())
    print(json.dumps(result))


if __name__ == "__main__":
    main()
