"""Writes one object file, and to standard output as JSON what its caller must know."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from bonsai_edge.cpu_step.isa_choice import ISA_VARIABLE
from bonsai_edge_cpu.ahead_of_time.cross_target import compile_for


def main() -> None:
    """Compile for the machine that the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m bonsai_edge_cpu.ahead_of_time", description=__doc__)
    parser.add_argument("object", type=Path, help="the file to write")
    parser.add_argument("--isa", required=True, help="a name from bonsai_edge_cpu.isa")
    parser.add_argument("--triple", required=True, help='the machine in LLVM\'s words, such as "aarch64-linux-android"')
    parser.add_argument("--processor", required=True, help='the least processor in LLVM\'s words, such as "cortex-a72"')
    parser.add_argument("--features", required=True, help='its features that count, such as "+neon,+dotprod"')
    options = parser.parse_args()
    compile_for(options.triple, options.processor, options.features)
    os.environ[ISA_VARIABLE] = options.isa
    # The kernels ask for the target and for the instruction set when they are imported.
    from bonsai_edge.formats.checkpoint import open_checkpoint  # noqa: PLC0415
    from bonsai_edge.model_store import resolve_model_path  # noqa: PLC0415
    from bonsai_edge_cpu.ahead_of_time.entries import Entries  # noqa: PLC0415
    from bonsai_edge_cpu.kernel_cache import version_hash  # noqa: PLC0415

    entries = Entries(open_checkpoint(resolve_model_path("seedling")))
    options.object.write_bytes(entries.object_file())
    facts = {
        "version": version_hash(),
        "table_tokens": entries.table_tokens,
        "spare_tiles": entries.spare_tiles,
        "step_signature": entries.step_signature,
        "multiply_signature": entries.multiply_signature,
    }
    print(json.dumps(facts))  # noqa: T201  (the result)


if __name__ == "__main__":
    main()
