"""What a compute backend promises to core: can you run here, and run this model under this plan.

Core knows no backend by name; third parties implement `Backend` and announce it through the hook
`bonsai_edge.hookspecs.bonsai_backends`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bonsai_edge.kv_cache import PAGE_TOKENS, KVType
from bonsai_edge.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bonsai_edge.formats.checkpoint import Checkpoint
    from bonsai_edge.formats.tensor import QuantizedTensor
    from bonsai_edge.memory.plan import MemoryPlan
    from bonsai_edge.model_spec import ModelSpec


@dataclass(frozen=True)
class Availability:
    """The answer of a probe: usable or not, and why, in one sentence.

    `score` ranks backends for `auto`: 0 is never chosen by itself; the CPU has 100; what is faster has more. One that
    cannot run, on a machine that has the hardware for it, keeps its score: taking a lesser one instead is told.
    With `needs_trial` the score is the best that it may deserve, and only measuring tells whether it does, as of a GPU
    that shares memory with the CPU: `auto` times it against the best that is sure of its score, if that has no more.
    """

    available: bool
    reason: str
    score: int = 0
    details: dict[str, str] = field(default_factory=dict)
    needs_trial: bool = False


@dataclass(frozen=True)
class KernelThroughput:
    """Multiply-adds a second of Q1_0 weights with activations, on data in a cache: what arithmetic alone would allow.

    One token at a time, and as many together as suit the kernels.
    """

    decode_macs_per_s: float
    prefill_macs_per_s: float


@dataclass(frozen=True)
class WarmReport:
    """What `Backend.warm` left on disk.

    `target` is what was compiled for, such as an instruction set; `compiled` names what was not there before;
    `num_bytes` counts all that lies in `folder`.
    """

    target: str
    folder: Path
    compiled: tuple[str, ...]
    num_bytes: int


@dataclass(frozen=True)
class DeviceMemory:
    """Memory that a backend computes in and that is not the machine's, such as a graphics card's.

    `source` is what people call it; `available_bytes` may be allocated there now.
    """

    source: str
    available_bytes: int


@dataclass(frozen=True)
class Batch:
    """Rows of tokens that go through the model together, one row a token.

    token_ids, positions, sequence_ids: int32 (num_rows,). Row r belongs to sequence `sequence_ids[r]`, an index into
    `page_tables`, and is stored at `positions[r]` of it. Rows of one sequence are in rising order of position.
    page_tables: int32 (num_sequences, max_pages), the KV pages of each sequence in order; unused entries are -1.
    logit_rows: int32 (num_logits,), the rows that want logits.
    """

    token_ids: npt.NDArray[np.int32]
    positions: npt.NDArray[np.int32]
    sequence_ids: npt.NDArray[np.int32]
    page_tables: npt.NDArray[np.int32]
    logit_rows: npt.NDArray[np.int32]


class ModelRunner(ABC):
    """A loaded model: runs batches; owns the memory of the KV pages, whose bookkeeping is core's.

    `max_batch_rows` is the largest number of rows `forward` takes at once; fewer rows than
    `least_prefill_rows` take about as long as that many. Not thread-safe: one caller at a time.
    `tensors` are the weights that it computes with, as they came from the file: sessions are bound to them.
    `page_layout` must change whenever the bytes of a page for the same tokens may, as with another layout, instruction
    set or arithmetic: pages that were saved under another are computed again.
    """

    spec: ModelSpec
    tensors: Mapping[str, QuantizedTensor]
    max_batch_rows: int
    least_prefill_rows: int = 8
    num_pages: int
    num_threads: int
    kv_type: KVType
    page_bytes: int
    page_layout: str = __version__

    @abstractmethod
    def forward(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Run the batch, write its keys and values to the pages, return logits float32 (num_logits, vocab_size).

        The returned array may be reused by the next call; copy what must outlive it.
        """

    @abstractmethod
    def read_page(self, page: int) -> npt.NDArray[np.uint8]:
        """Return a copy of a KV page, uint8 (page_bytes,), in a layout of the runner's own."""

    @abstractmethod
    def write_page(self, page: int, content: npt.NDArray[np.uint8]) -> None:
        """Fill a KV page with what `read_page` of a runner of the same backend, model and KV type returned."""

    @abstractmethod
    def rotate_keys(self, page: int, num_positions: int) -> None:
        """Move the keys of a page by so many positions, back if negative: turn them by RoPE's angle for the distance.

        Values have no position. A quantized page is rounded once more.
        """

    def copy_page(self, source: int, destination: int) -> None:
        """Copy one KV page over another."""
        self.write_page(destination, self.read_page(source))

    def close(self) -> None:  # noqa: B027  (most runners have nothing to release but memory)
        """Release threads and devices; the runner must not be used afterwards."""


class Backend(ABC):
    """A way of computing, such as Numba on the CPU or CUDA; cheap to construct, heavy imports only in `load`."""

    name: str
    summary: str
    kv_types: tuple[KVType, ...] = (KVType.F16,)
    """What `load` can keep keys and values as, the most exact first."""
    copies_weights: bool = False
    """Whether `load` copies the weights, so that nothing reads those of the file afterwards."""

    @abstractmethod
    def probe(self) -> Availability:
        """Say whether this backend can run on this machine, and why not; must not raise."""

    @abstractmethod
    def load(self, checkpoint: Checkpoint, plan: MemoryPlan, threads: int = 1) -> ModelRunner:
        """Make a runner that reads the weights in place and has `plan.num_pages` KV pages of type `plan.kv_type`.

        `threads` are how many processor threads it may compute with. Raises UnsupportedModelError when the model has a
        part that the backend cannot run, or cannot run with this KV type.
        """

    def warm(self) -> WarmReport | None:
        """Compile what requests to any model can need and keep it on disk; None if there is nothing to compile.

        After `load` no request may wait for a compiler either way; this spares the next process's load the time.
        Raises BackendUnavailableError, and OSError if it cannot be written.
        """
        return None

    def measure_kernels(self, threads: int) -> KernelThroughput | None:
        """Measure, within a second, how fast so many threads multiply; None if the backend cannot tell."""
        return None

    def device_memory(self) -> DeviceMemory | None:
        """Return the memory that takes weights, KV pages and work arrays; None if it is the machine's, shared or not.

        Asked after `probe`.
        """
        return None

    def page_bytes(self, spec: ModelSpec, kv_type: KVType) -> int:
        """Return the bytes of one KV page of a model, all layers together; `ModelRunner.page_bytes` before loading."""
        return PAGE_TOKENS * spec.kv_bytes_per_token(kv_type)

    def scratch_bytes(self, spec: ModelSpec, threads: int, sequences: int) -> int:
        """Return how much of a runner's work arrays is touched while that many sequences generate side by side."""
        return 0

    def compiler_bytes(self, kv_type: KVType) -> int:
        """Return what `load` adds to a process that has probed: machine code, and the compiler's work if it must run.

        Asked after `probe`, which has loaded the libraries.
        """
        return 0
