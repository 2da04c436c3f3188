"""Does what `robot_answers` does, as if Numba and llvmlite were not installed: they are, but cannot be imported."""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import ModuleSpec

_find_spec = importlib.util.find_spec


def _find_other_spec(name: str, package: str | None = None) -> ModuleSpec | None:
    return None if name in ("numba", "llvmlite") else _find_spec(name, package)


if __name__ == "__main__":
    importlib.util.find_spec = _find_other_spec
    sys.modules["numba"] = sys.modules["llvmlite"] = None  # type: ignore[assignment]  # which makes an import fail
    import robot_answers

    robot_answers.main()
