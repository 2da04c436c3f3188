"""Results survive their file, and answer what was measured."""

import json

import msgspec
import pytest

from speed.case import Case
from speed.results import read_results, write_results


def test_results_are_read_as_they_were_written(tmp_path, results):
    path = tmp_path / "new" / "results.json"
    write_results(results, path)
    assert read_results(path) == results


def test_file_has_every_round_and_where_it_was_measured(tmp_path, results):
    write_results(results, tmp_path / "results.json")
    content = json.loads((tmp_path / "results.json").read_text())
    assert content["schema"] == 1
    assert content["started"] == "2026-11-23T17:05:00Z"
    assert content["machine"]["processor"] == "Some Processor"
    measurement = content["runs"][0]["measurements"][0]
    assert measurement["case"] == {"phase": "decode", "num_tokens": 128, "depth": 0, "num_sequences": 1}
    assert measurement["ours"] == [60.0, 30.0]


def test_another_schema_is_refused(tmp_path, results):
    path = tmp_path / "results.json"
    write_results(msgspec.structs.replace(results, schema=2), path)
    with pytest.raises(ValueError, match=r"results\.json has schema 2; this version reads 1\. Measure again\."):
        read_results(path)


def test_find_prefers_the_longest(results):
    run = results.runs[0]
    assert run.find("decode").case == Case("decode", 128)
    assert run.find("decode", num_tokens=32).case == Case("decode", 32)
    assert run.find("decode", depth=4096).case == Case("decode", 32, depth=4096)
    assert run.find("decode", depth=512) is None


def test_full_threads_is_the_widest_run_of_each_shape(results):
    other = msgspec.structs.replace(results.runs[0].shape, name="8b")
    runs = [*results.runs, msgspec.structs.replace(results.runs[0], shape=other)]
    widest = msgspec.structs.replace(results, runs=runs).full_threads()
    assert [(run.shape.name, run.threads) for run in widest] == [("1.7b", 2), ("8b", 1)]
