"""The words that robot commands are made of."""

from __future__ import annotations


def words(text: str) -> tuple[str, ...]:
    """Split a comma-separated list."""
    return tuple(word.strip() for word in text.split(","))


COLOURS = words("red, blue, green, yellow, black, white, orange, purple, pink, brown, grey, silver, golden, dark blue")
SIZES = words("small, big, large, little, tiny, heavy, long, short, tall, thin")
QUALITIES = words(
    "wooden, plastic, metal, glass, steel, rubber, paper, empty, full, dirty, clean, broken, wet, new, old, round, "
    "square, soft, open, folded"
)
OBJECTS = words(
    "cube, ball, box, cup, mug, bottle, can, plate, bowl, spoon, fork, knife, glass, jar, pan, pot, lid, tray, basket, "
    "apple, banana, pear, lemon, tomato, carrot, sandwich, egg, block, brick, cylinder, cone, ring, toy, doll, bear, "
    "car, truck, puzzle, book, newspaper, magazine, letter, envelope, parcel, package, pen, pencil, marker, notebook, "
    "stapler, ruler, eraser, phone, tablet, laptop, charger, cable, battery, remote, camera, headset, keyboard, mouse, "
    "lamp, bulb, candle, key, wallet, bag, backpack, suitcase, umbrella, hat, shoe, sock, shirt, jacket, towel, "
    "blanket, pillow, sponge, cloth, brush, broom, bucket, mop, hammer, screwdriver, wrench, drill, saw, screw, nut, "
    "bolt, nail, gear, motor, wheel, pipe, valve, sensor, circuit board, test tube, syringe, bandage, pill box, "
    "first aid kit, tool box, water bottle, coffee cup, tea cup, soda can, milk carton, cereal box, lunch box, "
    "paper bag, remote control, flower pot, watering can, toy car, tennis ball, trash bag, fire extinguisher"
)
ROOMS = words(
    "kitchen, living room, bedroom, bathroom, office, garage, hallway, laundry room, garden, lab, warehouse, workshop, "
    "basement, attic, balcony, lobby, meeting room, dining room, nursery, library, pantry, corridor, storage room, "
    "server room, reception, classroom, gym, terrace, cellar, ward"
)
SPOTS = words(
    "table, shelf, desk, counter, sofa, couch, bed, chair, bench, cabinet, cupboard, drawer, closet, wardrobe, "
    "fireplace, sink, stove, oven, dishwasher, washing machine, trash can, bin, recycling bin, basket, crate, pallet, "
    "conveyor belt, workbench, rack, cart, trolley, charging dock, charging station, docking station, loading dock, "
    "loading bay, home base, elevator, lift, stairs, ramp, entrance, exit, gate, door, window, wall, corner, carpet, "
    "floor, mat, piano, bookcase, nightstand, coffee table, kitchen table, dinner table, mailbox, printer, "
    "coffee machine, vending machine, assembly line, packing station, inspection area, parking spot, pickup point, "
    "starting point, front door, back door, water tank, fence, tree, pond, mirror"
)
ABSTRACT_PLACES = words("home, upstairs, downstairs, outside")
NUMBERED_PLACES = words("room, shelf, station, dock, bay, aisle, gate, table, rack, zone")
OPENABLES = words(
    "fridge, refrigerator, freezer, door, window, drawer, cabinet, cupboard, box, oven, dishwasher, microwave, "
    "washing machine, closet, gate, garage door, front door, back door, trash can, lid, jar, curtains, blinds, "
    "gripper, valve, hatch, mailbox, suitcase, bag, tool box, elevator door, wardrobe, safe, top drawer, left door"
)
APPLIANCES = words(
    "light, lights, lamp, fan, heater, radio, tv, television, oven, stove, kettle, coffee machine, vacuum, printer, "
    "camera, pump, motor, conveyor belt, air conditioner, alarm, speaker, dishwasher, ceiling light, flashlight"
)
PUSHABLES = words(
    "box, chair, cart, trolley, table, crate, pallet, door, drawer, button, lever, wheelchair, bed, wagon, ball, "
    "bin, stool, handle, cabinet, barrel"
)
CLEANABLES = words(
    "table, floor, window, kitchen, bathroom, desk, counter, carpet, living room, sink, mirror, shelf, stove, office, "
    "bedroom, hallway, whiteboard, board, sofa, plate"
)
PEOPLE = words(
    "nurse, doctor, visitor, guest, child, teacher, patient, operator, technician, boss, girl, boy, man, woman, dog, "
    "cat, robot, driver, engineer, neighbour, baby, student, waiter"
)
NAMES = words(
    "Anna, Ben, Clara, David, Emma, Felix, Grace, Henry, Ida, Jack, Kate, Leo, Maria, Noah, Olga, Paul, Rosa, Sam, "
    "Tina, Victor, Wendy, Yuki, Ali, Fatima, Carlos, Priya, Chen, Ivan, Sofia, Lucas, Mia, Tom, Lisa, Max, Julia"
)
RELATIONS = words("next to, under, behind, in front of, near, beside")

SAYINGS = words(
    "hello, good morning, good night, dinner is ready, lunch is ready, the door is open, welcome, goodbye, thank you, "
    "the battery is low, I am ready, please step aside, the package has arrived, breakfast is served, happy birthday, "
    "the meeting starts in five minutes, be careful, the floor is wet, I am on my way, the elevator is here, "
    "your coffee is ready, it is time to go, please wait here, the task is done, watch out, good afternoon, "
    "nice to meet you, see you tomorrow, the bus is coming, we are closed"
)
GREETINGS = words("hello, hi, good morning, good night, goodbye, thank you, welcome, happy birthday, sorry")
COMMON_WORDS = words(
    "time, year, people, way, day, thing, world, life, hand, part, place, week, case, point, company, number, group, "
    "problem, fact, night, water, room, mother, area, money, story, month, lot, right, study, book, eye, job, word, "
    "business, issue, side, kind, head, house, service, friend, father, power, hour, game, line, end, member, law, "
    "city, community, name, team, minute, idea, body, information, parent, face, level, office, health, person, art, "
    "war, history, party, result, change, morning, reason, research, moment, air, force, education, good, new, first, "
    "last, long, great, little, own, other, old, big, high, different, small, large, next, early, young, important, "
    "few, public, bad, same, able, today, tomorrow, soon, late, always, never, here, there, very, our, your, their, "
    "my, is, are, was, has, will, can, must, comes, goes, makes, takes, needs, wants, we, you, they, he, she, one, "
    "two, three, red, green, music, summer, winter, train, plane, river, mountain, bird, fish, horse, sugar, bread, "
    "cheese, coffee, tea, doctor, school, street, garden, weather, rain, snow, sun, moon, star, fire, paper, letter"
)
