"""Tests against llama.cpp: all carry the marker `peer`, and what they measured is printed as a table at the end."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from llama_cpp_source import fetch_llama_cpp_source
from random_bonsai import cached_random_bonsai, write_random_bonsai

_HERE = Path(__file__).parent
_FIGURES = pytest.StashKey[list[tuple[str, str]]]()


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker("peer")
            if find_spec("llama_cpp") is None:
                item.add_marker(pytest.mark.skip(reason="llama-cpp-python is not installed (extra `peer`)"))


def pytest_terminal_summary(terminalreporter, config):
    figures = config.stash.get(_FIGURES, [])
    if figures:
        terminalreporter.section("agreement with llama.cpp")
        width = max(len(title) for title, _ in figures)
        for title, figure in figures:
            terminalreporter.write_line(f"{title:{width}}  {figure}")


@pytest.fixture
def report(request):
    """Return a function that takes a title and what was measured, for the table at the end of the run."""

    def add(title, figure):
        request.config.stash.setdefault(_FIGURES, []).append((title, str(figure)))

    return add


@pytest.fixture(scope="session")
def llama_cpp_source():
    """The unpacked source distribution of the installed llama-cpp-python."""
    return fetch_llama_cpp_source()


@pytest.fixture(scope="session")
def qwen2_vocabulary(llama_cpp_source):
    """The vocabulary-only GGUF file of Qwen2; its test cases lie beside it as `.inp` and `.out`."""
    return llama_cpp_source / "vendor" / "llama.cpp" / "models" / "ggml-vocab-qwen2.gguf"


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory, qwen2_vocabulary):
    """Two layers with all parts of a Bonsai, random weights and an original context of 1,024 tokens."""
    return write_random_bonsai(tmp_path_factory.mktemp("tiny") / "random-tiny.gguf", "tiny", qwen2_vocabulary)


@pytest.fixture(scope="session")
def bonsai_1_7b():
    """The shape of Bonsai 1.7B with random weights."""
    return cached_random_bonsai("1.7b")
