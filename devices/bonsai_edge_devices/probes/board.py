"""Which machine this is, by the first of the places that know: device tree, kernel, Android, firmware."""

from __future__ import annotations

import re
from collections.abc import Callable

from bonsai_edge.device_description import Board
from bonsai_edge_devices.root import Root

_DEVICE_TREES = ("proc/device-tree", "sys/firmware/devicetree/base")
_PLACEHOLDERS = re.compile(
    r"(?i)to be filled by o\.?e\.?m\.?|system product name|system manufacturer|default string|not specified|none|n/?a|0"
)


def probe_board(root: Root) -> Board:
    """Return what the machine is called."""
    return next((board for source in _SOURCES if (board := source(root)) is not None), Board())


def device_tree_board(root: Root) -> Board | None:
    """Read the device tree of an Arm board."""
    for tree in _DEVICE_TREES:
        compatible, name = root.strings(f"{tree}/compatible"), root.line(f"{tree}/model")
        if compatible or name:
            vendor = compatible[0].partition(",")[0] if compatible else None
            return Board(name=name, vendor=vendor, compatible=compatible)
    return None


def cpuinfo_board(root: Root) -> Board | None:
    """Read the name that Raspberry Pi kernels add to /proc/cpuinfo: containers hide the device tree, but not this."""
    name = re.search(r"^Model\s*:\s*(\S.{0,200})$", root.text("proc/cpuinfo") or "", re.MULTILINE)
    return Board(name=name[1].strip()) if name else None


def android_properties(root: Root) -> dict[str, str]:
    """Return Android's system properties; nothing on another system."""
    if not root.exists("system/build.prop"):
        return {}
    return dict(re.findall(r"^\[([\w.]{1,100})\]: \[(.{0,200})\]$", root.output("getprop") or "", re.MULTILINE))


def _android_board(root: Root) -> Board | None:
    properties = android_properties(root)
    names = (properties.get("ro.product.manufacturer", ""), properties.get("ro.product.model", ""))
    return Board(name=" ".join(filter(None, names)), vendor=names[0] or None) if any(names) else None


def _firmware_board(root: Root) -> Board | None:
    """Read the DMI tables of a PC or server, where makers leave placeholders."""
    fields = {name: root.line(f"sys/class/dmi/id/{name}") for name in ("sys_vendor", "product_name", "board_name")}
    known = {name: value for name, value in fields.items() if value and not _PLACEHOLDERS.fullmatch(value)}
    name = known.get("product_name") or known.get("board_name")
    return Board(name=name, vendor=known.get("sys_vendor")) if known else None


_SOURCES: tuple[Callable[[Root], Board | None], ...] = (
    device_tree_board,
    cpuinfo_board,
    _android_board,
    _firmware_board,
)
