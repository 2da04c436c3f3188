"""A real server process, for tests that kill it, stop it and break its connections."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from wire.served import ServedProcess


@pytest.fixture
def served() -> Iterator[ServedProcess]:
    with ServedProcess(backend="reference") as served:
        yield served
