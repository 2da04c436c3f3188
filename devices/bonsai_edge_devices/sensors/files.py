"""Sensors whose values are numbers in files, which stay open: opening costs ten times what reading does."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence

from bonsai_edge.sensors import Quantity, Reading, Sensor
from bonsai_edge_devices.root import Root

# What no working sensor exceeds, in the quantity's unit.
_PLAUSIBLE = {
    Quantity.TEMPERATURE: (-60.0, 200.0),
    Quantity.REPORTED_CLOCK: (0.0, 2e10),
    Quantity.MEASURED_CLOCK: (0.0, 2e10),
    Quantity.POWER: (-50.0, 5000.0),  # rails of little current read slightly below zero
    Quantity.FAN: (0.0, 1e5),
}


def reading(quantity: Quantity, name: str, scope: str, value: float) -> Reading:
    """Return a reading; raises OSError for a value that the quantity cannot have."""
    low, high = _PLAUSIBLE.get(quantity, (0.0, math.inf))
    if not low <= value <= high:
        raise OSError(f"is implausible: {value:g} ({quantity.value})")
    return Reading(quantity, name, scope, value)


class NumberFile:
    """A file that holds a whole number, read again and again."""

    def __init__(self, root: Root, path: str) -> None:
        """Open the file; raises OSError."""
        self.path = path
        self._descriptor = root.open(path)

    def read(self) -> int:
        """Return the number; raises OSError."""
        text = os.pread(self._descriptor, 64, 0).decode(errors="replace").strip()
        if not re.fullmatch(r"-?\d{1,20}", text):
            raise OSError(f"is not a whole number: {text[:40]!r}")
        return int(text)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


class FileSensor(Sensor):
    """The product of the numbers in files, times a scale: one file for most, volts and amperes for a power."""

    def __init__(
        self,
        root: Root,
        paths: Sequence[str],
        quantity: Quantity,
        name: str,
        scope: str,
        scale: float,
        period_s: float = 1.0,
    ) -> None:
        """Open the files; raises OSError."""
        self.source = ", ".join(paths)
        self.period_s = period_s
        self.quantities = frozenset({quantity})
        self._quantity, self._name, self._scope, self._scale = quantity, name, scope, scale
        self._files: list[NumberFile] = []
        try:
            self._files.extend(NumberFile(root, path) for path in paths)
        except OSError:
            self.close()
            raise

    def read(self) -> list[Reading]:
        """Read all files."""
        value = self._scale * float(math.prod(file.read() for file in self._files))
        return [reading(self._quantity, self._name, self._scope, value)]

    def close(self) -> None:
        """Close the files."""
        while self._files:
            self._files.pop().close()
