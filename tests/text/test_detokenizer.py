from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bonsai_edge.text.detokenizer import Detokenizer
from bonsai_edge.text.tokenizer import Tokenizer

READ_ONLY_FIXTURES = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_characters_come_whole(tokenizer: Tokenizer) -> None:
    detokenizer = Detokenizer(tokenizer)
    assert [detokenizer.push(token_id) for token_id in tokenizer.encode("é🦙!")] == ["", "é", "", "", "", "🦙", "!"]
    assert detokenizer.finish() == ""


def test_unfinished_character_ends_as_a_replacement(tokenizer: Tokenizer) -> None:
    detokenizer = Detokenizer(tokenizer)
    assert [detokenizer.push(token_id) for token_id in tokenizer.encode("🦙")[:3]] == ["", "", ""]
    assert detokenizer.finish() == "\ufffd"


def test_control_token_within_a_character_does_not_break_it(tokenizer: Tokenizer) -> None:
    first, second = tokenizer.encode("é")
    detokenizer = Detokenizer(tokenizer)
    assert [detokenizer.push(token_id) for token_id in (first, *tokenizer.stop_ids, second)] == ["", "", "", "é"]


@READ_ONLY_FIXTURES
@given(data=st.data())
def test_pieces_joined_are_the_whole(tokenizer: Tokenizer, data: st.DataObject) -> None:
    """Any ids, so mostly broken UTF-8."""
    ids = data.draw(st.lists(st.integers(0, tokenizer.num_tokens - 1)))
    detokenizer = Detokenizer(tokenizer)
    assert "".join(map(detokenizer.push, ids)) + detokenizer.finish() == tokenizer.decode(ids)
