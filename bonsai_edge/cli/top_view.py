"""What `bonsai-edge top` shows."""

from __future__ import annotations

import time
from collections import deque

from rich.table import Table
from rich.text import Text

from bonsai_edge.cli.server_status import describe_engine, describe_state, duration, mib
from bonsai_edge.cli.terminal import one_line
from bonsai_edge.rpc.messages import Event, ServerStatus, Telemetry, TelemetryReading
from bonsai_edge.sensors import Quantity

_SPEED_WINDOW_S = 5.0
_STYLES = {"ready": "green", "loading": "yellow", "degraded": "bold red", "stopping": "yellow"}
_UNITS = {
    Quantity.TEMPERATURE: ("°C", 1.0),
    Quantity.REPORTED_CLOCK: ("MHz", 1e-6),
    Quantity.MEASURED_CLOCK: ("MHz", 1e-6),
    Quantity.POWER: ("W", 1.0),
    Quantity.FAN: ("rpm", 1.0),
}
"""Unit and factor of the quantities that are shown; counters would say nothing here."""


class TopView:
    """Remembers the last events of one server and draws them."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._status: ServerStatus | None = None
        self._readings: tuple[TelemetryReading, ...] = ()
        self._counts: deque[tuple[float, int]] = deque()

    def take(self, event: Event) -> None:
        """Remember an event."""
        if isinstance(event, Telemetry):
            self._readings = event.readings
            return
        if self._status is not None and event.boot_id != self._status.boot_id:
            self._counts.clear()
        self._status = event
        now = time.monotonic()
        self._counts.append((now, event.tokens))
        while self._counts[0][0] < now - _SPEED_WINDOW_S:
            self._counts.popleft()

    def tokens_per_s(self) -> float:
        """Return the speed of all generations together over the last seconds."""
        if len(self._counts) < 2:
            return 0.0
        (began_at, first), (ended_at, last) = self._counts[0], self._counts[-1]
        return (last - first) / max(ended_at - began_at, 1e-9)

    def render(self) -> Table:
        """Draw what is known."""
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(style="dim")
        table.add_column()
        table.add_row("server", _plain(self._endpoint))
        status = self._status
        if status is None:
            table.add_row("state", "waiting for the first event")
            return table
        table.add_row("state", _plain(describe_state(status), _STYLES[status.state]))
        table.add_row("model", _plain(f"{status.model} on {status.backend}" if status.model else "none yet"))
        table.add_row("queue", f"{status.active} running, {status.queued} waiting")
        table.add_row("speed", f"{self.tokens_per_s():.1f} tokens/s")
        table.add_row("engine", describe_engine(status))
        available = "" if status.available_bytes is None else f", {mib(status.available_bytes)} available"
        table.add_row("memory", f"{mib(status.rss_bytes)}{available}")
        table.add_row("up for", duration(status.uptime_s))
        for reading in self._readings:
            self._add_reading(table, reading)
        return table

    def _add_reading(self, table: Table, reading: TelemetryReading) -> None:
        if reading.quantity == Quantity.THROTTLED.value and reading.value > 0:
            table.add_row("throttled", _plain(reading.name, "bold red"))
            return
        for quantity, (unit, factor) in _UNITS.items():
            if reading.quantity == quantity.value:
                scope = f" ({reading.scope})" if reading.scope else ""
                table.add_row(_plain(f"{reading.name}{scope}"), f"{reading.value * factor:,.1f} {unit}")


def _plain(text: str, style: str = "") -> Text:
    """Return what a peer or a file may have written, as one line in which nothing is markup."""
    return Text(one_line(text), style)
