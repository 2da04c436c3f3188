"""Generates with the embedded model in a process in which Numba and llvmlite cannot be imported.

`python without_numba.py` prints as JSON what computed and what it answered.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from importlib.machinery import ModuleSpec

COMMANDS = ("dock now", "move forward two meters", "turn left 90 degrees and stop")

_find_spec = importlib.util.find_spec


def _find_other_spec(name: str, package: str | None = None) -> ModuleSpec | None:
    return None if name in ("numba", "llvmlite") else _find_spec(name, package)


def main() -> None:
    importlib.util.find_spec = _find_other_spec
    sys.modules["numba"] = sys.modules["llvmlite"] = None  # type: ignore[assignment]  # which makes an import fail
    import bonsai_edge  # noqa: PLC0415

    with bonsai_edge.load("seedling") as model:
        answers = [model.generate_text([{"role": "user", "content": each}], temperature=0) for each in COMMANDS]
        logits = model.logits(list(range(3, 60)))[-1].tolist()
        print(
            json.dumps(
                {
                    "backend": model.backend_name,
                    "note": answers[0].backend_note,
                    "page_layout": model.engine.runner.page_layout,
                    "texts": [answer.text for answer in answers],
                    "logits": logits,
                }
            )
        )


if __name__ == "__main__":
    main()
