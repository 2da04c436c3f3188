"""The command generator: seeded, valid, and apart from the held-out sets. Needs no PyTorch."""

import json
from collections import Counter
from itertools import islice
from random import Random

import pytest

from bonsai_edge_train.robot_commands.actions import CANNOT, NOTHING_TO_DO, make_action, parse_answer, render_answer
from bonsai_edge_train.robot_commands.corrections import replace_amount, write_correction
from bonsai_edge_train.robot_commands.disfluency import add_disfluency
from bonsai_edge_train.robot_commands.negation import can_be_negated, contrast, write_negation
from bonsai_edge_train.robot_commands.not_commands import write_not_command
from bonsai_edge_train.robot_commands.politeness import add_politeness
from bonsai_edge_train.robot_commands.sentences import CATEGORIES, generate_example
from bonsai_edge_train.robot_commands.sequences import Draft, draw_sequence
from bonsai_edge_train.robot_commands.speaker import Speaker
from bonsai_edge_train.robot_commands.splits import (
    DEMO_EXAMPLES,
    HELD_OUT_OBJECTS,
    HELD_OUT_PLACES,
    development_examples,
    held_out_examples,
    is_held_out_pair,
    is_new,
    load_hand_written,
    normalize,
    training_examples,
)
from bonsai_edge_train.robot_commands.styles import spoken, write_down
from bonsai_edge_train.robot_commands.typos import add_typos, misspell
from bonsai_edge_train.robot_commands.verbs import gerund

KITCHEN = make_action("go", target="kitchen")


def draw(seed, num_examples):
    rng = Random(seed)
    return [generate_example(rng) for _ in range(num_examples)]


@pytest.fixture(scope="module")
def examples():
    return draw(0, 3000)


@pytest.fixture(scope="module")
def answers(examples):
    """The actions of each example, None where the schema does not allow the answer."""
    return [parse_answer(example.answer) for example in examples]


def test_same_seed_gives_the_same_examples():
    assert draw(7, 200) == draw(7, 200)
    assert draw(7, 200) != draw(8, 200)


def test_every_generated_answer_follows_the_schema(examples, answers):
    invalid = [example for example, actions in zip(examples, answers, strict=True) if actions is None]
    assert invalid == []


def test_every_action_is_a_fair_part_of_the_examples(answers):
    counts = Counter(action["action"] for actions in answers for action in actions)
    assert len(counts) == 25
    assert min(counts.values()) > 0.01 * counts.total(), counts


@pytest.mark.parametrize(
    ("category", "low", "high"),
    [
        ("sequences", 0.2, 0.4),
        ("corrections", 0.04, 0.08),
        ("negation", 0.04, 0.08),
        ("typos and fillers", 0.08, 0.2),
        ("not commands", 0.12, 0.16),
        ("motion", 0.05, 0.2),
        ("manipulation", 0.05, 0.2),
        ("perception", 0.03, 0.15),
        ("speech and settings", 0.03, 0.15),
    ],
)
def test_categories_have_their_shares(examples, category, low, high):
    assert category in CATEGORIES
    assert low < sum(example.category == category for example in examples) / len(examples) < high


def test_only_answers_without_actions_have_a_reply(examples):
    for example in examples:
        answer = json.loads(example.answer)
        assert ("reply" in answer) == (answer["actions"] == [])


def test_sentences_without_meaning_for_the_robot_have_no_actions(examples):
    assert all('"actions":[]' in example.answer for example in examples if example.category == "not commands")


def test_words_of_an_answer_stand_in_the_command(examples, answers):
    for example, actions in zip(examples, answers, strict=True):
        if example.category in ("typos and fillers", "corrections", "negation"):
            continue
        for action in actions:
            text = action.get("text", "")
            assert text == "hello" or text in example.command or example.command.isupper(), example


def test_answers_are_compact_json_with_fields_in_canonical_order():
    actions = [
        make_action("place", target="charging dock", object="red cube"),
        make_action("move", distance_m=2, direction="forward"),
    ]
    assert render_answer(actions) == (
        '{"actions":[{"action":"place","object":"red cube","target":"charging dock"},'
        '{"action":"move","direction":"forward","distance_m":2}]}'
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"actions":[{"action":"fly"}]}',
        '{"actions":[{"action":"pick"}]}',
        '{"actions":[{"action":"stop","object":"cup"}]}',
        '{"actions":[{"action":"turn","angle_deg":"90"}]}',
        '{"actions":[{"action":"stop"}',
        '{"actions":[{"action":"stop"}],"reply":"OK."}',
        '{"actions":[],"error":"other"}',
    ],
)
def test_answers_outside_the_schema_are_invalid(text):
    assert parse_answer(text) is None


@pytest.mark.parametrize(
    ("clause", "doing"),
    [
        ("open the door", "opening the door"),
        ("take it", "taking it"),
        ("put it down", "putting it down"),
        ("stop", "stopping"),
        ("full speed", None),
    ],
)
def test_imperatives_become_gerunds(clause, doing):
    assert gerund(clause) == doing


def test_a_misspelled_word_keeps_almost_all_letters():
    rng = Random(1)
    for _ in range(200):
        typo = misspell("kitchen", rng)
        assert 6 <= len(typo) <= 8
        assert len(set("kitchen") & set(typo)) >= 6


def test_typos_spare_names_invented_words_and_what_is_said():
    action = make_action("say", text="please clean the kitchen", target="Brondak")
    for seed in range(100):
        draft = Draft("could you tell Brondak that please clean the kitchen", [action])
        add_typos(draft, Random(seed))
        assert draft.words.endswith("please clean the kitchen")
        assert "Brondak" in draft.words
        assert draft.actions == [action]


def test_typos_touch_everyday_nouns_but_not_their_label():
    drafts = [Draft("go to the kitchen", [KITCHEN]) for _ in range(50)]
    for seed, draft in enumerate(drafts):
        add_typos(draft, Random(seed))
    assert any("kitchen" not in draft.words for draft in drafts)
    assert all(draft.actions == [KITCHEN] for draft in drafts)


def test_fillers_never_come_between_words_to_be_said():
    for seed in range(100):
        draft = Draft("tell Anna that the bus is at the gate", [make_action("say", text="the bus is at the gate")])
        add_disfluency(Speaker(Random(seed)), draft)
        assert draft.words.endswith("the bus is at the gate")


def test_a_speech_recognizer_writes_neither_capitals_nor_punctuation():
    assert spoken("Robot, say 'Hi, Tom!' and drive 1.5 meters - at 30%.") == (
        "robot say hi tom and drive 1.5 meters at 30%"
    )


def test_answers_are_written_as_the_sentence_is():
    seen = set()
    for seed in range(300):
        draft = Draft("tell Anna that i am here", [make_action("say", text="i am here", target="Anna")])
        write_down(Speaker(Random(seed)), draft)
        action = draft.actions[0]
        seen.add(action["target"])
        if draft.words.isupper():
            assert (action["text"], action["target"]) == ("i am here", "anna")
        else:
            assert f"{action['target']} that {action['text']}" in draft.words
    assert seen == {"Anna", "anna"}


def test_another_amount_replaces_the_first():
    move = make_action("move", direction="forward", distance_m=2)
    words, changed = replace_amount(Speaker(Random(0)), move)
    assert words
    assert changed["direction"] == "forward"
    assert sum(field.startswith("distance_") for field in changed) == 1
    assert replace_amount(Speaker(Random(0)), KITCHEN) is None


def test_contrasts_name_the_wrong_thing_last():
    s = Speaker(Random(0))
    left = make_action("turn", direction="left")
    assert contrast(s, "turn left", left).rstrip("right").rstrip().endswith("not")
    assert contrast(s, "switch the fan off", make_action("switch", object="fan", state="off")).endswith("off, not on")
    assert contrast(s, "look around now", make_action("look")) is None


@pytest.mark.parametrize(("clause", "possible"), [("open the door", True), ("move", False), ("don't move", False)])
def test_not_to_move_is_no_negated_order(clause, possible):
    assert can_be_negated(clause) is possible


def test_do_not_move_is_an_order_to_stop_wherever_it_stands_alone():
    for example in draw(3, 20000):
        if normalize(example.command) in ("don t move", "do not move", "please don t move"):
            assert parse_answer(example.answer) == [make_action("stop")]


def test_corrections_and_negations_that_leave_nothing_say_so():
    for seed in range(300):
        for write in (write_correction, write_negation):
            draft = write(Speaker(Random(seed)))
            assert (draft.reply == NOTHING_TO_DO) == (draft.actions == [])


def test_greetings_and_thanks_have_their_own_replies():
    replies = Counter(write_not_command(Speaker(Random(seed))).reply for seed in range(2000))
    assert set(replies) == {"Hello!", "You're welcome.", CANNOT}
    assert replies[CANNOT] > 1600


def test_before_reverses_the_order_of_actions():
    verbs = {"before you follow ": "follow", "before you inspect ": "inspect", "before you pick up ": "pick"}
    drafts = [draw_sequence(Speaker(Random(seed)), 2) for seed in range(12000)]
    found = [(draft, name) for draft in drafts for words, name in verbs.items() if draft.words.startswith(words)]
    assert found
    assert all(draft.actions[-1]["action"] == name for draft, name in found)


def test_sequences_keep_to_the_largest_number_of_actions():
    assert max(len(draw_sequence(Speaker(Random(seed)), 4).actions) for seed in range(2000)) <= 8


def test_politeness_leaves_the_actions_alone():
    requests = set()
    for seed in range(300):
        draft = Draft("go to the kitchen", [KITCHEN])
        add_politeness(Speaker(Random(seed)), draft)
        assert draft.actions == [KITCHEN]
        requests.add(draft.words)
    assert len(requests) > 30


def test_held_out_examples_are_the_same_on_every_call_valid_and_partly_new_in_kind():
    held_out = held_out_examples(300)
    assert held_out == held_out_examples(300)
    assert len({normalize(example.command) for example in held_out}) == 300
    assert all(parse_answer(example.answer) is not None for example in held_out)
    assert sum(map(is_new, held_out)) == 90


def test_training_sees_nothing_held_out_and_nothing_written_by_hand():
    hand_written = [*load_hand_written(), *load_hand_written("hand_written_development"), *DEMO_EXAMPLES]
    forbidden = {normalize(example.command) for example in (*held_out_examples(), *hand_written)} - {"stop"}
    for example in islice(training_examples(0), 5000):
        command = normalize(example.command)
        assert command not in forbidden
        assert not any(map(is_held_out_pair, example.pairs))
        assert not is_new(example)


def test_development_examples_are_not_held_out():
    held_out = {normalize(example.command) for example in held_out_examples()}
    assert held_out.isdisjoint(normalize(example.command) for example in development_examples(200))


def test_held_out_nouns_are_as_many_as_documented():
    assert (len(HELD_OUT_OBJECTS), len(HELD_OUT_PLACES)) == (40, 15)


def test_hand_written_labels_follow_the_schema():
    for example in (*load_hand_written(), *load_hand_written("hand_written_development"), *DEMO_EXAMPLES):
        assert parse_answer(example.answer) is not None, example
        assert example.category in CATEGORIES


def test_training_knows_the_one_word_that_a_robot_must_understand():
    assert any(example.command.lower() == "stop" for example in islice(training_examples(0), 5000))


def test_normalizing_removes_capitals_and_punctuation_only():
    assert normalize("Turn left 90 degrees, NOW!") == "turn left 90 degrees now"
