"""Turn spoken robot commands into JSON actions: a server process, a client, three sentences.

Run it with `make demo`, or with `python examples/robot_commands.py`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bonsai_edge import BonsaiError, Client, GenerationResult, TextChunk

COMMANDS = (
    "pick up the red cube and bring it to the charging dock",
    "turn left 90 degrees, then drive forward two meters",
    "go to the kitchen and open the fridge",
)


@contextmanager
def serving(model: str) -> Iterator[str]:
    """Serve a model in a process of its own, on a socket that only this user can reach; yield the endpoint."""
    with tempfile.TemporaryDirectory() as directory:
        endpoint = f"ipc://{directory}/bonsai.sock"
        command = [sys.executable, "-m", "bonsai_edge", "serve", "--json", "--model", model, "--bind", endpoint]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
            assert server.stdout is not None
            if not server.stdout.readline():  # with --json it says in one line that it is ready
                sys.exit("The server did not start.")
            try:
                yield endpoint
            finally:
                server.terminate()  # SIGTERM: the server ends what runs, removes its socket and leaves


def ask(client: Client, command: str) -> None:
    """Print the answer while it streams, check that it is JSON, and print what it cost."""
    print(f"\n> {command}")
    asked_at = time.perf_counter()
    first_token_s: float | None = None
    for event in client.chat([{"role": "user", "content": command}], temperature=0):
        if isinstance(event, TextChunk):
            first_token_s = first_token_s or time.perf_counter() - asked_at
            print(event.text, end="", flush=True)
        else:
            json.loads(event.text)
            print("\n  " + figures(event, first_token_s or 0.0))


def figures(result: GenerationResult, first_token_s: float) -> str:
    """Say how many tokens there were and how fast."""
    timings = result.timings
    return (
        f"{result.usage.completion_tokens} tokens at {timings.decode_tokens_per_s or 0:.0f} tokens/s; "
        f"prefill of {result.usage.prompt_tokens} tokens in {timings.prefill_s * 1000:.1f} ms; "
        f"first token after {first_token_s * 1000:.1f} ms"
    )


def main() -> int:
    """Ask for every command; return the exit code."""
    with serving("seedling") as endpoint, Client(endpoint) as client:
        try:
            for command in COMMANDS:
                ask(client, command)
            status = client.status()
        except json.JSONDecodeError as exc:
            print(f"\nThe answer is not valid JSON: {exc}.", file=sys.stderr)
            return 1
        except BonsaiError as exc:
            print(f"\n{exc}", file=sys.stderr)
            return 1
    print(
        f"\n{status.model} on the backend {status.backend!r}; the server used {status.rss_bytes / 1e6:.0f} MB of memory"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
