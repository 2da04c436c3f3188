"""The plots of results."""

import msgspec
import pytest

pytest.importorskip("matplotlib", reason="Matplotlib is not installed (extra `peer`)")

from speed.plots import draw_plots

SUBJECTS = ["roofline", "depth", "batch", "threads"]


def test_there_is_one_picture_for_each_subject(tmp_path, results):
    paths = draw_plots(results, tmp_path / "plots")
    assert [path.name for path in paths] == [f"some-processor-2-cores-{subject}.svg" for subject in SUBJECTS]
    for path in paths:
        text = path.read_text()
        assert ">bonsai-edge" in text
        assert ">llama.cpp" in text
        assert ">1.7b, 2 threads<" in text


def test_a_sweep_that_was_not_measured_has_no_picture(tmp_path, results):
    run = results.runs[1]
    only = msgspec.structs.replace(results, runs=[msgspec.structs.replace(run, measurements=run.measurements[:2])])
    assert [path.name for path in draw_plots(only, tmp_path)] == ["some-processor-2-cores-roofline.svg"]


def test_the_same_results_give_the_same_file(tmp_path, results):
    first, second = (draw_plots(results, tmp_path / name)[0].read_bytes() for name in ("first", "second"))
    assert first == second
