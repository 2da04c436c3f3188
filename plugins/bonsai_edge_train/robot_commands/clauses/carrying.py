"""Picking up, putting down, bringing and giving things."""

from __future__ import annotations

from bonsai_edge_train.robot_commands.actions import Action, make_action
from bonsai_edge_train.robot_commands.clauses.templates import templates, write
from bonsai_edge_train.robot_commands.clauses.types import Clause, ClauseWriter
from bonsai_edge_train.robot_commands.lexicon.handled import WANTED
from bonsai_edge_train.robot_commands.speaker import PRONOUNS, Located, Speaker

_PICK = templates(
    "6* pick up {x}; 2* pick {x} up; 5* grab {x}; 4* take {x}; 2* grasp {x}; 2* lift {x}; lift up {x}; lift {x} up; "
    "3* get {x}; 2* collect {x}; pick {x}; get hold of {x}; take hold of {x}; grab hold of {x}; go get {x}; go and "
    "get {x}; go pick up {x}; go grab {x}; gather {x}; gather up {x}; scoop up {x}; seize {x}; snatch {x}; go and "
    "pick up {x}; get a hold of {x}; take {x} in your hand; grip {x}; hoist {x}; collect up {x}; take {x} with you"
)
_PICK_IT = templates(
    "6* pick {x} up; 3* grab {x}; 3* take {x}; 2* lift {x}; lift {x} up; 2* get {x}; grasp {x}; collect {x}; pick "
    "{x}; go get {x}; go pick {x} up; scoop {x} up; grip {x}; snatch {x} up; gather {x} up; take {x} with you"
)
_PICK_FROM = templates(
    "5* pick up {x} {y}; 2* pick {x} up {y}; 4* grab {x} {y}; 4* take {x} {y}; 3* get {x} {y}; lift {x} {y}; collect "
    "{x} {y}; grasp {x} {y}; pick {x} {y}; go get {x} {y}; go and get {x} {y}; gather {x} {y}; go grab {x} {y}; go "
    "pick up {x} {y}"
)
_TAKE_FROM = templates(
    "3* take {x} {y}; grab {x} {y}; get {x} {y}; lift {x} {y}; remove {x} {y}; pick {x} {y}; take {x} away {y}; fish "
    "{x} {y}; pick {x} up {y}; go get {x} {y}; pick {x} up {y}"
)
_PLACE = templates(
    "10* put {x} {y}; 5* place {x} {y}; 3* set {x} {y}; 2* lay {x} {y}; 2* leave {x} {y}; 3* drop {x} {y}; store {x} "
    "{y}; put {x} down {y}; 2* set {x} down {y}; put {x} back {y}; stick {x} {y}; position {x} {y}; stow {x} {y}; pop "
    "{x} {y}; deposit {x} {y}; go put {x} {y}; go and put {x} {y}; stash {x} {y}; lay {x} down {y}; place {x} back "
    "{y}"
)
_PLACE_ON = templates(
    "stack {x} {y}; spread {x} {y}; rest {x} {y}; put {x} up {y}; unload {x} {y}; hang {x} {y}; arrange {x} {y}"
)
_PLACE_IN = templates(
    "toss {x} {y}; throw {x} {y}; dump {x} {y}; load {x} {y}; insert {x} {y}; slip {x} {y}; put {x} away {y}; pack "
    "{x} {y}; hide {x} {y}; chuck {x} {y}; slide {x} {y}; add {x} {y}"
)
_CARRY = templates(
    "5* bring {x} {y}; 5* take {x} {y}; 4* carry {x} {y}; 3* deliver {x} {y}; 2* move {x} {y}; transport {x} {y}; "
    "return {x} {y}; transfer {x} {y}; haul {x} {y}; bring {x} over {y}; get {x} {y}; lug {x} {y}; go bring {x} {y}; "
    "relocate {x} {y}; run {x} {y}; drive {x} {y}; go and deliver {x} {y}; carry {x} over {y}; take {x} back {y}; "
    "fetch {x} and bring it {y}"
)
_CARRY_UP_TO = templates("carry {x} up {y}; take {x} down {y}; bring {x} up {y}; bring {x} down {y}; take {x} over {y}")
_BRING_PERSON = templates(
    "8* bring {p} {x}; 4* get {p} {x}; 2* fetch {p} {x}; 2* grab {p} {x}; go get {p} {x}; go fetch {p} {x}; go and "
    "get {p} {x}; take {p} {x}; bring {p} over {x}; bring {p} back {x}; deliver {p} {x}; go and fetch {p} {x}; go "
    "bring {p} {x}"
)
_BRING_TO_PERSON = templates(
    "6* bring {x} to {p}; 4* take {x} to {p}; 3* deliver {x} to {p}; 3* carry {x} to {p}; bring {x} over to {p}; "
    "bring {x} back to {p}; fetch {x} for {p}; get {x} for {p}; return {x} to {p}; run {x} over to {p}; take {x} over "
    "to {p}; get {x} to {p}; carry {x} over to {p}; go take {x} to {p}; take {x} back to {p}; go and deliver {x} to "
    "{p}; bring {x} for {p}"
)
_FETCH = templates(
    "5* fetch {x}; 2* go fetch {x}; go and fetch {x}; bring {x} here; bring {x} over here; 2* bring {x}; fetch {x} "
    "for me"
)
_GIVE_PERSON = templates(
    "6* give {p} {x}; 4* hand {p} {x}; 3* pass {p} {x}; let {p} have {x}; hand {p} over {x}; give {p} back {x}"
)
_GIVE_TO_PERSON = templates(
    "5* give {x} to {p}; 3* hand {x} to {p}; 2* pass {x} to {p}; 2* hand over {x} to {p}; hand {x} over to {p}; pass "
    "{x} over to {p}; give {x} back to {p}; hand {x} back to {p}; pass {x} along to {p}; present {x} to {p}"
)
_GIVE_IT_TO_PERSON = tuple(phrasing for phrasing in _GIVE_TO_PERSON if "over {x}" not in phrasing)
_RELEASE = templates(
    "4* release {x}; 4* let go of {x}; 4* drop {x}; 4* put {x} down; 3* put down {x}; 2* set {x} down; set down {x}; "
    "let {x} go; lay {x} down; lay down {x}; place {x} down; let loose of {x}; put {x} down gently; just drop {x}; "
    "release your grip on {x}; let {x} drop"
)
_RELEASE_IT = templates(
    "4* release {x}; 4* let go of {x}; 4* drop {x}; 8* put {x} down; 3* set {x} down; 2* let {x} go; lay {x} down; "
    "place {x} down"
)
_LYING = ("",) * 7 + ("that's ", "which is ", "lying ", "sitting ", "that is ", "standing ", "over ", "that you see ")
_OUT_OF = {"container": ("out of", "out of", "from inside"), "surface": ("off", "off of", "off")}


def where_from(s: Speaker) -> Located:
    """Draw where the object to pick is now: words and the fields source and relation."""
    there = s.there()
    if there is not None and s.chance(0.25):
        return "from there", {"source": there}
    if s.chance(0.4):
        place, value = s.place()
        return f"{s.pick('from', 'from', 'from', 'from', 'over from')} {place}", {"source": value}
    words, fields = s.location(relations=0.45)
    if words in ("upstairs", "downstairs", "outside"):
        return f"from {words}", {"source": words}
    lying = "" if words.startswith(("right", "left")) else s.pick(*_LYING)
    source = {("source" if field == "target" else field): value for field, value in fields.items()}
    return (f"from {words}" if "relation" in fields and s.chance(0.1) else lying + words), source


def _out_of(s: Speaker) -> Located:
    kind = s.pick("container", "surface")
    place, source = s.place(kind=kind)
    return f"{s.pick(*_OUT_OF[kind])} {place}", {"source": source}


def _take(s: Speaker, item: str) -> None:
    s.holding = item
    s.picked.add(item)


def pick(s: Speaker) -> Clause:
    """Pick up an object."""
    words, item = s.thing() if s.holding else s.object(portable=True)
    if words not in PRONOUNS and s.chance(0.05):
        other_words, other = s.thing()
        s.last_object = None
        verb = s.pick("pick up", "grab", "take", "get", "collect")
        text = f"{verb} {words} {s.pick('and', 'and', 'and also')} {other_words}"
        return text, [make_action("pick", object=item), make_action("pick", object=other)]
    _take(s, item)
    return write(s, _PICK_IT if words in PRONOUNS else _PICK, x=words), [make_action("pick", object=item)]


def pick_from(s: Speaker) -> Clause:
    """Pick up an object from where it is."""
    words, item = s.thing() if s.holding else s.object(portable=True)
    _take(s, item)
    if s.chance(0.25) or words in PRONOUNS:
        place, source = _out_of(s)
        phrasings = _TAKE_FROM
    else:
        place, source = where_from(s)
        phrasings = _PICK_FROM
    if place.startswith(("from", "out of", "off")) and words not in PRONOUNS and s.chance(0.06):
        return f"{place} {s.pick('take', 'grab', 'get', 'pick up')} {words}", [
            make_action("pick", object=item, **source)
        ]
    return write(s, phrasings, x=words, y=place), [make_action("pick", object=item, **source)]


def _goal(s: Speaker) -> tuple[str, dict[str, str], str]:
    """Draw where to put something: words with preposition, fields, kind of place."""
    if s.chance(0.04):
        words, target = s.charger()
        return f"{s.pick('on', 'on', 'onto', 'at')} {words}", {"target": target}, "spot"
    if s.chance(0.3):
        words, fields = s.related_place()
        return words, fields, "related"
    kind = s.pick("surface", "surface", "container", "container", "room", "spot")
    place, target = s.place(kind=kind)
    preposition = {
        "surface": s.pick("on", "on", "on", "on", "onto", "on top of"),
        "container": s.pick("in", "in", "into", "into", "inside"),
        "room": s.pick("in", "in", "into"),
        "spot": s.pick("at", "at", "on"),
    }[kind]
    return f"{preposition} {place}", {"target": target}, kind


def place(s: Speaker) -> Clause:
    """Put an object somewhere."""
    words, item = s.held_object()
    if words not in PRONOUNS and s.holding is None and s.chance(0.05):
        words = f"{words} {where_from(s)[0]}"
    s.holding = None
    there = s.there()
    if there is not None and s.chance(0.3):
        verb = s.pick("put", "put", "leave", "drop", "place", "set")
        return f"{verb} {words} {s.pick('there', 'there', 'down there', 'over there')}", [
            make_action("place", object=item, target=there)
        ]
    goal, fields, kind = _goal(s)
    phrasings = _PLACE
    if kind == "surface" and s.chance(0.2):
        phrasings = _PLACE_ON
    elif kind == "container" and s.chance(0.35):
        phrasings = _PLACE_IN
    s.last_place = fields["target"]
    return write(s, phrasings, x=words, y=goal), [make_action("place", object=item, **fields)]


def _carried(s: Speaker, nouns: tuple[str, ...] = ()) -> tuple[str, str, list[Action]]:
    """Draw what is transported, with its pick action unless it was picked already."""
    words, item = s.held_object(nouns)
    if item in s.picked and item != s.holding:
        words, item = s.thing(nouns)
    source: dict[str, str] = {}
    if item != s.holding and words not in PRONOUNS and s.chance(0.2):
        where, source = where_from(s)
        words = f"{words} {where}"
    actions = [] if item == s.holding else [make_action("pick", object=item, **source)]
    s.picked.add(item)
    s.holding = None
    return words, item, actions


def carry(s: Speaker) -> Clause:
    """Transport an object to a place."""
    words, item, actions = _carried(s)
    there = s.there()
    if there is not None and s.chance(0.25):
        return f"{s.pick('bring', 'take', 'carry', 'move')} {words} there", [
            *actions, make_action("place", object=item, target=there),
        ]  # fmt: skip
    if s.chance(0.12):
        goal, fields = s.related_place()
        goal = goal.replace("on the ", "to the ", 1) if goal.startswith("on the ") else goal
        text = f"move {words} {goal}"  # "bring it left of the tap" might say where it is
        return text, [*actions, make_action("place", object=item, **fields)]
    goal, target = s.destination()
    if s.chance(0.07):
        words_of_charger, target = s.charger()
        goal = f"to {words_of_charger}"
    phrasings = _CARRY_UP_TO if goal.startswith("to ") and s.chance(0.1) else _CARRY
    s.last_place = target
    text = write(s, phrasings, x=words, y=goal).replace(" over over ", " over ")
    return text, [*actions, make_action("place", object=item, target=target)]


def bring(s: Speaker) -> Clause:
    """Transport an object to a person."""
    words, item, actions = _carried(s, WANTED if s.chance(0.3) else ())
    if s.chance(0.12):
        return write(s, _FETCH, x=words), [*actions, make_action("give", object=item, target="user")]
    person_words, person = s.person(user=0.6)
    phrasings = _BRING_TO_PERSON if words in PRONOUNS or s.chance(0.35) else _BRING_PERSON
    return write(s, phrasings, x=words, p=person_words), [*actions, make_action("give", object=item, target=person)]


def give(s: Speaker) -> Clause:
    """Hand an object to a person."""
    words, item = s.held_object()
    if words not in PRONOUNS and s.holding is None and s.chance(0.08):
        words = f"{words} {where_from(s)[0]}"
    s.holding = None
    if s.chance(0.07):
        text = s.pick(
            f"gimme {words}",
            f"hand {words} over",
            f"pass {words} over here",
            f"hand {words} here",
            f"pass {words} over",
        )
        return text, [make_action("give", object=item, target="user")]
    person_words, person = s.person(user=0.6)
    if words in PRONOUNS:
        phrasings = _GIVE_IT_TO_PERSON if s.chance(0.85) else _GIVE_PERSON
    else:
        phrasings = _GIVE_TO_PERSON if s.chance(0.4) else _GIVE_PERSON
    return write(s, phrasings, x=words, p=person_words), [make_action("give", object=item, target=person)]


def release(s: Speaker) -> Clause:
    """Let go of an object."""
    words, item = s.held_object()
    s.holding = None
    return write(s, _RELEASE_IT if words in PRONOUNS else _RELEASE, x=words), [make_action("release", object=item)]


ORDERS: dict[ClauseWriter, int] = {pick: 6, pick_from: 3, place: 7, carry: 5, bring: 6, give: 4, release: 4}
