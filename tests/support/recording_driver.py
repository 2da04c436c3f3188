"""A device that has memory and notes launches instead of running them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from bonsai_edge_cuda.detection import Gpu
from bonsai_edge_cuda.driver import Driver, Graph, Launch, SharedMemory


class RecordingDriver(Driver):
    """Its memory is the process's; `launches` are what was asked for, in order."""

    def __init__(self) -> None:
        self.gpu = Gpu("Recorder", (9, 0), 132, 1 << 30, is_integrated=False, cuda_version=(12, 9))
        self.launches: list[Launch] = []
        self.memory: dict[int, npt.NDArray[np.uint8]] = {}

    def ints(self, address: int, count: int) -> list[int]:
        """Return int32 that lie on the device."""
        values: list[int] = self.download(address, 4 * count).view(np.int32).tolist()
        return values

    def free_bytes(self) -> int:
        return 1 << 30

    def allocate(self, num_bytes: int) -> int:
        memory = np.zeros(num_bytes, np.uint8)
        self.memory[memory.ctypes.data] = memory
        return memory.ctypes.data

    def allocate_shared(self, num_bytes: int) -> SharedMemory:
        address = self.allocate(num_bytes)
        return SharedMemory(self.memory[address], address)

    def upload(self, address: int, content: npt.NDArray[np.generic]) -> None:
        self._at(address, content.nbytes)[:] = np.ascontiguousarray(content).reshape(-1).view(np.uint8)

    def download(self, address: int, num_bytes: int) -> npt.NDArray[np.uint8]:
        return self._at(address, num_bytes).copy()

    def copy(self, source: int, destination: int, num_bytes: int) -> None:
        self._at(destination, num_bytes)[:] = self._at(source, num_bytes)

    def load(self, code: Iterable[bytes]) -> None:
        pass

    def launch(self, launch: Launch) -> None:
        self.launches.append(launch)

    def record(self, work: Callable[[], None]) -> Graph:
        raise NotImplementedError

    def time(self, work: Callable[[], None]) -> float:
        raise NotImplementedError

    def synchronize(self) -> None:
        pass

    def close(self) -> None:
        self.memory.clear()

    def _at(self, address: int, num_bytes: int) -> npt.NDArray[np.uint8]:
        for start, memory in self.memory.items():
            if start <= address and address + num_bytes <= start + len(memory):
                return memory[address - start : address - start + num_bytes]
        raise AssertionError("no memory of the device")
