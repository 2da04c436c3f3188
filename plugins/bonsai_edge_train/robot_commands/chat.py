"""What people say to a robot that is no command at all: chat, questions about the world, statements, noise."""

from __future__ import annotations

import string

from bonsai_edge_train.robot_commands.lexicon.descriptions import COLOURS, QUALITIES, SIZES
from bonsai_edge_train.robot_commands.lexicon.word_list import words
from bonsai_edge_train.robot_commands.speaker import Speaker

GREETINGS = words(
    "hello, hello, hi, hi, hey, hey there, hi there, hello there, good morning, good afternoon, good evening, "
    "hello robot, "
    "hi robot, hey robot, good morning robot, hi buddy, hello my friend, hey buddy, hello seedling, hi seedling, "
    "morning, hiya, howdy, greetings, hello hello, well hello, hi everyone, nice to meet you, hi nice to meet you, "
    "hello little robot, hey you, hi again, hello again, good day, hey what's up, yo, hey man, welcome back, "
    "hello and welcome, hi there robot, good morning everyone, hey pal, oh hi, oh hello, hey hey, evening, "
    "good evening robot, hello dear, hi sweetie, pleased to meet you"
)
THANKS = words(
    "thank you, thank you, thanks, thanks, thanks a lot, thank you very much, thank you so much, many thanks, "
    "thanks robot, "
    "thank you robot, thanks buddy, thank you seedling, thanks for your help, thank you for helping me, "
    "thanks so much, "
    "great thanks, ok thanks, okay thank you, thanks a million, thanks again, thank you again, good job thank you, "
    "that was great thanks, perfect thank you, I appreciate it, much appreciated, thanks mate, cheers, thx, ty, "
    "thank you my friend, thanks that's all, that's all thanks, wonderful thank you, thanks for the help, "
    "thank you that will be all, thanks for everything, thank you kindly, nice thanks, you're the best thank you"
)
_CHAT = words(
    "who are you, what is your name, what's your name, how old are you, what can you do, who made you, who built you, "
    "are you a robot, are you human, are you happy, are you tired, are you alive, do you sleep, do you dream, can you "
    "think, do you like music, do you like me, do you love me, I love you, I like you, you're cute, you're funny, you "
    "are stupid, you are so slow, you're amazing, good robot, bad robot, good job, well done, nice work, great, "
    "perfect, awesome, wow, oh no, oops, ouch, yes, no, maybe, ok, okay, sure, right, really, I don't know, sorry, "
    "my bad, excuse me, help, help me, what, why, how, huh, what do you mean, I see, see you later, goodbye, bye, bye "
    "bye, see you tomorrow, good night, sleep well, I am tired, I'm hungry, I'm thirsty, I'm bored, I'm cold, "
    "I am sick, "
    "I feel sad today, I'm so happy, my head hurts, it is raining, it's cold outside, nice weather today, what a day, "
    "it's Monday again, I have a meeting, let's play a game, do you want to play, tell me a joke, tell me a story, "
    "sing a song, sing me a song, dance, dance for me, do a trick, make me laugh, entertain me, say something funny, "
    "shut up, be quiet, what time is it, what day is it today, what's the weather like, will it rain tomorrow, "
    "where do you come from, where do babies come from, what is love, what is the meaning of life, do you speak "
    "German, parlez-vous français, do you believe in God, can you swim, can you fly, can you dance, can you cook, can "
    "you hear me, do you understand me, did you hear that, that was funny, that's wrong, you did it wrong, that's "
    "not what I said, that is not what I meant, never again, I told you so, you're in trouble, it's my birthday, "
    "happy birthday, merry christmas, congratulations, bless you, cheers mate, what's new, long time no see, I miss "
    "you, give me five, high five, fist bump, give me a hug, give me a hand, give me a break, give me a kiss, shake "
    "hands, shake my hand, I need a break, I need a hug, I need a vacation, I want to go home, I want coffee, I want "
    "some ice cream, I would like a pizza, I'd like some coffee, I need to sleep, let's go, let's dance, come on, "
    "what should I wear, how do I look, am I pretty, who am I, where am I, are we there yet, guess "
    "what, you know what I mean, whatever, never say never, testing, testing one two three, can you repeat that, "
    "what did you say, say that again, is anybody there, is this thing on, who's there, knock knock, hey what was that"
)
_TOPICS = words(
    "capital of France, weather in Berlin, meaning of life, speed of light, population of China, price of gold, square "
    "root of nine, boiling point of water, name of the president, height of the Eiffel tower, news today, distance to "
    "the moon, time in Tokyo, age of the universe, longest river, best movie, score of the game, largest planet, stock "
    "market doing, first law of robotics, area of a circle, wifi password, date today, time, forecast for tomorrow, "
    "traffic like, exchange rate, recipe for pancakes, tallest building in the world, chemical formula of salt, "
    "opposite of hot, plural of mouse, phone number of the hotel, bus schedule, opening time, lunch menu, "
    "answer to everything, fastest animal, capital of Peru, difference between a crow and a raven, humidity, date"
)
_SUBJECTS = words(
    "love, cats, the sea, robots, winter, my grandmother, space, the future, rain, freedom, dogs, history, football, "
    "artificial intelligence, school, volcanoes, dinosaurs, politics, music, the moon, God, ghosts, cooking, trains"
)
_FEELINGS = words(
    "I like, I love, I hate, I want to buy, I lost, I found, I broke, I bought, I sold, I see, I saw, I own, I "
    "washed, I fixed, I remember, my brother has, we had, she has, he broke, they stole, Tom likes, I already have, "
    "somebody took, we ran out of, I painted, I'm holding, I'm carrying, I just cleaned, I forgot, I miss, I don't "
    "like, I never liked, I used to have, nobody wants, I was looking at"
)
_OTHERS = words(
    "I, we, she, he, they, my sister, the nurse, the boss, the cat, somebody, the other robot, Tom, Anna, my dad, the "
    "doctor, the kids, nobody, everyone, the cleaning lady, the delivery guy"
)
_PAST = words(
    "went to, was in, came from, left, drove to, cleaned, opened, is in, is going to, walked into, lives near, works "
    "in, is waiting in, likes, looked at, will be in, has been to, used to work in, fell asleep in, already went to, "
    "painted, found a spider in, got lost in, is standing in, never goes to"
)
_INCOMPLETE = words(
    "pick up the, go to, go to the, turn the, bring me, bring me the, put the, take the, can you, can you please, "
    "could "
    "you, please, please please, I want you to, I need you to, the, and then, and, move the, open the, close the, "
    "on the "
    "table, in the kitchen, to the left of, next to the, and then go, for me, from the, with the, put it, hand me, "
    "give "
    "me the, tell, say, follow the, look for the, the one on the left, that one, this one, over there, the other, "
    "if you, "
    "I was, so I, what about the, how about, could you please, would you, grab the, where is the, where are the"
)
_FOREIGN = (
    "bring mir den becher", "mach die tür auf", "geh in die küche", "wo ist mein handy", "danke schön", "guten tag",
    "ouvre la porte", "apporte-moi le verre", "va dans la cuisine", "où est le chat", "abre la puerta",
    "ve a la cocina",
    "tráeme el vaso", "dónde está el baño", "muchas gracias", "apri la porta", "vai in cucina", "portami un bicchiere",
    "öffne das fenster", "fahr zwei meter vor", "gira a la izquierda", "tourne à droite", "halt an", "prosím",
    "abra a porta", "vá para a cozinha", "otwórz drzwi", "ga naar de keuken", "öppna dörren", "kinyissuk az ajtót",
    "arigato",
)  # fmt: skip
_COMMON = words(
    "time, year, people, way, day, thing, world, life, week, case, point, company, number, problem, fact, night, "
    "money, "
    "month, business, issue, friend, father, power, hour, game, law, city, name, team, idea, body, health, war, party, "
    "result, change, morning, reason, research, moment, very, our, their, is, are, was, has, will, can, must, comes, "
    "makes, needs, wants, we, they, he, she, music, summer, winter, plane, river, mountain, bird, horse, school, "
    "street, "
    "rain, snow, sun, star, fire, because, although, purple, seven, never, always, perhaps, blue, tomorrow, soon, "
    "cheese"
)


def chat(s: Speaker) -> str:
    """Draw small talk."""
    return s.rng.choice(_CHAT)


def question(s: Speaker) -> str:
    """Draw a question about the world."""
    kind = s.rng.randrange(4)
    if kind == 0:
        topic = s.rng.choice(_TOPICS)
        return s.pick("what is the ", "what's the ", "tell me the ", "do you know the ", "can you tell me the ",
                      "look up the ", "google the ", "explain the ") + topic  # fmt: skip
    if kind == 1:
        subject = s.rng.choice(_SUBJECTS)
        return s.pick(
            "what do you think about {}", "explain {} to me", "why do people like {}", "tell me about {}",
            "do you like {}",
            "what do you know about {}", "tell me something about {}", "do you know anything about {}",
            "is {} important",
            "let's talk about {}", "who invented {}", "write something about {}", "are you afraid of {}", "i love {}",
        ).format(subject)  # fmt: skip
    noun = s.noun_phrase()
    if kind == 2:
        return s.pick(
            "who invented the {}", "how does a {} work", "when was the {} invented", "how much is a {}",
            "what is a {} for",
            "how do you spell {}", "why is the {} so " + s.rng.choice(SIZES), "how much does a {} cost",
            "how heavy is the {}", "how old is the {}", "what does {} mean", "can i eat the {}", "who bought the {}",
            "do you like the {}", "why is there a {}", "what's a {}", "whose {} is this", "who owns the {}",
            "who made the {}", "is a {} better than a " + s.noun_phrase(), "when did i buy the {}", "should i buy a {}",
            "do we need a {}", "how do i repair a {}", "how many {}s are there", "did you break the {}",
        ).format(noun)  # fmt: skip
    place = s.place()[0]
    return s.pick(
        "how far is {}", "how big is {}", "who lives in {}", "how do i get to {}", "who works in {}",
        "did you clean {}",
        "how many people are in {}", "why is {} so dirty", "have you been to {}", "do you like {}", "who built {}",
        "how many chairs are in {}", "what happened in {}", "why did you go to {}", "when does {} open",
        "what's the fastest way to {}", "is it far to {}", "who cleaned {}", "how many steps is it to {}",
    ).format(place)  # fmt: skip


def statement(s: Speaker) -> str:
    """Draw something that is only told."""
    kind = s.rng.random()
    thing = f"{s.pick('the ', 'the ', 'my ', 'this ', 'a ')}{s.noun_phrase()}"
    if kind < 0.3:
        return f"{s.rng.choice(_FEELINGS)} {thing}"
    place = s.place()[0]
    if kind < 0.55:
        return f"{s.rng.choice(_OTHERS)} {s.rng.choice(_PAST)} {place}"
    state = s.rng.choice(s.rng.choice((COLOURS, SIZES, QUALITIES)))
    return s.pick(
        f"{thing} is {state}", f"{thing} is on {place}", f"{place} is {state}", f"there is {thing} in {place}",
        f"i am in {place}", f"this is {thing}", f"{thing} was on {place} yesterday", f"{thing} looks {state}",
        f"{place} is closed", f"{place} is this way", f"{thing} belongs to {s.name()}", f"my name is {s.name()}",
        f"{s.name()} is my friend", f"i think {thing} is broken", f"{thing} doesn't work", f"we don't have {thing}",
        f"this isn't {thing}", f"i am going to {place}", f"you are in {place}", f"{thing} smells bad",
        f"i'm {s.name()}", f"{thing} costs {s.rng.randint(2, 90)} dollars", f"{place} is really nice",
        f"you already opened {thing}", f"you dropped {thing}", f"i opened {thing} myself", f"i'll get {thing} myself",
    )  # fmt: skip


def fragment(s: Speaker) -> str:
    """Draw an incomplete sentence, single words, another language or noise."""
    kind = s.rng.random()
    if kind < 0.3:
        return s.rng.choice(_INCOMPLETE)
    if kind < 0.45:
        return s.noun_phrase()
    if kind < 0.55:
        return s.place()[0]
    if kind < 0.65:
        return s.rng.choice(_FOREIGN)
    if kind < 0.75:
        return " ".join(s.invented_word() for _ in range(s.rng.randint(1, 5)))
    if kind < 0.88:
        return " ".join(s.rng.choice(_COMMON) for _ in range(s.rng.randint(1, 7)))
    letters = s.pick(
        string.ascii_lowercase, "asdfghjkl", "qwertyuiop", "0123456789", "?!.#* ", string.ascii_lowercase + " "
    )
    return "".join(s.rng.choice(letters) for _ in range(s.rng.randint(1, 14))).strip() or "?"
