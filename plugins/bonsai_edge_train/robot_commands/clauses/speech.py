"""Saying something, perhaps to somebody."""

from __future__ import annotations

from bonsai_edge_train.robot_commands.actions import make_action
from bonsai_edge_train.robot_commands.clauses.sayings import GREETINGS, is_statement, saying, short_saying
from bonsai_edge_train.robot_commands.clauses.templates import templates, write
from bonsai_edge_train.robot_commands.clauses.types import Clause, ClauseWriter
from bonsai_edge_train.robot_commands.speaker import Speaker

_GROUPS = templates(
    "5* everyone; 4* everybody; 2* the kids; 2* the children; the guests; the visitors; the team; the others;"
    "my wife; my husband; my mom; my mum; my dad; mom; dad; grandma; grandpa; my son; my daughter; my sister;"
    "my brother; my boss; the staff; the class; the people in the lobby; my colleagues; the customers; the patients;"
    "the nurses; the whole team; the new guy; people; the crew"
)
_SAY = templates(
    "12* say {text}; 3* say: {text}; 3* announce {text}; shout {text}; call out {text}; just say {text};"
    "repeat after me: {text}; say loudly {text}; yell {text}; whisper {text}; say the words {text}; announce: {text};"
    "say out loud {text}; say the following: {text}; make an announcement: {text}; say, {text};"
    "go ahead and say {text}; loudly say {text}"
)
_SAY_THAT = templates(
    "4* announce that {text}; 3* say that {text}; make an announcement that {text}; call out that {text};"
    "shout that {text}"
)
_TELL = templates(
    "12* tell {who} {text}; 3* let {who} know {text}; say to {who} {text}; 2* tell {who}: {text};"
    "let {who} know: {text}; go tell {who} {text}; say to {who}: {text}; go and tell {who} {text};"
    "say to {who}, {text}; tell {who}, {text}"
)
_TELL_THAT = templates(
    "14* tell {who} that {text}; 6* let {who} know that {text}; 3* inform {who} that {text};"
    "3* remind {who} that {text}; 2* say to {who} that {text}; notify {who} that {text};"
    "announce to {who} that {text}; tell {who} for me that {text}; go tell {who} that {text};"
    "go and tell {who} that {text}; warn {who} that {text}; shout to {who} that {text}; whisper to {who} that {text};"
    "go let {who} know that {text}; make sure to tell {who} that {text}"
)
_TELL_BEFORE_MORE = templates("4* tell {who} {text}; 2* let {who} know {text}")
_TELL_THAT_BEFORE_MORE = templates("5* tell {who} that {text}; 3* let {who} know that {text}; inform {who} that {text}")
_QUOTED = templates(
    "8* say {text}; 2* announce {text}; shout {text}; call out {text}; say the words {text}; just say {text};"
    "yell {text}; whisper {text}"
)
_QUOTED_TO = templates(
    "5* say {text} to {who}; 2* tell {who} {text}; say to {who} {text}; shout {text} to {who};whisper {text} to {who}"
)
_GREET = templates(
    "8* say {text} to {who}; 2* tell {who} {text}; shout {text} to {who}; call {text} to {who};"
    "go say {text} to {who}; go and say {text} to {who}"
)
_GREET_HELLO = templates("6* greet {who}; go greet {who}; go and greet {who}; say hello to {who}")


def _listener(s: Speaker) -> tuple[str, str]:
    """Draw who is spoken to, as (words, value)."""
    if s.chance(0.3):
        words = s.rng.choice(_GROUPS)
        return words, words.removeprefix("the ").removeprefix("my ")
    return s.other_person()


def say_quoted(s: Speaker) -> Clause:
    """Say words given in quotation marks."""
    text = saying(s) if s.chance(0.75) else s.rng.choice(GREETINGS)
    quote = s.pick('"', '"', "'")
    quoted = f'"{text}"' if "'" in text else f"{quote}{text}{quote}"
    if s.chance(0.4):
        return write(s, _QUOTED, text=quoted), [make_action("say", text=text)]
    words, target = _listener(s)
    return write(s, _QUOTED_TO, text=quoted, who=words), [make_action("say", text=text, target=target)]


def greet(s: Speaker) -> Clause:
    """Say a greeting, usually to somebody."""
    text = s.rng.choice(GREETINGS)
    draw = s.rng.random()
    if draw < 0.15:
        return f"say {text}", [make_action("say", text=text)]
    words, target = s.person() if draw < 0.3 else _listener(s)
    if draw > 0.8:
        return write(s, _GREET_HELLO, who=words), [make_action("say", text="hello", target=target)]
    return write(s, _GREET, text=text, who=words), [make_action("say", text=text, target=target)]


def tell_briefly(s: Speaker) -> Clause:
    """Tell somebody something well known, after which more may follow."""
    words, target = _listener(s)
    text = short_saying(s)
    phrasings = _TELL_THAT_BEFORE_MORE if is_statement(text) and s.chance(0.6) else _TELL_BEFORE_MORE
    return write(s, phrasings, text=text, who=words), [make_action("say", text=text, target=target)]


def say(s: Speaker) -> Clause:
    """Say all words up to the end."""
    text = saying(s)
    phrasings = _SAY_THAT if is_statement(text) and s.chance(0.4) else _SAY
    return write(s, phrasings, text=text), [make_action("say", text=text)]


def tell(s: Speaker) -> Clause:
    """Tell somebody all words up to the end."""
    text = saying(s)
    words, target = _listener(s)
    phrasings = _TELL_THAT if is_statement(text) and s.chance(0.6) else _TELL
    return write(s, phrasings, text=text, who=words), [make_action("say", text=text, target=target)]


ORDERS: dict[ClauseWriter, int] = {say_quoted: 1, greet: 1, tell_briefly: 1}
LAST: dict[ClauseWriter, int] = {say: 2, tell: 5}
