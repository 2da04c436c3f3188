import errno
import os
from io import FileIO
from pathlib import Path

import pytest

from bonsai_edge.formats import sequential_reading
from bonsai_edge.formats.sequential_reading import read_ahead, read_into_memory


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of a few chunks and a bit."""
    path = tmp_path / "model.gguf"
    path.write_bytes(os.urandom(1000) * 100)
    return path


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequential_reading, "_CHUNK_BYTES", 30_000)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Collect what is told while each look at the clock takes half a second."""
    clock = iter(range(1000))
    monkeypatch.setattr(sequential_reading.time, "monotonic", lambda: next(clock) / 2)
    caplog.set_level("INFO", logger="bonsai_edge.progress")
    return caplog


def test_copy_is_the_file(path: Path) -> None:
    with FileIO(path) as file:
        file.read(4)
        assert read_into_memory(file)[:] == path.read_bytes()


def test_reading_tells_bytes_speed_and_rest_once_a_second(path: Path, told: pytest.LogCaptureFixture) -> None:
    with FileIO(path) as file:
        read_into_memory(file)
    assert [(record.done_bytes, record.total_bytes) for record in told.records] == [
        (60_000, 100_000),
        (100_000, 100_000),
    ]
    assert told.messages[0] == "Reading model.gguf: 0 of 0 MB at 0 MB/s, 1 s left."


def test_file_that_is_cached_is_not_read_ahead(
    path: Path, monkeypatch: pytest.MonkeyPatch, told: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sequential_reading, "_is_cached", lambda file, num_bytes: True)
    read_ahead(path)
    assert told.records == []
    monkeypatch.setattr(sequential_reading, "_is_cached", lambda file, num_bytes: False)
    read_ahead(path)
    assert told.records[-1].done_bytes == 100_000


@pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="asks Linux")
@pytest.mark.parametrize(("code", "cached"), [(None, True), (errno.EAGAIN, False), (errno.EOPNOTSUPP, False)])
def test_file_counts_as_cached_if_every_sample_can_be_read_at_once(
    path: Path, monkeypatch: pytest.MonkeyPatch, code: int | None, cached: bool
) -> None:
    asked = []

    def preadv(descriptor: int, buffers: list[bytearray], position: int, flags: int) -> int:
        asked.append((position, flags))
        if code is not None and position >= 50_000:
            raise OSError(code, os.strerror(code))
        return 1

    monkeypatch.setattr(os, "preadv", preadv)
    monkeypatch.setattr(sequential_reading, "_SAMPLE_BYTES", 25_000)
    with FileIO(path) as file:
        assert sequential_reading._is_cached(file, 100_000) is cached
    assert asked == [(start, os.RWF_NOWAIT) for start in range(0, 100_000 if cached else 75_000, 25_000)]


def test_file_that_shrinks_while_it_is_read_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class ShrunkFile(FileIO):
        def readinto(self, buffer: memoryview) -> int:
            return super().readinto(buffer) if self.tell() < 60_000 else 0

    with ShrunkFile(path) as file, pytest.raises(OSError, match=r"model\.gguf ended after 60000 of 100000 bytes"):
        read_into_memory(file)
