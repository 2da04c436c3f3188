"""Reports about the robot itself, its driving speed and its gripper."""

from __future__ import annotations

from bonsai_edge_train.robot_commands.actions import make_action
from bonsai_edge_train.robot_commands.clauses.report_phrasings import REPORT_ORDERS, REPORT_QUESTIONS, REPORT_WORDS
from bonsai_edge_train.robot_commands.clauses.templates import Templates, templates, write
from bonsai_edge_train.robot_commands.clauses.types import Clause, ClauseWriter
from bonsai_edge_train.robot_commands.speaker import Speaker

_TOPICS = (*["battery"] * 6, *["status"] * 5, *["position"] * 4, *["holding"] * 4, *["task"] * 4,
           *["temperature"] * 3, *["speed"] * 3)  # fmt: skip

_SLOWER = templates(
    "8* slow down; 3* slower; 3* go slower; 2* drive slower; 2* move slower; drive more slowly; go more slowly;"
    "move more slowly; 2* not so fast; slow down a bit; slow down a little; a bit slower; a little slower;"
    "reduce your speed; reduce the speed; reduce speed; lower your speed; decrease your speed; decrease the speed;"
    "slow it down; drive a bit slower; go a little slower; decelerate; cut your speed; be slower; slow your pace;"
    "bring your speed down; turn down your speed; turn your speed down; take it slower; roll slower;"
    "ease off the gas; drop your speed; walk slower; travel slower; get slower; make it slower; dial down the speed;"
    "go less fast"
)
_FASTER = templates(
    "5* faster; 5* speed up; 4* hurry up; 3* go faster; 2* drive faster; 2* move faster; hurry; a bit faster;"
    "a little faster; drive more quickly; move more quickly; go more quickly; quicker; be quicker; be faster;"
    "go a bit faster; speed up a bit; speed up a little; speed it up; pick up the pace; pick up speed; step on it;"
    "increase your speed; increase the speed; increase speed; raise your speed; accelerate; get a move on;"
    "move it along; turn up your speed; turn your speed up; travel faster; go quicker; roll faster; walk faster;"
    "bump up the speed; crank up the speed; make it faster; drive a little faster; put the pedal to the metal;"
    "hurry it up"
)
_FULL = templates(
    "4* full speed; 3* maximum speed; 2* max speed; 2* top speed; your maximum speed; your top speed;"
    "your full speed; the maximum speed; the highest speed"
)
_AT_FRACTION = templates(
    "3* go at {speed}; 3* drive at {speed}; 2* move at {speed}; run at {speed}; travel at {speed}; 2* {speed};"
    "switch to {speed}; change to {speed}; go to {speed}; use {speed}; continue at {speed}; drive with {speed};"
    "set your speed to {speed}; go {speed}"
)
_TO_VALUE = templates(
    "5* set your speed to {value}; 3* set the speed to {value}; 2* set speed to {value}; speed {value};"
    "2* drive at {value}; 2* go at {value}; 2* move at {value}; change your speed to {value};"
    "change speed to {value}; limit your speed to {value}; reduce your speed to {value}; reduce speed to {value};"
    "lower your speed to {value}; increase your speed to {value}; increase speed to {value};"
    "raise your speed to {value}; slow down to {value}; speed up to {value}; travel at {value};"
    "adjust your speed to {value}; bring your speed to {value}; drop your speed to {value};"
    "cap your speed at {value}; keep your speed at {value}; run at {value}; speed to {value};"
    "put your speed at {value}; cruise at {value}; keep it at {value} speed; make your speed {value}"
)
_SCALE_WORDS = (
    ("half", 50),
    ("half", 50),
    ("a quarter", 25),
    ("maximum", 100),
    ("max", 100),
    ("full", 100),
    ("half speed", 50),
)
_AT_PERCENT = templates(
    "3* drive at {value} speed; 2* go at {value} speed; move at {value} speed; {value} speed;"
    "drive with {value} speed; run at {value} of your speed; use {value} of your speed;"
    "drive at {value} of your maximum speed; go at {value} of full speed; go {value} speed; set the speed at {value};"
    "run at {value} speed"
)

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

_HANDS = templates("8* gripper; 7* hand; 3* claw; 3* fingers")
_OPEN_HAND = templates(
    "8* open {hand}; open up {hand}; 2* open {hand} fully; open {hand} all the way; fully open {hand};"
    "open {hand} completely; open {hand} wide; spread {hand}; open {hand} a bit; open {hand} a little;"
    "get {hand} open; open {hand} up; set {hand} to open"
)
_CLOSE_HAND = templates(
    "8* close {hand}; 2* shut {hand}; 2* close {hand} fully; close {hand} all the way; fully close {hand};"
    "close {hand} completely; close up {hand}; clench {hand}; close {hand} a bit; close {hand} a little;"
    "get {hand} closed; set {hand} to closed; close {hand} up"
)
_HAND_PERCENT = templates(
    "5* open {hand} to {value}; 4* open {hand} {value}; 4* set {hand} to {value}; 3* close {hand} to {value};"
    "open {hand} up to {value}; move {hand} to {value}; open {hand} by {value}; set {hand} opening to {value};"
    "put {hand} at {value}; adjust {hand} to {value}; set {hand} to {value} open; open {hand} about {value}"
)
_HAND_HALFWAY = templates(
    "3* open {hand} halfway; 3* close {hand} halfway; open {hand} half way; close {hand} half way; half open {hand};"
    "half close {hand}; open {hand} half; close {hand} half; set {hand} to half; set {hand} to halfway open"
)
_FORCE = templates(
    "3* grip with {value} force; 2* grip with {value} of your force; 2* grip at {value} force; use {value} force;"
    "2* set the grip force to {value}; 2* set your grip force to {value}; set the gripping force to {value};"
    "set the gripper force to {value}; squeeze with {value} force; hold it with {value} force;"
    "grip with {value} strength; grasp with {value} force; set your grip strength to {value};"
    "clamp with {value} force; use {value} grip force; close your hand with {value} force;"
    "close the gripper with {value} force; apply {value} force; grip force {value}; limit the grip force to {value};"
    "reduce your grip force to {value}; increase the grip force to {value}; change the gripping force to {value};"
    "grip it at {value} force; squeeze at {value}; grip with a force of {value}"
)


def _topic(s: Speaker, phrasings: dict[str, Templates]) -> Clause:
    topic = s.rng.choice(_TOPICS)
    return s.rng.choice(phrasings[topic]), [make_action("report", topic=topic)]


def report(s: Speaker) -> Clause:
    """Report about the robot, as an order."""
    return _topic(s, REPORT_ORDERS)


def report_question(s: Speaker) -> Clause:
    """Report about the robot, asked as a question."""
    return _topic(s, REPORT_QUESTIONS)


def report_words(s: Speaker) -> Clause:
    """Report about the robot, in a word or two."""
    return _topic(s, REPORT_WORDS)


def change_speed(s: Speaker) -> Clause:
    """Become slower or faster."""
    change, phrasings = s.rng.choice((("slower", _SLOWER), ("faster", _FASTER)))
    return s.rng.choice(phrasings), [make_action("speed", change=change)]


def set_speed(s: Speaker) -> Clause:
    """Set the speed to a share of the maximum or to meters per second."""
    draw = s.rng.random()
    if draw < 0.1:
        value, percent = s.rng.choice(_SCALE_WORDS)
        return write(s, _TO_VALUE, value=value), [make_action("speed", percent=percent)]
    if draw < 0.3:
        speed, percent = s.rng.choice(
            (("half speed", 50), ("half speed", 50), ("quarter speed", 25), ("a quarter of your speed", 25),
             ("half of your speed", 50), ("half your speed", 50), (s.rng.choice(_FULL), 100),
             (s.rng.choice(_FULL), 100))
        )  # fmt: skip
        return write(s, _AT_FRACTION, speed=speed), [make_action("speed", percent=percent)]
    if draw < 0.65:
        value, percent = s.percent()
        return write(s, s.rng.choice((_TO_VALUE, _AT_PERCENT)), value=value), [make_action("speed", percent=percent)]
    value, speed_mps = _meters_per_second(s)
    return write(s, _TO_VALUE, value=value), [make_action("speed", speed_mps=speed_mps)]


def _meters_per_second(s: Speaker) -> tuple[str, int | float]:
    unit = s.pick("meters per second", "meters per second", "metres per second", "m/s", "meters a second", "mps")
    draw = s.rng.random()
    if draw < 0.15:
        return s.pick("half a meter per second", "half a metre per second", "half a meter a second"), 0.5
    if draw < 0.3:
        return s.pick(
            "one meter per second", "1 meter per second", "a meter per second", "1 m/s", "1 metre per second"
        ), 1
    if draw < 0.45:
        words, value = s.number(range(2, 6))
        return f"{words} {unit}", value
    tenths = s.rng.choice([value for value in range(1, 30) if value % 10])
    if s.chance(0.15):
        hundredths = s.rng.choice((5, 15, 25, 35, 45, 75))
        return f"0.{hundredths:02d} {unit}", hundredths / 100
    whole, tenth = divmod(tenths, 10)
    if s.chance(0.35):
        return f"{s.pick('zero ', '') if not whole else _DIGITS[whole] + ' '}point {_DIGITS[tenth]} {unit}", tenths / 10
    return f"{whole}.{tenth} {unit}", tenths / 10


def _hand(s: Speaker) -> str:
    return s.pick("your ", "your ", "your ", "the ", "the ") + s.rng.choice(_HANDS)


def gripper_state(s: Speaker) -> Clause:
    """Open or close the robot's hand."""
    state, phrasings = s.rng.choice((("open", _OPEN_HAND), ("closed", _CLOSE_HAND)))
    return write(s, phrasings, hand=_hand(s)), [make_action("gripper", state=state)]


def gripper_percent(s: Speaker) -> Clause:
    """Open or close the robot's hand partly."""
    if s.chance(0.4):
        return write(s, _HAND_HALFWAY, hand=_hand(s)), [make_action("gripper", percent=50)]
    value, percent = s.percent()
    return write(s, _HAND_PERCENT, hand=_hand(s), value=value), [make_action("gripper", percent=percent)]


def gripper_force(s: Speaker) -> Clause:
    """Set the force of the robot's hand."""
    if s.chance(0.15):
        words, percent = s.rng.choice((("half", 50), ("full", 100), ("maximum", 100), ("a quarter of your", 25)))
        return f"{s.pick('grip', 'squeeze', 'grasp')} {s.pick('with', 'at')} {words} force", [
            make_action("gripper", force_percent=percent)
        ]
    value, percent = s.percent()
    return write(s, _FORCE, value=value), [make_action("gripper", force_percent=percent)]


def gripper_words(s: Speaker) -> Clause:
    """Open or close the robot's hand, without a verb."""
    hand = s.pick("gripper", "gripper", "hand", "claw")
    if s.chance(0.2):
        value, percent = s.percent()
        return f"{hand} {s.pick('to ', 'at ', '')}{value}", [make_action("gripper", percent=percent)]
    words, state = s.rng.choice((("open", "open"), ("closed", "closed"), ("close", "closed")))
    return f"{hand} {words}", [make_action("gripper", state=state)]


ORDERS: dict[ClauseWriter, int] = {
    report: 2, change_speed: 3, set_speed: 2, gripper_state: 2, gripper_percent: 1, gripper_force: 1,
}  # fmt: skip
QUESTIONS: dict[ClauseWriter, int] = {report_question: 4}
STATEMENTS: dict[ClauseWriter, int] = {report_words: 3, gripper_words: 1}
