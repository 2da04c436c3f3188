"""The Markdown section of docs/benchmarks.md."""

import msgspec
import pytest

from speed.page import BEGIN, END, replace_section, report, section


def test_section_says_where_when_and_how(results):
    lines = section(results, ["plots/some-processor-2-cores-depth.svg"]).splitlines()
    assert lines[0] == "### Some Processor, 2 cores"
    assert lines[2] == (
        "2026-11-23 17:05 UTC on A server (x86_64, 24 GB, Linux), load average before: 0.25. bonsai-edge 0.1.0, commit "
        "abc1234, Python 3.11.2, Numba 0.66.0, NumPy 2.4.6, llama-cpp-python 0.3.36: backend cpu (avx512-vnni), "
        "llama.cpp with CPU : AVX2 = 1."
    )
    assert lines[4:7] == ["```", "python benchmarks/vs_llama_cpp.py", "```"]
    assert lines[-1] == "![depth](plots/some-processor-2-cores-depth.svg)"


def test_a_run_has_medians_ranges_ratios_and_shares(results):
    lines = report(results).splitlines()
    assert lines[0] == (
        "**1.7b, 1 thread**: 0.0 MB of weights a token, 0.0 kB for each token of context; memory is read at 0.0 GB/s "
        "(0.0 to 0.0)."
    )
    assert lines[2:6] == [
        "| test | bonsai-edge | llama.cpp | ratio | share of bandwidth | llama.cpp's |",
        "|---|---:|---:|---:|---:|---:|",
        "| tg128 | 45.0 (30.0 to 60.0) | 15.0 (10.0 to 20.0) | **3.00** (3.00 to 3.00) | 60 % | 20 % |",
        "| pp512 | 525.0 (350.0 to 700.0) | 75.0 (50.0 to 100.0) | **7.00** (7.00 to 7.00) |  |  |",
    ]


def test_goals_of_both_shapes_stand_side_by_side(results):
    shape = msgspec.structs.replace(results.runs[1].shape, name="8b")
    both = msgspec.structs.replace(results, runs=[*results.runs, msgspec.structs.replace(results.runs[1], shape=shape)])
    assert report(both).splitlines()[-7:-4] == [
        "| goal | 1.7b: target | reached | 8b: target | reached |",
        "|---|---:|---:|---:|---:|",
        "| decode, against llama.cpp | ≥ 3.00 x | 3.00 x ✓ | ≥ 3.00 x | 3.00 x ✓ |",
    ]


def test_instruction_set_is_in_the_heading(results):
    heading = section(msgspec.structs.replace(results, isa="avx2"), []).splitlines()[0]
    assert heading == "### Some Processor, 2 cores, ours held to avx2"


def test_only_the_section_of_the_page_is_replaced(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    replace_section(page, "new")
    assert page.read_text() == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"


def test_a_page_without_markers_is_left_alone(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"{END} before {BEGIN}")
    with pytest.raises(ValueError, match=r"page\.md has no section between .* Put both lines where it belongs\."):
        replace_section(page, "new")
    assert page.read_text() == f"{END} before {BEGIN}"
