"""The machine as files and programs: the one way in which everything about it is read.

The root is "/", or a directory that holds a recorded or synthetic machine: its `proc`, `sys` and `etc`, and under
`commands` what programs print there. Nothing that lies there is trusted: what is too long, not text, out of range, a
pipe or unreadable becomes None and is reported. What is merely absent is None too, and reported only where it was
expected.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import stat
import struct
import subprocess
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

from bonsai_edge.cpu_list import parse_cpu_list
from bonsai_edge.device_description import Problem

_MOST_BYTES = 4 << 20  # /proc/cpuinfo of a thousand processors; a file of sysfs has at most a page
_PIECE_BYTES = 64 << 10
_MOST_LINE = 1_000
_MOST_NAMES = 10_000
_COMMAND_TIMEOUT_S = 5.0
_MORE_PROGRAMS = "/usr/sbin:/sbin:/system/bin"  # where nvpmodel, sysctl and getprop lie, often outside PATH
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

# What Python tells without starting the program.
_FROM_PYTHON: dict[tuple[str, ...], Callable[[], str]] = {
    ("uname", "-s"): platform.system,
    ("uname", "-m"): platform.machine,
    ("uname", "-r"): platform.release,
    ("getconf", "PAGESIZE"): lambda: str(os.sysconf("SC_PAGE_SIZE")),
    ("getconf", "LONG_BIT"): lambda: str(8 * struct.calcsize("P")),
}


class Root:
    """A machine, and what could not be read of it."""

    def __init__(self, path: Path = Path("/")) -> None:
        self.path = path
        self._reasons: dict[str, str] = {}

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What was reported so far, in order; each place once."""
        return tuple(Problem(where=where, reason=reason) for where, reason in self._reasons.items())

    def report(self, where: str, reason: str) -> None:
        """Note that something could not be used; the first reason counts."""
        self._reasons.setdefault(where, reason)

    def reason(self, where: str) -> str | None:
        """Return why something could not be used, if that was reported."""
        return self._reasons.get(where)

    def exists(self, path: str) -> bool:
        """Tell whether there is such a file or directory; False and reported where that may not be known."""
        try:
            os.stat(self.path / path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as exc:
            self.report(path, _reason(exc))
            return False
        return True

    def text(self, path: str, expected: bool = False) -> str | None:
        """Return the text of a file, without blanks around it and without the NUL that ends a device tree's strings."""
        content = self._read(path, expected)
        if content is None:
            return None
        try:
            text = content.decode().strip("\0 \n\t")
        except UnicodeDecodeError:
            self.report(path, "is not text")
            return None
        if _CONTROL.search(text):
            self.report(path, "is not text")
            return None
        return text

    def line(self, path: str, expected: bool = False) -> str | None:
        """Return a file's only line; None where it is empty."""
        text = self.text(path, expected)
        if text is None or text == "":
            return None
        if len(text) > _MOST_LINE or "\n" in text:
            self.report(path, "is more than one short line")
            return None
        return text

    def integer(self, path: str, low: int = 0, high: int = (1 << 63) - 1, expected: bool = False) -> int | None:
        """Return a file's only number, if it lies in a range; an empty file, as drivers write it, tells nothing."""
        line = self.line(path, expected)
        if line is None:
            return None
        if not re.fullmatch(r"-?\d{1,20}", line):
            self.report(path, f"is not a whole number: {line[:40]!r}")
            return None
        number = int(line)
        if not low <= number <= high:
            self.report(path, f"is out of range: {number}")
            return None
        return number

    def strings(self, path: str) -> tuple[str, ...]:
        """Return the strings of a device-tree property, which NULs divide."""
        content = self._read(path, expected=False) or b""
        try:
            strings = [part for part in content.decode().split("\0") if part]
        except UnicodeDecodeError:
            strings = ["\0"]
        if any(_CONTROL.search(string) or len(string) > _MOST_LINE for string in strings):
            self.report(path, "is not a list of strings")
            return ()
        return tuple(strings)

    def counters(self, path: str, expected: bool = False) -> dict[str, int]:
        """Return the numbers of a file of "name value" lines, such as memory.stat or meminfo, whose kB stay kB."""
        words = [line.replace(":", " ").split() for line in (self.text(path, expected) or "").splitlines()]
        return {line[0]: int(line[1]) for line in words if len(line) >= 2 and re.fullmatch(r"\d{1,19}", line[1])}

    def cpus(self, path: str) -> tuple[int, ...] | None:
        """Return the logical processors of a file such as "0-3,8"."""
        line = self.line(path)
        if line is None:
            return None
        cpus = parse_cpu_list(line)
        if cpus is None:
            self.report(path, f"is not a list of processors: {line[:40]!r}")
        return cpus

    def names(self, directory: str, pattern: str = "*") -> list[str]:
        """Return the paths of a directory's entries, numbers in their natural order; nothing if there is none."""
        try:
            entries = [entry for entry in os.listdir(self.path / directory) if fnmatchcase(entry, pattern)]
        except FileNotFoundError:
            return []
        except OSError as exc:
            self.report(directory, _reason(exc))
            return []
        if len(entries) > _MOST_NAMES:
            self.report(directory, f"has more than {_MOST_NAMES} entries")
            return []
        return [f"{directory}/{entry}" for entry in sorted(entries, key=_natural)]

    def output(self, *command: str) -> str | None:
        """Return what a program prints; None where it is not installed. A failure is reported."""
        if self.path != Path("/"):
            return self.text(f"commands/{'_'.join(command)}")
        if command in _FROM_PYTHON:
            return _FROM_PYTHON[command]()
        program = shutil.which(command[0], path=f"{os.environ.get('PATH', os.defpath)}:{_MORE_PROGRAMS}")
        if program is None:
            return None
        where = " ".join(command)
        try:
            done = subprocess.run(
                [program, *command[1:]],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_COMMAND_TIMEOUT_S,
                env={**os.environ, "LC_ALL": "C"},
                check=False,
            )
        except OSError as exc:
            self.report(where, _reason(exc))
            return None
        except subprocess.TimeoutExpired:
            self.report(where, f"gave no answer in {_COMMAND_TIMEOUT_S:.0f} s")
            return None
        text = done.stdout[:_MOST_BYTES].decode(errors="replace").strip()
        if done.returncode != 0:
            says = (done.stderr.decode(errors="replace").strip() or text).splitlines()
            self.report(where, f"failed: {says[0][:200] if says else f'exit status {done.returncode}'}")
            return None
        return text

    def open(self, path: str) -> int:
        """Return a descriptor of a regular file; raises OSError, also where there is something else by that name."""
        # Without O_NONBLOCK a pipe in place of a file would be waited for.
        descriptor = os.open(self.path / path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError("is not a regular file")
        return descriptor

    def _read(self, path: str, expected: bool) -> bytes | None:
        try:
            descriptor = self.open(path)
            try:
                content = _read_most(descriptor)
            finally:
                os.close(descriptor)
        except (FileNotFoundError, NotADirectoryError):
            if expected:
                self.report(path, "is absent")
            return None
        except OSError as exc:
            self.report(path, _reason(exc))
            return None
        if len(content) > _MOST_BYTES:
            self.report(path, f"is larger than {_MOST_BYTES >> 20} MiB")
            return None
        return content


def _read_most(descriptor: int) -> bytes:
    """Return the content, or a little more than the most that is accepted.

    In pieces: the kernel allocates as much as a read of /proc/sys asks for, and fails at megabytes.
    """
    pieces, size = [], 0
    while size <= _MOST_BYTES and (piece := os.read(descriptor, _PIECE_BYTES)):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


def _reason(exc: OSError) -> str:
    return (exc.strerror or str(exc)).lower()


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a key that puts cpu10 after cpu9."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]
