"""Machines as test data: every file of /proc, /sys and /etc that matters, in one TOML file a machine.

A key is a path, a value its content. `{0-3}` in a path makes a file for each number, which replaces `{}` in the
content. A table `{each = "0-3", text = "...", tail = "..."}` repeats the text within one file, as /proc/cpuinfo does.
What programs print is under `commands/`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

MACHINES = Path(__file__).parents[1] / "devices" / "machines"


def machine_names() -> list[str]:
    """Return the names of all machines."""
    return sorted(file.stem for file in MACHINES.glob("*.toml"))


def write_machine(name: str, root: Path) -> Path:
    """Write the files of a machine under a directory, and return it."""
    contents: dict[str, Any] = msgspec.toml.decode((MACHINES / f"{name}.toml").read_bytes())
    for key, value in contents.items():
        numbers = re.search(r"\{(\d+)-(\d+)\}", key)
        for number in range(int(numbers[1]), int(numbers[2]) + 1) if numbers else [None]:
            path = root / (key if number is None else re.sub(r"\{\d+-\d+\}", str(number), key))
            path.parent.mkdir(parents=True, exist_ok=True)
            text = _repeated(value) if isinstance(value, dict) else str(value)
            path.write_text(text if number is None else text.replace("{}", str(number)))
    return root


def _repeated(value: dict[str, str]) -> str:
    first, last = (int(end) for end in value["each"].split("-"))
    blocks = [value["text"].replace("{}", str(number)) for number in range(first, last + 1)]
    return "".join(blocks) + value.get("tail", "")
