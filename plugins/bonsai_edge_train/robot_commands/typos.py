"""Typing errors in words that a reader recognizes at once; the answer keeps the intended word.

Never in open vocabulary, names, numbers or what the robot is to say: there nobody could tell what was meant.
"""

from __future__ import annotations

from random import Random

from bonsai_edge_train.robot_commands.lexicon.word_list import words
from bonsai_edge_train.robot_commands.sequences import Draft

# Nouns and adjectives of answers in which errors may be made, because everybody knows them.
KNOWN_WORDS = frozenset(words(
    "kitchen, bathroom, bedroom, living, garage, hallway, office, garden, basement, balcony, laundry, dining, lobby, "
    "warehouse, workshop, library, reception, corridor, entrance, elevator, room, table, shelf, desk, counter, couch, "
    "chair, cabinet, cupboard, drawer, closet, fridge, refrigerator, freezer, dishwasher, microwave, washing, machine, "
    "window, curtains, blinds, floor, carpet, door, gate, wall, corner, stairs, fireplace, bottle, glass, plate, "
    "spoon, "
    "fork, knife, bowl, basket, bucket, blanket, pillow, towel, book, newspaper, magazine, letter, envelope, package, "
    "parcel, phone, laptop, charger, battery, remote, camera, keyboard, umbrella, backpack, wallet, keys, jacket, "
    "shirt, "
    "shoes, hammer, screwdriver, wrench, drill, screw, apple, banana, orange, sandwich, coffee, water, juice, milk, "
    "trash, garbage, light, lights, lamp, television, heater, radio, printer, vacuum, button, lever, trolley, pallet, "
    "crate, bench, station, yellow, green, black, white, purple, brown, small, little, large, wooden, plastic, metal, "
    "empty, dirty, front, medicine, wheelchair, patient, nurse, doctor, teddy, bear, puzzle, flower, scissors, "
    "tomato, box, batteries, sofa, cup, mug, ball, bag, toy, onion, whiteboard, headphones, hall, pen, pencil, "
    "paper, hat, "
    "dock, robot, arm, clock, building, point, checkpoint, cash, register, tent, pile, jar, egg, flashlight, purse, "
    "tray, "
    "cable, tool, cart, strawberry, files, den, stable, matches, fan, door, towels, bin, car, mop, drink, gear, pipe"
))  # fmt: skip
_USUAL = {
    "the": "teh th hte tha da", "and": "adn nad an annd", "to": "ot tot", "you": "u yuo yu ya", "your": "yuor ur",
    "please": "plese pleas plz pls plase pleese pleae plaese", "could": "coud cud coudl", "would": "woud wuold wud",
    "can": "cna cann", "are": "r", "then": "thne thn", "from": "form fron fomr", "with": "wiht whit wit", "for": "fro",
    "bring": "brign birng brin bing", "pick": "pik pikc pcik", "take": "taek tak", "give": "giv gvie", "grab": "grba",
    "open": "opne opeen oepn", "close": "colse clos cloes", "turn": "trun tunr turnn", "move": "moev mvoe",
    "what": "waht wat wht", "what's": "whats waht's wats", "where": "were wher whre", "where's": "wheres",
    "don't": "dont don;t", "i'd": "id", "i'm": "im", "let's": "lets", "it's": "its", "that's": "thats", "can't": "cant",
    "forward": "foward forwad forwrad foward forwards", "backward": "backwrad bakward", "backwards": "bakwards",
    "back": "bakc bcak", "around": "arround aroud", "right": "rigth rihgt righ", "left": "letf lfet leftt",
    "straight": "strait straigt", "degrees": "degress degrese degres deg", "meters": "metters meteres mters metes",
    "meter": "metter", "centimeters": "centimeteres centimters centimetrs", "seconds": "secnds secons sceonds",
    "minutes": "minuts mintues", "percent": "precent pecent", "battery": "batery battary battry",
    "kitchen": "kichen kitchin kithcen ktichen kitchn", "fridge": "frige fridg firdge",
    "bathroom": "bathrom bathrooom bath_room",
    "bedroom": "bedrom bedrrom bed_room", "living": "livng livign", "bottle": "botle bottel",
    "table": "tabel tabl talbe",
    "shelf": "shlef shelff", "picture": "pitcure picutre pictrue", "refrigerator": "refridgerator",
    "vacuum": "vaccum vacum", "screwdriver": "scredriver screwdiver screw_driver", "drawer": "drawr draw",
    "window": "windwo widow",
    "light": "ligth lihgt lite", "lights": "ligths lites", "door": "dor doro", "garage": "garrage garge",
    "hallway": "halway hallwya hall_way", "elevator": "elavator elevater", "yellow": "yelow yello",
    "green": "gren grene",
    "package": "pakage packge", "umbrella": "umbrela umberella", "coffee": "cofee coffe", "water": "watre wter",
    "charging": "chargin chraging", "station": "staion sation", "follow": "folow follwo", "return": "retrun",
    "clean": "claen cleen", "wait": "wiat wiat", "look": "loook lok", "inspect": "inpsect", "photo": "foto phto",
    "gripper": "griper", "status": "staus", "temperature": "temprature tempature", "behind": "behing behnd",
    "under": "udner uner", "between": "betwen bewteen", "front": "fornt", "robot": "robto", "tell": "tel",
    "something": "somthing", "carefully": "carefuly", "slowly": "slowy", "quickly": "quikly", "there": "ther",
    "stop": "sotp stpo stopp", "release": "relase", "scissors": "sissors scissers",
    "wheelchair": "wheelchiar wheel_chair", "switch": "swich swtich", "push": "psuh", "pull": "pul", "find": "fidn",
}  # fmt: skip
USUAL_TYPOS = {word: tuple(typo.replace("_", " ") for typo in typos.split()) for word, typos in _USUAL.items()}
_CONTRACTIONS = frozenset(words(
    "don't, what's, where's, i'm, it's, that's, let's, can't, there's, you're, who's, i'd, i'll, didn't, isn't, i've, "
    "doesn't, how's, we're, you'd, here's, won't, shouldn't, mustn't, it'd, we'd, they're, it'll, you've, aren't"
))  # fmt: skip
_COMPOUNDS = frozenset((("living", "room"), ("dining", "room"), ("coffee", "table"), ("washing", "machine"),
                        ("trash", "can"), ("teddy", "bear"), ("right", "now"), ("pick", "up"), ("of",
                        "the")))  # fmt: skip
_NUMBERS = frozenset(words(
    "three, four, five, seven, eight, nine, eleven, twelve, thirteen, fourteen, fifteen, sixteen, seventeen, eighteen, "
    "nineteen, twenty, thirty, forty, fifty, sixty, seventy, eighty, ninety, hundred, half, quarter, point, thousand"
))  # fmt: skip
_DIFFERENT_WORDS = frozenset(words(
    "lose, rub, let, lift, lest, lock, cock, sake, tack, bake, over, ope, pen, clod, bed, bead, chin, far, fast, form, "
    "clear, lean, loop, hook, cook, pal, bag, live, hive, fun, hold, find, mind, bind, fine, fire, fond, band, "
    "love, wall, "
    "wail, tun, burn, pus, bush, rush, poll, pill, full, tall, ball, fell, felt, stay, clock, clothes, drive, "
    "dive, race, "
    "lace, pace, plane, plan, glace, stow, stove, hop, pop, mop, top, step, shop, chop, drop, crop, hear, near, dear, "
    "here, were, when, them, than, hand, back, pack, bock, beck, bring, wring, wit, bit, wash, sash, cash, ash, lash, "
    "scan, can, ran, pan, leave, slower, flower, lower, power, tower, fower, god, got, gone, come, home, dome, some"
))  # fmt: skip
_NEIGHBOURS = {
    "q": "wa", "w": "qes", "e": "wrd", "r": "etf", "t": "ryg", "y": "tuh", "u": "yij", "i": "uok", "o": "ipl",
    "p": "ol",
    "a": "qsz", "s": "adw", "d": "sfe", "f": "dgr", "g": "fht", "h": "gjy", "j": "hku", "k": "jli", "l": "kop",
    "z": "xa",
    "x": "zcs", "c": "xvd", "v": "cbf", "b": "vnh", "n": "bmh", "m": "nj",
}  # fmt: skip


def misspell(word: str, rng: Random) -> str:
    """Make one random error in a lower-case word: swap, drop, double or replace a letter, rarely the first."""
    index = rng.randrange(0 if rng.random() < 0.08 else 1, len(word) - 1)
    kind = rng.random()
    if kind < 0.35:
        return word[:index] + word[index + 1] + word[index] + word[index + 2 :]
    if kind < 0.65:
        return word[:index] + word[index + 1 :]
    if kind < 0.82:
        return word[: index + 1] + word[index:]
    near = rng.choice(_NEIGHBOURS.get(word[index], word[index]))
    return word[:index] + near + word[index + 1 :]


def _typo(word: str, rng: Random) -> str:
    """Return another spelling of a word, or the word itself where no error would be readable."""
    usual = USUAL_TYPOS.get(word)
    if usual and rng.random() < 0.6:
        return rng.choice(usual)
    if len(word) < 4 or not word.isalpha():
        return word
    typo = misspell(word, rng)
    return word if typo in _DIFFERENT_WORDS or typo in KNOWN_WORDS else typo


def add_typos(draft: Draft, rng: Random) -> None:
    """Misspell one word of a draft, sometimes two or three; marks the draft if it could."""
    values = [str(value) for action in draft.actions for key, value in action.items() if key != "action"]
    kept = {word for value in values for word in value.lower().split()} - KNOWN_WORDS
    for action in draft.actions:
        kept.update(str(action.get("text", "")).lower().split())
    tokens = draft.words.split(" ")
    places = [index for index, token in enumerate(tokens) if _may_be_misspelled(token, kept)]
    if not places:
        return
    rng.shuffle(places)
    for index in places[: rng.choice((1, 1, 1, 1, 2, 2, 3))]:
        word = tokens[index].rstrip(",.;:!?")
        typo = _typo(word, rng)
        tokens[index] = typo + tokens[index][len(word) :]
        if typo != word:
            draft.marks.append("typo")
    if rng.random() < 0.08:
        _join_words(tokens, kept)
    draft.words = " ".join(tokens)


def drop_apostrophes(draft: Draft) -> None:
    """Write contractions of the frame without apostrophes, as many people type: "dont", "whats"."""
    said = {word for action in draft.actions for word in str(action.get("text", "")).lower().split()}
    tokens = draft.words.split(" ")
    draft.words = " ".join(t.replace("'", "") if t in _CONTRACTIONS and t not in said else t for t in tokens)


def _may_be_misspelled(token: str, kept: set[str]) -> bool:
    word = token.rstrip(",.;:!?")
    if word in kept or word in _NUMBERS:
        return False
    return word in USUAL_TYPOS or (len(word) >= 4 and word.isalpha() and word.islower())


def _join_words(tokens: list[str], kept: set[str]) -> None:
    """Leave out the first space between two short words of the frame: "tothe kitchen"."""
    for index in range(len(tokens) - 1):
        first, second = tokens[index : index + 2]
        if (first, second.rstrip(",.;:!?")) in _COMPOUNDS:
            tokens[index : index + 2] = [first + second]
            return
        if first in ("to", "in", "on", "of", "at", "go", "from", "up") and second in ("the", "my", "to", "your"):
            if first not in kept and second not in kept:
                tokens[index : index + 2] = [first + second]
            return
