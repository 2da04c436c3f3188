"""Compares the speed of this project with llama.cpp's: the same file, the same threads, taking turns.

    python benchmarks/vs_llama_cpp.py [--quick] [--isa avx2] [--model FILE.gguf ...] [--out FILE.json]

Measures decoding and prompts with 1, 2 and all cores, and with all cores also decoding at depths of context and of
several sequences together, on files with the shapes of Bonsai 1.7B and 8B. Each side has a process of its own; a round
runs every case on both, and measures how fast the machine reads memory. `publish.py` makes the page and the plots.
The full run takes about an hour on two cores, --quick two minutes. Needs the extra `peer`.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import msgspec
from rich.console import Console
from rich.markdown import Markdown

from random_bonsai import cached_random_bonsai
from speed.case import FULL, QUICK, Plan
from speed.page import report
from speed.provenance import describe_machine, describe_versions, machine_label
from speed.results import Results, Run, write_results
from speed.rounds import measure_run

RESULTS = Path(__file__).parent / "results"
_ISA_VARIABLE = "BONSAI_EDGE_CPU_ISA"


def main() -> None:
    """Measure what the command line asks for, write the results after every run, print them in the end."""
    args = _parser().parse_args()
    machine = describe_machine()
    label = machine_label(machine) + (f"-{args.isa}" if args.isa else "")
    results = Results(
        label=label,
        machine=machine,
        versions=describe_versions(),
        command=f"python {shlex.join(sys.argv)}",
        started=datetime.now(timezone.utc).replace(microsecond=0),
        isa=args.isa,
        runs=[],
    )
    out = args.out or (None if args.quick or args.model else RESULTS / f"{label}.json")
    for run in _runs(args, machine.usable_cores):
        results = msgspec.structs.replace(results, runs=[*results.runs, run])
        if out is not None:
            write_results(results, out)
    tables = report(results)
    if sys.stdout.isatty():
        Console(highlight=False).print(Markdown(tables))
    else:
        print(tables)
    if out is not None:
        print(f"\nResults are in {out}", file=sys.stderr)


def _runs(args: argparse.Namespace, usable_cores: int) -> Iterator[Run]:
    """Measure every model with every number of threads, one after the other."""
    plan = _plan(args)
    thread_counts = args.threads or ([usable_cores] if args.quick else sorted({1, min(2, usable_cores), usable_cores}))
    sizes = ["1.7b"] if args.quick else ["1.7b", "8b"]
    models = [(path.stem, path) for path in args.model] or [(size, cached_random_bonsai(size)) for size in sizes]
    for name, path in models:
        for threads in thread_counts:
            cases = plan.cases(with_sweeps=threads == max(thread_counts))
            environment = {_ISA_VARIABLE: args.isa} if args.isa else {}
            yield measure_run(name, path, args.backend, threads, cases, plan.rounds, environment)


def _plan(args: argparse.Namespace) -> Plan:
    """Return the plan with what the command line changes of it."""
    changes = {name: getattr(args, name) for name in Plan.__struct_fields__ if getattr(args, name) is not None}
    return msgspec.structs.replace(QUICK if args.quick else FULL, **changes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--quick", action="store_true", help="two minutes: the 1.7B shape, all cores, two rounds, fewer cases")
    add("--isa", help="hold ours to an instruction set that the processor has, such as avx2")
    add("--backend", default="cpu", help="ours (default: cpu)")
    add("--model", type=Path, nargs="+", default=[], metavar="FILE", help="other files; results only with --out")
    add("--out", type=Path, metavar="FILE", help="results (default: benchmarks/results/<machine>.json if complete)")
    add("-t", "--threads", type=int, nargs="+", metavar="N", help="default: 1, 2 and all cores")
    add("-r", "--rounds", type=int, metavar="N")
    add("-n", "--decode-tokens", type=int, metavar="N")
    add("-p", "--prefill-tokens", type=int, metavar="N")
    add("-d", "--depths", type=int, nargs="+", metavar="N")
    add("--depth-tokens", type=int, metavar="N", help="tokens decoded at each depth")
    add("-b", "--batches", type=int, nargs="+", metavar="N", help="numbers of sequences")
    add("--batch-tokens", type=int, metavar="N", help="tokens decoded of each sequence")
    return parser


if __name__ == "__main__":
    main()
