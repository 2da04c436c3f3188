"""One clause of a command for each kind of action: English words and the actions they ask for.

Each function takes a `Speaker`, draws a phrasing, and returns (words, actions). `CLAUSES` lists them with weights.
"""

from __future__ import annotations

from collections.abc import Callable

from bonsai_edge_train import lexicon
from bonsai_edge_train.actions import Action, make_action
from bonsai_edge_train.speaker import Speaker

Clause = tuple[str, list[Action]]


def pick(s: Speaker) -> Clause:
    """Pick up an object, perhaps from a place."""
    words, item = s.object()
    s.holding = item
    if words in ("it", "that"):
        verb = s.pick("pick", "lift", "take")
        return f"{verb} {words} up" if s.chance(0.6) else f"grab {words}", [make_action("pick", object=item)]
    verb = s.pick("pick up", "pick up", "grab", "take", "grasp", "lift", "lift up", "get", "collect", "pick")
    if s.chance(0.2):
        place_words, place = s.place()
        preposition = s.pick("from", "from", "off", "on", "in")
        return f"{verb} {words} {preposition} {place_words}", [make_action("pick", object=item, source=place)]
    if verb == "pick up" and s.chance(0.2):
        return f"pick {words} up", [make_action("pick", object=item)]
    return f"{verb} {words}", [make_action("pick", object=item)]


def place(s: Speaker) -> Clause:
    """Put an object somewhere."""
    words, item = s.object()
    s.holding = None
    place_words, target = s.place()
    relation = s.rng.choice(lexicon.RELATIONS) if s.chance(0.2) else None
    preposition = relation or s.pick("on", "on", "in", "into", "onto", "at", "on top of", "down on")
    verb = s.pick("put", "put", "place", "set", "lay", "leave", "drop", "store", "position")
    return f"{verb} {words} {preposition} {place_words}", [
        make_action("place", object=item, target=target, relation=relation)
    ]


def bring(s: Speaker) -> Clause:
    """Transport an object: picks it up first unless the robot already holds it."""
    words, item = s.object()
    actions = [] if s.holding == item else [make_action("pick", object=item)]
    s.holding = None
    if s.chance(0.3):
        person_words, person = s.person()
        actions.append(make_action("give", object=item, target=person))
        verb = s.pick("bring", "bring", "fetch", "get")
        if words not in ("it", "that") and s.chance(0.6):
            return f"{verb} {person_words} {words}", actions
        return f"{s.pick('bring', 'carry', 'take', 'deliver')} {words} to {person_words}", actions
    place_words, target = s.place()
    actions.append(make_action("place", object=item, target=target))
    verb = s.pick("bring", "bring", "carry", "take", "deliver", "transport", "move", "return")
    return f"{verb} {words} {s.pick('to', 'to', 'to', 'over to', 'back to', 'into')} {place_words}", actions


def give(s: Speaker) -> Clause:
    """Hand an object to a person."""
    words, item = s.object()
    person_words, person = s.person()
    s.holding = None
    verb = s.pick("give", "hand", "pass")
    if words not in ("it", "that") and s.chance(0.6):
        text = f"{verb} {person_words} {words}"
    else:
        text = f"{s.pick('give', 'hand', 'pass', 'hand over')} {words} to {person_words}"
    return text, [make_action("give", object=item, target=person)]


def release(s: Speaker) -> Clause:
    """Let go of an object."""
    words, item = s.object()
    s.holding = None
    text = s.pick(f"release {words}", f"let go of {words}", f"drop {words}", f"put {words} down", f"put down {words}")
    return text, [make_action("release", object=item)]


def go(s: Speaker) -> Clause:
    """Travel to a place or to the speaker."""
    if s.chance(0.1):
        text = s.pick("come to me", "come here", "come over here", "come back to me", "return to me", "drive to me")
        return text, [make_action("go", target="user")]
    if s.chance(0.1):
        target = s.rng.choice(lexicon.ABSTRACT_PLACES)
        return f"{s.pick('go', 'drive', 'return', 'head')} {target}", [make_action("go", target=target)]
    place_words, target = s.place(rooms_only=s.chance(0.5))
    s.last_place = target
    if s.chance(0.05):
        place_words, target = s.person()
    if s.chance(0.1):
        relation = s.rng.choice(lexicon.RELATIONS)
        text = f"{s.pick('go', 'drive', 'move')} {relation} {place_words}"
        return text, [make_action("go", target=target, relation=relation)]
    verb = s.pick(
        "go to", "go to", "go to", "go into", "drive to", "move to", "navigate to", "head to", "return to", "travel to",
        "go back to", "walk to", "enter", "proceed to", "go over to", "roll to", "head over to", "come to", "visit",
    )  # fmt: skip
    return f"{verb} {place_words}", [make_action("go", target=target)]


def follow(s: Speaker) -> Clause:
    """Follow a person, perhaps to a place."""
    words, person = s.person() if s.chance(0.9) else s.object()
    text = f"{s.pick('follow', 'follow', 'follow', 'accompany', 'go after', 'walk behind', 'come with')} {words}"
    if s.chance(0.4):
        place_words, target = s.place()
        preposition = s.pick("to", "to", "to", "into")
        return f"{text} {preposition} {place_words}", [make_action("follow", object=person, target=target)]
    return text, [make_action("follow", object=person)]


def move(s: Speaker) -> Clause:
    """Drive straight, perhaps for a distance or a time."""
    direction, adverbs = s.rng.choice((
        ("forward", ("forward", "forward", "forwards", "ahead", "straight ahead", "straight")),
        ("backward", ("backward", "backwards", "back")),
        ("left", ("left", "to the left")),
        ("right", ("right", "to the right")),
    ))  # fmt: skip
    text = f"{s.pick('move', 'drive', 'go', 'roll', 'drive', 'walk')} {s.pick(*adverbs)}"
    if direction == "backward" and s.chance(0.3):
        text = s.pick("back up", "reverse")
    draw = s.rng.random()
    if draw < 0.7:
        amount_words, amount = s.distance()
        if s.chance(0.25):
            verb, _, adverb = text.partition(" ")
            text = f"{verb} {amount_words} {adverb}" if verb != "back" and adverb else f"{text} by {amount_words}"
        else:
            text = f"{text} {s.pick('', '', '', 'by ', 'for ')}{amount_words}"
        return text, [make_action("move", direction=direction, **amount)]
    if draw < 0.8:
        value_words, value = s.number(range(1, 31))
        unit = s.pick("seconds", "seconds", "s") if value != 1 else "second"
        return f"{text} for {value_words} {unit}", [make_action("move", direction=direction, duration_s=value)]
    return text, [make_action("move", direction=direction)]


def turn(s: Speaker) -> Clause:
    """Turn on the spot, by direction and angle or towards a place."""
    draw = s.rng.random()
    if draw < 0.15:
        place_words, target = s.place() if s.chance(0.8) else ("me", "user")
        return f"{s.pick('turn to', 'turn towards', 'face', 'rotate towards', 'turn toward')} {place_words}", [
            make_action("turn", target=target)
        ]
    if draw < 0.22:
        return s.pick("turn around", "turn round", "spin around"), [make_action("turn", direction="around")]
    verb = s.pick("turn", "turn", "turn", "rotate", "spin", "steer", "pivot")
    direction = s.pick("left", "left", "right", "right", "clockwise", "counterclockwise")
    side = f"to the {direction}" if direction in ("left", "right") and s.chance(0.25) else direction
    if draw < 0.4:
        text = f"make a {direction} turn" if direction in ("left", "right") and s.chance(0.2) else f"{verb} {side}"
        return text, [make_action("turn", direction=direction)]
    amount_words, amount = s.angle()
    by = s.pick("", "", "", "by ")
    if draw < 0.5:
        return f"{verb} {by}{amount_words}", [make_action("turn", **amount)]
    text = f"{verb} {by}{amount_words} {side}" if s.chance(0.35) else f"{verb} {side} {by}{amount_words}"
    return text, [make_action("turn", direction=direction, **amount)]


def wait(s: Speaker) -> Clause:
    """Wait, perhaps for a time or at a place."""
    verb = s.pick("wait", "wait", "pause", "stay", "remain", "hold")
    fields: dict[str, str | int | float] = {}
    text = verb
    if s.chance(0.3) and verb in ("wait", "stay", "remain"):
        place_words, fields["target"] = s.place()
        text = f"{verb} {s.pick('at', 'in', 'by', 'at')} {place_words}"
    elif s.chance(0.15) and verb in ("wait", "stay", "remain"):
        text = f"{verb} {s.pick('here', 'there')}"
    if text in ("stay", "remain", "hold") or s.chance(0.7):
        amount_words, amount = s.duration()
        fields.update(amount)
        text = f"{text} {s.pick('for ', 'for ', 'for ', '')}{amount_words}"
    return text, [make_action("wait", **fields)]


def look(s: Speaker) -> Clause:
    """Look somewhere and report, as an order."""
    draw = s.rng.random()
    if draw < 0.15:
        return s.pick("look around", "tell me what you see", "describe what you see", "look"), [make_action("look")]
    if draw < 0.25:
        direction = s.pick("left", "right", "up", "down", "ahead", "back")
        return f"look {direction}", [make_action("look", direction=direction)]
    if draw < 0.35:
        place_words, target = s.place()
        relation = s.rng.choice(lexicon.RELATIONS)
        text = f"{s.pick('look', 'look', 'check', 'see what is')} {relation} {place_words}"
        return text, [make_action("look", relation=relation, target=target)]
    place_words, target = s.place() if s.chance(0.75) else s.object()
    s.last_place = target
    text = s.pick(
        f"look at {place_words}", f"look at {place_words}", f"inspect {place_words}", f"examine {place_words}",
        f"check {place_words}", f"describe {place_words}", f"have a look at {place_words}", f"observe {place_words}",
        f"take a look at {place_words}", f"tell me what is on {place_words}", f"tell me what you see on {place_words}",
        f"tell me what you see in {place_words}", f"see what is in {place_words}", f"check what is on {place_words}",
        f"look into {place_words}", f"report what is in {place_words}", f"tell me what's in {place_words}",
    )  # fmt: skip
    return text, [make_action("look", target=target)]


def look_question(s: Speaker) -> Clause:
    """Look somewhere, asked as a question."""
    if s.chance(0.12):
        text = s.pick("what do you see", "what can you see", "what is around you", "what's in front of you")
        return text, [make_action("look")]
    words, target = s.place()
    relation = s.rng.choice(lexicon.RELATIONS) if s.chance(0.25) else None
    preposition = relation or s.pick("on", "on", "in", "at", "inside")
    text = s.pick(
        f"what is {preposition} {words}", f"what's {preposition} {words}", f"what can you see {preposition} {words}",
        f"do you see anything {preposition} {words}", f"is there anything {preposition} {words}",
        f"what things are {preposition} {words}", f"which objects are {preposition} {words}",
        f"what do you find {preposition} {words}", f"what objects do you see {preposition} {words}",
        f"is something {preposition} {words}", f"what lies {preposition} {words}",
        f"what do you see {preposition} {words}",
        f"who is {preposition} {words}",
    )  # fmt: skip
    return text, [make_action("look", relation=relation, target=target)]


def find(s: Speaker) -> Clause:
    """Search for an object, perhaps in a place."""
    words, item = s.object()
    text = f"{s.pick('find', 'find', 'search for', 'look for', 'locate', 'detect')} {words}"
    if s.chance(0.3):
        place_words, target = s.place()
        relation = s.rng.choice(lexicon.RELATIONS) if s.chance(0.25) else None
        preposition = relation or s.pick("in", "on", "at")
        return f"{text} {preposition} {place_words}", [
            make_action("find", object=item, relation=relation, target=target)
        ]
    return text, [make_action("find", object=item)]


def find_question(s: Speaker) -> Clause:
    """Search for an object, asked as a question."""
    phrase = s.noun_phrase()
    words = s.pick("the ", "the ", "my ") + phrase
    text = s.pick(f"where is {words}", f"where's {words}", f"can you see {words}", f"do you see {words}")
    if s.chance(0.3):
        place_words, target = s.place()
        if text.startswith("where"):
            return f"is {words} {s.pick('in', 'on')} {place_words}", [make_action("find", object=phrase, target=target)]
        return f"{text} {s.pick('in', 'on')} {place_words}", [make_action("find", object=phrase, target=target)]
    return text, [make_action("find", object=phrase)]


def open_or_close(s: Speaker) -> Clause:
    """Open or close something."""
    words, item = s.object(lexicon.OPENABLES)
    name, verb = s.rng.choice((("open", "open"), ("open", "open up"), ("close", "close"), ("close", "shut")))
    return f"{verb} {words}", [make_action(name, object=item)]


def push_or_pull(s: Speaker) -> Clause:
    """Push or pull something, perhaps to a place or for a distance."""
    words, item = s.object(lexicon.PUSHABLES)
    name, verb = s.rng.choice(
        (("push", "push"), ("push", "push"), ("push", "shove"), ("pull", "pull"), ("pull", "drag"))
    )
    draw = s.rng.random()
    if draw < 0.35:
        place_words, target = s.place()
        text = f"{verb} {words} {s.pick('to', 'to', 'towards', 'into', 'over to')} {place_words}"
        return text, [make_action(name, object=item, target=target)]
    if draw < 0.6:
        direction = s.pick("forward", "left", "right") if name == "push" else s.pick("backward", "left", "right")
        text = f"{verb} {words} {s.pick('', 'to the ') if direction in ('left', 'right') else ''}{direction}"
        if s.chance(0.6):
            amount_words, amount = s.distance()
            text = f"{text} {s.pick('', '', 'by ')}{amount_words}"
            return text, [make_action(name, object=item, direction=direction, **amount)]
        return text, [make_action(name, object=item, direction=direction)]
    if name == "push" and s.chance(0.3):
        verb = "press"
    return f"{verb} {words}", [make_action(name, object=item)]


def switch(s: Speaker) -> Clause:
    """Switch an appliance on or off."""
    words, item = s.object(lexicon.APPLIANCES)
    state = s.pick("on", "off")
    verb = s.pick("turn", "turn", "switch", "switch", "power")
    text = f"{verb} {words} {state}" if words in ("it", "that") or s.chance(0.4) else f"{verb} {state} {words}"
    if s.chance(0.25):
        place_words, target = s.place(rooms_only=True)
        return f"{text} in {place_words}", [make_action("switch", object=item, state=state, target=target)]
    return text, [make_action("switch", object=item, state=state)]


def clean(s: Speaker) -> Clause:
    """Clean a place or a surface."""
    target = s.rng.choice(lexicon.CLEANABLES)
    if s.chance(0.3):
        words, target = s.place()
    else:
        words = s.determiner() + target
    verb = s.pick("clean", "clean", "wipe", "wipe down", "vacuum", "mop", "sweep", "dust", "clean up")
    return f"{verb} {words}", [make_action("clean", target=target)]


def photo(s: Speaker) -> Clause:
    """Take a picture."""
    words, target = s.place() if s.chance(0.5) else s.object()
    if s.chance(0.15):
        words, target = "me", "user"
    noun = s.pick("picture", "photo", "photograph", "snapshot")
    text = s.pick(f"take a {noun} of {words}", f"take a {noun} of {words}", f"photograph {words}")
    return text, [make_action("photo", target=target)]


def stop(s: Speaker) -> Clause:
    """Stop at once."""
    text = s.pick(
        "stop", "halt", "freeze", "stop moving", "stop now", "stop immediately", "don't move", "do not move",
        "stop right there", "emergency stop", "stay where you are", "stop at once", "stop driving", "stop it",
        "stop following me", "stand still",
    )  # fmt: skip
    return text, [make_action("stop")]


def _saying(s: Speaker) -> str:
    if s.chance(0.4):
        return s.rng.choice(lexicon.SAYINGS)
    words = [
        s.invented_word() if s.chance(0.06) else s.rng.choice(lexicon.COMMON_WORDS) for _ in range(s.rng.randint(1, 6))
    ]
    return " ".join(words)


def say_quoted(s: Speaker) -> Clause:
    """Say words given in quotation marks."""
    text = _saying(s)
    quote = s.pick("'", "'", '"')
    words = f"{s.pick('say', 'say', 'announce', 'shout', 'call out')} {quote}{text}{quote}"
    if s.chance(0.3):
        person_words, person = s.person()
        return f"{words} to {person_words}", [make_action("say", text=text, target=person)]
    return words, [make_action("say", text=text)]


def say_plainly(s: Speaker) -> Clause:
    """Say all words up to the end of the command."""
    if s.chance(0.2):
        text = s.rng.choice(lexicon.GREETINGS)
        person_words, person = s.person()
        return f"say {text} to {person_words}", [make_action("say", text=text, target=person)]
    text = _saying(s)
    if s.chance(0.5):
        person_words, person = s.person()
        verb = s.pick("tell", "tell", "inform", "let") if person != "user" else "tell"
        link = " know that" if verb == "let" else s.pick(" that", " that", ":")
        return f"{verb} {person_words}{link} {text}", [make_action("say", text=text, target=person)]
    return f"{s.pick('say', 'say', 'announce', 'announce that', 'say:')} {text}", [make_action("say", text=text)]


ClauseWriter = Callable[[Speaker], Clause]

# Orders that can stand anywhere in a command, with weights.
CLAUSES: dict[ClauseWriter, int] = {
    pick: 14, place: 8, bring: 12, give: 4, release: 3, go: 14, follow: 6, move: 10, turn: 10, wait: 6, look: 8,
    find: 6, open_or_close: 8, push_or_pull: 6, switch: 6, clean: 4, photo: 3, stop: 3, say_quoted: 3,
}  # fmt: skip
# What can only stand alone: questions.
QUESTIONS: dict[ClauseWriter, int] = {look_question: 3, find_question: 1}
# What can only stand last: free text without a mark at its end.
LAST_CLAUSES: dict[ClauseWriter, int] = {say_plainly: 1}
