"""What the backend asks of a GPU, so that the same runner runs on NVIDIA's driver and on an emulated device.

One GPU, one stream: whatever is asked happens in the order in which it was asked for. Nothing here knows a model.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bonsai_edge_cuda.detection import Gpu

Argument: TypeAlias = "int | np.int32 | np.float32"
"""An argument of a kernel: a plain int is an address, 64 bits; 0 stands for none."""


@dataclass(frozen=True)
class SharedMemory:
    """Memory that both the processor and kernels can use: `array`, uint8, and its address for kernels.

    What one side writes the other sees after `Driver.synchronize`, or at the next launch.
    """

    array: npt.NDArray[np.uint8]
    address: int


@dataclass(frozen=True)
class Launch:
    """A kernel, its grid of blocks, the threads of a block, and its arguments.

    With `overlaps` it may start before the launch before it has ended (programmatic dependent launch): the kernel
    itself waits before it reads what that one writes.
    """

    kernel: str
    grid: tuple[int, int, int]
    num_threads: int
    arguments: Sequence[Argument]
    overlaps: bool = False


class Graph(ABC):
    """Launches that were recorded and can be started together."""

    @abstractmethod
    def launch(self) -> None:
        """Start all of them, in their order, without waiting."""


class Driver(ABC):
    """A GPU, its memory and the kernels that were loaded; raises BackendUnavailableError when it fails."""

    gpu: Gpu

    @abstractmethod
    def free_bytes(self) -> int:
        """Return how much memory can still be allocated."""

    @abstractmethod
    def allocate(self, num_bytes: int) -> int:
        """Return the address of memory of the device that holds zeros, on a boundary of 256 bytes; raises MemoryError.

        It is given back by `close`.
        """

    @abstractmethod
    def allocate_shared(self, num_bytes: int) -> SharedMemory:
        """Return memory of the processor that kernels can use, zeros; raises MemoryError."""

    @abstractmethod
    def upload(self, address: int, content: npt.NDArray[np.generic]) -> None:
        """Copy a contiguous array to the device, and wait."""

    @abstractmethod
    def download(self, address: int, num_bytes: int) -> npt.NDArray[np.uint8]:
        """Return a copy of memory of the device, once all before has been done."""

    @abstractmethod
    def copy(self, source: int, destination: int, num_bytes: int) -> None:
        """Copy from and to memory of the device or shared memory, without waiting."""

    @abstractmethod
    def load(self, code: Iterable[bytes]) -> None:
        """Load compiled kernels; raises BackendUnavailableError if they are damaged or made for another GPU."""

    @abstractmethod
    def launch(self, launch: Launch) -> None:
        """Start a kernel without waiting for it."""

    @abstractmethod
    def record(self, work: Callable[[], None]) -> Graph:
        """Return what `work` launches and copies as a graph, none of it being done yet."""

    @abstractmethod
    def time(self, work: Callable[[], None]) -> float:
        """Do work and wait; return how many seconds it took on the device."""

    @abstractmethod
    def synchronize(self) -> None:
        """Wait until everything has been done."""

    @abstractmethod
    def close(self) -> None:
        """Give all memory back, once; the driver must not be used afterwards."""
