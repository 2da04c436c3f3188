from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bonsai_edge.cli import main
from bonsai_edge.memory import plan as planning

MIB = 1 << 20


def plan(cli: CliRunner, model: Path, arguments: str = "") -> Result:
    return cli.invoke(main, ["plan", str(model), "--backend", "reference", *arguments.split()])


@pytest.fixture(autouse=True)
def no_backend_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **keywords: object) -> None:
        raise AssertionError("plan must not load the model")

    monkeypatch.setattr("bonsai_edge.reference.ReferenceBackend.load", refuse)
    monkeypatch.setattr("bonsai_edge.formats.tensor.QuantizedTensor.dequantize", refuse)


def test_json_has_every_component_and_what_was_chosen(cli: CliRunner, random_model: Path) -> None:
    result = plan(cli, random_model, "--memory 2GiB --threads 2 --json")
    assert result.exit_code == 0
    assert result.stderr == ""
    report = json.loads(result.stdout)
    components = report["components"]
    assert list(components) == [
        "weights",
        "kv_cache",
        "scratch",
        "tokenizer",
        "interpreter",
        "compiler",
        "headroom",
    ]
    assert components["weights"] == random_model.stat().st_size
    assert components["kv_cache"] == 4096 * 2 * 1024  # float32 in the reference
    assert report["total_bytes"] == sum(components.values())
    assert report["predicted_peak_bytes"] == report["total_bytes"] - components["headroom"]
    assert (report["model"], report["backend"], report["threads"]) == ("random-3", "reference", 2)
    assert (report["context"], report["kv_type"], report["sessions"]) == (4096, "f16", 1)
    assert report["load"] == "mmap"
    assert re.fullmatch(
        r"evicted ones would be back in \d\.\d s, at .* MB/s|.* cannot be measured .*", report["load_reason"]
    )
    assert (report["limit"], report["limit_source"]) == (2 << 30, "--memory")
    assert (report["fits"], report["shortfall"], report["remedy"]) == (True, 0, None)


def test_context_kv_type_and_sessions_are_those_asked_for(cli: CliRunner, random_model: Path) -> None:
    report = json.loads(plan(cli, random_model, "--context 100 --kv q4 --sessions 3 --json").stdout)
    assert (report["context"], report["kv_type"], report["sessions"]) == (100, "q4", 3)
    assert report["components"]["kv_cache"] == 3 * 128 * 2 * 1024


def test_table_for_people(cli: CliRunner, random_model: Path) -> None:
    result = plan(cli, random_model, "--memory 2GiB --context 1024 --kv q8 --threads 1 --sessions 2")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "random-3 on reference with 1 thread, context 1,024 tokens for each of 2 sessions"
    rows = {name.rstrip(): size for name, size in (line.rsplit(maxsplit=1) for line in lines[2:-3])}
    assert rows["memory"] == "MiB"
    assert "weights (mapped)" in rows
    assert rows["KV cache (q8)"] == "4.0"
    assert rows["headroom"] == "32.0"
    assert rows["limit (--memory)"] == "2,048.0"
    assert list(rows)[-4:] == ["predicted peak", "headroom", "total", "limit (--memory)"]
    assert lines[-2].startswith("Weights are used where the file is mapped: ")
    assert lines[-1] == "It fits."


def test_what_does_not_fit_exits_with_1_and_still_has_the_report(cli: CliRunner, random_model: Path) -> None:
    result = plan(cli, random_model, "--memory 1MiB --json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["fits"] is False
    assert report["shortfall"] == report["total_bytes"] - MIB
    assert report["context"] == planning.LEAST_CONTEXT
    assert report["remedy"].startswith("Choose a smaller context (none is small enough), ")
    last = plan(cli, random_model, "--memory 1MiB").stdout.splitlines()[-1]
    assert last.startswith("It does not fit: ")
    assert last.endswith(" free memory, or risk it with --force.")


def test_model_that_is_not_there_is_one_line(cli: CliRunner) -> None:
    result = cli.invoke(main, ["plan", "bonsai-0b"])
    assert result.exit_code == 1
    assert result.stderr.startswith("Error [model_not_found]: There is no model 'bonsai-0b' in ")
