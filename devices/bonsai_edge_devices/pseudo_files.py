"""Reads the small text files under /proc and /sys; what is absent or not readable is None, never an error."""

from __future__ import annotations

from pathlib import Path


def read_text(path: Path) -> str | None:
    """Return the text without the NUL that ends device-tree strings and without surrounding blanks."""
    try:
        return path.read_text(errors="replace").strip("\0 \n\t")
    except OSError:
        return None


def read_int(path: Path) -> int | None:
    """Return a file's only number; None also for a word, such as the "max" of an unlimited cgroup."""
    text = read_text(path)
    try:
        return None if text is None else int(text)
    except ValueError:
        return None


def read_counters(path: Path) -> dict[str, int]:
    """Return the numbers of a file of "name value" lines, such as memory.stat or meminfo (whose kB stay kB)."""
    words = [line.replace(":", " ").split() for line in (read_text(path) or "").splitlines()]
    return {line[0]: int(line[1]) for line in words if len(line) >= 2 and line[1].isdecimal()}
