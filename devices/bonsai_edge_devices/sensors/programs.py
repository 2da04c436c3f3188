"""Sensors behind programs, such as the Raspberry Pi's vcgencmd."""

from __future__ import annotations

from bonsai_edge_devices.root import Root

PROGRAM_PERIOD_S = 2.0  # starting a program costs milliseconds of a core, reading a file microseconds


def ask(root: Root, *command: str) -> str:
    """Return what a program prints; raises OSError with the reason if it is not there or fails."""
    output = root.output(*command)
    if output is None:
        raise OSError(root.reason(" ".join(command)) or f"{command[0]} is not installed")
    return output
