"""A real server process, for tests that kill it, stop it and break its connections."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from wire.served import ServedProcess


@pytest.fixture(scope="session")
def process() -> Iterator[ServedProcess]:
    with ServedProcess(backend="reference") as process:
        yield process


@pytest.fixture
def served(process: ServedProcess) -> ServedProcess:
    """The server, started again if the test before killed it."""
    if not process.is_running():
        process.start()
    return process
