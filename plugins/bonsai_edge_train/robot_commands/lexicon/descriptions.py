"""Adjectives and other words that say which thing is meant."""

from __future__ import annotations

from bonsai_edge_train.robot_commands.lexicon.word_list import words

COLOURS = words(
    "red, blue, green, yellow, black, white, orange, purple, pink, brown, grey, gray, red, blue, green, yellow, "
    "silver, golden, gold, beige, turquoise, violet, cyan, magenta, teal, navy, maroon, dark blue, light blue, dark "
    "green, light green, bright red, dark red, light grey, transparent, clear, striped, spotted, checkered, rainbow, "
    "cream, bronze, olive, tan, crimson, pale yellow, neon green, multicolored, colorful"
)
SIZES = words(
    "small, big, large, little, tiny, heavy, long, short, tall, thin, thick, wide, narrow, huge, giant, medium, "
    "light, smallest, biggest, largest, heaviest, longest, tallest, smaller, bigger, larger, flat, deep, mini, "
    "oversized, medium-sized, extra large, full-size, half-liter, 2 liter, 10 kg"
)
MATERIALS = words(
    "wooden, plastic, metal, glass, steel, rubber, paper, cardboard, leather, cotton, wool, ceramic, porcelain, "
    "aluminum, brass, copper, stone, marble, silk, foam, iron, silver, bamboo, concrete, stainless steel, velvet, "
    "wicker"
)
QUALITIES = words(
    "empty, full, dirty, clean, broken, wet, dry, new, old, round, square, soft, hard, open, closed, folded, "
    "half-empty, sharp, blunt, shiny, rusty, dusty, fresh, warm, cold, hot, frozen, ripe, rotten, sliced, used, "
    "unused, spare, extra, favorite, fancy, nice, pretty, cute, fluffy, furry, fragile, damaged, cracked, bent, torn, "
    "loose, missing, lost, important, special, sealed, labeled, unopened, wrapped, expired, sterile, portable, "
    "electric, digital, wireless, cordless, left, right, other, wrong, correct, same, usual, first, second, third, "
    "last, next, middle, upper, lower, top, bottom, front, back, rear, outer, inner, triangular, oval, rectangular, "
    "hexagonal, curved, crooked, foldable, magnetic, sticky, greasy, smelly, scented, vintage, antique, expensive, "
    "cheap, signed, printed, blank, daily, morning, evening, Christmas, birthday, chocolate, vanilla, lemon, organic, "
    "homemade, spicy, sweet, salty, decaf"
)
# Ways to say which one after the noun; they stay with it, articles inside included.
AFTERTHOUGHTS = words(
    "with the red label, with the blue lid, with the handle, with wheels, with the stripes, with the long handle, "
    "with the broken handle, with the white top, marked A, marked B, marked fragile, labeled fragile, labeled urgent, "
    "with my name on it, with the green sticker, made of wood, made of glass, with dots, without a lid, number 3, "
    "number 12, number 7, full of water, full of toys, full of books"
)
