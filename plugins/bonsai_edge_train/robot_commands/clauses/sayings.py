"""What a robot is asked to say: sayings of everyday life, sentences from a small grammar, and any words at all."""

from __future__ import annotations

from bonsai_edge_train.robot_commands.clauses.templates import templates, write
from bonsai_edge_train.robot_commands.lexicon.open_vocabulary import NOUNS
from bonsai_edge_train.robot_commands.lexicon.word_list import words
from bonsai_edge_train.robot_commands.naming import is_plural
from bonsai_edge_train.robot_commands.speaker import Speaker

GREETINGS = templates(
    "10* hello; 6* hi; 4* good morning; 2* good evening; 2* good afternoon; 4* goodbye; 2* bye; bye bye;"
    "4* thank you; 2* thanks; 2* welcome; 2* happy birthday; 2* sorry; 2* congratulations; good luck; see you later;"
    "hey; good night; welcome home; merry Christmas; happy new year; nice to meet you; well done; i love you;"
    "get well soon; see you soon; good job; excuse me; cheers; many thanks; good day; thank you very much;"
    "see you tomorrow; please; hello there; hi there; no; yes"
)
_SAYINGS = templates(
    "dinner is ready; lunch is ready; breakfast is ready; the food is on the table;"
    "dinner will be ready in ten minutes; the soup is getting cold; it's time to eat; come and eat;"
    "the coffee is ready; your tea is getting cold; the water is boiling; the pizza is here; we are out of milk;"
    "we need more bread; there is cake in the kitchen; the oven is still on; it's time for bed; it's bedtime;"
    "time to get up; it's time to go; it's time to leave; we have to leave now; hurry up;"
    "we're leaving in five minutes; the bus is coming; the bus leaves at eight; the train is late;"
    "the taxi is waiting outside; your taxi is here; the car is ready; traffic is bad today; i'll be late;"
    "i will be late; i'm running late; i'm on my way; i'm almost there; i'll be right back;"
    "i'll be there in a minute; i'll be home by six; i'm at the front door; wait for me; i need help; i need a hand;"
    "i am in the garden; i am in a meeting; i'm busy; i'm not feeling well; i have a headache; i can't come today;"
    "i won't make it; i'll call back later; i'll call you tomorrow; i'm thinking of you; i miss you; i'm sorry;"
    "i am very sorry; it wasn't my fault; i forgot the milk; i found the keys; i lost my keys; don't wait for me;"
    "mom is home; dad is home; grandma is coming to visit; the kids are asleep; the baby is sleeping;"
    "the baby is awake; the dog wants to go out; the cat is on the roof; the dog has been fed; don't feed the cat;"
    "homework comes first; please be quiet; be careful; watch your step; watch out; mind the step;"
    "don't run in the hallway; the floor is wet; the stairs are slippery; please step aside; please make way;"
    "coming through; robot coming through; please let me pass; stand back; please stand clear of the door;"
    "keep your distance; don't touch that; this area is closed; no entry; the door is open; the door is locked;"
    "the window is open; someone is at the door; there is someone at the door; there's a visitor at reception;"
    "the guests have arrived; your guest is here; your visitor is waiting in the lobby; a package has arrived;"
    "there is a package for you; the mail is here; your order has arrived; the delivery is here;"
    "the courier is waiting at the gate; the parcel is at the front desk; please sign here;"
    "your delivery is ready for pickup; the meeting starts in five minutes; the meeting is cancelled;"
    "the meeting has been moved to three; the meeting is over; the meeting room is free; everyone is waiting for you;"
    "they are waiting for you; the boss is looking for you; the boss wants to see you; please call the office;"
    "please call back; your phone is ringing; check your email; the report is due tomorrow;"
    "the presentation is ready; the printer is out of paper; the printer is jammed; lunch break is over;"
    "the office closes at six; the store closes in fifteen minutes; we are closed; we are open;"
    "we'll be closing soon; the shop is open until eight; please come to the counter; your table is ready;"
    "your room is ready; your order is ready; checkout is at eleven; breakfast is served until ten;"
    "the tour starts at noon; the show is about to begin; please follow me; the elevator is broken;"
    "the elevator is here; the elevator is out of order; the lights are still on; the power is out; the wifi is down;"
    "the network is working again; the server is down; the backup is done; the update is finished;"
    "the machine is running; the machine has stopped; line two is down; the conveyor is jammed; the pump is leaking;"
    "the valve is closed; the pressure is too high; the tank is almost empty; the battery is low;"
    "my battery is almost empty; the filter needs to be replaced; the test is finished; the sample is ready;"
    "the results are in; the print is done; the shift starts at six; the night shift is over;"
    "the truck is at the loading dock; the pallet is ready; the shipment is late; the forklift is blocked;"
    "safety glasses are required; please wear a helmet; the fire drill starts at ten; this is only a drill;"
    "please leave the building; the alarm is a false alarm; help is on the way; the ambulance is coming; stay calm;"
    "the doctor will see you now; the doctor is on her way; the nurse will be right with you;"
    "it's time for your medicine; please take your pills; please drink some water; your family is here;"
    "visiting hours are over; your appointment is at two; room twelve needs help; the patient is awake;"
    "the patient in room four needs water; the bed is ready; the x-ray is done; surgery went well;"
    "the blood samples are ready; please roll up your sleeve; you can go home tomorrow; get some rest;"
    "the laundry is done; the dishes are clean; the dishwasher is done; the trash needs to go out;"
    "it's your turn to cook; the floor has been cleaned; the bathroom is occupied; the kitchen is clean;"
    "the plants need water; the bath is ready; it's raining; it's going to rain; it's snowing; it's cold outside;"
    "take an umbrella; bring a jacket; don't forget your lunch; don't forget your keys; don't forget the umbrella;"
    "don't be late; have a nice day; have a good weekend; have a safe trip; sleep well; sweet dreams;"
    "enjoy your meal; good to see you; long time no see; how are you; what's up; how was your day; can you come here;"
    "are you hungry; who is there; what is your name; where are you going; do you need anything; can i help you;"
    "the game starts at seven; our team won; we won; the movie is starting; class is starting; the lesson is over;"
    "school is out; i am a robot; i come in peace; my name is Robbie; i'm here to help; the robot is ready;"
    "mission accomplished; all clear; the task is done; everything is ready; everything is fine;"
    "everything is under control; we are ready to start; ready, set, go; testing one two three; one two three;"
    "cheese; knock knock; surprise; it's a boy; it worked; one moment please; please wait; please wait here;"
    "please take a seat; please sit down; please close the door; please turn off the lights; next please"
)
_NOUNS: tuple[str, ...] = NOUNS
_COMMON_WORDS = words(
    "good, new, first, last, long, great, little, own, old, big, high, different, small, large, next, early, "
    "young, important, few, bad, same, able, today, tomorrow, soon, late, always, never, here, there, very, our, "
    "your, their, my, is, are, was, has, will, can, must, comes, goes, makes, takes, needs, wants, we, you, they, "
    "he, she, it, one, two, three, red, green, blue, yes, no, maybe, not, of, with, without, for, about, after, "
    "before, because, but, so, too, all, some, more, less, only, again, happy, sad, nice, funny, cold, warm, "
    "quick, slow, easy, hard, right, left, monday, friday, sunday, summer, winter, seven, ten, twenty, hundred, "
    "the, a, this, what, who, how, why"
)
_STATES = templates(
    "ready; open; closed; empty; full; broken; missing; clean; dirty; locked; wet; hot; cold; free; occupied; here;"
    "gone; over; late; cancelled; finished; almost ready; not working; out of order; on the way; done; fixed;"
    "leaking; blocked; for you; too loud; too heavy; back; delayed; available; stuck; in use; very nice; waiting;"
    "on fire; not ready yet; much better now; still warm"
)
_DOINGS = templates(
    "is here; is waiting; is waiting for you; is on the way; is late; is looking for you; is at the door;"
    "has arrived; needs help; called; wants to talk to you; is asleep; is sick today; went home; will be back soon;"
    "said hello; needs a minute; is on the phone; can't come; won't be here tomorrow; has a question; is ready;"
    "is coming; would like some water; left early; has a visitor; is calling; will arrive at noon; forgot the keys;"
    "wants tea; is in a meeting; is outside; says hi; feels better"
)
_EVENTS = templates(
    "dinner; lunch; breakfast; the meeting; the party; the lesson; the game; the tour; the show; class; the shift;"
    "the break; the concert; the training; the call; the inspection; physiotherapy; the workshop; the film;"
    "the appointment; practice"
)
_TIMES = templates(
    "at noon; at three; at five; at eight o'clock; at half past two; in five minutes; in ten minutes; in an hour;"
    "in half an hour; soon; tonight; tomorrow; today; on Monday; on Friday; now; at midnight; next week; at 9;"
    "at 10:30; at 4 pm; this afternoon"
)
_GRAMMAR = templates(
    "6* {the} {noun} {be} {state}; 4* {person} {doing}; 3* {event} starts {time}; {event} is {time};"
    "{event} ends {time}; 2* there {be} {some} {noun} {there}; 3* {the} {noun} {be} {there}; 2* i need {the} {noun};"
    "i found {the} {noun}; we need the {noun} {time}; 2* we are {there}; i'm {there}; i am waiting {there};"
    "2* please bring {the} {noun}; please close {the} {noun}; please don't touch {the} {noun};"
    "2* don't forget {the} {noun}; 2* your {noun} {be} {there}; someone left {the} {noun} {there};"
    "it's time for {event}; {event} has been moved; {person} and {name} are here; {name} has {the} {noun};"
    "we can't find {the} {noun}; i will bring {the} {noun} {time}; he is {there}; she is {there};"
    "they will be here {time}; we will meet {there} {time}; you can have {the} {noun}; i put {the} {noun} {there};"
    "the {noun} needs a new {other}; we are out of {other}; i saw {person} {there};"
    "{the} {noun} and {the} {other} are {state}; you left {the} {noun} {there}; {person} took {the} {noun};"
    "happy birthday {name}; good morning {name}; thank you {name}; welcome {name}; i'll be {there};"
    "the new {noun} {be} here; this {noun} {be} for {name}; meet {person} {there}; go {to}; please come {to};"
    "come {to} {time}; your {noun} {be} at reception; i like {the} {noun}; look at {the} {noun}"
)


# First words of what is called out rather than told: nobody says "tell her that watch out".
_CALLS = frozenset(words(
    "hurry, please, be, watch, mind, don't, stand, keep, no, take, bring, have, sleep, sweet, enjoy, good, long, "
    "how, what's, can, are, who, what, where, ready, testing, one, cheese, knock, surprise, mission, all, next, "
    "stay, get, check, come, happy, thank, welcome, meet, go, look, wait, robot, coming"
))  # fmt: skip


def is_statement(text: str) -> bool:
    """Tell whether "that" may introduce the saying."""
    return text.split(None, 1)[0] not in _CALLS


def _composed(s: Speaker) -> str:
    noun, other = s.noun_phrase(), s.noun_phrase()
    text = write(
        s, _GRAMMAR, the=s.determiner(noun), some="some" if is_plural(noun) else s.pick("no", "another"), noun=noun,
        other=other, be="are" if is_plural(noun) else "is", state=s.rng.choice(_STATES), person=s.other_person()[0],
        doing=s.rng.choice(_DOINGS), event=s.rng.choice(_EVENTS), time=s.rng.choice(_TIMES), there=s.location()[0],
        to=s.destination()[0], name=s.name(),
    )  # fmt: skip
    return " ".join(text.split())


def _any_word(s: Speaker) -> str:
    draw = s.rng.random()
    if draw < 0.1:
        return s.invented_word()
    return s.pick(*_COMMON_WORDS) if draw < 0.55 else s.rng.choice(_NOUNS)


def saying(s: Speaker) -> str:
    """Draw what to say: no final punctuation, no corrections, and nothing that "it" or "her" could stand for later."""
    correction_share, s.correction_share = s.correction_share, 0.0
    last_person, s.last_person = s.last_person, None
    draw = s.rng.random()
    if draw < 0.38:
        text = s.rng.choice(_SAYINGS)
    elif draw < 0.82:
        text = _composed(s)
    else:
        text = " ".join(_any_word(s) for _ in range(s.rng.randint(1, 7)))
    s.correction_share, s.last_person = correction_share, last_person
    return f"the {text[5:]}" if text.startswith("that ") else text  # a "that" before the text is no part of it


def short_saying(s: Speaker) -> str:
    """Draw a well-known saying, whose end is heard even if another clause follows."""
    return s.rng.choice(_SAYINGS)
