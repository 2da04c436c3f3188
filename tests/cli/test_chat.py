from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from bonsai_edge.cli import main
from bonsai_edge.generation import GenerationOptions, Message

if TYPE_CHECKING:
    from conftest import FakeModel

ANSWER = "Grüße, robot"


def user(text: str) -> Message:
    return Message("user", text)


def assistant(text: str = ANSWER) -> Message:
    return Message("assistant", text)


def test_every_turn_sees_the_conversation_before_it(cli: CliRunner, fake_model: FakeModel) -> None:
    result = cli.invoke(main, ["chat", "--system", "Be brief."], input="one\n\n  two \n")
    assert result.exit_code == 0
    assert result.stdout == f"{ANSWER}\n{ANSWER}\n"
    system = Message("system", "Be brief.")
    assert fake_model.prompts == [
        [system, user("one")],
        [system, user("one"), assistant(), user("two")],
    ]
    assert fake_model.is_closed


def test_reset_forgets_all_but_the_system_message(cli: CliRunner, fake_model: FakeModel) -> None:
    result = cli.invoke(main, ["chat", "--system", "Be brief."], input="one\n/reset\ntwo\n")
    assert fake_model.prompts[1] == [Message("system", "Be brief."), user("two")]
    assert "The conversation is forgotten.\n" in result.stderr


def test_exit_leaves_at_once(cli: CliRunner, fake_model: FakeModel) -> None:
    result = cli.invoke(main, ["chat"], input="/exit\none\n")
    assert result.exit_code == 0
    assert fake_model.prompts == []
    assert fake_model.is_closed


def test_ctrl_c_stops_the_answer_and_not_the_program(cli: CliRunner, fake_model: FakeModel) -> None:
    handler_before = signal.getsignal(signal.SIGINT)

    def interrupt_second_piece(index: int) -> None:
        if index == 1 and len(fake_model.prompts) == 1:
            signal.raise_signal(signal.SIGINT)

    fake_model.before_piece = interrupt_second_piece
    result = cli.invoke(main, ["chat"], input="one\ntwo\n")
    assert result.exit_code == 0
    assert result.stdout == f"Grüße, \n{ANSWER}\n"
    assert fake_model.prompts[1] == [user("one"), assistant("Grüße, "), user("two")]
    assert "; cancelled; " in result.stderr
    assert signal.getsignal(signal.SIGINT) is handler_before


def test_ctrl_c_at_the_prompt_says_how_to_leave(
    cli: CliRunner, fake_model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = iter([KeyboardInterrupt(), "one", EOFError()])

    def type_next(prompt: str) -> str:
        event = next(typed)
        if isinstance(event, BaseException):
            raise event
        return event

    monkeypatch.setattr("builtins.input", type_next)
    result = cli.invoke(main, ["chat"])
    assert result.exit_code == 0
    assert result.stderr.count("/exit or Ctrl-D leaves.\n") == 2
    assert fake_model.prompts == [[user("one")]]


def test_conversation_that_no_longer_fits_is_refused_whole_and_offered_a_reset(
    cli: CliRunner, random_model: Path
) -> None:
    arguments = ["chat", "--model", str(random_model), "--backend", "reference", "--context", "64"]
    result = cli.invoke(main, [*arguments, "--max-tokens", "1"], input="a b\n" + "a b " * 32 + "\na b\n")
    assert result.exit_code == 0
    assert result.stdout.count("\n") >= 2
    overflow = [line for line in result.stderr.splitlines() if line.startswith("Error [context_overflow]: ")]
    assert len(overflow) == 1
    assert "tokens, max_tokens asks for 1 more, and the context holds 64, answer included." in overflow[0]
    assert "/reset forgets the conversation and makes room.\n" in result.stderr


def test_refused_message_is_not_remembered(cli: CliRunner, fake_model: FakeModel) -> None:
    fake_model.prompt_tokens = 100
    result = cli.invoke(main, ["chat"], input="one\n")
    assert result.exit_code == 0
    assert "Error [context_overflow]: The prompt has 100 tokens, the context 100. Cut.\n" in result.stderr
    fake_model.prompt_tokens = 5
    cli.invoke(main, ["chat"], input="two\n")
    assert fake_model.prompts == [[user("two")]]


def test_answer_that_fills_the_context_says_so(cli: CliRunner, fake_model: FakeModel) -> None:
    fake_model.prompt_tokens = 98
    result = cli.invoke(main, ["chat"], input="one\n")
    assert result.stderr.endswith(
        "The answer ended because the context is full.\n/reset forgets the conversation and makes room.\n\n"
    )


def test_conversation_goes_on_without_its_oldest_turns_where_the_user_allows_it(
    cli: CliRunner, random_model: Path
) -> None:
    arguments = ["chat", "--model", str(random_model), "--backend", "reference", "--context", "64"]
    arguments += ["--max-tokens", "1", "--on-overflow", "drop_oldest_turns", "--temperature", "0"]
    result = cli.invoke(main, arguments, input="a b c\n" * 9)
    assert result.exit_code == 0
    assert "Error" not in result.stderr
    notes = [line for line in result.stderr.splitlines() if line.startswith("drop_oldest_turns: ")]
    assert len(notes) >= 5
    assert re.fullmatch(r"drop_oldest_turns: \d+ of \d+ tokens of the prompt .*, from position \d+, 1 turn\.", notes[0])


def test_answer_that_reaches_its_limit_says_so(cli: CliRunner, fake_model: FakeModel) -> None:
    result = cli.invoke(main, ["chat", "--max-tokens", "1", "--seed", "4"], input="one\n")
    assert "The answer ended at --max-tokens 1.\n" in result.stderr
    assert fake_model.options == [GenerationOptions(max_tokens=1, seed=4)]


def test_json_makes_every_answer_or_refusal_one_line(cli: CliRunner, fake_model: FakeModel) -> None:
    def outgrow(index: int) -> None:
        fake_model.prompt_tokens = 100

    fake_model.before_piece = outgrow
    result = cli.invoke(main, ["chat", "--json"], input="one\ntwo\n")
    answer, refusal = (json.loads(line) for line in result.stdout.splitlines())
    assert answer["text"] == ANSWER
    assert refusal["error"]["code"] == "context_overflow"


def test_input_that_is_not_utf8_is_refused(cli: CliRunner, fake_model: FakeModel) -> None:
    result = cli.invoke(main, ["chat"], input=b"gr\xfc\xdfe\n")
    assert result.exit_code == 1
    assert "Error [invalid_request]: The input is not valid UTF-8: " in result.stderr
