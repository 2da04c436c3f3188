"""Commands outside the schema, for which the only honest answer is "unknown command"."""

from __future__ import annotations

from bonsai_edge_train import lexicon
from bonsai_edge_train.lexicon import words
from bonsai_edge_train.speaker import Speaker

_TOPICS = words(
    "capital of France, weather in Berlin, meaning of life, speed of light, population of China, price of gold, "
    "square root of nine, boiling point of water, name of the president, height of the tower, news today, distance to "
    "the moon, time in Tokyo, color of the sky, age of the universe, longest river, best movie, score of the game, "
    "largest planet, answer, stock market, first law of robotics, area of a circle"
)
_WRITINGS = words("poem, story, song, letter, email, essay, joke, recipe, program, report, haiku, speech")
_SUBJECTS = words("love, cats, the sea, robots, winter, my grandmother, space, the future, rain, freedom, dogs")
_LANGUAGES = words("French, German, Spanish, Japanese, Chinese, Italian, Latin, Russian")
_VERBS = words(
    "paint, cook, eat, burn, break, sell, buy, weigh, fold, iron, steal, hide, repair, fix, build, destroy, kill, "
    "smash, boil, fry, bake, cut, slice, peel, measure, assemble, wrap, decorate, water, feed, draw, print, copy, "
    "download, kick, hit, attack, explode, kiss, marry, teach, count, sort, glue, weld, hack, rent, order, love, "
    "hate, forget, remember, imagine, explain, compare, calculate, translate, juggle, lick, drink, taste, smell, "
    "shoot"
)
_CHAT = words(
    "how are you, who are you, what is your name, tell me a joke, hello, hi there, thank you, thanks a lot, good "
    "morning, I love you, I am tired, are you a robot, where are you, where am I, do you like music, sing a song, "
    "dance, play some music, what time is it, how old are you, what can you do, who made you, are you happy, let's "
    "play a game, good job, never mind, yes, no, maybe, okay, I am hungry, it is raining, nice weather today, do you "
    "speak German, see you later, goodbye, can you think, do you dream, help, what is love, shut up, you are stupid, "
    "well done, I don't know, sorry, order a pizza, call my mother, book a flight, set an alarm for seven, remind me "
    "to drink water, buy some milk, send an email, fly to the moon, jump, swim across the river, run a marathon, do a "
    "backflip, play chess with me, delete all files, shut down the computer, connect to the internet, update the "
    "software, make me a sandwich, cook dinner, do my homework, read me a story, babysit the kids, win the lottery, "
    "climb the mountain"
)


def _question(s: Speaker) -> str:
    topic = s.rng.choice(_TOPICS)
    subject = s.rng.choice(_SUBJECTS)
    noun = s.noun_phrase()
    return s.pick(
        f"what is the {topic}", f"what's the {topic}", f"tell me the {topic}", f"do you know the {topic}",
        f"who invented the {noun}", f"why is the {noun} so {s.rng.choice(lexicon.SIZES)}",
        f"what do you think about {subject}",
        f"how does a {noun} work", f"explain {subject} to me", f"when was the {noun} invented", f"how much is a {noun}",
        f"who is {s.rng.choice(lexicon.NAMES)}", f"how many {noun}s are there", f"why do people like {subject}",
        f"is a {noun} better than a {s.noun_phrase()}", f"what does {s.rng.choice(lexicon.COMMON_WORDS)} mean",
    )  # fmt: skip


def _office_task(s: Speaker) -> str:
    subject = s.rng.choice(_SUBJECTS)
    a, b = s.rng.randint(1, 99), s.rng.randint(1, 99)
    return s.pick(
        f"write a {s.rng.choice(_WRITINGS)} about {subject}", f"write me a {s.rng.choice(_WRITINGS)}",
        f"translate {s.rng.choice(lexicon.COMMON_WORDS)} into {s.rng.choice(_LANGUAGES)}",
        f"summarize the {s.noun_phrase()}",
        f"what is {a} {s.pick('plus', 'times', 'minus', '+', '*')} {b}",
        f"calculate {a} {s.pick('+', '-', '*', 'plus')} {b}",
        f"send a message to {s.rng.choice(lexicon.NAMES)}", f"call {s.rng.choice(lexicon.NAMES)}",
        f"remind me to {s.rng.choice(_VERBS)} the {s.noun_phrase()}", f"order a new {s.noun_phrase()}",
        f"set the temperature to {a} degrees", f"set a timer for {b} minutes",
        f"play {s.rng.choice(lexicon.COMMON_WORDS)} music",
    )  # fmt: skip


def _unsupported_verb(s: Speaker) -> str:
    verb = s.invented_word() if s.chance(0.3) else s.rng.choice(_VERBS)
    target = s.object()[0] if s.chance(0.7) else s.place()[0]
    if s.chance(0.2):
        return f"{verb} {target} {s.pick('in', 'with', 'on', 'for')} {s.determiner()}{s.noun_phrase()}"
    return f"{verb} {target}"


def _statement(s: Speaker) -> str:
    noun = s.determiner() + s.noun_phrase()
    state = s.rng.choice(lexicon.COLOURS + lexicon.SIZES + lexicon.QUALITIES)
    place = s.place()[0]
    return s.pick(
        f"{noun} is {state}", f"{noun} is on {place}", f"{place} is {state}", f"I like {noun}", f"I see {noun}",
        f"there is {noun} in {place}", f"I am in {place}", f"I lost {noun} yesterday", f"this is {noun}",
    )  # fmt: skip


def _negation(s: Speaker) -> str:
    action = s.pick("pick up", "open", "close", "touch", "push", "bring", "look at", "follow", "drop", "take")
    target = s.object()[0]
    if s.chance(0.3):
        action, target = s.pick("go to", "drive to", "enter"), s.place()[0]
    negation = s.pick("do not", "don't", "never")
    return f"{negation} {action} {target}"


def _fragment(s: Speaker) -> str:
    draw = s.rng.random()
    if draw < 0.3:
        return s.noun_phrase()
    if draw < 0.5:
        return s.place()[0]
    if draw < 0.8:
        return " ".join(s.invented_word() for _ in range(s.rng.randint(1, 5)))
    if draw < 0.9:
        return " ".join(s.rng.choice(lexicon.COMMON_WORDS) for _ in range(s.rng.randint(1, 6)))
    return "".join(s.rng.choice("abcdefghijklmnopqrstuvwxyz0123456789?!.#") for _ in range(s.rng.randint(1, 14)))


def write_unknown_command(s: Speaker) -> str:
    """Draw a command that the robot cannot carry out."""
    writers = (_question, _office_task, _unsupported_verb, _unsupported_verb, _statement, _negation, _fragment)
    if s.chance(0.2):
        return s.rng.choice(_CHAT)
    return s.rng.choice(writers)(s)
