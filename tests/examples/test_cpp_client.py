"""The C++ client, compiled here, against a real server."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bonsai_edge.rpc.client import Client
from wire.served import ServedProcess

DEADLINE_S = 120.0
ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "examples" / "cpp"
DOCUMENT = ROOT / "docs" / "protocol.md"

LONG = ("generate", "move", "--temperature", "10", "--seed", "1", "--max-tokens", "900")
"""So hot that the end of the answer is one unlikely token of many."""

Ask = Callable[..., "subprocess.CompletedProcess[str]"]


def compiler_of(source: str) -> str:
    """Return the compiler; skip where it or a library is missing, or fail if the tests run in CI."""
    compiler = os.environ.get("CXX", "c++")
    problem = f"{compiler} is not installed"
    if shutil.which(compiler) is not None:
        tried = subprocess.run(
            [compiler, "-x", "c++", "-std=c++17", "-fsyntax-only", "-"],
            input=source,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        if tried.returncode == 0:
            return compiler
        problem = tried.stderr.partition("fatal error: ")[2].partition("\n")[0] or tried.stderr
    reason = f"The C++ client cannot be compiled: {problem}. Install what examples/cpp/README.md names."
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the compiled programs."""
    compiler = compiler_of("#include <nlohmann/json_fwd.hpp>\n#include <zmq.hpp>\n")
    build = tmp_path_factory.mktemp("cpp")
    command = [
        "make",
        "-C",
        str(SOURCES),
        f"BUILD={build}",
        f"CXX={compiler}",
        "CXXFLAGS=-O0",
    ]  # which compiles fastest
    made = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert made.returncode == 0, made.stderr
    return build


@pytest.fixture(scope="module")
def served() -> Iterator[ServedProcess]:
    with ServedProcess(backend="reference") as served:
        yield served


@pytest.fixture
def ask(programs: Path, served: ServedProcess) -> Ask:
    def ask(*arguments: str, endpoint: str = served.endpoint) -> subprocess.CompletedProcess[str]:
        command = [str(programs / "ask"), "--timeout-ms", "60000", "--connect", endpoint, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)

    return ask


def messages_of(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_vectors_of_the_document_are_read_and_answered(programs: Path, served: ServedProcess) -> None:
    command = [str(programs / "replay_vectors"), str(DOCUMENT), served.endpoint]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    titles = re.findall(r"^```vector\n(.*)$", DOCUMENT.read_text(), re.MULTILINE)
    lines = [line.rstrip().partition(" -> ") for line in done.stdout.splitlines()]
    assert [title for title, _, _ in lines] == titles
    assert all(bool(answers) == title.startswith("client") for title, _, answers in lines)
    assert lines[0][2] == "WELCOME"
    assert re.fullmatch("ACCEPTED ((ACCEPTED|PROGRESS|CHUNK) )*(FINAL|ERROR)", lines[1][2])  # its deadline is short
    assert re.fullmatch("ACCEPTED ((ACCEPTED|PROGRESS) )*FINAL", lines[2][2])


def test_same_answer_as_from_the_python_client(ask: Ask, served: ServedProcess) -> None:
    asked = ask("chat", "dock now", "--temperature", "0", "--json")
    assert asked.returncode == 0
    *others, final = messages_of(asked)
    with Client(served.endpoint, timeout_s=DEADLINE_S) as client:
        result = client.chat_text([{"role": "user", "content": "dock now"}], temperature=0)
    assert (final["kind"], final["body"]["text"], final["body"]["token_ids"]) == (
        "FINAL",
        result.text,
        result.token_ids,
    )
    assert {message["kind"] for message in others} <= {"ACCEPTED", "PROGRESS", "CHUNK"}
    assert "".join(message["body"]["text"] for message in others if message["kind"] == "CHUNK") == result.text
    assert ask("chat", "dock now", "--temperature", "0").stdout == result.text + "\n"
    assert ask("chat", "dock now", "--temperature", "0", "--no-stream").stdout == result.text + "\n"


def test_questions_are_answered(ask: Ask, served: ServedProcess) -> None:
    hello, status, model = (json.loads(ask(command).stdout) for command in ("hello", "status", "model"))
    assert hello["protocol"] == "BE/1"
    assert (status["state"], status["boot_id"]) == ("ready", hello["boot_id"])
    assert model["name"] == "seedling"
    assert re.fullmatch(r"[0-9.]+ ms\n", ask("ping").stdout)
    with Client(served.endpoint, timeout_s=DEADLINE_S) as client:
        assert json.loads(ask("tokenize", "dock now").stdout)["token_ids"] == client.tokenize("dock now")


def test_cancel_returns_what_there_is(ask: Ask) -> None:
    done = ask(*LONG, "--cancel-after", "2", "--json")
    assert done.returncode == 0
    final = messages_of(done)[-1]
    assert (final["kind"], final["body"]["finish_reason"]) == ("FINAL", "cancelled")


def test_interrupt_cancels_and_another_process_can_cancel(programs: Path, served: ServedProcess, ask: Ask) -> None:
    for is_interrupted in (True, False):
        request_id = uuid.uuid4().hex
        command = [str(programs / "ask"), "--connect", served.endpoint, "--json", "--id", request_id, *LONG]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            while json.loads(process.stdout.readline())["kind"] != "CHUNK":
                pass
            if is_interrupted:
                process.send_signal(signal.SIGINT)
            else:
                assert ask("cancel", request_id).stdout == "cancelled\n"
            *_, last = process.stdout
            assert process.wait(DEADLINE_S) == 0
        assert json.loads(last)["body"]["finish_reason"] == "cancelled"
    assert ask("cancel", request_id).stdout == "unknown\n"


def test_answer_of_a_killed_process_is_taken_over_by_another(programs: Path, served: ServedProcess, ask: Ask) -> None:
    request_id = uuid.uuid4().hex
    request = ("--json", "--id", request_id, *LONG, "--max-tokens", "20")
    with subprocess.Popen(
        [str(programs / "ask"), "--connect", served.endpoint, "--detached", *request], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        while json.loads(process.stdout.readline())["kind"] != "CHUNK":
            pass
        process.kill()
    whole, rest = (messages_of(ask(*request, "--resume-from", first))[1:] for first in ("0", "5"))
    assert [message["body"]["index"] for message in whole[:-1]] == list(range(len(whole) - 1))
    assert "".join(message["body"]["text"] for message in whole[:-1]) == whole[-1]["body"]["text"]
    assert rest == whole[5:]
    unknown = ask(*LONG, "--resume-from", "0")
    assert unknown.stderr.startswith("Error [unknown_request]: ")


def test_deadline_and_missing_feature_are_told_by_their_codes(ask: Ask) -> None:
    late = ask(*LONG, "--deadline-ms", "1")
    assert late.returncode == 1
    assert late.stderr.startswith("Error [deadline_exceeded]: ")
    refused = ask("generate", "move", "--require", "telepathy")
    assert refused.returncode == 1
    assert refused.stderr.startswith("Error [unsupported_feature]: The server lacks the required features telepathy. ")


def test_priority_is_sent(ask: Ask) -> None:
    done = ask("generate", "move", "--max-tokens", "2", "--priority", "interactive", "--json")
    assert done.returncode == 0
    assert messages_of(done)[-1]["kind"] == "FINAL"


def test_server_that_is_not_there_and_wrong_use_are_clear(programs: Path, ask: Ask) -> None:
    command = [str(programs / "ask"), "--connect", "tcp://127.0.0.1:1", "--timeout-ms", "200", "status"]
    nobody = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert nobody.returncode == 1
    assert nobody.stderr == (
        "Error [server_unreachable]: No connection to tcp://127.0.0.1:1 within 200 ms. "
        "Start it with `bonsai-edge serve`, or check the endpoint.\n"
    )
    wrong = ask("chat", "dock", "--max-tokens", "many")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("--max-tokens needs a whole number, not 'many'.\n\nusage: ask ")
