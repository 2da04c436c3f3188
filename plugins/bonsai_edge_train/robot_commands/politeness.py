"""What people say around a command and what leaves no trace in the answer: politeness, names, reasons, adverbs."""

from __future__ import annotations

from bonsai_edge_train.robot_commands.lexicon.word_list import words
from bonsai_edge_train.robot_commands.sequences import Draft
from bonsai_edge_train.robot_commands.speaker import Speaker
from bonsai_edge_train.robot_commands.verbs import gerund, takes_base_verb

_ASKING = (
    "could you ", "could you ", "could you ", "can you ", "can you ", "can you ", "would you ", "will you ",
    "could you please ", "could you please ", "can you please ", "would you please ", "will you please ",
    "please could you ", "please can you ", "can you just ", "could you just ", "could you maybe ",
    "could you quickly ",
    "could you perhaps ", "could you possibly ", "would you kindly ", "could you kindly ",
    "would you be so kind as to ",
    "would you be able to ", "are you able to ", "is it possible for you to ", "would it be possible for you to ",
    "may i ask you to ", "can i ask you to ", "could i ask you to ", "can i get you to ", "could i get you to ",
    "do you think you could ", "any chance you could ", "is there any chance you could ", "think you can ",
    "why don't you ", "how about you ", "won't you ", "can ya ", "could ya ", "could you go ahead and ",
    "can you go ahead and ", "can you help me and ", "could you do me a favor and ", "can you quickly ",
)  # fmt: skip
_TELLING = (
    *("please ",) * 14, "please just ", "just ", "just ", "kindly ", "now ", "now please ", "ok now ", "now just ",
    "i want you to ", "i want you to ", "i need you to ", "i need you to ", "i'd like you to ", "i would like you to ",
    "i'd love you to ", "i would love for you to ", "i'd appreciate it if you could ", "i was hoping you could ",
    "i was wondering if you could ", "i was going to ask you to ", "i'm asking you to ", "i wanted you to ",
    "it would be great if you could ", "it would be nice if you could ", "it'd be lovely if you could ",
    "you should ", "you need to ", "you have to ", "you must ", "you can ", "you may ", "you could ", "you can now ",
    "you may now ", "you might want to ", "you gotta ", "you'd better ", "you are to ", "your task is to ",
    "your job is to ", "your next task is to ", "the next thing to do is ", "what i need you to do is ", "let's ",
    "i think you should ", "i guess you should ", "maybe you could ", "perhaps you could ", "if you could please ",
    "we need you to ", "we want you to ", "we'd like you to ", "they want you to ", "mom wants you to ",
    "go ahead and ", "do me a favor and ", "do me a favour and ", "be a dear and ", "be so kind and ", "be nice and ",
    "be a good robot and ", "make sure to ", "make sure you ", "be sure to ", "remember to ", "don't forget to ",
    "try to ", "time to ", "it's time to ", "help me and ", "quick, ", "quickly, ", "hurry, ", "hurry and ",
    "come on, ", "please try to ", "see if you can ", "next, ", "next ", "i order you to ", "i command you to ",
    "i'll need you to ", "i am going to need you to ", "please be so kind as to ", "if you don't mind, ",
    "if you would, please ", "would be nice if you ", "i beg you, ", "command: ", "task: ", "new task: ", "ok please ",
)  # fmt: skip
_NEEDING_GERUND = (
    "would you mind ", "would you mind ", "do you mind ", "how about ", "mind ", "i'd appreciate you ", "what about ",
)  # fmt: skip
_POLITE_ENDINGS = (
    *(" please",) * 8, *(", please",) * 8, ", thanks", ", thanks", " thanks", ", thank you", " thank you",
    ", thanks a lot", ", thank you very much", ", would you", ", will you", ", can you", ", could you", ", ok",
    ", okay", ", alright", ", right", ", yeah", ", if you don't mind", ", if possible", " if you can",
    ", if you would", " if you please", ", if that's okay", ", if it's not too much trouble", ", pretty please",
    ", please and thank you", ", got it", ", understood", ", much appreciated", ", cheers", ", i beg you", ", over",
    " ok", " okay please", " will you please", ", could you please", ", that would be great", ", that'd be nice",
)  # fmt: skip
_ADVERBS = (
    " now", " now", " right now", " right now", " right away", " immediately", " quickly", " quickly", " slowly",
    " slowly", " carefully", " carefully", " very carefully", " gently", " again", " again", " once again", " at once",
    " as soon as possible", " as fast as you can", " as quickly as possible", " really slowly", " very slowly",
    " nice and slow", " real quick", " quietly", " without delay", " straight away", ", quickly", ", but slowly",
    ", but be careful", ", and be careful", ", carefully", " for a change", " already", " asap", ", and be quick",
    ", and hurry", ", slowly please", ", nice and easy", " this time", ", right now", ", now", " with care",
    ", be careful", ", careful", ", but carefully", ", gently", " this instant",
)  # fmt: skip
_FRONT_ADVERBS = (
    "quickly ", "slowly ", "carefully ", "gently ", "quietly ", "immediately ", "now ", "just ", "quickly ", "simply ",
    "very carefully ", "finally ", "slowly and carefully ", "once again ", "again, ", "right now ", "at once ", "also ",
)  # fmt: skip
_ROBOT_NAMES = words(
    "robot, robot, robot, robot, robot, robot, seedling, seedling, seedling, buddy, bot, my friend, dear, mate, pal, "
    "Alexa, Siri, Jarvis, Robbie, Robby, Rosie, Chip, Rover, Pepper, Bolt, Sparky, Dobby, Pixel, Ziggy, Cleo, Nova, "
    "Echo, Atlas, Benny, Gizmo, Roomba, Rob, Turbo, Astro, Mister Robot, robo, little robot, my dear, sweetie, dude, "
    "man, machine, little guy, boy, friend, assistant, helper, kiddo, old friend, my little robot, computer, Tiny, Max"
)
_CALLS = (
    "",
    "",
    "",
    "",
    "",
    "hey ",
    "hey ",
    "hey ",
    "hi ",
    "hello ",
    "ok ",
    "okay ",
    "yo ",
    "oi ",
    "dear ",
    "excuse me ",
)
_CALLS_ALONE = (
    "hey", "hey", "hi", "hello", "ok", "okay", "alright", "all right", "excuse me", "listen", "listen up", "attention",
    "yo", "oh", "right", "great", "good", "perfect", "well done", "wonderful", "cool", "sorry", "pardon me",
    "hey there",
    "good morning", "hi there", "hey you", "look", "look here", "yes", "fine", "sure", "nice", "good job", "oops",
)  # fmt: skip
_REASONS = (
    "i'm thirsty", "i'm hungry", "i'm cold", "i'm hot", "i'm tired", "i'm busy", "i'm late", "i'm in a hurry",
    "i'm freezing", "i'm bored", "i'm sick", "i'm in bed", "i'm on the phone", "i can't get up", "i can't see anything",
    "i can't see", "i can't reach", "i'm cooking", "i'm working", "i've got my hands full", "my hands are full",
    "my back hurts", "my leg hurts", "my feet hurt", "i hurt my knee", "i need help", "i need a hand",
    "i need some help", "i have a headache", "i have to leave soon", "i have to work", "i'm about to leave",
    "it's dark", "it's dark in here", "it's too dark", "it's cold in here", "it's hot in here", "it's too hot",
    "it's getting late", "it's late", "it's getting dark", "it's raining", "it's too loud", "it's a mess in here",
    "it's so cold", "it's freezing", "it stinks in here", "it's too bright", "it's stuffy in here", "it's lunchtime",
    "the baby is sleeping", "the kids are asleep", "the guests are coming", "we have visitors", "guests are coming",
    "we're out of time", "we're in a hurry", "everyone is waiting", "someone is at the door", "somebody is here",
    "i heard a noise", "i forgot", "i don't feel well", "i feel sick", "i spilled something", "i made a mess",
    "i lost something", "dinner is almost ready", "the meeting starts soon", "the patient is waiting", "she's waiting",
    "he needs it", "i need it", "i need it now", "we need space", "you're in the way", "you're blocking the way",
    "there's dust everywhere", "there's a draft", "nobody can see anything", "i can't find it", "the doctor is coming",
    "my arms are full", "i can't walk", "my eyes are tired", "i have no time", "we are closing", "we're about to start",
    "i'm not feeling well", "there is somebody behind you", "the floor is slippery", "people want to pass",
)  # fmt: skip
_PURPOSES = (
    "so i can see", "so i can see better", "so we can start", "so nobody trips", "so that nobody gets hurt",
    "so we can eat", "so that i can sleep", "so i can work", "so i can rest", "so that we can pass",
    "so we don't forget",
    "so that everybody can see it", "so the kids can play", "before it's too late", "before we forget",
    "before i forget",
)  # fmt: skip
_FRONT_LINKS = (", ", ", ", ", ", ". ", ". ", ", so ", ", so ", " so ", ", can you ", ", could you ", ", please ",
                ", so please ", ". Please ", ". Can you ", ". Could you ", "! ")  # fmt: skip
_MENTIONS = (
    "i dropped {}", "i just dropped {}", "i forgot {}", "{} fell down", "there's {} over there",
    "{} is in the way", "you see {}",
    "look, there's {}", "you know {}", "somebody left {} here", "this is {}", "here is {}",
)  # fmt: skip


def mention_first(s: Speaker) -> str:
    """Mention an object that the next clause may call "it"; returns the statement."""
    thing, _ = s.object()
    return s.rng.choice(_MENTIONS).format(thing)


def add_politeness(s: Speaker, draft: Draft) -> None:
    """Wrap an order into a request, or leave it."""
    draw = s.rng.random()
    if draft.form != "order" or draw > 0.42:
        return
    if not takes_base_verb(draft.words):
        if draw < 0.1:
            draft.words = f"please {draft.words}"
        return
    if draw < 0.17:
        draft.words, draft.form = s.rng.choice(_ASKING) + draft.words, "question"
        return
    doing = gerund(draft.words) if draw < 0.2 and draft.num_clauses == 1 else None
    if doing:
        draft.words, draft.form = s.rng.choice(_NEEDING_GERUND) + doing, "question"
    elif draw < 0.23 and draft.category is None and draft.actions[0]["action"] not in ("speed", "stop"):
        draft.words = s.rng.choice(_FRONT_ADVERBS) + draft.words
    else:
        draft.words = s.rng.choice(_TELLING) + draft.words


def add_ending(s: Speaker, draft: Draft) -> None:
    """Add adverbs and politeness at the end."""
    if draft.ends_with_text():
        return
    is_order = draft.form == "order" and draft.category is None
    if is_order and s.chance(0.08) and draft.actions[-1]["action"] not in ("speed", "wait", "say", "report"):
        draft.words += s.rng.choice(_ADVERBS)
    if s.chance(0.13 if draft.form == "order" else 0.05):
        draft.words += s.rng.choice(_POLITE_ENDINGS)
    if s.chance(0.025):
        draft.words += f", {s.rng.choice(_ROBOT_NAMES)}"


def add_reason(s: Speaker, draft: Draft) -> None:
    """Add why the command is given, before or after it."""
    draw = s.rng.random()
    if draw > 0.06:
        return
    reason = s.rng.choice(_REASONS)
    if draw < 0.035 or draft.ends_with_text() or draft.form != "order":
        if draft.form != "order" or not takes_base_verb(draft.words):
            draft.words = f"{reason}, {draft.words}"
            return
        link = s.rng.choice(_FRONT_LINKS)
        draft.words = s.pick("", "", "", "", "since ", "because ") + reason + link + draft.words
        if draft.words.startswith(("since ", "because ")):
            draft.words = draft.words.replace(link, ", ", 1)
        if link.strip(" ,.").lower() in ("can you", "could you"):
            draft.form = "question"
    elif draw < 0.05:
        draft.words += s.pick(" because ", " because ", ", because ", ", ", ". ", " since ", " as ", " cause ") + reason
    else:
        draft.words += s.pick(" ", " ", ", ") + s.rng.choice(_PURPOSES)


def add_call(s: Speaker, draft: Draft) -> None:
    """Call the robot first."""
    draw = s.rng.random()
    if draw < 0.11:
        name = s.rng.choice(_ROBOT_NAMES)
        if s.chance(0.08):
            name = s.invented_word().capitalize()
        call = s.rng.choice(_CALLS) + name + s.pick(", ", ", ", ", ", ", ", " ", "! ", ". ", ": ")
    elif draw < 0.15:
        call = s.rng.choice(_CALLS_ALONE) + s.pick(", ", ", ", ", ", " ", "! ", ". ")
    else:
        return
    draft.words = call + draft.words
