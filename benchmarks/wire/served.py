"""A `bonsai-edge serve` in a process of its own, which can be killed, stopped and started again."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from types import TracebackType

import psutil

_STOP_DEADLINE_S = 30.0
_PORTS = range(20_000, 32_000, 4)  # below those that outgoing connections get, also while the server is down
_PORTS_OF_A_SERVER = 3  # work, control and events


class ServedProcess:
    """Starts a server and waits until its model is loaded; after a `kill`, `start` brings it back where it was.

    It listens on a free port unless told where to `bind`. The new process calls `enter` before anything else, such as
    to enter a cgroup.
    """

    def __init__(
        self,
        model: str = "seedling",
        *,
        backend: str = "auto",
        bind: str | None = None,
        options: Sequence[str] = (),
        enter: Callable[[], None] | None = None,
        program: Sequence[str] = ("-m", "bonsai_edge"),
    ) -> None:
        self._command = [sys.executable, *program, "serve", "--json"]
        self._command += ["--model", model, "--backend", backend, *options]
        self._enter = enter
        self.endpoint = bind or f"tcp://127.0.0.1:{_free_port()}"
        self.start()

    def __enter__(self) -> ServedProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Of the process that runs now, or ran last."""
        return self._process.pid

    def start(self) -> None:
        """Start the process. Raises RuntimeError when it does not get ready."""
        self._process = subprocess.Popen(
            [*self._command, "--bind", self.endpoint], stdout=subprocess.PIPE, text=True, preexec_fn=self._enter
        )
        assert self._process.stdout is not None
        announcement = self._process.stdout.readline()
        if not announcement:
            self.kill()
            raise RuntimeError("The server did not start; its reason stands above.")
        self.endpoint = json.loads(announcement)["endpoints"][0]
        self._usage = psutil.Process(self.pid)

    def stop(self) -> None:
        """End the server as its user would, and harder if that takes too long."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
        try:
            self._process.wait(_STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._close_pipe()

    def kill(self) -> None:
        """End the process with SIGKILL."""
        self._process.kill()
        self._process.wait()
        self._close_pipe()

    def pause(self) -> None:
        """Let the whole process stand still (SIGSTOP)."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        self._process.send_signal(signal.SIGCONT)

    def is_running(self) -> bool:
        """Return whether the process has not ended by itself."""
        return self._process.poll() is None

    def rss_bytes(self) -> int:
        """Return the resident memory."""
        return int(self._usage.memory_info().rss)

    def num_fds(self) -> int:
        """Return how many files and sockets are open."""
        return int(self._usage.num_fds())

    def cpu_s(self) -> float:
        """Return the processor time that the process has used."""
        times = self._usage.cpu_times()
        return float(times.user + times.system)

    def _close_pipe(self) -> None:
        if self._process.stdout is not None:
            self._process.stdout.close()


def _free_port() -> int:
    """Return a port that is free with the two after it."""
    while True:
        port = random.choice(_PORTS)
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for number in range(port, port + _PORTS_OF_A_SERVER):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", number))
            return port
