"""Things that are opened, pushed, switched or cleaned rather than carried."""

from __future__ import annotations

from bonsai_edge_train.robot_commands.lexicon.word_list import words

OPENABLES = words(
    "door, window, gate, fridge, refrigerator, freezer, drawer, cabinet, cupboard, closet, wardrobe, box, oven, oven "
    "door, dishwasher, microwave, washing machine, dryer, garage, garage door, front door, back door, kitchen door, "
    "bathroom door, office door, car door, side door, fire door, sliding door, trap door, glass door, trash can, bin, "
    "lid, jar, bottle, can, curtain, curtains, blinds, blind, shutters, shades, drapes, valve, water valve, gas "
    "valve, hatch, mailbox, suitcase, bag, backpack, tool box, toolbox, lunch box, envelope, package, parcel, letter, "
    "elevator door, elevator doors, safe, vault, locker, top drawer, bottom drawer, middle drawer, left door, right "
    "door, second drawer, cutlery drawer, desk drawer, kitchen cabinet, medicine cabinet, filing cabinet, display "
    "case, toy chest, treasure chest, crate, barrel, container, lunchbox, cookie jar, pill box, medicine bottle, "
    "first aid kit, umbrella, book, notebook, laptop, folder, tent, cage, bird cage, dog door, barn door, stable "
    "door, skylight, roof hatch, loading dock door, tailgate, trunk, hood, glove box, fuse box, control cabinet, "
    "battery compartment, centrifuge, incubator, autoclave, fume hood, petri dish, sample box, vent, damper, tap, "
    "faucet, cash register, main gate, patio door, balcony door, bedroom window, kitchen window, bathroom window, big "
    "window, lab door, cell door, shower curtain, chest, piano lid, toilet lid, pizza box, paint can, zipper, door of "
    "the fridge, door to the balcony, lid of the box, top drawer of the desk, bottom drawer of the dresser, door on "
    "the left, window on the right"
)
BUTTONS = words(
    "button, red button, green button, blue button, start button, stop button, power button, reset button, elevator "
    "button, emergency button, emergency stop, doorbell, call button, light switch, switch, lever, pedal, key, "
    "buzzer, alarm button, up button, down button, button 3, button 5, button for the third floor, "
    "enter key, big red button, play button, flush button, handle, door handle, panic button, bell"
)
PUSHABLES = words(
    "box, chair, cart, trolley, table, crate, pallet, door, drawer, lever, wheelchair, bed, wagon, ball, bin, stool, "
    "handle, cabinet, barrel, shopping cart, hospital bed, stretcher, medicine cart, food cart, laundry cart, tool "
    "cart, rolling table, office chair, armchair, sofa, couch, bench, desk, coffee table, dresser, bookcase, shelf, "
    "trash can, recycling bin, wheelbarrow, stroller, sled, toy car, toy truck, toy train, block, cube, cardboard "
    "box, wooden crate, heavy box, suitcase, luggage, luggage cart, washing machine, fridge, piano, tv stand, lawn "
    "mower, bicycle, scooter, trailer, dolly, hand truck, iv stand, tray, plate, cup, curtain, rope, cord, cable, "
    "hose, chain, blanket, tarp, sack, bag, gate, sliding door, workbench, ladder, container, tote, rack, clothes "
    "rack, partition, whiteboard, plant, log, rock, tire, mattress, rug, carpet, vacuum cleaner, mop bucket, "
    "joystick, throttle, bucket, button, tablecloth"
)
APPLIANCES = words(
    "light, lights, lamp, fan, heater, radio, tv, television, oven, stove, kettle, coffee machine, coffee maker, "
    "vacuum, vacuum cleaner, printer, camera, pump, motor, conveyor, conveyor belt, air conditioner, air "
    "conditioning, AC, alarm, speaker, speakers, dishwasher, ceiling light, ceiling fan, flashlight, headlight, "
    "headlights, lawn sprinkler, sprinklers, microwave, toaster, blender, mixer, washing machine, dryer, computer, "
    "laptop, monitor, screen, projector, router, wifi, music, stereo, game console, desk lamp, bedside lamp, floor "
    "lamp, reading lamp, night light, porch light, kitchen light, bathroom light, hallway light, garage lights, "
    "christmas lights, tree lights, humidifier, air purifier, heating, radiator, thermostat, electric blanket, iron, "
    "hair dryer, water heater, boiler, furnace, fireplace, fountain, pool pump, water pump, compressor, generator, "
    "drill press, lathe, saw, 3d printer, cnc machine, laser, laser cutter, soldering iron, centrifuge, incubator, "
    "microscope, microscope light, hot plate, stirrer, fume hood, autoclave, vent fan, exhaust fan, siren, warning "
    "light, beacon, work light, floodlight, spotlight, stage lights, neon sign, display, scanner, copier, shredder, "
    "power, main power, power supply, water, gas, tap, faucet, shower, scale, sensor, lidar, microphone, heart "
    "monitor, bed light, oxygen, baby monitor, white noise machine, disco ball, train set, toy train, sound, volume, "
    "bluetooth, electricity, engine"
)
CLEANABLES = words(
    "table, floor, floors, window, windows, kitchen, bathroom, desk, counter, countertop, kitchen counter, carpet, "
    "rug, living room, sink, mirror, shelf, shelves, stove, stovetop, office, bedroom, hallway, whiteboard, "
    "blackboard, board, sofa, couch, plate, dishes, kitchen floor, bathroom floor, kitchen table, dining table, "
    "coffee table, dining room, stairs, staircase, toilet, shower, bathtub, tub, tiles, fridge, oven, microwave, "
    "windowsill, blinds, bookshelf, tv screen, screen, glass door, door, door handle, door handles, railing, "
    "handrail, elevator, lobby, corridor, waiting room, ward, operating table, exam table, bed frame, hospital bed, "
    "wheelchair, equipment, instruments, lab bench, workbench, workshop, machine, conveyor belt, tank, fish tank, "
    "litter box, cage, garage, garage floor, driveway, patio, deck, porch, balcony, pool, grill, car, windshield, "
    "camera lens, lens, sensor, solar panels, room, whole room, playroom, classroom, gym, gym floor, locker room, "
    "meeting room, conference table, reception desk, display case, statue, spill, mess, coffee stain, stain, puddle, "
    "crumbs, broken glass, dust, mud, milk spill, paint spill, cups, pots and pans, silverware, walls, wall, ceiling, "
    "chair, chairs, baseboards, curtains, mat, yoga mat, toys, shoes, boots, furniture, piano, keyboard, bar, tables, "
    "room 12, room 305, aisle 4, entrance hall, front steps, cutting board, trash can, drain, filter, gutter, hood"
)
WANTED = words(
    "something to drink, something to eat, something cold, drink, coffee, water, juice, tea, beer, soda, snack, cold "
    "drink, hot chocolate, lemonade, coke, apple, sandwich, cookie, blanket, towel, pillow, newspaper, book, napkin, "
    "glass of water, cup of coffee, cup of tea, bottle of water, glass of milk, can of soda, straw, spoon, fork, "
    "clean towel, cold beer, hot tea, iced coffee, black coffee, green tea, orange juice, sparkling water, tissue, "
    "tissues, pen, jacket, glasses, reading glasses, phone, charger, remote, keys, slippers, pills, medicine, "
    "umbrella, shoes, wrench, hammer, screwdriver, tape, scissors, flashlight, bandage, thermometer, wheelchair, ice "
    "cream, banana, cereal, teddy bear, ball, toy, hat, mask, gloves, clean sheet, extra pillow, chair, ladder, "
    "bucket, mop, broom, paper, stapler, bag of chips, bowl of soup, piece of cake, slice of pizza, cup of water"
)
TOOLS_ASKED_FOR = words(
    "scalpel, forceps, gauze, clamp, syringe, suction, wrench, hammer, screwdriver, pliers, drill, tape, scissors, "
    "pen, salt, pepper, ketchup, remote, towel, napkin, flashlight, tape measure, marker, sponge, stapler, tweezers, "
    "sugar, milk, butter, bread, glue, paper, phone, 10 millimeter socket, allen key, soldering iron, test tube, "
    "pipette, mop"
)
