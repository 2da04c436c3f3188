"""Says what takes long to whoever waits: `progress.info("Compiling …")`.

A user of the library gets records of the logger `bonsai_edge.progress`; the command line shows them on standard error.
"""

from __future__ import annotations

import logging

progress = logging.getLogger("bonsai_edge.progress")
