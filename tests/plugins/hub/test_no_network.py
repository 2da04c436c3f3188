"""Nothing but `pull` uses the network."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import bonsai_edge

ROOT = Path(bonsai_edge.__file__).parents[1]
PACKAGES = [
    ROOT / "bonsai_edge",
    *(path for kind in ("backends", "devices", "plugins") for path in (ROOT / kind).glob("*")),
]
INTERNET_LIBRARIES = {"aiohttp", "ftplib", "http", "httpx", "huggingface_hub", "requests", "urllib", "urllib3"}


def imported_by(path: Path) -> set[str]:
    """Return the top-level names of the modules that a file imports anywhere."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


def test_only_the_download_imports_an_internet_library() -> None:
    sources = [path for package in PACKAGES for path in package.rglob("*.py")]
    assert len(sources) > 100
    using = {path.relative_to(ROOT).as_posix() for path in sources if imported_by(path) & INTERNET_LIBRARIES}
    assert using == {"plugins/bonsai_edge_hub/download.py"}


def test_no_other_command_loads_the_hub_library_or_opens_a_connection() -> None:
    script = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from bonsai_edge.cli import main\n"
        "addresses = []\n"
        "sys.addaudithook(lambda event, args: addresses.append(args) if event in "
        "('socket.connect', 'socket.getaddrinfo') else None)\n"
        "for command in (\n"
        "    ['--help'], ['backends'], ['models'], ['inspect', 'seedling'],\n"
        "    ['verify', 'seedling'], ['inspect', 'bonsai-1.7b'],\n"
        "    ['generate', 'stop', '--backend', 'reference', '--max-tokens', '1'],\n"
        "):\n"
        "    result = CliRunner().invoke(main, command)\n"
        "    assert result.exit_code in (0, 1), result.output\n"
        "print(addresses, 'huggingface_hub' in sys.modules)\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout == "[] False\n"
