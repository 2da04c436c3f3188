"""The log of a service: one JSON object a line on standard error."""

from __future__ import annotations

import logging

from pythonjsonlogger.json import JsonFormatter

from bonsai_edge.progress import progress


def log_as_json() -> None:
    """Write all that is logged from INFO on as JSON, what is else shown as progress too."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        JsonFormatter(
            "{message}{levelname}{name}",
            style="{",
            timestamp="time",
            rename_fields={"levelname": "level", "name": "logger"},
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    progress.handlers.clear()
