"""Things that a robot can pick up and carry, by everyday domain."""

from __future__ import annotations

from bonsai_edge_train.robot_commands.lexicon.word_list import words

HOUSEHOLD = words(
    "book, newspaper, magazine, letter, envelope, package, parcel, mail, phone, cell phone, smartphone, tablet, "
    "laptop, charger, phone charger, charging cable, power bank, remote, remote control, tv remote, headphones, "
    "glasses, sunglasses, reading glasses, keys, car keys, house key, wallet, purse, handbag, backpack, bag, "
    "suitcase, umbrella, pillow, cushion, blanket, quilt, towel, bath towel, beach towel, washcloth, candle, vase, "
    "picture frame, photo album, alarm clock, clock, lamp, light bulb, flashlight, battery, batteries, extension "
    "cord, matches, lighter, toothbrush, toothpaste, soap, shampoo, comb, hairbrush, hair dryer, razor, mirror, "
    "tissue, tissues, tissue box, toilet paper, laundry, laundry basket, dirty clothes, hanger, iron, sponge, cloth, "
    "rag, brush, broom, dustpan, mop, bucket, duster, vacuum cleaner, trash, garbage, trash bag, garbage bag, trash "
    "can, recycling, plant, houseplant, flower, flowers, bouquet, flower pot, fly swatter, sewing kit, needle, "
    "thread, walking stick, cane, slippers, dog leash, dog bowl, cat food, pet carrier, fan, heater, basket, stool, "
    "chair, rug, doormat, calendar, diary, magnet, piggy bank, music box, guitar, violin, camera, tripod, board game, "
    "chess set"
)
KITCHEN = words(
    "cup, mug, coffee mug, coffee cup, tea cup, teacup, glass, wine glass, water glass, tumbler, bottle, water "
    "bottle, wine bottle, thermos, can, soda can, jug, pitcher, carafe, plate, dinner plate, dish, dishes, bowl, "
    "salad bowl, soup bowl, saucer, fork, knife, spoon, teaspoon, tablespoon, wooden spoon, spatula, ladle, whisk, "
    "tongs, peeler, grater, rolling pin, cutting board, chopping board, pan, frying pan, saucepan, pot, cooking pot, "
    "teapot, kettle, lid, jar, cookie jar, tray, baking tray, casserole, toaster, blender, mixer, strainer, colander, "
    "funnel, measuring cup, kitchen scale, can opener, bottle opener, corkscrew, napkin, napkins, paper towel, paper "
    "towels, dish towel, oven mitt, apron, lunch box, lunchbox, food container, egg carton, milk carton, cereal box, "
    "salt shaker, pepper mill, sugar bowl, straw, ice cube, coaster, placemat, chopsticks, bread knife, butter knife, "
    "steak knife, dish soap, tin foil, plastic wrap, wine rack, spice jar, garlic press, egg timer, ice cream scoop"
)
FOOD = words(
    "apple, banana, orange, pear, lemon, lime, peach, plum, grapes, strawberry, strawberries, blueberries, cherry, "
    "mango, pineapple, melon, watermelon, kiwi, avocado, tomato, tomatoes, cucumber, carrot, carrots, potato, "
    "potatoes, onion, garlic, pepper, broccoli, cabbage, lettuce, spinach, corn, mushroom, pumpkin, beans, rice, "
    "pasta, noodles, bread, loaf, bagel, croissant, roll, toast, sandwich, burger, pizza, hot dog, salad, soup, stew, "
    "cheese, butter, yogurt, milk, cream, egg, eggs, ham, sausage, bacon, chicken, steak, fish, tuna, shrimp, sugar, "
    "salt, flour, honey, jam, peanut butter, ketchup, mustard, mayonnaise, olive oil, vinegar, cereal, oatmeal, "
    "granola bar, chocolate, chocolate bar, cookie, cookies, biscuit, cake, birthday cake, muffin, cupcake, doughnut, "
    "pie, ice cream, candy, chips, popcorn, nuts, raisins, snack, snacks, breakfast, lunch, dinner, coffee, tea, iced "
    "tea, juice, orange juice, apple juice, lemonade, soda, coke, beer, wine, water, hot chocolate, smoothie, drink, "
    "leftovers, fruit, vegetables, baby food, groceries, tofu, curry, taco, sushi, waffle, pancake, dumplings, "
    "ginger, basil, cinnamon, maple syrup"
)
CLOTHING = words(
    "shirt, t-shirt, blouse, sweater, hoodie, jacket, coat, raincoat, vest, pants, trousers, jeans, shorts, skirt, "
    "dress, socks, sock, shoe, shoes, boots, sneakers, sandals, high heels, hat, cap, scarf, glove, gloves, mittens, "
    "belt, tie, bow tie, pajamas, bathrobe, swimsuit, underwear, uniform, watch, necklace, ring, bracelet, earrings, "
    "helmet, bike helmet, hard hat, safety vest, rain boots, winter coat, leather jacket, baseball cap, shoe box, "
    "jewelry box"
)
TOYS = words(
    "toy, toys, ball, tennis ball, soccer ball, basketball, football, beach ball, doll, teddy bear, stuffed animal, "
    "stuffed bunny, toy car, toy truck, toy train, toy robot, dinosaur, toy dinosaur, race car, fire truck, puzzle, "
    "puzzle piece, lego, lego brick, block, building block, blocks, cube, cylinder, pyramid, sphere, cone, ring, "
    "kite, balloon, frisbee, yo-yo, jump rope, marble, marbles, dice, playing cards, deck of cards, crayon, crayons, "
    "coloring book, story book, paint, paintbrush, play dough, rattle, pacifier, baby bottle, stroller, scooter, "
    "skateboard, tricycle, dollhouse, puppet, plush unicorn, toy plane, water gun, action figure, drum, xylophone, "
    "bubble wand, sticker, trampoline"
)
OFFICE = words(
    "pen, ballpoint pen, pencil, marker, highlighter, whiteboard marker, eraser, ruler, stapler, staples, hole punch, "
    "scissors, tape, tape dispenser, glue, glue stick, paper, paper clip, rubber band, sticky notes, notebook, "
    "notepad, folder, binder, file, files, document, documents, contract, invoice, report, form, printout, business "
    "card, stamp, clipboard, calculator, keyboard, mouse, mouse pad, monitor, webcam, headset, projector, printer, "
    "ink cartridge, toner, usb stick, usb cable, hard drive, router, adapter, hdmi cable, power cord, name tag, "
    "badge, key card, coffee pot, desk lamp, lunch bag, briefcase, whiteboard, flip chart, poster, printer paper, "
    "mail tray, memo"
)
WORKSHOP = words(
    "hammer, mallet, screwdriver, phillips screwdriver, wrench, socket wrench, allen key, pliers, needle nose pliers, "
    "wire cutter, drill, drill bit, power drill, saw, hacksaw, chisel, file, sandpaper, clamp, vise, tape measure, "
    "level, screw, screws, bolt, nut, nail, nails, washer, spring, hinge, bracket, gear, bearing, shaft, pulley, "
    "chain, belt, motor, servo, wheel, caster, axle, pipe, tube, hose, valve, gasket, seal, o-ring, pump, filter, "
    "piston, sensor, circuit board, resistor, capacitor, wire, cable, cable tie, connector, plug, fuse, switch, "
    "relay, battery pack, soldering iron, multimeter, oscilloscope, glue gun, paint can, paint roller, oil can, spray "
    "can, duct tape, toolbox, tool box, tool belt, safety goggles, work gloves, ear protection, ladder, step ladder, "
    "workpiece, metal plate, aluminum profile, steel rod, wooden board, plank, jig, template, caliper, torque wrench, "
    "crowbar, heat sink, blade"
)
WAREHOUSE = words(
    "box, cardboard box, crate, carton, pallet, bin, tote, container, barrel, drum, sack, package, parcel, shipment, "
    "delivery, order, cart, trolley, hand truck, dolly, pallet jack, barcode scanner, label, shipping label, label "
    "printer, packing tape, bubble wrap, stretch wrap, box cutter, strap, rope, chain, hook, safety cone, traffic "
    "cone, fire extinguisher, forklift battery, spare part, spare parts, return, fragile box, sample, empty crate, "
    "metal bin, plastic tote, storage box, roll of tape, gas bottle, canister, bundle, bale, spool, coil, cylinder, "
    "brick, bricks"
)
HOSPITAL = words(
    "medicine, medication, pill, pills, pill bottle, pill box, bandage, bandages, gauze, plaster, band-aid, syringe, "
    "needle, thermometer, stethoscope, blood pressure cuff, blood sample, urine sample, specimen, specimen cup, test "
    "kit, scalpel, forceps, surgical mask, face mask, face shield, mask, gown, latex gloves, hand sanitizer, "
    "disinfectant, cotton swab, cotton balls, iv bag, iv stand, drip, oxygen tank, oxygen mask, inhaler, catheter, "
    "bedpan, wheelchair, walker, crutches, first aid kit, defibrillator, ultrasound probe, x-ray, medical chart, "
    "patient file, chart, meal tray, food tray, water cup, blanket, fresh sheets, bed sheet, pillowcase, hearing aid, "
    "ointment, eye drops, cough syrup, vitamins, insulin, antibiotics, painkillers, splint, tourniquet, medicine "
    "cart, sharps container, heating pad"
)
LAB = words(
    "test tube, test tube rack, beaker, flask, erlenmeyer flask, petri dish, pipette, pipette tip, vial, ampoule, "
    "reagent, sample, soil sample, rock sample, microscope, microscope slide, slide, centrifuge tube, graduated "
    "cylinder, burette, bunsen burner, hot plate, magnetic stirrer, stir bar, balance, scale, lab coat, safety "
    "glasses, tweezers, dropper, culture plate, well plate, cuvette, crucible, mortar, pestle, ph meter, "
    "thermocouple, laser pointer, lens, prism, solvent, acid bottle, ethanol, dry ice, lab notebook, goggles, wash "
    "bottle, gas canister, parafilm, desiccator"
)
GARDEN = words(
    "shovel, spade, rake, hoe, trowel, pitchfork, pruning shears, hedge clippers, garden hose, watering can, "
    "sprinkler, wheelbarrow, flower pot, seeds, seed packet, seedling, fertilizer, compost, soil, mulch, weeds, "
    "leaves, firewood, log, stick, branch, twig, stone, rock, pebble, pine cone, acorn, bird feeder, bird house, "
    "garden gnome, lawn chair, parasol, picnic basket, cooler, barbecue, charcoal, lantern, axe, egg basket, feed "
    "bucket, hay, saddle, tarp, tent, sleeping bag, fishing rod, tennis racket, golf club, baseball bat, bicycle "
    "pump, surfboard, dumbbell, yoga mat"
)
HOTEL_AND_MUSEUM = words(
    "luggage, room key, room service tray, welcome basket, minibar bottle, bath mat, bathrobe, guest towel, ice "
    "bucket, champagne bottle, champagne, menu, bill, receipt, tip, coat hanger, shoe bag, key, map, brochure, "
    "leaflet, flyer, ticket, tickets, audio guide, statue, sculpture, painting, artifact, fossil, skull, coin, medal, "
    "sword, shield, crown, scroll, pottery, display case, stanchion, souvenir, postcard, guest book, bell, champagne "
    "flute, ashtray, tablecloth, centerpiece, candle holder, wine list, high chair, passport, boarding pass, travel "
    "pillow, garment bag"
)
CONSTRUCTION = words(
    "beam, steel beam, girder, cement bag, bag of cement, sandbag, concrete block, cinder block, tile, tiles, roof "
    "tile, drywall sheet, plywood, plywood sheet, insulation, rebar, scaffold pole, window frame, door frame, door "
    "handle, doorknob, lock, padlock, jackhammer, sledgehammer, pickaxe, trowel, spirit level, plumb bob, chalk line, "
    "blueprint, survey stake, safety harness, generator, cable reel, work light, power tool, circular saw, angle "
    "grinder, nail gun, staple gun, paint bucket, caulking gun, faucet, pipe wrench, shower head, junction box, "
    "breaker, radio, walkie talkie"
)
COMPOUNDS = words(
    "bottle of water, glass of water, cup of coffee, cup of tea, mug of tea, glass of milk, glass of wine, can of "
    "soda, can of beer, carton of milk, jug of water, pitcher of lemonade, bowl of soup, bowl of cereal, bowl of "
    "fruit, plate of cookies, slice of pizza, slice of bread, piece of cake, piece of paper, sheet of paper, stack of "
    "papers, stack of books, pile of clothes, pile of laundry, pair of scissors, pair of gloves, pair of socks, pair "
    "of shoes, pair of glasses, pair of pliers, box of screws, box of nails, box of tissues, box of matches, box of "
    "chocolates, box of crayons, bag of chips, bag of apples, bag of flour, bag of rice, bag of trash, sack of "
    "potatoes, basket of fruit, basket of laundry, bunch of flowers, bunch of keys, bunch of bananas, roll of tape, "
    "roll of toilet paper, roll of paper towels, tube of toothpaste, bar of soap, bar of chocolate, jar of honey, jar "
    "of pickles, jar of jam, jar of peanut butter, tin of tuna, can of paint, can of beans, bucket of water, bucket "
    "of paint, tray of food, tray of samples, rack of test tubes, set of keys, deck of cards, loaf of bread, stick of "
    "butter, carton of eggs, pack of gum, pack of batteries, packet of seeds, spool of wire, coil of rope, bundle of "
    "wires, crate of oranges, pot of coffee, tub of ice cream, scoop of ice cream, vase of flowers, bottle of wine, "
    "bottle of pills, bottle of ketchup, bottle of shampoo, bag of blood, vial of insulin, dose of medicine, change "
    "of clothes, piece of chalk, lump of clay, ball of yarn"
)
DOMAINS = (
    (HOUSEHOLD, 16), (KITCHEN, 15), (FOOD, 11), (CLOTHING, 6), (TOYS, 10), (OFFICE, 8), (WORKSHOP, 9), (WAREHOUSE, 8),
    (HOSPITAL, 6), (LAB, 4), (GARDEN, 4), (HOTEL_AND_MUSEUM, 3), (CONSTRUCTION, 2), (COMPOUNDS, 8),
)  # fmt: skip
# Heads of noun compounds with any noun in front: "pumpkin jar".
COMPOUND_HEADS = words(
    "box, bag, jar, bottle, case, holder, cover, stand, basket, cup, bowl, can, tray, rack, brush, knife, key, book, "
    "card, toy, tool, kit, pack, part, sample, plate, bucket, tube, machine, model, stick, piece, ball, container"
)
# Measures of any noun: "bag of walnuts".
MEASURES = words(
    "box, bag, jar, bottle, bowl, cup, glass, can, basket, bucket, pack, packet, pile, stack, plate, piece, bunch, "
    "tray, roll, crate, sack, tin, tube, handful, carton"
)
