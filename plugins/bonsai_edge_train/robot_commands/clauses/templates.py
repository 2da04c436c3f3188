"""Phrasings kept as text: "3* go {place}; visit {place}" is two templates, the first drawn three times as often."""

from __future__ import annotations

import re

from bonsai_edge_train.robot_commands.speaker import Speaker

Templates = tuple[str, ...]


def templates(text: str) -> Templates:
    """Split phrasings at semicolons; one with a leading "n*" is listed n times, and "i" is written "I"."""
    text = re.sub(r"(?<![\w-])i(?![\w-])", "I", text)
    phrasings: list[str] = []
    for entry in text.split(";"):
        weight, star, phrasing = entry.partition("*")
        phrasings += [phrasing.strip()] * int(weight) if star else [entry.strip()]
    return tuple(phrasings)


def write(s: Speaker, phrasings: Templates, **words: str) -> str:
    """Draw one phrasing and fill in its words."""
    return s.rng.choice(phrasings).format(**words)
