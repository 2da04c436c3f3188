"""A server's status in words."""

from __future__ import annotations

from collections.abc import Iterator

from bonsai_edge.rpc.messages import ServerStatus


def status_lines(status: ServerStatus) -> Iterator[str]:
    """Say in a few lines what a person wants to know."""
    yield describe_state(status)
    model = "no model yet" if status.model is None else f"{status.model} on {status.backend}"
    yield f"model    {model}{'' if status.loaded or status.model is None else ', unloaded until it is needed'}"
    yield f"work     {status.active} running, {status.queued} waiting"
    yield f"engine   {describe_engine(status)}"
    yield f"memory   {mib(status.rss_bytes)} of the server{_available(status)}"
    yield f"up for   {duration(status.uptime_s)}, boot id {status.boot_id}"


def describe_state(status: ServerStatus) -> str:
    """Say in one line whether it is well."""
    reasons = ", ".join(each.replace("_", " ") for each in status.degraded_by)
    said = f" ({status.halt_reason})" if status.halt_reason else ""
    return f"{status.state}: {reasons}{said}" if reasons else status.state


def describe_engine(status: ServerStatus) -> str:
    """Say how much the engine did and when."""
    counted = f"{status.tokens:,} tokens in {status.steps:,} steps"
    if status.engine_silent_s is not None:
        return f"{counted}; working, last step {status.engine_silent_s:.1f} s ago"
    return f"{counted}; idle" if status.loaded else f"{counted}; no model in memory"


def mib(num_bytes: int) -> str:
    """Return an amount of memory."""
    return f"{num_bytes / (1 << 20):,.0f} MiB"


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    for unit, name in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} seconds"


def _available(status: ServerStatus) -> str:
    return "" if status.available_bytes is None else f", {mib(status.available_bytes)} available"
