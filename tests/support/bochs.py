"""Runs a Python script on an x86-64 processor that Bochs emulates, in a Linux that holds little else.

Bochs knows processors by name, with AVX-512 or without AVX2, so that instructions can be run that this machine lacks.
The system is Debian's kernel and an initramfs of the files that the script reads here. It needs Debian's packages
bochs, bochs-term, isolinux, syslinux-common, xorriso and cpio, and a place to download the kernel from.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAMS = ("bochs", "xorriso", "cpio", "script")
BOOT_FILES = (Path("/usr/lib/ISOLINUX/isolinux.bin"), Path("/usr/lib/syslinux/modules/bios/ldlinux.c32"))
_TRACE = """
import json, os, runpy, sys
sys.path.insert(0, os.path.dirname(sys.argv[1]))
runpy.run_path(sys.argv[1], run_name="__main__")
modules = list(sys.modules.values())
files = {getattr(module, name, None) for module in modules for name in ("__file__", "__cached__")} - {None}
files |= {line.split()[-1] for line in open("/proc/self/maps") if "/" in line}
print("\\n" + json.dumps(sorted(files)))
"""
_INIT = """#!{python} -S
import ctypes, os, subprocess
libc = ctypes.CDLL("libc.so.6")
for kind, place in ((b"devtmpfs", b"/dev"), (b"proc", b"/proc"), (b"sysfs", b"/sys"), (b"tmpfs", b"/tmp")):
    libc.mount(kind, place, kind, 0, None)
line = os.open("/dev/ttyS0", os.O_RDWR)
for number in (0, 1, 2):
    os.dup2(line, number)
done = subprocess.run({command!r}, env={environment!r}, check=False)
print("exit code", done.returncode, flush=True)
libc.tcdrain(1)
libc.reboot(0x4321FEDC)  # RB_POWER_OFF, at which Bochs ends
"""
# What the kernel must not use of Bochs 2.7: fast moves of a few bytes (FSRM, ERMS), with which it loses page tables on
# the newest models; compact XSAVE and protection keys, whose sizes are reported wrongly; the HPET, with which it stops;
# APERF, which is missing. Its own checks of cryptography take minutes. The last word is for Python, which starts before
# there are random numbers on models without RDRAND.
_KERNEL_OPTIONS = (
    "console=ttyS0,115200 loglevel=1 panic=-1 mitigations=off clearcpuid=515,323,321,124,580,297 lpj=2000000 lsm= "
    "hpet=disable idle=halt cryptomgr.notests PYTHONHASHSEED=0"
)
_CONFIGURATION = """
megs: 1024
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
cpu: model={cpu}, count=1, ips=50000000, reset_on_triple_fault=0
ata0-master: type=cdrom, path={folder}/cd.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev={output}/serial.txt
sound: driver=dummy
display_library: term
clock: sync=none, time0=utc
log: {output}/bochs.log
panic: action=fatal
"""


def missing() -> str | None:
    """Say what of Debian's is not installed; None if all is."""
    absent = [
        *filter(lambda name: shutil.which(name) is None, PROGRAMS),
        *(str(p) for p in BOOT_FILES if not p.exists()),
    ]
    return f"{', '.join(absent)}; install bochs bochs-term isolinux syslinux-common xorriso cpio" if absent else None


def pack(script: Path, library: Path, folder: Path) -> None:
    """Write a CD image that starts Linux and runs the script with a library of kernels, and all that it reads here."""
    traced = subprocess.run(
        [sys.executable, "-c", _TRACE, str(script)],
        capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    tree, boot = folder / "tree", folder / "boot"
    boot.mkdir(parents=True)
    python = Path(os.path.realpath(sys.executable))
    # What a package reads beside its modules, and the metadata by which plugins are found.
    of_packages = [p for name in ("bonsai_edge", "devices") for p in (ROOT / name).rglob("*") if p.suffix != ".pyc"]
    (metadata,) = (ROOT / ".venv" / "lib").glob("python3*/site-packages/bonsai_edge-*.dist-info")
    of_run = [Path(name) for name in json.loads(traced.stdout.splitlines()[-1])]
    linked = _libraries([python, *(path for path in of_run if ".so" in path.name)])
    for path in {*of_run, *of_packages, *metadata.iterdir(), *linked, script, python, library}:
        if path.is_file() and not path.is_relative_to("/proc"):
            copy = tree / path.relative_to("/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copy)
    for name in ("dev", "proc", "sys", "tmp", "root"):
        (tree / name).mkdir(exist_ok=True)
    found = [p for p in sys.path if p and Path(p).is_dir()]
    guest = {"PYTHONPATH": ":".join(found), "HOME": "/root"}
    guest |= {
        "PYTHONHOME": sys.base_prefix,
        "OPENBLAS_NUM_THREADS": "1",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-ERMS,-FSRM",
    }
    init = tree / "init"
    init.write_text(_INIT.format(python=python, command=[str(python), str(script)], environment=guest))
    init.chmod(0o755)
    names = subprocess.run(["find", "."], cwd=tree, capture_output=True, check=True).stdout
    with (boot / "initrd").open("wb") as archive:
        subprocess.run(
            ["cpio", "--create", "--format=newc", "--quiet"], cwd=tree, input=names, stdout=archive, check=True
        )
    for path in BOOT_FILES:
        shutil.copy(path, boot)
    shutil.copy(_kernel(folder), boot / "vmlinuz")
    (boot / "isolinux.cfg").write_text(f"DEFAULT l\nLABEL l\nKERNEL vmlinuz\nINITRD initrd\nAPPEND {_KERNEL_OPTIONS}\n")
    subprocess.run(
        ["xorriso", "-as", "mkisofs", "-quiet", "-o", folder / "cd.iso", "-b", "isolinux.bin", "-c", "boot.cat",
         "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", boot],
        check=True, capture_output=True,
    )  # fmt: skip
    (folder / "debugger").write_text("continue\n")  # Debian builds Bochs with one, which waits for a word


def _libraries(files: Sequence[Path]) -> set[Path]:
    """Return the libraries that files are linked with, and the loader, by the names by which they are looked for."""
    listed = subprocess.run(["ldd", *files], capture_output=True, text=True, check=False).stdout
    return {Path(name) for name in re.findall(r"(/\S+) \(0x", listed)}


def _kernel(folder: Path) -> Path:
    """Download Debian's kernel for virtual machines and return its image."""
    depends = subprocess.run(
        ["apt-cache", "depends", "linux-image-cloud-amd64"], capture_output=True, text=True, check=True
    ).stdout
    name = re.findall(r"Depends: (linux-image-\S+)", depends)[0]
    subprocess.run(["apt-get", "download", name], cwd=folder, check=True, capture_output=True)
    (package,) = folder.glob("linux-image-*.deb")
    subprocess.run(["dpkg-deb", "--extract", package, folder / "kernel"], check=True)
    return next((folder / "kernel" / "boot").glob("vmlinuz-*"))


def run(folder: Path, cpu: str, timeout_s: float) -> str:
    """Start what `pack` has made on a processor that `bochs -help cpu` names; return its last line."""
    output = folder / cpu
    output.mkdir()
    (output / "bochsrc").write_text(_CONFIGURATION.format(cpu=cpu, folder=folder, output=output))
    bochs = f"stty rows 30 cols 100; exec bochs -q -f {output}/bochsrc -rc {folder}/debugger"
    with (output / "screen.txt").open("wb") as screen:
        subprocess.run(
            ["script", "--quiet", "--return", "--command", bochs, "/dev/null"],
            env=os.environ | {"TERM": "vt100"}, stdin=subprocess.DEVNULL, stdout=screen, stderr=screen,
            timeout=timeout_s, check=False,
        )  # fmt: skip
    printed = (output / "serial.txt").read_text(errors="replace")
    result, ended, _ = printed.rpartition("exit code 0")
    assert ended, printed[-3000:]
    return result.strip().splitlines()[-1]
