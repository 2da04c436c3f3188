"""/proc/cpuinfo, where x86 tells a name and flags, and Arm numbers of maker and core."""

from __future__ import annotations

import re

from bonsai_edge_devices.root import Root

# Maker and part of MIDR_EL1. Arm's, NVIDIA's and Ampere's manuals, as in util-linux sys-utils/lscpu-arm.c
_ARM_CORES = {
    (0x41, 0xD03): "Cortex-A53",
    (0x41, 0xD04): "Cortex-A35",
    (0x41, 0xD05): "Cortex-A55",
    (0x41, 0xD07): "Cortex-A57",
    (0x41, 0xD08): "Cortex-A72",
    (0x41, 0xD09): "Cortex-A73",
    (0x41, 0xD0A): "Cortex-A75",
    (0x41, 0xD0B): "Cortex-A76",
    (0x41, 0xD0C): "Neoverse-N1",
    (0x41, 0xD0D): "Cortex-A77",
    (0x41, 0xD0E): "Cortex-A76AE",
    (0x41, 0xD40): "Neoverse-V1",
    (0x41, 0xD41): "Cortex-A78",
    (0x41, 0xD42): "Cortex-A78AE",
    (0x41, 0xD44): "Cortex-X1",
    (0x41, 0xD46): "Cortex-A510",
    (0x41, 0xD47): "Cortex-A710",
    (0x41, 0xD48): "Cortex-X2",
    (0x41, 0xD49): "Neoverse-N2",
    (0x41, 0xD4B): "Cortex-A78C",
    (0x41, 0xD4C): "Cortex-X1C",
    (0x41, 0xD4D): "Cortex-A715",
    (0x41, 0xD4E): "Cortex-X3",
    (0x41, 0xD4F): "Neoverse-V2",
    (0x41, 0xD80): "Cortex-A520",
    (0x41, 0xD81): "Cortex-A720",
    (0x41, 0xD82): "Cortex-X4",
    (0x41, 0xD83): "Neoverse-V3AE",
    (0x41, 0xD84): "Neoverse-V3",
    (0x41, 0xD85): "Cortex-X925",
    (0x41, 0xD87): "Cortex-A725",
    (0x41, 0xD8E): "Neoverse-N3",
    (0x48, 0xD01): "Kunpeng-920",
    (0x4E, 0x003): "Denver 2",
    (0x4E, 0x004): "Carmel",
    (0x51, 0x802): "Kryo 3xx Gold",
    (0x51, 0x803): "Kryo 3xx Silver",
    (0x51, 0x804): "Kryo 4xx Gold",
    (0x51, 0x805): "Kryo 4xx Silver",
    (0x61, 0x022): "Icestorm",
    (0x61, 0x023): "Firestorm",
    (0x61, 0x032): "Blizzard",
    (0x61, 0x033): "Avalanche",
    (0xC0, 0xAC3): "Ampere-1",
    (0xC0, 0xAC4): "Ampere-1a",
}

# The instructions that matter to integer and half-precision arithmetic, by the kernel's name for them.
_FEATURES = {
    "asimd": "neon",
    "neon": "neon",
    "asimdhp": "fp16",
    "asimddp": "dotprod",
    "i8mm": "i8mm",
    "bf16": "bf16",
    "sve": "sve",
    "sve2": "sve2",
    "sme": "sme",
    "f16c": "f16c",
    "fma": "fma",
    "avx2": "avx2",
    "avx_vnni": "avx_vnni",
    "avx_vnni_int8": "avx_vnni_int8",
    "avx512f": "avx512f",
    "avx512bw": "avx512bw",
    "avx512vl": "avx512vl",
    "avx512_vnni": "avx512_vnni",
    "avx512_bf16": "avx512_bf16",
    "avx512_fp16": "avx512_fp16",
    "amx_int8": "amx_int8",
}


class CpuInfo:
    """The processors that /proc/cpuinfo lists: those that are online."""

    def __init__(self, root: Root) -> None:
        blocks = re.split(r"\n\s*\n", root.text("proc/cpuinfo", expected=True) or "")
        fields = [_fields(block) for block in blocks]
        self.by_cpu = {
            int(block["processor"]): block for block in fields if re.fullmatch(r"\d{1,4}", block.get("processor", ""))
        }
        if not self.by_cpu:
            root.report("proc/cpuinfo", "lists no processor")

    def model_name(self) -> str | None:
        """Return the name of an x86 processor; only a few Arm kernels give one."""
        names = (block.get("model name") for block in self.by_cpu.values())
        return next((" ".join(name.split())[:200] for name in names if name), None)

    def core_name(self, cpu: int) -> str | None:
        """Return the name of an Arm core, or its numbers if it is newer than the list."""
        block = self.by_cpu.get(cpu, {})
        maker, part = (block.get(key, "") for key in ("CPU implementer", "CPU part"))
        if not all(re.fullmatch(r"0x[0-9a-fA-F]{1,4}", number) for number in (maker, part)):
            return None
        return _ARM_CORES.get((int(maker, 16), int(part, 16)), f"maker {maker}, part {part}")

    def isa_features(self) -> tuple[str, ...]:
        """Return the features that every listed processor has: a thread may run on any of them."""
        listed = [block.get("Features") or block.get("flags") for block in self.by_cpu.values()]
        common = set.intersection(*({*flags.split()} for flags in listed if flags)) if any(listed) else set()
        return tuple(dict.fromkeys(name for flag, name in _FEATURES.items() if flag in common))

    def is_virtual(self) -> bool:
        """Tell whether an x86 processor says that a hypervisor lies beneath it."""
        return any("hypervisor" in block.get("flags", "").split() for block in self.by_cpu.values())


def _fields(block: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in block.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
