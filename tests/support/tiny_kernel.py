"""Compiles and runs one tiny kernel; `python tiny_kernel.py` prints the names of what had to be compiled as JSON.

With a folder as argument this process fails to write below it, as on a read-only file system, whoever runs it.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from bonsai_edge_cpu.compilation import compiled
from bonsai_edge_cpu.kernel_cache import compiled_names


def _refuse_writes_below(folder: str) -> None:
    def check(event: str, arguments: tuple[Any, ...]) -> None:
        is_write = event in ("os.mkdir", "os.rename", "os.remove", "os.utime", "shutil.rmtree") or (
            event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        )
        if is_write and str(arguments[0]).startswith(folder):
            raise PermissionError(13, "Read-only for this test", str(arguments[0]))

    sys.addaudithook(check)


def main() -> None:
    """Run the kernel."""
    if len(sys.argv) > 1:
        _refuse_writes_below(sys.argv[1])

    @compiled
    def double(x):  # type: ignore[no-untyped-def]
        return 2 * x

    assert double(21) == 42
    print(json.dumps(compiled_names()))


if __name__ == "__main__":
    main()
