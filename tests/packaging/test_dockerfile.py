"""What is promised of the Dockerfile, where no container can run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile"


def lint(text: str) -> list[str]:
    """Return what hadolint says about a Dockerfile."""
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if hadolint is None:
        assert not os.environ.get("CI"), "continuous integration must lint"
        pytest.skip("hadolint, which PyPI has for Linux on x86-64 alone")
    run = subprocess.run([hadolint, "--no-color", "-"], input=text, capture_output=True, text=True, timeout=60)
    assert run.stderr == ""
    return run.stdout.splitlines()


def instructions() -> list[tuple[str, str]]:
    """Return instructions with their values, in order."""
    parser = DockerfileParser(path=str(DOCKERFILE), cache_content=True)
    return [(each["instruction"], each["value"]) for each in parser.structure if each["instruction"] != "COMMENT"]


def final_stage() -> list[tuple[str, str]]:
    """Return the instructions of what the image is made of."""
    found = instructions()
    last = max(index for index, (name, _) in enumerate(found) if name == "FROM")
    return found[last:]


def test_the_linter_is_content() -> None:
    assert lint(DOCKERFILE.read_text()) == []


@pytest.mark.parametrize(
    ("good", "bad", "rule"),
    [
        ("USER 10001", "USER root", "DL3002"),
        ("python:3.13-slim-bookworm\n", "python:latest\n", "DL3007"),
        ("WORKDIR /source", "WORKDIR source", "DL3000"),
        ('CMD ["serve"]', "CMD serve", "DL3025"),
    ],
)
def test_the_linter_finds_what_is_wrong(good: str, bad: str, rule: str) -> None:
    text = DOCKERFILE.read_text()
    assert good in text
    assert any(rule in line for line in lint(text.replace(good, bad)))


def test_the_image_is_a_stage_of_its_own_and_has_no_build_tools() -> None:
    assert [name for name, _ in instructions()].count("FROM") == 2
    assert not any("pip" in value for name, value in final_stage() if name == "RUN")


def test_the_server_runs_as_nobody_special_and_is_watched() -> None:
    stage = dict(final_stage())
    assert int(stage["USER"]) > 0  # a number can be checked by whoever starts it
    assert stage["HEALTHCHECK"].endswith('CMD ["bonsai-edge", "status"]')
    assert (stage["ENTRYPOINT"], stage["CMD"]) == ('["bonsai-edge"]', '["serve"]')


def test_kernels_are_compiled_into_the_directory_that_the_image_reads() -> None:
    found = instructions()
    caches = [value for name, value in found if name == "ENV" and "BONSAI_EDGE_KERNEL_CACHE=/opt/bonsai-edge/" in value]
    assert len(caches) == 2
    assert ("RUN", "/opt/bonsai-edge/bin/bonsai-edge warm") in found
    assert ("COPY", "--from=build /opt/bonsai-edge /opt/bonsai-edge") in found


def test_every_file_that_is_copied_is_sent_to_the_builder() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        source.rstrip("/")
        for name, value in instructions()
        if name == "COPY" and not value.startswith("--from")
        for source in value.split()[:-1]
    }
    assert copied == sent
    assert all((ROOT / name).exists() for name in sent)
