from hypothesis import given
from hypothesis import strategies as st

from bonsai_edge.generation import TextChunk, TokenLogprob
from bonsai_edge.rpc.answer_stream import AnswerStream


def chunk(text, token_ids=(1,), logprobs=None):
    return TextChunk(index=99, text=text, token_ids=list(token_ids), logprobs=logprobs)


def texts(chunks):
    return [(each.index, each.text) for each in chunks]


def test_tokens_pass_at_once_and_are_numbered():
    stream = AnswerStream()
    assert texts(stream.push(chunk("a"))) == [(0, "a")]
    assert texts(stream.push(chunk("b"))) == [(1, "b")]
    assert stream.finish() == ()


def test_none_sends_nothing():
    stream = AnswerStream("none")
    assert stream.push(chunk("a")) == ()
    assert stream.finish() == ()


def test_without_credit_text_is_gathered_and_not_lost():
    stream = AnswerStream(credit=1)
    assert texts(stream.push(chunk("a", [1]))) == [(0, "a")]
    assert stream.push(chunk("b", [2])) == ()
    assert stream.push(chunk("c", [3])) == ()
    (gathered,) = stream.add_credit(2)
    assert (gathered.index, gathered.text, gathered.token_ids) == (1, "bc", [2, 3])
    assert texts(stream.push(chunk("d"))) == [(2, "d")]
    assert stream.push(chunk("e")) == ()
    assert texts(stream.finish()) == [(3, "e")]


def test_credit_without_anything_to_send_is_kept():
    stream = AnswerStream(credit=0)
    assert stream.add_credit(1) == ()
    assert texts(stream.push(chunk("a"))) == [(0, "a")]


def test_more_credit_changes_nothing_for_who_needs_none():
    stream = AnswerStream()
    assert stream.add_credit(1) == ()
    assert texts(stream.push(chunk("a")) + stream.push(chunk("b"))) == [(0, "a"), (1, "b")]


def test_sentences_are_whole():
    stream = AnswerStream("sentences")
    sent = [each.text for text in ("Go", " left. Th", "en stop", "!\nBye") for each in stream.push(chunk(text))]
    assert sent == ["Go left. ", "Then stop!\n"]
    assert [each.text for each in stream.finish()] == ["Bye"]


def test_a_point_inside_a_number_ends_no_sentence():
    stream = AnswerStream("sentences")
    assert stream.push(chunk("Drive 1.")) == ()
    assert stream.push(chunk("5 m")) == ()


def test_log_probabilities_stay_with_their_tokens():
    logprob = TokenLogprob(token_id=7, logprob=-0.5)
    stream = AnswerStream(credit=0)
    stream.push(chunk("a", [7], [logprob]))
    stream.push(chunk("b", [7], [logprob]))
    (gathered,) = stream.add_credit(1)
    assert gathered.logprobs == [logprob, logprob]


def test_what_was_sent_can_be_sent_again():
    stream = AnswerStream()
    for text in "abc":
        stream.push(chunk(text))
    assert texts(stream.sent_from(1)) == [(1, "b"), (2, "c")]
    assert stream.sent_from(3) == []


def test_a_client_that_begins_anew_brings_its_own_credit():
    stream = AnswerStream(credit=0)
    stream.push(chunk("a"))
    assert texts(stream.begin_credit(None)) == [(0, "a")]


@given(st.lists(st.text("ab. \n!é", min_size=1)), st.sampled_from(["tokens", "sentences"]), st.lists(st.integers(0, 3)))
def test_nothing_is_lost_and_indices_have_no_gaps(pieces, mode, credits):
    stream = AnswerStream(mode, credits[0] if credits else None)
    sent = []
    for number, piece in enumerate(pieces):
        sent += stream.push(chunk(piece, [number]))
        if number < len(credits) and credits[number]:
            sent += stream.add_credit(credits[number])
    sent += stream.finish()
    assert "".join(each.text for each in sent) == "".join(pieces)
    assert [token_id for each in sent for token_id in each.token_ids] == list(range(len(pieces)))
    assert [each.index for each in sent] == list(range(len(sent)))
    assert stream.sent_from(0) == sent
