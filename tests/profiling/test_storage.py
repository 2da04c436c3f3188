import errno
import os
from pathlib import Path

import pytest

from bonsai_edge.profiling.storage import measure_read_speed


def measure(path: Path) -> float:
    try:
        return measure_read_speed(path)
    except OSError as exc:
        if exc.errno == errno.EINVAL:
            pytest.skip("this file system cannot be read past the cache")
        raise


@pytest.mark.parametrize("num_bytes", [1, (4 << 20) + 5, 9 << 20])
def test_speed_is_that_of_a_storage(tmp_path: Path, num_bytes: int) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(os.urandom(num_bytes))
    assert 0 < measure(path) < 1e12


def test_an_empty_file_has_no_speed(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.touch()
    with pytest.raises(OSError, match="the file is empty"):
        measure(path)
