"""Writes a profile as one HTML file that needs nothing else: no network, no scripts (extra `report`)."""

from __future__ import annotations

import base64

from jinja2 import Environment, PackageLoader, StrictUndefined

from bonsai_edge.profiling.outlook import PROMPT_TOKENS
from bonsai_edge.profiling.plots import draw_plots
from bonsai_edge.profiling.profile import Profile
from bonsai_edge.profiling.wording import (
    BANDWIDTH_TITLES,
    OUTLOOK_TITLES,
    SPEED_TITLES,
    bandwidth_rows,
    facts,
    model_facts,
    outlook_rows,
    speed_rows,
)


def html_report(profile: Profile) -> str:
    """Return the page; what comes from the machine and the model's file is escaped."""
    environment = Environment(
        autoescape=True,
        loader=PackageLoader("bonsai_edge.profiling", "templates"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    return environment.get_template("profile.html").render(
        profile=profile,
        facts=facts(profile),
        prompt_tokens=PROMPT_TOKENS,
        bandwidth_titles=BANDWIDTH_TITLES,
        bandwidth_rows=bandwidth_rows(profile),
        outlook_titles=OUTLOOK_TITLES,
        outlook_rows=outlook_rows(profile),
        model_facts=model_facts(profile),
        speed_titles=SPEED_TITLES,
        speed_rows=speed_rows(profile),
        plots=[(plot.title, _data_uri(plot.svg)) for plot in draw_plots(profile)],
    )


def _data_uri(svg: str) -> str:
    """Return an image for an attribute: within the page itself the names in several plots would meet."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
