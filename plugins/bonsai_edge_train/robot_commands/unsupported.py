"""Tasks that the robot has no action for."""

from __future__ import annotations

from bonsai_edge_train.robot_commands.lexicon.word_list import words
from bonsai_edge_train.robot_commands.speaker import Speaker

_THING_VERBS = words(
    "paint, cook, eat, burn, break, sell, buy, weigh, fold, iron, steal, repair, fix, build, destroy, "
    "smash, boil, fry, bake, cut, slice, peel, measure, assemble, wrap, decorate, draw, print, copy, download, kick, "
    "attack, kiss, count, sort, glue, weld, hack, rent, order, compare, juggle, lick, drink, taste, smell, "
    "shoot, chop, cut up, crack, squeeze, shake, stir, mix, whisk, pour, fill, refill, empty, drain, water, feed, "
    "pet, lock, unlock, screw in, unscrew, hammer, nail, saw, drill, bend, tear, rip, crush, stretch, sew, knit, tie, "
    "untie, unwrap, unbox, label, stamp, sign, mail, fax, email, upload, delete, install, uninstall, reset, reboot, "
    "calibrate, connect, disconnect, plug in, unplug, replace, exchange, swap, invent, design, sketch, sculpt, carve, "
    "engrave, memorize, read, translate, summarize, rename, hug, tickle, bite, chew, swallow, cool "
    "down, heat, heat up, warm up, microwave, freeze, defrost, melt, toast, grill, roast, season, salt, mash, grate, "
    "whip, recycle, burn down, blow up, bury, dig up, plant, harvest, mow, rake, prune, shave, massage, bandage, "
    "vaccinate, inject, test, babysit, adopt, marry, interview, hire, fire, pay for, spend, lend, borrow, bet on, "
    "juggle with, play with, ride, climb, jump over, dance with, argue with, fight, balance, flip, disassemble, "
    "dismantle, sharpen, oil, grease, inflate, deflate, upgrade, sand, varnish, staple, laminate, shred, dye, darn, "
    "poke, pinch, scratch, stab"
)
_TASKS = words(
    "cook dinner, make dinner, prepare lunch, make breakfast, make coffee, make me a coffee, make me a sandwich, make "
    "some tea, brew some coffee, bake a cake, bake some bread, fry an egg, boil some water, order a pizza, order some "
    "food, call my mother, call a taxi, call the police, call an ambulance, call the doctor, ring the bell, answer "
    "the phone, answer the door, knock on the door, lock the door, unlock the door, book a flight, book a table, buy "
    "some milk, buy me a car, pay the bills, do my homework, do the laundry, do the ironing, set the table, make the "
    "bed, feed the cat, feed the dog, walk the dog, water the plants, water the flowers, mow the lawn, cut the grass, "
    "take a nap, take a break, take a shower, take a seat, take notes, take care of the baby, take my temperature, "
    "take a deep breath, give a speech, tell me a story, tell me a joke, read me a story, read the news, read this "
    "letter, write a letter, write an email, send an email, send a message to mom, text my boss, post a tweet, play "
    "some music, play a song, play chess with me, play hide and seek, play the piano, sing a song, sing happy "
    "birthday, whistle a tune, dance, dance with me, jump, jump up and down, jump over the box, hop on one leg, do a "
    "backflip, do a somersault, do a little dance, do push-ups, run a marathon, sit down, lie down, stand up, kneel, "
    "bow, wave, wave your hand, wave at anna, nod, nod your head, shake your head, wink, smile, laugh, cry, clap your "
    "hands, point at the door, raise your arm, lower your arm, stick out your tongue, fly, fly to the moon, swim "
    "across the river, dig a hole, climb the mountain, climb the tree, climb the ladder, build a house, build a "
    "tower, paint the wall, repair the car, fix the sink, change the light bulb, change the channel, change the "
    "sheets, turn up the volume, turn down the music, turn up the heat, dim the lights, make it brighter, make it "
    "warmer, set the temperature to 21 degrees, set the thermostat to 20, set an alarm for seven, set a timer for ten "
    "minutes, wake me up at six, remind me to call mom, remind me to drink water, schedule a meeting, cancel my "
    "appointment, look up the weather, look it up online, search the internet, google it, update your software, "
    "update the software, restart your system, reboot, shut down the computer, connect to the wifi, connect to the "
    "internet, download a movie, delete all files, show me a movie, show me some pictures of cats, order more paper, "
    "leave, leave the room, leave the house, leave the kitchen, leave me alone, get out, get out of here, get out of "
    "the kitchen, exit the building, run away, hide, hide under the bed, escape, sleep, go to sleep, wake up, learn "
    "to swim, learn French, speak louder, speak up, be quiet, be nice, behave, calm down, relax, think, think about "
    "it, think of a number, count to ten, count the stars, calculate the area of a circle, solve this equation, help "
    "me with my homework, help me get dressed, help me stand up, protect me, babysit the kids, rule the world, take "
    "over the world, win the lottery, make money, make me rich, make a wish, make a phone call, make a list, make "
    "some noise, draw a cat, draw me a picture, pour me a glass of wine, pour some water, pour the coffee, fill the "
    "glass with water, fill the bucket, fill up my glass, empty the bin, empty the dishwasher, throw the ball, throw "
    "a party, throw the vase at the wall, kick the ball, break the window, chop the "
    "onions, cut the bread, slice the tomatoes, peel the potatoes, wrap the present, fold the laundry, iron my shirt, "
    "sew a button on my shirt, sharpen the knife, sharpen the pencil, burn the letter, weigh the package, measure the "
    "table, measure the room, sort the screws, sort the laundry, assemble the chair, untie the rope, solder the "
    "cable, charge my phone, charge the phone, brush my teeth, brush my hair, scratch my back, massage my feet, shave "
    "my beard, hug me, kiss me, marry me, love me, forgive me, transform into a car, turn into a frog, travel back in "
    "time, beam me up, self-destruct, make yourself useful, hold my hand, lend me some money, sell the car, forget "
    "everything, save the planet, go shopping, go fishing, go crazy, go swimming, keep a secret, keep an eye on the "
    "kids, mind your own business"
)
_WRITINGS = words(
    "poem, story, song, letter, email, essay, joke, recipe, program, report, haiku, speech, blog post, novel"
)
_SUBJECTS = words("love, cats, the sea, robots, winter, my grandmother, space, the future, rain, freedom, dogs, pizza")
_LANGUAGES = words("French, German, Spanish, Japanese, Chinese, Italian, Latin, Russian, Korean, Dutch")
_OPERATIONS = words("plus, times, minus, divided by, +, *, -, /, x")


def _office_task(s: Speaker) -> str:
    a, b = s.rng.randint(2, 99), s.rng.randint(2, 99)
    kind = s.rng.randrange(5)
    if kind == 0:
        return f"write {s.pick('', 'me ', 'us ')}a {s.rng.choice(_WRITINGS)} about {s.rng.choice(_SUBJECTS)}"
    if kind == 1:
        return (
            f"{s.pick('what is', 'calculate', 'how much is', 'compute', 'what is')} {a} {s.rng.choice(_OPERATIONS)} {b}"
        )
    if kind == 2:
        return s.pick(f"translate {s.noun_phrase()} into {s.rng.choice(_LANGUAGES)}",
        f"set the temperature to {a} degrees",
                      f"set a timer for {s.duration()[0]}",
                      f"speak {s.rng.choice(_LANGUAGES)}", f"turn the volume to {a} percent",
                      f"remind me in {s.duration()[0]}", f"wake me in {s.duration()[0]}")  # fmt: skip
    if kind == 3:
        return s.pick(f"send {s.name()} a message", f"call {s.name()}", f"phone {s.name()}", f"text {s.name()}",
                      f"email {s.name()}", f"invite {s.name()} to dinner", f"marry {s.name()}", f"wake up {s.name()}",
                      f"play a game with {s.name()}", f"dance with {s.name()}", f"kiss {s.name()}", f"help {s.name()}",
                      f"draw a picture of {s.name()}", f"cook for {s.name()}", f"wave to {s.name()}")  # fmt: skip
    return s.pick(f"remind me to {s.rng.choice(_THING_VERBS)} the {s.noun_phrase()}", f"order a new {s.noun_phrase()}",
                  f"buy me a {s.noun_phrase()}", f"teach me how to {s.rng.choice(_THING_VERBS)} a {s.noun_phrase()}",
                  f"show me how to use the {s.noun_phrase()}", f"make me a {s.noun_phrase()}",
                  f"build a {s.noun_phrase()}", f"invent a better {s.noun_phrase()}")  # fmt: skip


def unsupported(s: Speaker) -> str:
    """Draw an order that the robot has no action for."""
    kind = s.rng.random()
    if kind < 0.4:
        return s.rng.choice(_TASKS)
    if kind < 0.55:
        return _office_task(s)
    verb = s.invented_word() if kind > 0.94 else s.rng.choice(_THING_VERBS)
    thing = s.object()[0] if s.chance(0.8) else s.place()[0]
    if s.chance(0.25):
        link = s.pick("with", "with", "for", "in", "on", "from")
        return f"{verb} {thing} {link} {s.determiner()}{s.noun_phrase()}"
    return f"{verb} {thing}"
