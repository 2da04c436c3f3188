"""What may be a sensor: files by the value they should hold. Whether they do is found out by reading them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from bonsai_edge.sensors import Quantity
from bonsai_edge_devices.root import Root

POWER_PERIOD_S = 0.1


@dataclass(frozen=True)
class Candidate:
    """A value in files: their product times `scale`, in the unit of the quantity."""

    quantity: Quantity
    name: str
    scope: str
    paths: tuple[str, ...]
    scale: float
    period_s: float = 1.0


def distinct(candidates: Iterable[Candidate]) -> Iterator[Candidate]:
    """Number those of one name, such as the fans of a chip or two disks, from the second on."""
    seen: Counter[tuple[Quantity, str, str]] = Counter()
    for candidate in candidates:
        key = (candidate.quantity, candidate.name, candidate.scope)
        seen[key] += 1
        yield candidate if seen[key] == 1 else replace(candidate, name=f"{candidate.name} {seen[key]}")


def hwmon_chips(root: Root) -> Iterator[tuple[str, str]]:
    """Return the directories of monitoring chips with the name of each: the numbers change from boot to boot."""
    for path in root.names("sys/class/hwmon", "hwmon*"):
        name = root.line(f"{path}/name")
        if name:
            yield path, name
