"""Numbers, distances, angles and durations: drawn as the words of a sentence and the value in the answer."""

from __future__ import annotations

from random import Random

from bonsai_edge_train.robot_commands.lexicon.word_list import words

Fields = dict[str, int | float]
Amount = tuple[str, Fields]

_ONES = words(
    "zero, one, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, thirteen, fourteen, fifteen, "
    "sixteen, seventeen, eighteen, nineteen"
)
_TENS = words("-, -, twenty, thirty, forty, fifty, sixty, seventy, eighty, ninety")
_METRES = ("meters", "meters", "meters", "metres", "m")
_CENTIMETRES = ("centimeters", "centimeters", "centimetres", "cm", "cm")
_FEET = ("feet", "feet", "ft")
_SECONDS = ("seconds", "seconds", "seconds", "sec", "secs", "s")
_MINUTES = ("minutes", "minutes", "minutes", "min", "mins")
# {one} is "meter", {many} "meters": fractions that speakers name.
_FRACTIONS: tuple[tuple[str, float], ...] = (
    ("half a {one}", 0.5), ("half a {one}", 0.5), ("a half {one}", 0.5), ("half {one}", 0.5), ("one half {one}", 0.5),
    ("a {one} and a half", 1.5), ("one and a half {many}", 1.5), ("one and a half {many}", 1.5),
    ("two and a half {many}", 2.5), ("three and a half {many}", 3.5), ("four and a half {many}", 4.5),
    ("five and a half {many}", 5.5), ("two {many} and a half", 2.5), ("a quarter of a {one}", 0.25),
    ("a quarter {one}", 0.25), ("three quarters of a {one}", 0.75), ("ten and a half {many}", 10.5),
)  # fmt: skip


def number_words(number: int, hyphen: str = "-", link: str = " ") -> str:
    """Spell 0 <= number < 1000 in English: 120 -> "one hundred twenty"; `link` may be " and "."""
    if number < 20:
        return _ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return _TENS[tens] + (hyphen + _ONES[ones] if ones else "")
    hundreds, rest = divmod(number, 100)
    return f"{_ONES[hundreds]} hundred" + (link + number_words(rest, hyphen) if rest else "")


def draw_number(rng: Random, values: range) -> tuple[str, int]:
    """Draw a whole number in digits or words."""
    value = rng.choice(values)
    if rng.random() < 0.55 or value >= 1000:
        return str(value), value
    spelled = number_words(value, rng.choice("- "), rng.choice((" ", " and ")))
    if 100 <= value < 200 and rng.random() < 0.45:
        spelled = "a" + spelled.removeprefix("one")
    return spelled, value


def _decimal(rng: Random, largest: int) -> tuple[str, float]:
    """Draw a number with a decimal point, in digits or words."""
    tenths = rng.randrange(1, largest * 10)
    while tenths % 10 == 0:
        tenths = rng.randrange(1, largest * 10)
    value = tenths / 10
    if rng.random() < 0.1:
        value = rng.choice((0.25, 0.75, 1.25, 1.75, 2.25, 0.15, 0.05, 2.75))
    if rng.random() < 0.65:
        digits = str(value)
        return (digits.removeprefix("0") if value < 1 and rng.random() < 0.1 else digits), value
    whole, _, decimals = str(value).partition(".")
    spelled = " ".join(_ONES[int(digit)] for digit in decimals)
    head = "" if whole == "0" and rng.random() < 0.3 else number_words(int(whole)) + " "
    return f"{head}point {spelled}", value


def _whole(rng: Random, units: tuple[str, ...], one: str, values: range) -> tuple[str, int]:
    """Draw a whole number with its unit."""
    words, value = draw_number(rng, values)
    if value == 1:
        return rng.choice((f"1 {one}", f"one {one}", f"a {one}", f"a {one}")), 1
    unit = rng.choice(units)
    return f"{words}{'' if len(unit) <= 2 and words.isdigit() and rng.random() < 0.5 else ' '}{unit}", value


def _fraction(rng: Random, one: str, many: str) -> tuple[str, float]:
    pattern, value = rng.choice(_FRACTIONS)
    return pattern.format(one=one, many=many), value


def draw_distance(rng: Random) -> Amount:
    """Draw a distance: the field distance_m, distance_cm or distance_ft."""
    draw = rng.random()
    if draw < 0.30:
        values = range(1, 200) if rng.random() < 0.35 else range(5, 105, 5)
        words, value = _whole(rng, _CENTIMETRES, "centimeter", values)
        return words, {"distance_cm": value}
    if draw < 0.45:
        words, value = _whole(rng, _FEET, "foot", range(1, 13) if rng.random() < 0.8 else range(1, 60))
        return words, {"distance_ft": value}
    if draw < 0.58:
        many = rng.choice(("meters", "meters", "metres"))
        words, fraction = _fraction(rng, many[:-1], many)
        return words, {"distance_m": fraction}
    if draw < 0.70:
        words, decimal = _decimal(rng, 6)
        unit = rng.choice(_METRES)
        return (f"{words}{unit}" if unit == "m" and words[-1].isdigit() else f"{words} {unit}"), {"distance_m": decimal}
    values = range(1, 10) if rng.random() < 0.7 else range(1, 60)
    words, value = _whole(rng, _METRES, rng.choice(("meter", "meter", "metre")), values)
    return words, {"distance_m": value}


def draw_angle(rng: Random) -> Amount:
    """Draw an angle in degrees: the field angle_deg."""
    draw = rng.random()
    if draw < 0.02:
        decimal = rng.choice((22.5, 7.5, 12.5, 67.5, 2.5))
        return f"{decimal} degrees", {"angle_deg": decimal}
    values = (90, 90, 180, 45, 30, 360, 60, 270) if draw < 0.45 else tuple(range(5, 361, 5))
    value = rng.choice(values) if draw < 0.75 else rng.randint(2, 360)
    words, _ = draw_number(rng, range(value, value + 1))
    if words.isdigit() and rng.random() < 0.12:
        return words + rng.choice(("°", " °")), {"angle_deg": value}
    return words + rng.choice((" degrees", " degrees", " degrees", " degrees", " deg", " degree")), {"angle_deg": value}


def draw_duration(rng: Random) -> Amount:
    """Draw a duration: the field duration_s or duration_min."""
    draw = rng.random()
    if draw < 0.06:
        words, fraction = _fraction(rng, "minute", "minutes")
        return words, {"duration_min": fraction}
    if draw < 0.10:
        words, fraction = _fraction(rng, "second", "seconds")
        return words, {"duration_s": fraction}
    if draw < 0.13:
        words, decimal = _decimal(rng, 6)
        return f"{words} seconds", {"duration_s": decimal}
    if draw < 0.42:
        words, value = _whole(rng, _MINUTES, "minute", range(1, 11) if rng.random() < 0.6 else range(1, 61))
        return words, {"duration_min": value}
    values = range(1, 16) if rng.random() < 0.5 else range(5, 65, 5) if rng.random() < 0.6 else range(1, 200)
    words, value = _whole(rng, _SECONDS, "second", values)
    return words, {"duration_s": value}


def draw_percent(rng: Random) -> tuple[str, int]:
    """Draw a percentage from 1 to 100."""
    words, value = draw_number(rng, range(5, 105, 5) if rng.random() < 0.75 else range(1, 101))
    if words.isdigit() and rng.random() < 0.4:
        return f"{words}%", value
    return f"{words} {rng.choice(('percent', 'percent', 'percent', 'per cent', '%'))}", value
