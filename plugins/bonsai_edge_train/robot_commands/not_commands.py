"""Sentences that ask for nothing the robot can do: the honest answer has no actions."""

from __future__ import annotations

from bonsai_edge_train.robot_commands.actions import CANNOT, GREETING, WELCOME
from bonsai_edge_train.robot_commands.chat import GREETINGS, THANKS, chat, fragment, question, statement
from bonsai_edge_train.robot_commands.lexicon.word_list import words
from bonsai_edge_train.robot_commands.sequences import Draft, draw_order
from bonsai_edge_train.robot_commands.speaker import Speaker
from bonsai_edge_train.robot_commands.unsupported import unsupported
from bonsai_edge_train.robot_commands.verbs import takes_base_verb

_CONDITIONS = (
    "{who} comes home", "{who} arrives", "{who} is here", "{who} calls", "{who} wakes up", "{who} asks for it",
    "{who} leaves", "it rains", "it's raining", "it gets dark", "it is dark", "it's too cold", "it's too warm",
    "it's empty", "it's full", "it is broken", "it's open", "the door is open", "the window is open",
    "{thing} is dirty",
    "{thing} is empty", "{thing} is on {place}", "you see {thing}", "you see {who}", "you find {thing}",
    "you hear a noise", "you hear {who}", "the light is on", "the light is off", "the phone rings", "the bell rings",
    "the alarm goes off", "the timer rings", "the water boils", "the battery is low",
    "your battery is below 20 percent",
    "you reach {place}", "you get to {place}", "you're finished", "you are ready", "i say so", "i tell you to",
    "i say stop",
    "i call you", "i clap", "i'm asleep", "i come back", "i'm not home", "i leave", "i snap my fingers",
    "i fall asleep",
    "someone comes in", "somebody is in {place}", "there's someone in {place}", "nobody is in {place}",
    "{place} is free", "{place} is dirty", "the path is clear", "the way is blocked", "dinner is ready",
    "the coffee is done", "the sun goes down", "it's eight o'clock", "the baby cries", "you can reach it",
    "the temperature drops", "the elevator comes", "the guests arrive", "there is an obstacle",
    "you bump into something",
)  # fmt: skip
_BEFORE = ("if ", "if ", "if ", "when ", "when ", "whenever ", "every time ", "unless ", "as soon as ", "in case ",
           "only if ", "should it happen that ", "if ever ", "until ")  # fmt: skip
_AFTER = (" if ", " if ", " if ", " when ", " when ", " until ", " until ", " until ", " unless ", " unless ",
          " whenever ", " only if ", " every time ", " as soon as ", ", but only if ", " till ", " in case ", ", if ",
          ", unless ", " as long as ", " only when ")  # fmt: skip
_REPETITIONS = words(
    "twice, twice, three times, 3 times, four times, five times, ten times, every hour, every day, every morning, "
    "every "
    "ten minutes, every evening, every two hours, each day, once a day, once an hour, once a week, daily, hourly, "
    "repeatedly, over and over, over and over again, again and again, every monday, every night, a hundred times, "
    "six times in a row, two times, several times, a few times, twice a day, every 30 seconds, every time, "
    "on weekdays, "
    "all day long, every other day, 20 times, forever and ever, each morning at seven, three times in a row"
)
_COUNTS = words(
    "two, two, three, three, four, five, six, ten, 2, 3, 4, 5, 12, a couple of, several, a dozen, two more, "
    "three more, "
    "exactly two, at least three, twenty, seven, a few, two of the, three of the, 2 of the, five of those, half a dozen"
)
_COUNTED_VERBS = words(
    "bring me, get me, pick up, grab, take, fetch, put down, carry, give me, hand me, find, collect, get, give anna, "
    "push, open, deliver, pass me, look for, i need, bring us, lift, move, close"
)
_OTHER_LENGTHS = words(
    "inches, inches, miles, yards, steps, steps, kilometers, km, mm, millimeters, blocks, paces, inch, light years, "
    "car lengths, squares, tiles, miles, yards, inches, centimeter and a half inches"
)
_OTHER_TIMES = words("hours, hours, days, weeks, milliseconds, hours, months, years, ms, hours")
_GOINGS = words(
    "go forward, move forward, drive forward, back up, move back, go backward, move left, go right, drive straight, "
    "roll forward, go straight ahead, drive backwards, step forward, go ahead, reverse, move, drive, walk, advance"
)
_MIXED_LINKS = (" and ", " and ", " and ", ", then ", " and then ", ", ", ". ", ", and ", ". Then ", " then ", ". And ",
                " and also ", ", after that ", " before you ")  # fmt: skip


def write_not_command(s: Speaker) -> Draft:
    """Draw a sentence without actions, with its reply."""
    kind = s.rng.random()
    reply = CANNOT
    is_order = False
    if kind < 0.05:
        text, reply = s.rng.choice(GREETINGS), GREETING
    elif kind < 0.09:
        text, reply = s.rng.choice(THANKS), WELCOME
    elif kind < 0.16:
        text = chat(s)
    elif kind < 0.26:
        text = question(s)
    elif kind < 0.35:
        text = statement(s)
    elif kind < 0.42:
        text = fragment(s)
    elif kind < 0.62:
        text, is_order = unsupported(s), True
    elif kind < 0.74:
        text = _conditional(s)
    elif kind < 0.8:
        text, is_order = f"{_known(s)} {s.rng.choice(_REPETITIONS)}", True
    elif kind < 0.85:
        text, is_order = _counted(s), True
    elif kind < 0.9:
        text, is_order = _other_unit(s), True
    else:
        text, is_order = _partly_known(s), True
    is_question = text.startswith(("what", "who", "how", "why", "is ", "are ", "do ", "when ", "can you", "did "))
    draft = Draft(text, [], "question" if is_question else "order" if is_order else "statement", reply=reply)
    draft.category = "not commands"
    return draft


def _known(s: Speaker) -> str:
    return draw_order(s)[1][0]


def _conditional(s: Speaker) -> str:
    thing = f"the {s.noun_phrase()}"
    who = s.pick(s.name(), "somebody", "someone", "mom", "the nurse", "anyone", "my dad", "the postman", "she", "he")
    condition = s.rng.choice(_CONDITIONS).format(who=who, thing=thing, place=s.place()[0])
    order = _known(s)
    if s.chance(0.1):
        order += s.pick(" and ", ", then ") + _known(s)
    if s.chance(0.1) and takes_base_verb(order):
        order = s.pick("please ", "can you ", "you should ", "i want you to ") + order
    if s.chance(0.45):
        link = s.pick(", ", ", ", ", ", ", then ", " ", ", please ") if takes_base_verb(order) else ", "
        return s.rng.choice(_BEFORE) + condition + link + order
    if s.chance(0.1):
        return f"{order} if {condition}, {s.pick('otherwise', 'if not,', 'or else', 'else')} {_known(s)}"
    return order + s.rng.choice(_AFTER) + condition


def _counted(s: Speaker) -> str:
    noun = s.noun_phrase()
    plural = noun if noun.endswith("s") else f"{noun}s"
    text = f"{s.rng.choice(_COUNTED_VERBS)} {s.rng.choice(_COUNTS)} {plural}"
    draw = s.rng.random()
    if draw < 0.12:
        return f"{s.pick('count', 'count all', 'how many', 'tell me how many')} {s.pick('the ', '')}{plural}"
    if draw < 0.45:
        return f"{text} {s.pick('from', 'to', 'on', 'in', 'off')} {s.place()[0]}"
    return text


def _other_unit(s: Speaker) -> str:
    draw = s.rng.random()
    number = s.number(range(2, 60))[0]
    if draw < 0.5:
        return f"{s.rng.choice(_GOINGS)} {number} {s.rng.choice(_OTHER_LENGTHS)}"
    if draw < 0.75:
        verb = s.pick("wait", "wait for", "pause for", "stay here for", "hold on for", "sleep for", "stay there for")
        amount = s.pick("an hour", "half an hour", "one hour", "a day", f"{number} {s.rng.choice(_OTHER_TIMES)}")
        return f"{verb} {amount}"
    if draw < 0.85:
        verb = s.pick("set your speed to", "drive at", "go at", "drive with", "speed up to", "slow down to", "move at")
        return f"{verb} {number} {s.pick('km/h', 'mph', 'miles per hour', 'kilometers per hour', 'knots', 'kph')}"
    if draw < 0.92:
        verb = s.pick("turn left", "turn right", "rotate", "turn", "spin")
        return f"{verb} {number} {s.pick('radians', 'rad', 'grads', 'radians')}"
    noun = s.noun_phrase()
    return f"{s.pick('push', 'pull', 'move', 'shove', 'drag')} the {noun} {number} {s.rng.choice(_OTHER_LENGTHS)}"


def _partly_known(s: Speaker) -> str:
    """Join what the robot can do with what it cannot."""
    known, link, unknown = _known(s), s.rng.choice(_MIXED_LINKS), unsupported(s)
    if s.chance(0.6):
        return known + link + unknown
    text = unknown + link + known
    return f"{text}{s.pick(' and ', ', then ')}{_known(s)}" if s.chance(0.15) else text
