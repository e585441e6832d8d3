"""Instructions and answers in English and German, made from rules: what the tutorials' small T5 learns.

Ten tasks: numbers in words and back, ISO dates and back, Roman numerals both ways, sums, differences, word order reversed,
and a small grammar translated both ways. Every example is a function of its *argument* (a number, a date, a sentence); an argument
is held out of training when its hash says so, in all its wordings and in both languages, so that the exact match on held-out
prompts measures rules and not memory.

    python tools/t5/data.py --count 20            # shows examples
    python tools/t5/data.py --count 2000 --held-out --output held_out.tsv
"""

from __future__ import annotations

import argparse
import datetime as dt
import random
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

HELD_OUT_ONE_IN = 20


class Example(NamedTuple):
    """One instruction with its answer."""

    task: str
    prompt: str
    answer: str


# fmt: off
ONES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
TENS = ["-", "-", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
EINER = ["null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn", "elf", "zwölf", "dreizehn", "vierzehn", "fünfzehn", "sechzehn", "siebzehn", "achtzehn", "neunzehn"]
ZEHNER = ["-", "-", "zwanzig", "dreißig", "vierzig", "fünfzig", "sechzig", "siebzig", "achtzig", "neunzig"]
MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]
MONATE = ["Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"]
WORDS = ["a", "all", "and", "animal", "apple", "at", "away", "back", "ball", "bear", "bed", "big", "bird", "black", "blue", "boat", "book", "box", "boy", "bread", "bring", "brother", "brown", "call", "can", "car", "cat", "chair", "child", "clean", "cloud", "cold", "come", "cup", "dark", "day", "deep", "dog", "door", "down", "drink", "eat", "egg", "eye", "face", "fall", "family", "far", "fast", "father", "find", "fire", "fish", "floor", "flower", "fly", "food", "foot", "friend", "from", "garden", "girl", "give", "go", "good", "grass", "green", "ground", "hand", "happy", "hat", "have", "head", "hear", "help", "here", "high", "hill", "home", "horse", "house", "ice", "in", "jump", "keep", "king", "know", "lake", "land", "laugh", "leaf", "letter", "light", "like", "lion", "long", "look", "love", "make", "man", "milk", "moon", "morning", "mother", "mountain", "mouse", "music", "name", "near", "new", "night", "north", "of", "often", "old", "on", "open", "orange", "over", "paper", "park", "people", "picture", "plant", "play", "queen", "quick", "rain", "read", "red", "ring", "river", "road", "rock", "room", "run", "sand", "school", "sea", "see", "she", "ship", "shoe", "short", "sing", "sister", "sit", "sky", "sleep", "slow", "small", "snow", "soft", "song", "south", "stand", "star", "stay", "stone", "story", "street", "sun", "swim", "table", "talk", "tall", "teacher", "tell", "the", "there", "they", "think", "time", "to", "town", "train", "tree", "under", "very", "walk", "wall", "warm", "water", "we", "west", "white", "wind", "window", "winter", "with", "wood", "word", "work", "world", "write", "year", "yellow", "young"]
WORTE = ["aber", "alle", "alt", "am", "Apfel", "auch", "auf", "Auge", "aus", "Bach", "bald", "Ball", "Baum", "bei", "Berg", "Bett", "Bild", "blau", "bleiben", "Blume", "Boot", "braun", "Brief", "bringen", "Brot", "Bruder", "Buch", "da", "dann", "das", "dein", "der", "die", "dort", "du", "dunkel", "Ei", "ein", "er", "es", "essen", "Fenster", "Feuer", "Finger", "Fisch", "fliegen", "Freund", "früh", "für", "Garten", "geben", "gehen", "gern", "Glas", "grün", "gut", "Haus", "Hand", "heiß", "hell", "Herz", "heute", "hier", "Himmel", "hoch", "hören", "Hund", "Hut", "ich", "im", "immer", "in", "ist", "ja", "jung", "kalt", "Katze", "Kind", "klein", "kommen", "König", "Kopf", "kurz", "lachen", "Land", "lang", "laufen", "leise", "lesen", "Licht", "lieb", "Lied", "machen", "Mann", "Maus", "Meer", "mein", "mit", "Mond", "Morgen", "Mutter", "Nacht", "Name", "nein", "neu", "nicht", "nie", "noch", "Norden", "nun", "nur", "oben", "oft", "Ohr", "Pferd", "rot", "rufen", "ruhig", "Sand", "Schiff", "schlafen", "Schnee", "schnell", "schon", "schön", "schreiben", "Schuh", "Schule", "schwarz", "Schwester", "See", "sehen", "sehr", "sie", "singen", "Sohn", "Sommer", "Sonne", "spielen", "Stadt", "Stein", "Stern", "Straße", "Stuhl", "suchen", "Tag", "Tal", "Tier", "Tisch", "Tochter", "tragen", "trinken", "Tür", "über", "und", "unten", "Vater", "viel", "Vogel", "von", "vor", "Wald", "Wand", "warm", "was", "Wasser", "Weg", "weiß", "Welt", "wenig", "wer", "Wind", "Winter", "wir", "wo", "Wolke", "Wort", "Zeit", "Zug", "zwischen"]
NOUNS = [
    ("house", "houses", "das", "Haus", "Häuser"), ("dog", "dogs", "der", "Hund", "Hunde"),
    ("cat", "cats", "die", "Katze", "Katzen"), ("tree", "trees", "der", "Baum", "Bäume"),
    ("book", "books", "das", "Buch", "Bücher"), ("city", "cities", "die", "Stadt", "Städte"),
    ("car", "cars", "das", "Auto", "Autos"), ("child", "children", "das", "Kind", "Kinder"),
    ("woman", "women", "die", "Frau", "Frauen"), ("man", "men", "der", "Mann", "Männer"),
    ("street", "streets", "die", "Straße", "Straßen"), ("river", "rivers", "der", "Fluss", "Flüsse"),
    ("mountain", "mountains", "der", "Berg", "Berge"), ("garden", "gardens", "der", "Garten", "Gärten"),
    ("door", "doors", "die", "Tür", "Türen"), ("window", "windows", "das", "Fenster", "Fenster"),
    ("table", "tables", "der", "Tisch", "Tische"), ("chair", "chairs", "der", "Stuhl", "Stühle"),
    ("bird", "birds", "der", "Vogel", "Vögel"), ("fish", "fish", "der", "Fisch", "Fische"),
    ("horse", "horses", "das", "Pferd", "Pferde"), ("school", "schools", "die", "Schule", "Schulen"),
    ("teacher", "teachers", "der", "Lehrer", "Lehrer"), ("friend", "friends", "der", "Freund", "Freunde"),
    ("letter", "letters", "der", "Brief", "Briefe"), ("picture", "pictures", "das", "Bild", "Bilder"),
    ("song", "songs", "das", "Lied", "Lieder"), ("ship", "ships", "das", "Schiff", "Schiffe"),
    ("train", "trains", "der", "Zug", "Züge"), ("flower", "flowers", "die", "Blume", "Blumen"),
    ("apple", "apples", "der", "Apfel", "Äpfel"), ("bridge", "bridges", "die", "Brücke", "Brücken"),
    ("island", "islands", "die", "Insel", "Inseln"), ("forest", "forests", "der", "Wald", "Wälder"),
    ("village", "villages", "das", "Dorf", "Dörfer"), ("lake", "lakes", "der", "See", "Seen"),
]
ADJECTIVES = [
    ("wonderful", "wunderbar"), ("big", "groß"), ("small", "klein"), ("old", "alt"), ("new", "neu"),
    ("beautiful", "schön"), ("good", "gut"), ("bad", "schlecht"), ("fast", "schnell"), ("slow", "langsam"),
    ("red", "rot"), ("green", "grün"), ("blue", "blau"), ("white", "weiß"), ("black", "schwarz"), ("strong", "stark"),
    ("weak", "schwach"), ("young", "jung"), ("quiet", "still"), ("loud", "laut"), ("warm", "warm"), ("cold", "kalt"),
    ("happy", "glücklich"), ("sad", "traurig"), ("heavy", "schwer"), ("light", "leicht"), ("clean", "sauber"),
    ("strange", "seltsam"), ("famous", "berühmt"), ("important", "wichtig"),
]
ADVERBS = [
    ("", ""), ("very ", "sehr "), ("not ", "nicht "), ("always ", "immer "), ("often ", "oft "),
]
# fmt: on


def english(number: int) -> str:
    """Spell out 0 <= number < 1,000,000 in English."""
    if number < 20:
        return ONES[number]
    if number < 100:
        return TENS[number // 10] + (f"-{ONES[number % 10]}" if number % 10 else "")
    unit, name = (100, "hundred") if number < 1000 else (1000, "thousand")
    head = f"{english(number // unit)} {name}"
    return f"{head} {english(number % unit)}" if number % unit else head


def german(number: int, *, last: bool = True) -> str:
    """Spell out 0 <= number < 1,000,000 in German; ``last`` says that nothing follows ("eins", not "ein")."""
    if number == 1:
        return "eins" if last else "ein"
    if number < 20:
        return EINER[number]
    if number < 100:
        one = f"{german(number % 10, last=False)}und" if number % 10 else ""
        return one + ZEHNER[number // 10]
    unit, name = (100, "hundert") if number < 1000 else (1000, "tausend")
    rest = german(number % unit, last=last) if number % unit else ""
    return german(number // unit, last=False) + name + rest


def roman(number: int) -> str:
    """Write 0 < number < 4000 as a Roman numeral."""
    out = ""
    for value, letters in (
        (1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"),
    ):  # fmt: skip
        out += letters * (number // value)
        number %= value
    return out


def ordinal(day: int) -> str:
    """1 -> 1st, 12 -> 12th, 23 -> 23rd."""
    ending = "th" if 10 < day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"


def _number(rng: random.Random) -> int:
    digits = rng.choice((1, 2, 3, 3, 4, 4, 5, 6))
    return rng.randrange(10 ** (digits - 1) if digits > 1 else 0, 10**digits)


def _date(rng: random.Random) -> dt.date:
    return dt.date(1800, 1, 1) + dt.timedelta(days=rng.randrange(146_097))


def _sentence(rng: random.Random) -> tuple[str, str]:
    en_one, en_many, article, de_one, de_many = rng.choice(NOUNS)
    (en_adjective, de_adjective), (en_adverb, de_adverb) = rng.choice(ADJECTIVES), rng.choice(ADVERBS)
    many, past = rng.random() < 0.5, rng.random() < 0.5
    en_verb = {(0, 0): "is", (0, 1): "was", (1, 0): "are", (1, 1): "were"}[many, past]
    de_verb = {(0, 0): "ist", (0, 1): "war", (1, 0): "sind", (1, 1): "waren"}[many, past]
    en_before = de_before = ""
    if rng.random() < 0.5:
        before, stem = rng.choice(ADJECTIVES)
        en_before, de_before = f"{before} ", f"{stem}{'en' if many else 'e'} "
    en_noun, de_noun = (en_many, de_many) if many else (en_one, de_one)
    de_article = "Die" if many else article.capitalize()
    return (
        f"The {en_before}{en_noun} {en_verb} {en_adverb}{en_adjective}.",
        f"{de_article} {de_before}{de_noun} {de_verb} {de_adverb}{de_adjective}.",
    )


def _spell(rng: random.Random) -> tuple[object, str, str]:
    n = _number(rng)
    if rng.random() < 0.5:
        return n, f"{rng.choice(('spell out the number', 'write in words'))}: {n}", english(n)
    return n, f"{rng.choice(('schreibe die Zahl aus', 'schreibe in Worten'))}: {n}", german(n)


def _digits(rng: random.Random) -> tuple[object, str, str]:
    n = _number(rng)
    if rng.random() < 0.5:
        return n, f"{rng.choice(('write as digits', 'write in digits'))}: {english(n)}", str(n)
    return n, f"{rng.choice(('schreibe als Ziffern', 'schreibe in Ziffern'))}: {german(n)}", str(n)


def _iso(rng: random.Random) -> tuple[object, str, str]:
    d = _date(rng)
    month, monat = MONTHS[d.month - 1], MONATE[d.month - 1]
    if rng.random() < 0.5:
        text = rng.choice(
            (
                f"{ordinal(d.day)} of {month} {d.year}",
                f"{month} {d.day}, {d.year}",
                f"{d.day} {month} {d.year}",
                f"{month} {ordinal(d.day)}, {d.year}",
            )
        )
        return d, f"{rng.choice(('write as ISO date', 'convert to an ISO date'))}: {text}", d.isoformat()
    text = rng.choice(
        (
            f"{d.day}. {monat} {d.year}",
            f"{d.day:02}.{d.month:02}.{d.year}",
            f"am {d.day}. {monat} {d.year}",
            f"{d.day}.{d.month}.{d.year}",
        )
    )
    return d, f"{rng.choice(('schreibe als ISO-Datum', 'wandle in ein ISO-Datum um'))}: {text}", d.isoformat()


def _date_in_words(rng: random.Random) -> tuple[object, str, str]:
    d = _date(rng)
    if rng.random() < 0.5:
        return d, f"write the date in words: {d.isoformat()}", f"{ordinal(d.day)} of {MONTHS[d.month - 1]} {d.year}"
    return d, f"schreibe das Datum in Worten: {d.isoformat()}", f"{d.day}. {MONATE[d.month - 1]} {d.year}"


def _to_roman(rng: random.Random) -> tuple[object, str, str]:
    n = rng.randrange(1, 4000)
    return n, f"{rng.choice(('write as a Roman numeral', 'schreibe als römische Zahl'))}: {n}", roman(n)


def _from_roman(rng: random.Random) -> tuple[object, str, str]:
    n = rng.randrange(1, 4000)
    return n, f"{rng.choice(('read the Roman numeral', 'lies die römische Zahl'))}: {roman(n)}", str(n)


def _add(rng: random.Random) -> tuple[object, str, str]:
    a, b = (rng.randrange(10 ** rng.choice((1, 2, 3, 3, 3))) for _ in range(2))
    return (a, b), f"{rng.choice(('add', 'addiere'))}: {a} + {b}", str(a + b)


def _subtract(rng: random.Random) -> tuple[object, str, str]:
    a, b = sorted((rng.randrange(10 ** rng.choice((1, 2, 3, 3, 3))) for _ in range(2)), reverse=True)
    return (a, b), f"{rng.choice(('subtract', 'subtrahiere'))}: {a} - {b}", str(a - b)


def _reverse(rng: random.Random) -> tuple[object, str, str]:
    is_english = rng.random() < 0.5
    words = tuple(rng.choices(WORDS if is_english else WORTE, k=rng.randrange(2, 7)))
    name = (
        ("reverse the words", "reverse the word order")
        if is_english
        else ("kehre die Wörter um", "drehe die Wortfolge um")
    )
    return words, f"{rng.choice(name)}: {' '.join(words)}", " ".join(reversed(words))


def _translate(rng: random.Random) -> tuple[object, str, str]:
    if rng.random() < 0.2:
        n = _number(rng)
        en, de = english(n), german(n)
        argument: object = n
    else:
        en, de = _sentence(rng)
        argument = en
    if rng.random() < 0.5:
        return argument, f"{rng.choice(('translate English to German', 'übersetze ins Deutsche'))}: {en}", de
    return argument, f"{rng.choice(('translate German to English', 'übersetze ins Englische'))}: {de}", en


TASKS: dict[str, tuple[Callable[[random.Random], tuple[object, str, str]], int]] = {
    "number to words": (_spell, 3),
    "words to number": (_digits, 3),
    "to ISO date": (_iso, 2),
    "from ISO date": (_date_in_words, 1),
    "to Roman numeral": (_to_roman, 1),
    "from Roman numeral": (_from_roman, 1),
    "sum": (_add, 4),
    "difference": (_subtract, 5),
    "word order": (_reverse, 3),
    "translation": (_translate, 3),
}
"""The tasks and how often each is drawn."""


def is_held_out(argument: object) -> bool:
    """Whether all prompts about ``argument`` are kept from training: one in twenty, numbers under 100 and sums of two such never."""
    if isinstance(argument, int) and argument < 100:
        return False
    if isinstance(argument, tuple) and all(isinstance(part, int) and part < 100 for part in argument):
        return False
    return zlib.crc32(repr(argument).encode()) % HELD_OUT_ONE_IN == 0


def make(count: int, *, seed: int, held_out: bool) -> list[Example]:
    """Draw ``count`` examples, all from the held-out arguments or none of them."""
    rng = random.Random(seed)  # noqa: S311
    names, weights = list(TASKS), [weight for _, weight in TASKS.values()]
    examples: list[Example] = []
    while len(examples) < count:
        task = rng.choices(names, weights)[0]
        argument, prompt, answer = TASKS[task][0](rng)
        if is_held_out(argument) == held_out:
            examples.append(Example(task, prompt, answer))
    return examples


def main() -> None:
    """Print or write examples."""
    parser = argparse.ArgumentParser(description="Make instruction data for the small T5.")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--held-out", action="store_true")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    examples = make(arguments.count, seed=arguments.seed, held_out=arguments.held_out)
    text = "".join("\t".join(example) + "\n" for example in examples)
    if arguments.output:
        arguments.output.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
