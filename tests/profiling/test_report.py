"""What is made of a profile: JSON, comparison, llama-bench's table, words, the HTML report."""

from __future__ import annotations

import re
from array import array
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from bonsai_edge.errors import InvalidRequestError
from bonsai_edge.profiling.comparison import compare
from bonsai_edge.profiling.html_report import html_report
from bonsai_edge.profiling.llama_bench_table import llama_bench_table
from bonsai_edge.profiling.plots import draw_plots
from bonsai_edge.profiling.profile import Profile, read_profile, recorded
from bonsai_edge.profiling.sampling import Series
from bonsai_edge.profiling.wording import facts, model_facts, outlook_rows, speed_rows
from sample_profile import MACHINE_ONLY, MODEL, PROFILE, TEMPERATURE

replace = msgspec.structs.replace


@pytest.mark.parametrize("profile", [PROFILE, MACHINE_ONLY], ids=["model", "machine"])
def test_a_profile_is_read_back_from_its_json(tmp_path: Path, profile: Profile) -> None:
    path = tmp_path / "profile.json"
    path.write_bytes(msgspec.json.encode(profile))
    assert read_profile(path) == profile


def test_json_has_the_bandwidth_at_the_top() -> None:
    assert msgspec.json.decode(msgspec.json.encode(PROFILE))["memory_read_bytes_per_s"] == 1.6e10


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"format": 2}'])
def test_what_is_no_profile_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "old.json").write_bytes(content)
    with pytest.raises(InvalidRequestError, match=r"old\.json is no profile: "):
        read_profile(tmp_path / "old.json")
    with pytest.raises(InvalidRequestError, match=r"absent\.json cannot be read: No such file"):
        read_profile(tmp_path / "absent.json")


def test_a_long_recording_is_thinned_out_and_keeps_its_extremes() -> None:
    thinned = recorded(of_values(range(5000)), 0.0)
    assert len(thinned.values) == len(thinned.times_s) <= 600
    assert (thinned.least, thinned.mean, thinned.most) == (0, 2499.5, 4999)


def of_values(values: range) -> Series:
    return Series(TEMPERATURE.key, TEMPERATURE.source, array("d", values), array("d", values))


def test_comparison_tells_what_both_have() -> None:
    faster = replace(
        PROFILE,
        memory_read_bytes_per_s=3.2e10,
        storage=replace(PROFILE.storage, read_bytes_per_s=None),
        model=replace(MODEL, speeds=replace(MODEL.speeds, first_token_s=0.35)),
    )
    changes = {change.name: change.ratio for change in compare(PROFILE, faster)}
    assert changes["memory_read_bytes_per_s"] == 2
    assert changes["first_token_s"] == 0.5
    assert changes["4 threads on 0-3: read_bytes_per_s"] == changes["tg128: tokens_per_s"] == 1
    assert "storage_read_bytes_per_s" not in changes
    assert "cold_load_s" not in changes


def test_speeds_of_different_models_are_not_compared() -> None:
    names = {change.name for change in compare(PROFILE, replace(PROFILE, model=replace(MODEL, sha256="11" * 32)))}
    assert "decode_macs_per_s" in names
    assert not any("tokens_per_s" in name for name in names)


def test_table_is_llama_benchs() -> None:
    assert llama_bench_table(MODEL, "0.1.0") == (
        "| model | size | params | backend | threads | test | t/s |\n"
        "| --- | ---: | ---: | --- | ---: | ---: | ---: |\n"
        "| robot\\|<b> | 248.00 MiB | 1.70 B | cpu | 4 | pp512 | 105.00 ± 7.07 |\n"
        "| robot\\|<b> | 248.00 MiB | 1.70 B | cpu | 4 | tg128 | 21.00 ± 1.41 |\n"
        "| robot\\|<b> | 248.00 MiB | 1.70 B | cpu | 4 | tg32 @ d512 | 18.00 ± 0.00 |\n"
        "\nbuild: bonsai-edge 0.1.0\n"
    )


def test_words_say_what_is_missing_and_why() -> None:
    machine, model = dict(facts(MACHINE_ONLY)), dict(model_facts(PROFILE))
    assert machine["storage"] == "unavailable: no model was given to read"
    assert machine["memory"] == "8.6 GB in all, 6.4 GB available"
    assert model["load, from storage"] == "unavailable: the file could not be taken out of the page cache"
    assert model["load, very first"] == "21.0 s, of which 20.0 s to compile"
    assert model["energy"] == "unavailable: this machine has no power sensor that is known"
    assert model_facts(MACHINE_ONLY) == speed_rows(MACHINE_ONLY) == []


def test_prediction_stands_beside_what_was_measured() -> None:
    assert speed_rows(PROFILE) == [
        ("pp512", "105.00 ± 7.07", "116", "+10%"),
        ("tg128", "21.00 ± 1.41", "18.9", "-10%"),
        ("tg32 @ d512", "18.00 ± 0.00", "", ""),
    ]
    assert outlook_rows(PROFILE)[0] == (
        "bonsai-1.7b", "f16", "4,096", "800", "30.0", "20.0", "150", "130", "55.0",
    )  # fmt: skip


class References(HTMLParser):
    """Collects what a page would fetch, and the text that it shows."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.targets += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("profile", [PROFILE, MACHINE_ONLY], ids=["model", "machine"])
def test_html_report_needs_nothing_but_itself(profile: Profile) -> None:
    page = html_report(profile)
    found = References()
    found.feed(page)
    assert found.targets
    assert all(target.startswith("data:image/svg+xml;base64,") for target in found.targets)
    assert "script" not in found.tags
    assert "b" not in found.tags  # the name of the model is text
    assert "Raspberry <Pi>" in found.text
    assert ("robot|<b>" in found.text) == (profile.model is not None)
    assert len(found.targets) == (5 if profile.model else 2)


def test_plots_are_the_same_for_the_same_profile() -> None:
    plots = draw_plots(PROFILE)
    assert plots == draw_plots(PROFILE)
    assert [plot.title for plot in plots] == [
        "Roofline",
        "Decoding against depth",
        "Temperature over time, °C",
        "Clock over time, GHz",
        "Decoding over time",
    ]
    roofline = plots[0].svg
    assert re.search(r"kernels, a prompt", roofline)
    assert "bonsai-8b, decode, predicted" in roofline
