"""Says where and of what a measurement was: the machine, the versions, the commit."""

from __future__ import annotations

import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import psutil

from bonsai_edge.plugin_manager import device_profile
from bonsai_edge.version import __version__
from speed.results import Machine, Versions


def describe_machine() -> Machine:
    """Return this machine and what it was doing."""
    device = device_profile()
    return Machine(
        name=device.name,
        processor=processor_name(Path("/proc/cpuinfo")),
        architecture=platform.machine(),
        usable_cores=device.usable_cores,
        memory_bytes=device.total_memory_bytes,
        system=platform.platform(terse=True),
        load_average=psutil.getloadavg()[0],
    )


def describe_versions() -> Versions:
    """Return what runs here."""
    return Versions(
        bonsai_edge=__version__,
        commit=_commit(),
        llama_cpp_python=version("llama-cpp-python"),
        python=platform.python_version(),
        numba=version("numba"),
        numpy=version("numpy"),
    )


def machine_label(machine: Machine) -> str:
    """Return a name for files: letters, digits and hyphens."""
    words = f"{machine.processor or machine.name} {machine.usable_cores} cores"
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


def processor_name(cpuinfo: Path) -> str:
    """Return what the file calls the processor, with the family and model that tell virtual x86 ones apart."""
    if not cpuinfo.exists():
        return platform.processor()
    fields = dict(re.findall(r"^(model name|cpu family|model|Model)\s*: (.*)$", cpuinfo.read_text(), re.MULTILINE))
    name: str = fields.get("model name") or fields.get("Model") or platform.processor()
    is_x86 = "cpu family" in fields
    return f"{name} family {fields['cpu family']} model {fields['model']}" if is_x86 else name


def _commit() -> str | None:
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
