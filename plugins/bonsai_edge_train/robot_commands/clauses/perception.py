"""Looking, inspecting, finding and taking pictures."""

from __future__ import annotations

from bonsai_edge_train.robot_commands.actions import make_action
from bonsai_edge_train.robot_commands.clauses.templates import templates, write
from bonsai_edge_train.robot_commands.clauses.types import Clause, ClauseWriter
from bonsai_edge_train.robot_commands.naming import is_plural
from bonsai_edge_train.robot_commands.speaker import Speaker

_LOOK = templates(
    "3* look; 2* tell me what you see; 2* describe what you see; tell me what you can see; have a look; take a look;"
    "describe what you can see; let me know what you see; tell me everything you see; say what you see;"
    "report what you see; describe your view; describe your surroundings; tell me what is there to see;"
    "describe everything you see"
)
_LOOK_TOWARDS = templates(
    "8* look {side}; 2* look a bit {side}; glance {side}; have a look {side}; take a look {side};"
    "look a little {side}; look over {side}; look straight {side}; look slightly {side}"
)
_SIDES = (
    *[("left", templates("3* left; 3* to the left; 2* to your left"))] * 3,
    *[("right", templates("3* right; 3* to the right; 2* to your right"))] * 3,
    *[("up", templates("5* up; upwards; upward"))] * 3,
    *[("down", templates("5* down; downwards; downward"))] * 3,
    *[("forward", templates("4* ahead; 3* straight ahead; 2* forward; straight"))] * 2,
    *[("backward", templates("2* back; 2* backwards; backward"))] * 2,
    *[("around", templates("4* around; around you; all around; round"))] * 3,
)
_LOOK_AT = templates(
    "12* look at {thing}; 4* watch {thing}; 4* describe {thing}; 3* take a look at {thing};"
    "3* have a look at {thing}; 2* observe {thing}; 2* keep an eye on {thing}; glance at {thing};"
    "look closely at {thing}; take a closer look at {thing}; have a closer look at {thing}; go look at {thing};"
    "keep watching {thing}; tell me what you see at {thing}; have a good look at {thing};"
    "take a good look at {thing}; go and look at {thing}; describe {thing} to me; view {thing};"
    "have a quick look at {thing}; take a quick look at {thing}; take a peek at {thing}; peek at {thing};"
    "gaze at {thing}; keep your eyes on {thing}; look over at {thing}; look back at {thing};"
    "go take a look at {thing}; look carefully at {thing}; look towards {thing}; look toward {thing};"
    "stare at {thing}; point your camera at {thing}; give {thing} a look"
)
# {there}: a place with its preposition.
_LOOK_THERE = templates(
    "8* look {there}; 2* take a look {there}; 2* have a look {there}; 2* see what's {there}; 2* see what is {there};"
    "2* tell me what you see {there}; 2* tell me what's {there}; 2* tell me what is {there};"
    "tell me what you can see {there}; describe what you see {there}; describe what is {there}; go look {there};"
    "peek {there}; take a peek {there}; describe what's {there}; let me know what's {there};"
    "let me know what is {there}; go and see what's {there}; go see what is {there}; find out what's {there};"
    "find out what is {there}; have a quick look {there}; show me what's {there}; go have a look {there};"
    "report what is {there}; report what you see {there}; tell me everything you see {there}; tell me who is {there};"
    "see who is {there}; go see who's {there}; look what's {there}; glance {there}"
)
_LOOK_QUESTION = templates(
    "6* what do you see; 3* what can you see; what are you seeing; what are you looking at;"
    "what do you see right now; what do you see now; do you see anything; can you see anything;"
    "what can you see right now; can you see something; do you see something; what can you see from there;"
    "what do you see there; can you tell me what you see; could you describe what you see; what's that you see;"
    "what does your camera see; what do your cameras see"
)
_LOOK_QUESTION_THERE = templates(
    "6* what is {there}; 6* what's {there}; 5* what do you see {there}; 3* what can you see {there};"
    "2* who is {there}; 2* who's {there}; is there anything {there}; is anything {there};"
    "do you see anything {there}; can you see anything {there}; is there something {there}; what things are {there};"
    "what's lying {there}; what objects are {there}; what lies {there}; what's lying around {there};"
    "what stuff is {there}; which things are {there}; what objects do you see {there}; is something {there};"
    "is anybody {there}; is anyone {there}; is there anyone {there}; is there anybody {there};"
    "what do we have {there}; what have we got {there}; what's standing {there}; what is lying {there};"
    "what is there {there}; who do you see {there}; do you see anyone {there}; what's going on {there};"
    "what is happening {there}; could you tell me what's {there}; can you tell me what is {there};"
    "what sort of things are {there}; what's left {there}; what is sitting {there}; what kind of things are {there};"
    "what have you spotted {there}; can you see anyone {there}"
)
_INSPECT = templates(
    "9* inspect {thing}; 14* check {thing}; 5* examine {thing}; 5* scan {thing}; 2* check on {thing};"
    "check out {thing}; do a check of {thing}; run a check on {thing}; do an inspection of {thing};"
    "perform an inspection of {thing}; go check {thing}; go and check {thing}; go inspect {thing};"
    "run an inspection on {thing}; do a scan of {thing}; run a scan of {thing}; inspect {thing} closely;"
    "carefully inspect {thing}; examine {thing} closely; double check {thing}; carry out an inspection of {thing};"
    "check {thing} out; check {thing} over; go check on {thing}; go and inspect {thing}; go examine {thing};"
    "check up on {thing}; go scan {thing}; give {thing} a check; make a scan of {thing}; thoroughly inspect {thing};"
    "quickly check {thing}; check {thing} for me; conduct an inspection of {thing}; scan {thing} for me;"
    "have {thing} inspected"
)
_FIND = templates(
    "12* find {thing}; 8* look for {thing}; 6* search for {thing}; 5* locate {thing}; 2* go find {thing};"
    "2* go look for {thing}; help me find {thing}; help me look for {thing}; hunt for {thing}; try to find {thing};"
    "go and find {thing}; go and look for {thing}; detect {thing}; spot {thing}; track down {thing};"
    "hunt down {thing}; seek {thing}; have a look for {thing}; do a search for {thing}; tell me where {thing} {be};"
    "tell me where to find {thing}; find out where {thing} {be}; see where {thing} {be}; show me where {thing} {be};"
    "go search for {thing}; start looking for {thing}; keep looking for {thing}; take a look for {thing};"
    "find me {thing}; search around for {thing}; let me know where {thing} {be}; look around for {thing};"
    "help me locate {thing}; try and find {thing}; figure out where {thing} {be}; see where {thing} might be;"
    "see where you can find {thing}"
)
_FIND_THERE = templates(
    "8* find {thing} {there}; 8* look for {thing} {there}; 5* search for {thing} {there}; 4* locate {thing} {there};"
    "2* look {there} for {thing}; search {there} for {thing}; 2* go look for {thing} {there};"
    "go find {thing} {there}; help me find {thing} {there}; hunt for {thing} {there}; try to find {thing} {there};"
    "see where {thing} {be} {there}; have a look {there} for {thing}; take a look for {thing} {there};"
    "go and look for {thing} {there}; go look {there} for {thing}"
)
_SEARCH_PLACE = templates(
    "5* search {place} for {thing}; scan {place} for {thing}; comb {place} for {thing}; go search {place} for {thing}"
)
_WHERE = templates(
    "14* where {be} {thing}; 8* where's {thing}; 3* have you seen {thing}; 2* do you see {thing};"
    "2* can you see {thing}; 2* do you know where {thing} {be}; 2* where did i put {thing};"
    "2* where did i leave {thing}; 2* where can i find {thing}; any idea where {thing} {be};"
    "do you have any idea where {thing} {be}; can you tell me where {thing} {be}; where {have} {thing} gone;"
    "could you tell me where {thing} {be}; where might {thing} be; where {have} {thing} got to;"
    "where could {thing} be; where do i find {thing}; did you see {thing}; did you see {thing} anywhere;"
    "have you seen {thing} anywhere; where have i put {thing}; can you see {thing} anywhere;"
    "do you see {thing} anywhere; where do we keep {thing}; where did {thing} go; where on earth {be} {thing};"
    "can you spot {thing}; where would i find {thing}; where exactly {be} {thing}; have you found {thing};"
    "where did you see {thing}; do you see {thing} somewhere; where's {thing} gone; have you seen {thing} around;"
    "are you able to see {thing}; does anyone know where {thing} {be}; where did someone put {thing};"
    "where should i look for {thing}"
)
_WHERE_THERE = templates(
    "6* can you see {thing} {there}; 6* do you see {thing} {there}; 4* {be} {thing} {there};"
    "have you seen {thing} {there}; where {be} {thing} {there}; where's {thing} {there};"
    "can you spot {thing} {there}; {be} {thing} still {there}; can you find {thing} {there};"
    "did i leave {thing} {there}; {be} {thing} lying {there}; did you see {thing} {there}"
)
_LOST = templates(
    "where {be} {thing}, i can't find {it}; i can't find {thing}, where {be} {it}; i lost {thing}, can you find {it};"
    "i've lost {thing}, please find {it}; i need {thing}, where {be} {it}; i need to find {thing};"
    "i need to know where {thing} {be}; i want to know where {thing} {be}; i'd like to know where {thing} {be};"
    "i can't find {thing}, have you seen {it}; i lost {thing}, help me find {it};"
    "i don't know where {thing} {be}, can you look for {it}; i misplaced {thing}, can you look for {it};"
    "i've misplaced {thing}, where {be} {it}; i need help finding {thing}; i wonder where {thing} {be};"
    "{thing} {be} missing, go find {it}; {thing} {be} gone, look for {it}; {thing}, where {be} {it};"
    "i can't see {thing}, where {be} {it}; i'm missing {thing}, find {it} please"
)
_FIND_PERSON = templates(
    "6* find {who}; 4* look for {who}; 2* go find {who}; 2* go look for {who}; search for {who}; locate {who};"
    "help me find {who}; go and look for {who}; try to find {who}; go and find {who}; track down {who};"
    "keep looking for {who}"
)
_WHERE_PERSON = templates(
    "8* where {be} {who}; 4* where's {who}; 3* have you seen {who}; 2* do you see {who}; 2* can you see {who};"
    "2* do you know where {who} {be}; any idea where {who} {be}; can you tell me where {who} {be};"
    "where can I find {who}; where did {who} go; did you see {who}; have you seen {who} anywhere;"
    "where on earth {be} {who}; where might {who} be"
)
_PHOTO_NOUNS = templates("6* picture; 6* photo; 2* photograph; pic; snapshot; image; shot")
_PHOTO = templates(
    "8* take a {photo}; 2* snap a {photo}; take a {photo} now; capture a {photo}; make a {photo}; shoot a {photo};"
    "get a {photo}; take a quick {photo}; take one {photo}; take another {photo}"
)
_PHOTO_OF = templates(
    "14* take a {photo} of {thing}; 3* photograph {thing}; 2* snap a {photo} of {thing}; 2* get a {photo} of {thing};"
    "make a {photo} of {thing}; capture a {photo} of {thing}; grab a {photo} of {thing}; shoot a {photo} of {thing};"
    "take me a {photo} of {thing}; snap {thing}; take a nice {photo} of {thing}; take a quick {photo} of {thing};"
    "get me a {photo} of {thing}; take a good {photo} of {thing}; capture {thing} in a {photo};"
    "take a close {photo} of {thing}; go take a {photo} of {thing}; go and take a {photo} of {thing};"
    "take another {photo} of {thing}; take {photo}s of {thing}; take a clear {photo} of {thing};"
    "snap one {photo} of {thing}"
)
_PHOTO_WORDS = templates(
    "3* i need a {photo} of {thing}; 2* i want a {photo} of {thing}; 2* i'd like a {photo} of {thing};"
    "a {photo} of {thing}; i would like a {photo} of {thing}; one {photo} of {thing}; {photo} of {thing};"
    "we need a {photo} of {thing}; i could use a {photo} of {thing}; let's have a {photo} of {thing};"
    "let's get a {photo} of {thing}; can i have a {photo} of {thing}; can i get a {photo} of {thing};"
    "could i have a {photo} of {thing}"
)


def _subject(s: Speaker, places: float, people: float) -> tuple[str, str]:
    """Draw what is looked at: a place, a person (perhaps the speaker) or else a thing, as (words, value)."""
    draw = s.rng.random()
    if draw < places:
        return s.charger() if s.chance(0.05) else s.place()
    if draw < places + people:
        return s.person(user=0.3)
    return s.object()


def _agreeing(words: str, item: str) -> dict[str, str]:
    """Return the words of a sentence about `item` that depend on its number."""
    plural = is_plural(item) and words not in ("it", "this", "that")
    return {
        "thing": words,
        "be": "are" if plural else "is",
        "have": "have" if plural else "has",
        "it": "them" if plural else "it",
    }


def look(s: Speaker) -> Clause:
    """Look around, in a direction, or describe the view."""
    if s.chance(0.3):
        return s.rng.choice(_LOOK), [make_action("look")]
    if s.chance(0.12):
        words, target = s.place()
        side, preposition = s.rng.choice((("up", "at"), ("down", "at"), ("up", "to"), ("down", "to")))
        return f"look {side} {preposition} {words}", [make_action("look", direction=side, target=target)]
    if s.chance(0.25):
        words, direction = s.direction("left", "right") if s.chance(0.5) else s.direction("up", "down")
        return f"look {words}", [make_action("look", direction=direction)]
    direction, sides = s.rng.choice(_SIDES)
    side = s.rng.choice(sides)
    return write(s, ("look {side}",) if direction == "around" else _LOOK_TOWARDS, side=side), [
        make_action("look", direction=direction)
    ]


def look_at(s: Speaker) -> Clause:
    """Look at something."""
    words, target = _subject(s, places=0.5, people=0.15)
    return write(s, _LOOK_AT, thing=words), [make_action("look", target=target)]


def look_there(s: Speaker) -> Clause:
    """Look on, in, under or behind something."""
    there, fields = s.location(relations=0.45)
    return write(s, _LOOK_THERE, there=there), [make_action("look", **fields)]


def look_question(s: Speaker) -> Clause:
    """Look, asked as a question."""
    if s.chance(0.2):
        return s.rng.choice(_LOOK_QUESTION), [make_action("look")]
    there, fields = s.location(relations=0.35)
    return write(s, _LOOK_QUESTION_THERE, there=there), [make_action("look", **fields)]


def inspect(s: Speaker) -> Clause:
    """Inspect something; where it stands leaves no trace."""
    if s.chance(0.15):
        words, target = s.thing()
        words = f"{words} {s.location()[0]}"
    else:
        words, target = _subject(s, places=0.4, people=0.08)
    return write(s, _INSPECT, thing=words), [make_action("inspect", target=target)]


def find(s: Speaker) -> Clause:
    """Search for something, perhaps in a place."""
    if s.chance(0.08):
        words, item = s.other_person()
        return write(s, _FIND_PERSON, who=words), [make_action("find", object=item)]
    words, item = s.object()
    if s.chance(0.65):
        return write(s, _FIND, **_agreeing(words, item)), [make_action("find", object=item)]
    if s.chance(0.2):
        place, target = s.place()
        return write(s, _SEARCH_PLACE, thing=words, place=place), [make_action("find", object=item, target=target)]
    there, fields = s.location()
    return write(s, _FIND_THERE, there=there, **_agreeing(words, item)), [make_action("find", object=item, **fields)]


def find_question(s: Speaker) -> Clause:
    """Search for something, asked as a question."""
    if s.chance(0.12):
        words, item = s.other_person()
        be = "are" if is_plural(item) else "is"
        return write(s, _WHERE_PERSON, who=words, be=be), [make_action("find", object=item)]
    words, item = s.thing()
    if s.chance(0.72):
        return write(s, _WHERE, **_agreeing(words, item)), [make_action("find", object=item)]
    there, fields = s.location()
    return write(s, _WHERE_THERE, there=there, **_agreeing(words, item)), [make_action("find", object=item, **fields)]


def lost(s: Speaker) -> Clause:
    """Search for something, said without an imperative."""
    words, item = s.thing()
    return write(s, _LOST, **_agreeing(words, item)), [make_action("find", object=item)]


def photo(s: Speaker) -> Clause:
    """Take a picture, perhaps of something; where it stands leaves no trace."""
    noun = s.rng.choice(_PHOTO_NOUNS)
    if s.chance(0.15):
        return write(s, _PHOTO, photo=noun).replace("a image", "an image"), [make_action("photo")]
    if s.chance(0.05):
        return s.pick("take my picture", "take my photo", "photograph me"), [make_action("photo", target="user")]
    words, target = _subject(s, places=0.4, people=0.25)
    text = write(s, _PHOTO_OF, thing=words, photo=noun)
    return text.replace("a image", "an image"), [make_action("photo", target=target)]


def photo_words(s: Speaker) -> Clause:
    """Take a picture, said without an imperative."""
    words, target = _subject(s, places=0.45, people=0.2)
    text = write(s, _PHOTO_WORDS, thing=words, photo=s.rng.choice(_PHOTO_NOUNS))
    return text.replace("a image", "an image"), [make_action("photo", target=target)]


ORDERS: dict[ClauseWriter, int] = {look: 2, look_at: 3, look_there: 2, inspect: 5, find: 4, photo: 4}
QUESTIONS: dict[ClauseWriter, int] = {look_question: 3, find_question: 3}
STATEMENTS: dict[ClauseWriter, int] = {lost: 2, photo_words: 2}
