"""Going somewhere, docking and following; the table of all motion."""

from __future__ import annotations

from bonsai_edge_train.robot_commands.actions import make_action
from bonsai_edge_train.robot_commands.clauses.moving import move, move_words, route
from bonsai_edge_train.robot_commands.clauses.templates import templates, write
from bonsai_edge_train.robot_commands.clauses.turning import turn, turn_to_place, turn_words
from bonsai_edge_train.robot_commands.clauses.types import Clause, ClauseWriter
from bonsai_edge_train.robot_commands.clauses.waiting import stop, wait, wait_words
from bonsai_edge_train.robot_commands.speaker import Speaker

# {to}: a place with its preposition of travel.
_GO_TO = templates(
    "12* go {to}; 5* drive {to}; 4* move {to}; 4* head {to}; 2* navigate {to}; 2* go back {to}; 2* come {to};"
    "2* walk {to}; 2* return {to}; roll {to}; travel {to}; proceed {to}; run {to}; make your way {to};"
    "get yourself {to}; take yourself {to}; bring yourself {to}; drive back {to}; head back {to}; hurry {to};"
    "come back {to}; get {to}; rush {to}; ride {to}; step {to}; wander {to}; cruise {to}; go straight {to};"
    "go directly {to}; drive all the way {to}; move yourself {to}; find your way {to}; set off {to}; go out {to};"
    "go quickly {to}; drive yourself {to}; march {to}; zip {to}; scoot {to}; trot {to}; go on {to}; race {to};"
    "pop {to}; get back {to}; go down {to}; go up {to}; go along {to}; go ahead {to}; go ahead and drive {to}"
)
# {place}: a place without preposition; a room for those that go inside.
_GO_PLACE = templates(
    "5* go to {place}; 4* visit {place}; 4* approach {place}; drive up to {place}; park at {place};"
    "meet me at {place}; set course for {place}; make for {place}; head for {place}; head towards {place};"
    "go towards {place}; drive toward {place}; take a trip to {place}; position yourself at {place};"
    "go stand at {place}; station yourself at {place}; be at {place}; walk up to {place}; park yourself at {place};"
    "run over to {place}; relocate to {place}; go up to {place}; come over to {place}; swing over to {place};"
    "move towards {place}; check in at {place}; pull up at {place}"
)
_GO_INTO = templates(
    "5* enter {place}; 3* go into {place}; 2* go inside {place}; 2* drive into {place}; roll into {place};"
    "go in {place}; park in {place}; meet me in {place}; go stand in {place}; come into {place}; get into {place};"
    "get in {place}; walk into {place}; move into {place}; step into {place}; go on into {place}; head into {place};"
    "come in {place}; be in {place}; go back into {place}"
)
_GO_NEAR = templates(
    "5* go {there}; 3* drive {there}; 2* move {there}; 3* park {there}; 3* stand {there};"
    "2* position yourself {there}; go and stand {there}; come {there}; go stand {there}; get {there}; walk {there};"
    "park yourself {there}; place yourself {there}; roll {there}; head {there}; station yourself {there};"
    "line up {there}; drive and park {there}; put yourself {there}; go park {there}; move yourself {there};"
    "come and stand {there}; step {there}"
)
_COME = templates(
    "8* come here; 4* come to me; 3* come over here; 2* come over; 2* come back; 2* come back here;"
    "2* come back to me; return to me; drive to me; get over here; roll over to me; move to me; come on over;"
    "drive over here; go to me; come over to me; come right here; come right over; get back here; drive over to me;"
    "come towards me; come toward me; roll over here; come straight to me; get yourself over here; come;"
    "head over here; move over here; walk over to me; make your way over here; drive back to me; come on over here;"
    "come see me; head back to me; return here; approach me; make your way to me; find your way to me;"
    "come along here; hurry over here; walk to me"
)
_ABSTRACT = templates("6* home; 3* upstairs; 3* downstairs; 3* outside; 2* inside; 2* next door")
_GO_ABSTRACT = templates(
    "6* go {where}; 2* drive {where}; 2* head {where}; come {where}; move {where}; go back {where}; return {where};"
    "drive back {where}; head back {where}; go on {where}; run {where}; go right {where}; walk {where}; step {where}"
)
_GO_THERE = templates(
    "4* go there; 2* drive there; go over there; drive over there; head there; go back there; move there;"
    "head over there; drive back there; return there; roll over there; come back there; make your way there;"
    "get over there"
)
_GO_PERSON = templates(
    "3* go to {person}; 2* visit {person}; 2* go see {person}; drive to {person}; go over to {person};"
    "approach {person}; head over to {person}; move to {person}; walk up to {person}; go and see {person};"
    "roll over to {person}; go back to {person}; return to {person}; run to {person}; drive up to {person};"
    "join {person}; come to {person}"
)
_NEEDED = templates(
    "2* i need you {at}; i want you {at}; we need you {at}; you are needed {at}; you're needed {at};"
    "i'd like you {at}; your place is {at}; they need you {at}; you should go {to}; you have to go {to};"
    "you can go {to}; you need to go {to}; you must drive {to}; {to}; off {to}; let's go {to}; off you go {to};"
    "time to go {to}; now {to}; it's time to go {to}; next stop {place}; your destination is {place};"
    "you may return {to}; destination {place}; back {to}; straight {to}; you'll have to go {to};"
    "i'd like you to be {at}; you can drive {to}; next destination {place}; you better go {to}"
)
_COME_NEEDED = templates(
    "2* i need you here; i need you over here; i want you here; over here; to me; here; back to me;"
    "i'd like you here; you should come here; i want you over here; i need you by my side; we need you here;"
    "back here; right here to me"
)

_DOCK = templates(
    "5* dock; 5* go charge; 4* go and charge; 4* charge yourself; 3* recharge; 3* go to the charging station;"
    "3* return to your dock; 2* go to your dock; 2* go back to your dock; 2* go to the charger;"
    "2* go to your charger; drive to the charging station; drive to your charger; drive to the charger;"
    "drive to the dock; go to the dock; return to the dock; return to the charging station; return to the charger;"
    "go back to the charger; charge; go back to the charging station; go to your charging station;"
    "return to your charging station; charge up; go to the charging dock; return to the charging dock;"
    "go to your charging dock; drive to the charging dock; go to the docking station; return to the docking station;"
    "drive to your docking station; dock yourself; head to the charger; head to your dock;"
    "head to the charging station; move to the charging station; start charging; go recharge; go and recharge;"
    "recharge yourself; recharge your battery; recharge your batteries; charge your battery; charge your batteries;"
    "go charge yourself; go charge your battery; go and charge yourself; go plug yourself in; plug yourself in;"
    "plug in; get some charge; get charged; get yourself charged; go get charged; go get some power;"
    "top up your battery; go and get charged; go on the charger; get on the charger; drive onto the charger;"
    "park on the charging station; park in your dock; park at the charger; park yourself at the charger;"
    "power up at the dock; navigate to the charging station; navigate to the dock; dock at the charging station;"
    "dock with the charger; go into your dock; go dock; go and dock; begin charging; roll back to your dock;"
    "roll onto your charger; come back to your dock; connect to the charger; hook yourself up to the charger;"
    "go get recharged; juice up; fill up your battery; refill your battery; head back to the charger;"
    "head back to your dock; walk to the charger; make your way to the charger; visit the charging station;"
    "proceed to the charging station; move to your dock"
)
_DOCK_WORDS = templates(
    "you need to charge; you should charge; you should go charge; time to charge; it's time to charge;"
    "to the charger; to your dock; back to your dock; you have to charge; charging station please;"
    "you need a recharge; back to the charger; time to recharge; you can go charge; you need to go to your dock;"
    "you should recharge; charging time; off to your dock; to the charging station; i want you to charge;"
    "you can go back to your dock; you should be charging; time to dock"
)

_FOLLOW = templates(
    "20* follow {who}; 3* come with {who}; 2* accompany {who}; 2* go after {who}; walk behind {who}; go with {who};"
    "follow after {who}; drive after {who}; drive behind {who}; come along with {who}; stay behind {who} and follow;"
    "follow along with {who}; follow right behind {who}; keep following {who}; start following {who};"
    "walk with {who}; run after {who}; tail {who}; trail {who}; chase {who}; follow closely behind {who};"
    "keep up with {who}; stick with {who}; follow behind {who}; tag along with {who}; track {who}; shadow {who};"
    "go along with {who}"
)


def go(s: Speaker) -> Clause:
    """Travel to a place."""
    draw = s.rng.random()
    if draw < 0.06:
        where = s.rng.choice(_ABSTRACT)
        s.last_place = where
        return write(s, _GO_ABSTRACT, where=where), [make_action("go", target=where)]
    there = s.there()
    if there is not None and draw < 0.25:
        return s.rng.choice(_GO_THERE), [make_action("go", target=there)]
    if draw < 0.75:
        words, target = s.destination()
        text = write(s, _GO_TO, to=words)
    else:
        inside = s.chance(0.4)
        words, target = s.place(rooms_only=inside)
        text = write(s, _GO_INTO if inside else _GO_PLACE, place=words)
    s.last_place = target
    return text, [make_action("go", target=target)]


def go_near(s: Speaker) -> Clause:
    """Travel to where a place or person is next to, behind or so on."""
    if s.chance(0.2):
        relation_words, relation = s.relation()
        words, target = s.person()
        fields = {"relation": relation, "target": target}
        there = f"{relation_words} {words}"
    else:
        there, fields = s.related_place()
    return write(s, _GO_NEAR, there=there), [make_action("go", **fields)]


def come(s: Speaker) -> Clause:
    """Travel to the speaker or somebody else."""
    if s.chance(0.3):
        words, person = s.other_person()
        return write(s, _GO_PERSON, person=words), [make_action("go", target=person)]
    return s.rng.choice(_COME), [make_action("go", target="user")]


def needed_somewhere(s: Speaker) -> Clause:
    """Travel, said without an imperative."""
    if s.chance(0.25):
        return s.rng.choice(_COME_NEEDED), [make_action("go", target="user")]
    in_room = s.chance(0.6)
    place, target = s.place(kind="room" if in_room else "spot")
    at = f"{s.pick('in', 'in', 'over in') if in_room else 'at'} {place}"
    to = f"{s.pick('to', 'to', 'to', 'over to')} {place}"
    return write(s, _NEEDED, at=at, to=to, place=place), [make_action("go", target=target)]


def dock(s: Speaker) -> Clause:
    """Charge."""
    return s.rng.choice(_DOCK), [make_action("dock")]


def dock_words(s: Speaker) -> Clause:
    """Charge, said without an imperative."""
    return s.rng.choice(_DOCK_WORDS), [make_action("dock")]


def follow(s: Speaker) -> Clause:
    """Follow a person or thing, perhaps to a place."""
    words, who = s.person() if s.chance(0.85) else s.object()
    text = write(s, _FOLLOW, who=words)
    if s.chance(0.35) and not text.endswith("follow"):
        place_words, target = s.destination()
        s.last_place = target
        return f"{text} {place_words}", [make_action("follow", object=who, target=target)]
    return text, [make_action("follow", object=who)]


ORDERS: dict[ClauseWriter, int] = {
    go: 7, go_near: 2, come: 2, dock: 4, follow: 5, move: 8, turn: 7, turn_to_place: 2, stop: 5, wait: 6,
}  # fmt: skip
STATEMENTS: dict[ClauseWriter, int] = {
    needed_somewhere: 3, dock_words: 1, move_words: 3, turn_words: 3, route: 3, wait_words: 1,
}  # fmt: skip
