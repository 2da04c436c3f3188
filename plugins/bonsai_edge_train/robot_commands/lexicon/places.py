"""Where robots go and where things lie; each list takes the same prepositions."""

from __future__ import annotations

from bonsai_edge_train.robot_commands.lexicon.word_list import words

ROOMS = words(
    "kitchen, living room, bedroom, bathroom, office, garage, hallway, laundry room, garden, lab, laboratory, "
    "warehouse, workshop, basement, attic, balcony, lobby, meeting room, conference room, dining room, nursery, "
    "library, pantry, corridor, storage room, server room, reception, reception area, classroom, gym, terrace, "
    "cellar, ward, guest room, playroom, kids room, study, den, closet, hall, entrance hall, foyer, porch, patio, "
    "backyard, yard, driveway, shed, barn, greenhouse, cafeteria, canteen, restaurant, bar, break room, waiting room, "
    "operating room, emergency room, recovery room, intensive care unit, pharmacy, nurses station, exam room, "
    "treatment room, supply room, supply closet, mail room, copy room, control room, clean room, cold room, boiler "
    "room, machine shop, machine room, engine room, assembly hall, packing area, loading area, storage area, sorting "
    "area, inspection area, break area, lounge, ballroom, spa, pool, swimming pool, sauna, locker room, changing "
    "room, restroom, toilet, exhibit hall, gallery, gift shop, ticket office, main hall, auditorium, theater, chapel, "
    "courtyard, playground, parking lot, parking garage, street, sidewalk, park, field, stable, orchard, vineyard, "
    "field station, construction site, shop, store, bakery, elevator, lift, staircase, stairwell, upstairs bathroom, "
    "master bedroom, kids' room, children's room, physics lab, chemistry lab, x-ray room, tool room, paint shop, "
    "showroom, penthouse, sunroom, maternity ward, radiology, dialysis unit, front yard, east wing, west wing, north "
    "hall, main building, ground floor, first floor, second floor, third floor, top floor"
)
SURFACES = words(
    "table, kitchen table, dining table, dinner table, coffee table, side table, bedside table, night table, desk, "
    "counter, kitchen counter, countertop, bar counter, reception desk, front desk, shelf, top shelf, bottom shelf, "
    "bookshelf, rack, windowsill, window sill, sofa, couch, armchair, chair, stool, bench, bed, nightstand, dresser, "
    "mat, carpet, rug, floor, ground, workbench, work table, lab bench, lab table, conveyor, conveyor belt, pallet, "
    "tray, cart, trolley, medicine cart, stretcher, platform, stage, pedestal, podium, scale, stove, piano, "
    "mantelpiece, fireplace, ironing board, changing table, picnic table, ping pong table, tool rack, coat rack, shoe "
    "rack, drying rack, dish rack, loading ramp, forklift, turntable, tablecloth, plate, napkin, cutting board, "
    "doormat, doorstep, porch swing, saddle, grill, roof, wall, whiteboard, hook, teacher's desk, window ledge, "
    "welcome mat, packing table, operating table"
)
CONTAINERS = words(
    "box, cardboard box, toy box, tool box, toolbox, crate, bin, trash can, trash, garbage can, garbage, wastebasket, "
    "recycling bin, blue bin, laundry basket, laundry hamper, hamper, basket, fruit basket, shopping bag, bag, "
    "backpack, suitcase, drawer, top drawer, bottom drawer, kitchen drawer, desk drawer, cutlery drawer, cabinet, "
    "medicine cabinet, filing cabinet, cupboard, wardrobe, closet, chest, safe, locker, fridge, refrigerator, "
    "freezer, oven, microwave, toaster, dishwasher, washing machine, dryer, sink, bathtub, bucket, bowl, fruit bowl, "
    "cup, glass, jar, pot, pan, vase, flower pot, mailbox, envelope, shopping cart, truck, car, trunk, van, "
    "container, tote, barrel, tank, water tank, fish tank, autoclave, centrifuge, incubator, fume hood, sample box, "
    "test tube rack, display case, lost and found box, donation box, cooler, picnic basket, dumpster, compost bin, "
    "trailer, shed, pocket, purse, sharps container, biohazard bin, incoming tray, outbox, shopping basket, sandbox, "
    "crib, dollhouse, stroller"
)
SPOTS = words(
    "door, front door, back door, garage door, glass door, window, wall, corner, entrance, main entrance, exit, "
    "emergency exit, gate, garden gate, fence, tree, oak tree, pond, fountain, mirror, stairs, ramp, elevator, "
    "elevators, escalator, mailbox, printer, copier, coffee machine, vending machine, water cooler, water fountain, "
    "water dispenser, assembly line, production line, packing station, loading dock, loading bay, parking spot, "
    "pickup point, drop-off point, drop zone, starting point, start line, finish line, checkpoint, waypoint, meeting "
    "point, bus stop, information desk, check-in counter, checkout, cash register, fire extinguisher, statue, "
    "dinosaur skeleton, sofa, couch, tv, television, fireplace, bookcase, bed, table, kitchen island, sink, stove, "
    "fridge, washing machine, workstation, cnc machine, lathe, drill press, robot arm, 3d printer, control panel, "
    "fuse box, thermostat, light switch, pipe, pump, boiler, generator, forklift, shelf, red line, yellow line, bike "
    "rack, bench, swing, slide, sandbox, crosswalk, traffic light, car, truck, trailer, tent, campfire, barn door, "
    "chicken coop, doghouse, flower bed, rose bush, hospital bed, wheelchair, curtain, hallway, staircase, railing, "
    "pillar, column, desk, armchair"
)
# Going there is docking, but things can be brought there and looked at.
CHARGERS = words(
    "charging dock, charging dock, charging station, charging station, dock, charger, docking station, charging pad, "
    "charging base"
)
# Parts of things, by the preposition they take: on, in, at.
PARTS_ON = words(
    "top of the fridge, top of the bookcase, end of the table, edge of the table, edge of the desk, left side of the "
    "desk, right side of the bed, top shelf of the cabinet, second shelf of the pantry, bottom shelf of the fridge, "
    "middle of the table, top shelf of the bookcase, lid of the box, back of the chair, arm of the sofa, left half of "
    "the table"
)
PARTS_IN = words(
    "top drawer of the dresser, bottom drawer of the desk, second drawer of the cabinet, back of the truck, trunk of "
    "the car, corner of the room, middle of the room, center of the room, back of the fridge, left compartment of the "
    "box, front pocket of the backpack, far corner of the garage, bottom of the box, vegetable drawer of the fridge"
)
PARTS_AT = words(
    "end of the hallway, end of the corridor, top of the stairs, bottom of the stairs, foot of the bed, head of the "
    "table, end of the aisle, back of the room, front of the building, edge of the garden, entrance of the building, "
    "door to the garden, door of the lab, other side of the room, far end of the warehouse, side of the bed, front of "
    "the line"
)
PLACE_ADJECTIVES = words(
    "first, second, third, fourth, last, other, next, top, bottom, upper, lower, middle, left, right, back, front, "
    "far, big, small, large, little, long, round, square, tall, low, high, corner, main, red, blue, green, yellow, "
    "white, black, brown, grey, orange, wooden, metal, glass, plastic, old, new, empty, dark, open, nearest, closest"
)
