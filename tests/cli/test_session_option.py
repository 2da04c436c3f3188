"""`--session` of `chat` and `generate`: what is continued, what is kept, and what stays as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest
from click.testing import CliRunner

from bonsai_edge.cli import main
from bonsai_edge.errors import SessionStorageError
from bonsai_edge.generation import Message
from bonsai_edge.sessions.model_sessions import RestoredSession
from bonsai_edge.sessions.opening import Miss

if TYPE_CHECKING:
    from conftest import FakeModel

ANSWER = Message("assistant", "Grüße, robot")
EARLIER = (Message("user", "zero"), Message("assistant", "none"))


def user(text: str) -> Message:
    return Message("user", text)


def restored(kind: Literal["damaged", "foreign", "stale"] | None = None, tokens: int = 7) -> RestoredSession:
    return RestoredSession(tokens, EARLIER, None if kind is None else Miss(kind, "it has a reason"))


def test_a_chat_goes_on_where_the_session_ended_and_is_kept_at_its_end(cli: CliRunner, fake_model: FakeModel) -> None:
    fake_model.restored = restored()
    result = cli.invoke(main, ["chat", "--session", "dock"], input="one\n")
    assert fake_model.prompts == [[*EARLIER, user("one")]]
    assert fake_model.saved == [("dock", [*EARLIER, user("one"), ANSWER])]
    assert "\nSession dock: 2 messages with 7 tokens restored.\n" in result.stderr
    assert result.stderr.endswith("\nSession dock: 4 messages with 40 tokens saved, 1234 bytes.\n")


def test_a_chat_under_a_new_name_is_kept(cli: CliRunner, fake_model: FakeModel) -> None:
    result = cli.invoke(main, ["chat", "--session", "dock", "--system", "Be brief."], input="one\n/exit\n")
    assert fake_model.saved == [("dock", [Message("system", "Be brief."), user("one"), ANSWER])]
    assert "\nSession dock: is new.\n" in result.stderr


@pytest.mark.parametrize("typed", ["", "/reset\n", "/exit\n"])
def test_a_chat_in_which_nothing_was_said_writes_nothing(cli: CliRunner, fake_model: FakeModel, typed: str) -> None:
    fake_model.restored = restored()
    assert cli.invoke(main, ["chat", "--session", "dock"], input=typed).exit_code == 0
    assert fake_model.saved == []


def test_a_chat_without_a_session_writes_nothing(cli: CliRunner, fake_model: FakeModel) -> None:
    cli.invoke(main, ["chat"], input="one\n")
    assert fake_model.saved == []


def test_save_keeps_the_chat_at_once_and_the_end_does_not_write_it_again(cli: CliRunner, fake_model: FakeModel) -> None:
    cli.invoke(main, ["chat", "--session", "dock"], input="one\n/save\n")
    assert fake_model.saved == [("dock", [user("one"), ANSWER])]


def test_save_under_another_name_leaves_the_session_to_the_end(cli: CliRunner, fake_model: FakeModel) -> None:
    cli.invoke(main, ["chat", "--session", "dock"], input="one\n/save copy\ntwo\n")
    assert [(name, len(messages)) for name, messages in fake_model.saved] == [("copy", 2), ("dock", 4)]


def test_save_names_a_chat_that_has_no_session(cli: CliRunner, fake_model: FakeModel) -> None:
    result = cli.invoke(main, ["chat"], input="/save\n/save dock\none\n/save dock\n")
    assert fake_model.saved == [("dock", [user("one"), ANSWER])]
    assert "Error [invalid_request]: The conversation has no name yet. Give it one: /save NAME.\n" in result.stderr
    assert "Error [invalid_request]: There is nothing to save yet. Say something first.\n" in result.stderr


def test_a_save_that_fails_does_not_end_the_chat_and_fails_the_command_at_its_end(
    cli: CliRunner, fake_model: FakeModel
) -> None:
    fake_model.save_error = SessionStorageError("The disk is full.", "Free some space.")
    result = cli.invoke(main, ["chat", "--session", "dock"], input="one\n/save\ntwo\n")
    assert len(fake_model.prompts) == 2
    assert result.stderr.count("Error [session_storage]: The disk is full. Free some space.\n") == 2
    assert result.exit_code == 1


@pytest.mark.parametrize("kind", ["damaged", "stale"])
def test_messages_go_on_where_the_pages_are_lost(
    cli: CliRunner, fake_model: FakeModel, kind: Literal["damaged", "stale"]
) -> None:
    fake_model.restored = restored(kind, tokens=0)
    result = cli.invoke(main, ["chat", "--session", "dock"], input="one\n")
    assert fake_model.prompts == [[*EARLIER, user("one")]]
    assert len(fake_model.saved) == 1
    assert (
        "\nSession dock: 2 messages with 0 tokens restored, what is missing is computed again: it has a reason.\n"
        in result.stderr
    )


def test_the_session_of_another_model_is_neither_continued_nor_replaced(cli: CliRunner, fake_model: FakeModel) -> None:
    fake_model.restored = RestoredSession(0, (), Miss("foreign", "it belongs to another model, 'big'"))
    result = cli.invoke(main, ["chat", "--session", "dock"], input="one\n")
    assert result.exit_code == 0
    assert fake_model.prompts == [[user("one")]]
    assert fake_model.saved == []
    assert "Session dock: is neither continued nor replaced: it belongs to another model, 'big'.\n" in result.stderr
    assert result.stderr.endswith("Session dock: stays as it is, and this conversation is not saved.\n")


def test_a_session_that_holds_no_conversation_is_refused(cli: CliRunner, fake_model: FakeModel) -> None:
    fake_model.restored = RestoredSession(9)
    result = cli.invoke(main, ["chat", "--session", "dock"], input="one\n")
    assert result.exit_code == 1
    assert "The session 'dock' was saved by a program and holds no conversation." in result.stderr
    assert fake_model.saved == fake_model.prompts == []


def test_the_system_message_of_a_session_may_be_repeated_but_not_changed(cli: CliRunner, fake_model: FakeModel) -> None:
    system = Message("system", "Be brief.")
    fake_model.restored = RestoredSession(9, (system, *EARLIER))
    assert cli.invoke(main, ["chat", "--session", "dock", "--system", "Be brief."], input="one\n").exit_code == 0
    assert fake_model.prompts == [[system, *EARLIER, user("one")]]
    cli.invoke(main, ["chat", "--session", "dock"], input="/reset\ntwo\n")
    assert fake_model.prompts[1] == [system, user("two")]
    refused = cli.invoke(main, ["chat", "--session", "dock", "--system", "Talk."], input="one\n")
    assert "Error [invalid_request]: The session began with another system message, or none." in refused.stderr
    assert refused.exit_code == 1


def test_generate_adds_a_turn_to_the_session(cli: CliRunner, fake_model: FakeModel) -> None:
    fake_model.restored = restored()
    result = cli.invoke(main, ["generate", "--session", "dock", "one"])
    assert result.stdout == f"{ANSWER.content}\n"
    assert fake_model.prompts == [[*EARLIER, user("one")]]
    assert fake_model.saved == [("dock", [*EARLIER, user("one"), ANSWER])]


def test_generate_without_a_session_keeps_nothing(cli: CliRunner, fake_model: FakeModel) -> None:
    cli.invoke(main, ["generate", "one"])
    assert fake_model.saved == []


def test_a_raw_prompt_is_no_turn(cli: CliRunner, fake_model: FakeModel) -> None:
    result = cli.invoke(main, ["generate", "--session", "dock", "--raw", "one"])
    assert result.exit_code == 2
    assert "--session keeps a conversation, and --raw has none." in result.stderr
