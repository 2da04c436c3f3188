from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bonsai_edge.cli import main

BANDWIDTH = 1e9


@pytest.fixture(autouse=True)
def fixed_bandwidth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "bonsai_edge.profiling.bandwidth.measure_read_bandwidth", lambda num_threads, available_bytes: BANDWIDTH
    )


def bench(cli: CliRunner, model: Path, arguments: str) -> str:
    result = cli.invoke(main, ["bench", "--model", str(model), "--backend", "reference", *arguments.split()])
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    return result.stdout


def test_json_reports_rows_and_the_share_of_bandwidth(cli: CliRunner, random_model: Path) -> None:
    report = json.loads(bench(cli, random_model, "-p 40 -n 6 -r 2 --json"))
    assert [row["test"] for row in report["rows"]] == ["pp40", "tg6"]
    for row in report["rows"]:
        assert row["tokens_per_s_mean"] > 0
        assert row["tokens_per_s_stdev"] >= 0
        assert row["threads"] == report["threads"] >= 1
    weight_bytes = report["weight_bytes_per_token"]
    assert 150_000 < weight_bytes < random_model.stat().st_size
    decode_speed = report["rows"][1]["tokens_per_s_mean"]
    assert report["memory_read_bytes_per_s"] == BANDWIDTH
    assert report["bandwidth_share"] == pytest.approx(weight_bytes * decode_speed / BANDWIDTH)
    assert (report["model"], report["backend"], report["repetitions"]) == ("random", "reference", 2)


def test_zero_tokens_skip_a_test(cli: CliRunner, random_model: Path) -> None:
    only_prefill = json.loads(bench(cli, random_model, "-p 8 -n 0 -r 1 --json"))
    assert [(row["test"], row["tokens_per_s_stdev"]) for row in only_prefill["rows"]] == [("pp8", 0)]
    assert only_prefill["bandwidth_share"] is None
    only_decode = json.loads(bench(cli, random_model, "-p 0 -n 2 -r 1 --json"))
    assert [row["test"] for row in only_decode["rows"]] == ["tg2"]
    assert only_decode["bandwidth_share"] > 0


def test_table_for_people(cli: CliRunner, random_model: Path) -> None:
    lines = bench(cli, random_model, "-p 8 -n 2 -r 2").splitlines()
    assert lines[0].split() == ["model", "backend", "threads", "test", "tokens/s"]
    assert [line.split()[3] for line in lines[1:3]] == ["pp8", "tg2"]
    assert "±" in lines[1]
    assert lines[4].startswith("Memory is read at 1.0 GB/s, ")
    assert lines[5].startswith("Decode reads 0.2 MB of weights a token and reaches ")


def test_share_above_one_is_explained(cli: CliRunner, random_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bonsai_edge.profiling.roofline.bandwidth_share", lambda *arguments: 1.5)
    output = bench(cli, random_model, "-p 0 -n 2 -r 1")
    assert output.endswith("reaches 150.0% of that: the weights stay in the processor's cache.\n")


def test_nothing_to_measure_is_wrong_use(cli: CliRunner, random_model: Path) -> None:
    result = cli.invoke(main, ["bench", "-p", "0", "-n", "0"])
    assert result.exit_code == 2
    assert result.stderr.endswith("Error: There is nothing to measure: both -p and -n are 0.\n")


def test_more_tokens_than_the_model_has_context_is_refused(cli: CliRunner, random_model: Path) -> None:
    result = cli.invoke(main, ["bench", "--model", str(random_model), "-p", "5000", "--backend", "reference"])
    assert result.exit_code == 1
    assert result.stderr.startswith(
        "Error [invalid_request]: A context of 5000 tokens was asked for; random-3 has 1 to 4096."
    )


def test_context_that_the_tests_do_not_fit_into_is_wrong_use(cli: CliRunner, random_model: Path) -> None:
    result = cli.invoke(main, ["bench", "-p", "8", "-n", "80", "--context", "64"])
    assert result.exit_code == 2
    assert result.stderr.endswith("Error: --context 64 has no room for 80 tokens.\n")


def test_kv_type_is_the_one_asked_for(cli: CliRunner, random_model: Path) -> None:
    rows = json.loads(bench(cli, random_model, "-p 8 -n 0 -r 1 --kv q4 --context 64 --json"))["rows"]
    assert [row["test"] for row in rows] == ["pp8"]
