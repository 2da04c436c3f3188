"""`bonsai-edge serve` with a model that hangs at its second step, but only in the first process that runs this script.

Usage: hanging_server.py MARKER ENDPOINT [OPTION...]; the file MARKER is made when the model hangs.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bonsai_edge import runtime
from bonsai_edge.cli import main
from bonsai_edge.generation import (
    GenerationEvent,
    GenerationOptions,
    GenerationResult,
    Message,
    TextChunk,
    Timings,
    Usage,
)
from bonsai_edge.kv_cache import KVType


@dataclass
class HangingModel:
    marker: Path
    name: str = "hanging"
    backend_name: str = "none"
    context: int = 100
    kv_type: KVType = KVType.F16
    threads: int = 1
    load_s: float = 0.0
    never: threading.Event = field(default_factory=threading.Event)

    def stream(
        self,
        prompt: str | Sequence[Message],
        options: GenerationOptions,
        cancelled: Callable[[], bool],
    ) -> Iterator[GenerationEvent]:
        for index, character in enumerate(prompt):
            cancelled()
            if index and not self.marker.exists():
                self.marker.touch()
                self.never.wait()  # as a native call that does not return: nothing can end it
            yield TextChunk(index, str(character), [index])
        timings = Timings(load_s=0.0, prefill_s=0.0, decode_s=0.0, prefill_tokens_per_s=None, decode_tokens_per_s=None)
        yield GenerationResult(
            text=str(prompt),
            token_ids=[],
            finish_reason="stop",
            usage=Usage(1, len(prompt)),
            timings=timings,
            backend=self.backend_name,
            model=self.name,
            seed=0,
        )

    def close(self) -> None:
        pass


if __name__ == "__main__":
    marker, endpoint, *options = sys.argv[1:]
    runtime.load = lambda *args, **keywords: HangingModel(Path(marker))  # type: ignore[assignment,return-value]
    main(["serve", "--json", "--watchdog", "1s", "--bind", endpoint, *options])
