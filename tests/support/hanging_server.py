"""`bonsai-edge serve` with an engine that hangs at a step, but only in the first process that runs this script.

Usage: hanging_server.py MARKER ENDPOINT [OPTION...]; the file MARKER is made when the engine hangs.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bonsai_edge import runtime
from bonsai_edge.cli import main
from bonsai_edge.errors import BonsaiError
from bonsai_edge.generation import GenerationEvent
from bonsai_edge.model import Model

STEPS_BEFORE = 6  # enough for a chunk of the answer


class HangingEngine:
    """Loads models whose steps do not return any more after some."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker
        self._load = runtime.load
        self._steps = 0

    def load(self, *args: Any, **keywords: Any) -> Model:
        model = self._load(*args, **keywords)
        advance = model.advance

        def advance_or_hang(generations: Sequence[Any]) -> Sequence[list[GenerationEvent] | BonsaiError]:
            self._steps += 1
            if self._steps > STEPS_BEFORE and not self._marker.exists():
                self._marker.touch()
                threading.Event().wait()  # as a native call that does not return: nothing can end it
            return advance(generations)

        model.advance = advance_or_hang  # type: ignore[method-assign,assignment]
        return model


if __name__ == "__main__":
    marker, endpoint, *options = sys.argv[1:]
    runtime.load = HangingEngine(Path(marker)).load
    main(["serve", "--json", "--backend", "reference", "--watchdog", "2s", "--bind", endpoint, *options])
