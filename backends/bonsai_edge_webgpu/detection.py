"""Whether there may be a GPU, told by files: to ask a graphics driver takes seconds and tens of megabytes."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path

DRIVER_VARIABLES = ("VK_DRIVER_FILES", "VK_ICD_FILENAMES")
"""With them a user names a Vulkan driver, such as Mesa's for the CPU."""

_DEVICE_FILES = (
    "dri/renderD*",  # Intel, AMD, Apple; Mali and Adreno with Mesa's drivers
    "kgsl-3d*",  # Adreno with Qualcomm's driver
    "mali*",  # Mali with Arm's
    "nvidia[0-9]*",
    "dxg",  # any of them under WSL
)


@cache
def may_have_gpu(dev: Path = Path("/dev")) -> bool:
    """Return whether asking is worth it: on Linux if there is a device file of a GPU, or a driver is named.

    Looked up once: a driver, too, is found once in the life of a process.
    """
    if sys.platform != "linux" or any(os.environ.get(name) for name in DRIVER_VARIABLES):
        return True
    return any(next(dev.glob(pattern), None) is not None for pattern in _DEVICE_FILES)
