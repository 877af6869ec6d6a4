"""Sentences with a twist, by a grammar: a phenomenon has frames, a frame has places for words.

    python tools/sentiment/grammar.py 20

prints some. A line of frames.txt is a label and a frame: ``a`` is the sentiment of the words {a},
``b`` the opposite one, ``+`` and ``-`` are always the same, ``0`` is neither and ``!`` a complaint.
Alternatives stand in <|>, and [name] for the alternatives of the line "= name: …": each connector,
each order and each time word occurs with each sentiment, or a network learns "what stands after but
wins". {a}, {b}, {c}: adjectives (c like a); {d}, {e} and {f}, {g}: verbs in the past and
infinitives, of a's sentiment and of the other; {n}, {m}: nouns; {k}: a neutral word; {x}: a thing;
{p}: a person.

Lines with "*" are held out to measure by (measure.py), and so is every fifth word before "//". The
frames of judge.txt and the sentences of typed.tsv were written by others and are never learnt.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

HELD_OUT = 5  # of the words, one in so many
POSITIVE = 0.95
NEGATIVE = 0.05
NEUTRAL = 0.5
NEUTRALS = ("thing", "person", "neutral", "before", "after")
COMPANY = 0.15  # of the trained sentences have words before them, and as many after them
COMPLAINT = 0.25  # "could not get a signal": by itself, "not" tells of something missing
FILE = Path(__file__).with_name("frames.txt")
JUDGE = FILE.with_name("judge.txt")
TYPED = FILE.with_name("typed.tsv")  # label, phenomenon, sentence
# Whose frames: those to learn from, those held out of them, and those of other hands.
LEARNT = "learnt"
HELD = "held out"
OTHERS = "others"

WORDS = {
    "good": """good great wonderful excellent amazing fantastic perfect beautiful lovely brilliant
        superb enjoyable pleasant delightful funny exciting interesting entertaining charming clever
        impressive fun nice memorable touching gripping fresh solid helpful friendly comfortable
        reliable tasty delicious useful fair honest kind warm generous moving witty original
        satisfying convincing fascinating engaging outstanding splendid refreshing clean smart
        polite strong elegant // clear safe intelligent inventive subtle rich romantic sweet bright
        graceful sharp lively talented thrilling hilarious gorgeous magical cool super terrific
        fabulous marvellous sublime joyful cosy tidy attentive courteous skilful accurate sturdy
        spacious crisp juicy sensible well-made heartfelt inspiring engrossing intense decent fine
        special stunning remarkable exceptional superior first-rate""",
    "bad": """bad terrible awful horrible boring dull disappointing poor weak stupid annoying ugly
        silly predictable tedious dreadful pathetic lame bland forgettable mediocre painful
        ridiculous confusing slow rude dirty useless cheap noisy unpleasant frustrating depressing
        pointless tiresome clumsy flat unfunny irritating overrated sloppy creepy average hard cold
        broken careless shallow tasteless uncomfortable unreliable stale cruel lazy gross //
        expensive overpriced greasy bitter burnt sour dry soggy rotten filthy shabby cramped crowded
        buggy unstable faulty arrogant unfriendly unhelpful hollow trite corny cheesy contrived
        soulless lifeless dreary drab monotonous repetitive forced fake nasty vile abysmal atrocious
        appalling inferior inept incompetent messy chaotic incoherent unwatchable tired stiff
        tough inaccurate risky worthless hopeless""",
    "loved": """loved enjoyed liked admired adored praised recommended treasured //
        savoured cherished relished appreciated""",
    "hated": """hated disliked regretted despised loathed criticised resented detested //
        mocked rejected dreaded disdained""",
    "love": """love enjoy like admire adore praise recommend treasure //
        savour cherish relish appreciate""",
    "hate": """hate dislike regret despise loathe criticise resent detest //
        mock reject dread disdain""",
    "joy": """a joy|a pleasure|a success|a triumph|a delight|a masterpiece|a bargain|a treat|a gem|
        a winner""",
    "mess": """a mess|a failure|a disaster|a bore|a disgrace|a nightmare|a waste of time|a rip-off|
        a chore|a letdown""",
    "neutral": """new long big short old blue round local quiet tall wooden early late open empty
        ready finished digital full small""",
    "thing": """the film|the movie|this book|the story|the acting|the ending|the food|the soup|
        the hotel|our room|the service|the waiter|the flight|this phone|the battery|the app|
        the concert|the course|the teacher|the trip|the doctor|the staff|this game|the plot|
        the breakfast|my new boss|the car|the camera|that restaurant|the show""",
    "person": """my brother|my wife|my friends|the critics|everyone|my sister|the reviewers|
        my parents|the audience|people|my colleagues|our neighbours|his fans|the kids|
        her teacher""",
    "before": """I must say,|to be honest,|well,|so,|honestly,|look,|you know,|OK,|update:|PS:|
        in short,|long story short:|my verdict:|a quick note:|I have to say|
        just so you know,|for the record,|as I told my brother,|and another thing:|
        after two weeks:|first of all,|as for me,|we went there on a Monday.|
        I bought it in May.|we stayed for three nights.|it was raining when we arrived.|
        my sister took me there.|I read it on the train.|we were a group of six.|
        I am writing this from the airport.|this was our second visit.|
        it arrived on Tuesday.|I had a coupon.|he asked me about it later.|
        there were twelve of us.|I have used it for a month.|a friend lent it to me.|
        here is what I think.|let me be brief.|I was there with my father.|since you ask:|
        one more thing.""",
    "after": """, I must say|, to be honest|, by the way|, if I may say so|, as I said|
        , for what it's worth|, you know|, and that's that|, that much is clear|, really|
        , just so you know|, period|. We left at ten|. That is my view|
        . I was there on Friday|. We paid by card|. I am forty-two|. My sister was with me|
        . Just my two cents|. That's all|. We took the train home|. It was a Tuesday|
        . I told them so|. End of story|. Ask my wife|. Thanks for reading|
        . I have said it before|. It is in the old town|. The table was by the window|
        . I live next door""",
}
# Place → words, and whether they are those of the opposite sentiment; pairs share their index.
PLACES = {
    "a": ("good", "bad"),
    "c": ("good", "bad"),
    "b": ("bad", "good"),
    "d": ("loved", "hated"),
    "e": ("hated", "loved"),
    "f": ("love", "hate"),
    "g": ("hate", "love"),
    "n": ("joy", "mess"),
    "m": ("mess", "joy"),
    "k": ("neutral", "neutral"),
    "x": ("thing", "thing"),
    "p": ("person", "person"),
}


@dataclass(frozen=True)
class Sentence:
    """A sentence of the grammar. label: probability of "pos"."""

    phenomenon: str
    text: str
    label: float


@dataclass(frozen=True)
class Frame:
    """A line of frames.txt or judge.txt. text: with alternatives and places; whose: see above."""

    phenomenon: str
    label: str
    text: str
    whose: str


@cache
def frames() -> list[Frame]:
    """Read the frames, with the alternatives of their names."""
    found = []
    named: dict[str, str] = {}
    phenomenon = ""
    lines = [(line, LEARNT) for line in FILE.read_text("utf-8").splitlines()]
    lines += [(line, OTHERS) for line in JUDGE.read_text("utf-8").splitlines()]
    for line, whose in lines:
        mark, _, text = line.partition(" ")
        if mark == "#":
            phenomenon = text
            continue
        text = re.sub(r"\[(\w+)\]", lambda name: named[name[1]], text)
        if mark == "=":
            name, _, alternatives = text.partition(": ")
            named[name] = f"<{alternatives}>"
        elif mark:
            found.append(Frame(phenomenon, mark[-1], text, HELD if mark[0] == "*" else whose))
    return found


@cache
def _held_out() -> re.Pattern[str]:
    """Return what matches the sentences of the frames that are held out."""
    ways = []
    for frame in frames():
        if frame.whose != LEARNT:
            text = re.sub(r"[.?+]", lambda sign: "\\" + sign[0], frame.text.lower().rstrip(".?!"))
            text = re.sub(r"\{[abc]\}", r"[\\w-]+", text).replace("<", "(?:").replace(">", ")")
            ways.append(re.sub(r"\{\w\}", r"[\\w' -]+", text))
    return re.compile("|".join(ways))


@cache
def _words(kind: str, new: bool) -> list[str]:
    """Return the words of a kind that are held out, or the others."""
    split, _, learnt = WORDS[kind].partition("//")
    words = split.split("|") if "|" in split else split.split()
    if kind in NEUTRALS:
        return [re.sub(r"\n\s*", "", word) for word in words]
    of_split = [
        word.strip()
        for number, word in enumerate(words)
        if (number % HELD_OUT == HELD_OUT - 1) == new
    ]
    return of_split if new else of_split + learnt.split()


def _label(kind: str, positive: bool) -> float:
    """Return the probability of "pos". kind: the label of a line; positive: whether {a} is."""
    fixed = {"0": NEUTRAL, "!": COMPLAINT, "+": POSITIVE, "-": NEGATIVE}
    if kind in fixed:
        return fixed[kind]
    return POSITIVE if positive == (kind == "a") else NEGATIVE


def make_sentences(
    each: int,
    seed: int,
    times: Mapping[str, int] | None = None,
    *,
    whose: str = LEARNT,
    new_words: bool = False,
) -> list[Sentence]:
    """Draw sentences: ``each`` of every phenomenon, half of them with {a} positive.

    times: of these phenomena, as many times. whose: of these frames.
    """
    rng = np.random.default_rng([seed, 0x83, whose == HELD, new_words])
    by_name: dict[str, list[Frame]] = {}
    for frame in frames():
        if frame.whose == whose:
            by_name.setdefault(frame.phenomenon, []).append(frame)
    made: dict[str, Sentence] = {}
    for name, lines in by_name.items():
        for number in range(each * (times or {}).get(name, 1)):
            frame = lines[int(rng.integers(len(lines)))]
            positive = number % 2 == 0
            text = _in_company(frame.text, rng) if whose == LEARNT else frame.text
            text = _filled(text, positive, new_words, rng)
            if whose != LEARNT or not _held_out().fullmatch(text.lower().rstrip(".!?")):
                label = _label(frame.label, positive)
                made[text] = Sentence(name, text, label)
    return list(made.values())


def typed_sentences() -> list[Sentence]:
    """Read the sentences that others typed."""
    labels = {"pos": POSITIVE, "neg": NEGATIVE, "neutral": NEUTRAL}
    rows = [line.split("\t") for line in TYPED.read_text("utf-8").splitlines()]
    return [Sentence(name, text, labels[label]) for label, name, text in rows]


def _in_company(frame: str, rng: np.random.Generator) -> str:
    """Return a frame, some of the time with neutral words before or after it."""
    if rng.random() < COMPANY:
        befores = _words("before", False)
        frame = f"{befores[int(rng.integers(len(befores)))]} {frame}"
    afters = [after for after in _words("after", False) if after[0] == "." or frame[-1] not in "?!"]
    if rng.random() < COMPANY:
        frame += afters[int(rng.integers(len(afters)))]
    return frame.replace("?.", "?").replace("!.", "!")


def _filled(frame: str, positive: bool, new: bool, rng: np.random.Generator) -> str:
    """Return a frame with one of each alternatives, and with words in its places."""

    def one(ways: Sequence[str]) -> str:
        return ways[int(rng.integers(len(ways)))]

    text = frame
    while "<" in text:  # the innermost alternatives first
        text = re.sub(r"<([^<>]*)>", lambda ways: one(ways[1].split("|")), text)
    text = re.sub(r"\{(\w)\}", lambda place: one(_words(PLACES[place[1]][not positive], new)), text)
    text = re.sub(r"\s+(?=,)|\s+(?=\s)", "", text).strip()
    text = re.sub(r"\b(a|A) (?=[aeiou])", r"\1n ", text)
    text = re.sub(r"\bi\b", "I", text)
    text = re.sub(r"(?<=[.?!] )[a-z]", lambda letter: letter[0].upper(), text)
    if rng.random() < 0.8:
        text = text[0].upper() + text[1:]
    ends = ("", ".", ".", "!") if text[-1] not in "?!." else ("",)
    return text + one(ends)


if __name__ == "__main__":
    for sentence in make_sentences(int(sys.argv[1]), 0):
        print(f"{sentence.phenomenon:22s} {sentence.label:.2f} {sentence.text}")
