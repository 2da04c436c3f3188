"""The HTML report as a browser shows it: plots are drawn, nothing is fetched, nothing is refused."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.image import imread

from bonsai_edge.profiling.html_report import html_report
from sample_profile import PROFILE

_FLAGS = "--headless --no-sandbox --disable-gpu --disable-background-networking --disable-sync --hide-scrollbars"
_VALID_GREEN = (43, 122, 75)  # of the verdict, as the page's style has it
_FIRST_LINE = (31, 119, 180)  # of matplotlib's plots


class Shown:
    """A page in a browser: its pixels, and what the browser had to say about it."""

    def __init__(self, page: str, directory: Path) -> None:
        browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        if browser is None:
            pytest.skip("a Chromium or Chrome")
        file, picture = directory / "report.html", directory / "report.png"
        file.write_text(page, encoding="utf-8")
        command = [browser, *_FLAGS.split(), "--enable-logging=stderr", f"--user-data-dir={directory / 'user'}"]
        command += ["--window-size=1100,2600", f"--screenshot={picture}", file.as_uri()]
        run = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert picture.exists(), run.stderr
        self.complaints = [line for line in run.stderr.splitlines() if ":CONSOLE" in line]
        self._pixels: npt.NDArray[np.int64] = np.rint(imread(picture)[..., :3] * 255).astype(np.int64)

    def count(self, colour: tuple[int, int, int]) -> int:
        """Return how many pixels have just that colour."""
        return int((self._pixels == colour).all(axis=2).sum())

    def height(self) -> int:
        """Return the row of the last pixel that is not white."""
        return int(np.nonzero((self._pixels < 250).any(axis=(1, 2)))[0].max())


def test_the_report_is_drawn_whole(tmp_path: Path) -> None:
    shown = Shown(html_report(PROFILE), tmp_path)
    assert shown.complaints == []
    assert shown.count(_VALID_GREEN) > 500
    assert shown.count(_FIRST_LINE) > 500
    assert 1500 < shown.height() < 2600


def test_a_plot_that_is_missing_and_what_is_fetched_from_elsewhere_would_be_noticed(tmp_path: Path) -> None:
    broken = re.sub(r"data:image/svg[^\"]*", "https://example.org/plot.svg", html_report(PROFILE))
    shown = Shown(broken, tmp_path)
    assert any("Content Security Policy" in line for line in shown.complaints)
    assert shown.count(_FIRST_LINE) == 0
    assert shown.count(_VALID_GREEN) > 500
