"""Sentences with a twist, by a grammar: a phenomenon has frames, a frame has places for words.

    python tools/sentiment/grammar.py 20

prints some. A line of FRAMES is a label and a frame: ``a`` is the sentiment of the words {a},
``b`` the opposite one, ``+`` and ``-`` are always the same, ``0`` is neither. Alternatives stand in
<|>: each connector, each order and each time word occurs with each sentiment, or a network learns
"what stands after but wins". {a}, {b}, {c}: adjectives (c like a); {d}, {e} and {f}, {g}: verbs in
the past and infinitives, of a's sentiment and of the other; {n}, {m}: nouns; {k}: a neutral word;
{x}: a thing; {p}: a person.

Every fifth frame and every fifth word is held out, to measure by (measure.py).
"""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

HELD_OUT = 5  # of the frames, and of the words, one in so many
POSITIVE = 0.9
NEGATIVE = 0.1
NEUTRAL = 0.5
COMPLAINT = 0.25  # "could not get a signal": by itself, "not" tells of something missing

WORDS = {
    "good": """good great wonderful excellent amazing fantastic perfect beautiful lovely brilliant
        superb enjoyable pleasant delightful funny exciting interesting entertaining charming clever
        impressive fun nice memorable touching gripping fresh solid helpful friendly comfortable
        reliable tasty delicious useful fair honest kind warm generous moving witty original
        satisfying convincing fascinating engaging outstanding splendid refreshing clean smart
        polite strong elegant""",
    "bad": """bad terrible awful horrible boring dull disappointing poor weak stupid annoying ugly
        silly predictable tedious dreadful pathetic lame bland forgettable mediocre painful
        ridiculous confusing slow rude dirty useless cheap noisy unpleasant frustrating depressing
        pointless tiresome clumsy flat unfunny irritating overrated sloppy creepy average hard cold
        broken careless shallow tasteless uncomfortable unreliable stale cruel lazy gross""",
    "loved": "loved enjoyed liked admired adored praised recommended treasured",
    "hated": "hated disliked regretted despised loathed criticised resented detested",
    "love": "love enjoy like admire adore praise recommend treasure",
    "hate": "hate dislike regret despise loathe criticise resent detest",
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

FRAMES = {
    "plain": """
        a {x} <is|was> <|very |really |so |quite |pretty >{a}
        a <I think|I found|I must say> {x} <is|was> {a}
        a i {d} {x}
        a {x} was {n}
        a {a} and {c}
        a <what|such> a {a} <evening|place|film|product>
        a {x} was {a}, {c} and <|utterly |simply >{a}
        a we {d} it <a lot|very much|from start to finish>
        a it turned out to be {n}
        a <a|one more> {a} <day|week|dinner> with {c} people
        a they were {a} to <us|me|everyone>
        a {a} {x}? yes, <very|truly|completely> {a}
        """,
    "negation": """
        b {x} <is|was> <not|never> <|very |really |at all |particularly |exactly >{a}
        b {x} <isn't|wasn't> <|very |really |that |all that |even >{a}
        b i <didn't|did not|don't> {f} {x}<| at all| much>
        b <it's|this is|that was> not <|a >{a} <|one|choice|experience>
        b not <|very |particularly |at all |even >{a}
        b <nobody|no one|none of us> {d} {x}
        b there <is|was> nothing {a} about {x}
        b i <don't|didn't|can't say i> <think|find|found|believe> {x} <is|was|to be> {a}
        b {x} was not {n}
        b <i would not|i wouldn't|you can't|nobody would> call {x} {a}
        b {x} <wasn't|was not> {a} or {c}
        b neither {a} nor {c}
        b {x} was neither {a} nor {c}
        b <we|they|i> have never <seen|had|met> anything {a} <here|there|from them>
        b {x} is by no means {a}
        b in no way <is|was> {x} {a}
        b it <doesn't|does not> <feel|look|sound|seem> <|very |particularly >{a}
        b no, {x} <is|was> not {a}
        b they <aren't|weren't> {a}, and {x} <isn't|wasn't> either
        b without anything {a}
        """,
    "far negation": """
        b i <don't|do not|cannot> think that {x} {p} told me about <is|was> {a}
        b {x} that we <saw|tried|had> last <week|year|night> was not, in <my|our> opinion, {a}
        b it is not true that {x} <is|was> {a}
        b nothing <about|in> {x} that i can remember was <|really |very >{a}
        b i never once in all those <weeks|years|hours> thought that {x} was {a}
        b {x} was not, as <some|many> <say|claim>, {a}
        b it would not be right to <say|claim> that {x} is {a}
        b i can't <honestly|truthfully> say that {x} was <|very |even >{a}
        b not one of the <people|guests|actors> in {x} was {a}
        b we did not, for a <single|whole> <moment|minute>, find {x} {a}
        b i wouldn't go so far as to <say|claim> that {x} is {a}
        b there is no reason to <call|think> {x} {a}
        b no matter what {p} <say|told us>, {x} is not {a}
        """,
    "double negation": """
        a it's not that {x} <is|was> not {a}
        a i can't say that {x} <wasn't|was not|isn't> {a}
        a <nobody|no one> could <deny|doubt> that {x} is {a}
        a you can't <say|claim> {x} <isn't|wasn't> {a}
        a there is no denying that {x} is {a}
        a it is not true that {x} <isn't|was not> {a}
        a i <don't|do not> think {x} <wasn't|was not> {a}
        a there was never a <day|moment> that was not {a}
        a nobody <says|said> that {x} <isn't|wasn't> {a}
        a {x} was never not {a}
        a there is no doubt that {x} was {a}
        """,
    "not that stays": """
        + <i|we> could not be <happier|more pleased|more satisfied> with {x}
        + {x} could not have been better
        - {x} could not have been worse
        + not a <day|week> goes by without me <using|thinking of> {x}
        - never again
        - <never|not> again, {x} was the last straw
        + i can't <wait|stop> <to go|to come|talking about> <back|it>
        + i have never <seen|had|known> anything better
        - i have never <seen|had|known> anything worse
        + you will not <regret|be sorry about> {x}
        + you can't go wrong with {x}
        + {x} never <disappoints|lets you down|gets old>
        - don't <bother|waste your time> with {x}
        + don't miss {x}
        + i have nothing to complain about
        - there is no excuse for {x}
        + no <complaints|problems|regrets> <at all|here|so far>
        - no <help|luck|taste|care> <at all|whatsoever>
        - {x} could not hold my attention
        + i wouldn't change a thing about {x}
        - {x} did not work <at all|from the start>
        + i have never been so <happy|pleased> with {x}
        - i have never been so <disappointed|angry> with {x}
        """,
    "not only": """
        a not only <is|was> {x} {a}, <but |>it <is|was> <also |>{c}<| too| as well>
        a {x} is not <only|just|merely> {a} but <also |>{c}
        a it <wasn't|was not> <just|only> {a}, it was {c}
        a not <just|only> {a} but {c} <too|as well>
        a {x} was more than {a}, it was {c}
        a i not only {d} {x}, i {d} every minute of it
        a not only {p} but <also |>i {d} {x}
        a {a}, and not only that, <also |>{c}
        b {x} was not only not {a}, it was {b}
        a if {x} were only {a}! it is also {c}
        """,
    "expectation": """
        b i <was told|thought|hoped> {x} <would be|was> {a}, <but|yet|and then> it <was|proved> {b}
        b i expected {n}<, but got| and got|. what i got was> {m}
        a <after all i had heard|contrary to what i expected|against all expectations>, {x} was {a}
        b i wanted to {f} {x}<, but|. sadly|. luckily|, yet> i {e} it
        a {x} was {a}, <although|though> i <expected|had expected> {m}
        a i was <prepared|ready> for {m}, and it was {n}
        a more {a} than i <thought|expected|had hoped>
        b less {a} than i <thought|expected|had hoped>
        b it <looked|sounded|seemed> {a} <at first|in the advert>, <but|and> <was|is> {b}
        b it <promises|promised> to be {a} and <is|ends up> {b}
        a who would have thought that {x} is so {a}
        b {x} is supposed to be {a}. it <isn't|is not>
        b i had <looked forward to|been promised|dreaded> something {a} and it was {b}
        a i did not expect {x} to be so {a}
        b {x} was not as {a} as i <expected|had hoped|feared>
        """,
    "then and now": """
        b {x} <used to be|once was|was> {a}<, but|. |, and> <now|today|these days> it is {b}
        a <now|today|these days> {x} is {a}<, but|. | and> <before|in the past|last year> it was {b}
        a {x} is {a} <now|today>, <although|but|and> it <was|used to be> {b}
        b {x} used to be {a}
        b <once|years ago> {x} was {a}, <now|today> {b}
        a {x} was {b} <before|until last year>, and <now|since then> it is {a}
        b i <used to|once> {f} {x}, <but|and> <now|today> i {g} it
        a i {f} {x} <now|today>, <but|and> i used to {g} it
        b {x} is no longer {a}
        a {x} is no longer {b}
        b it started {a} <and|but> <became|got|ended> {b}
        a the first <part|year|hour> was {b}, the <second|last|rest> was {a}
        b a {a} start, <a|but a|and a> {b} <finish|ending|end>
        a a {b} start, but what a {a} <ending|finish>
        b gone are the days when {x} was {a}
        b {x} has <become|turned> {b}<| lately| over the years>. it was {a}
        b {x} hasn't been {a} <for years|since they changed it>
        """,
    "far from": """
        b {x} <is|was> far from <|being >{a}
        b {x} <is|was> anything but {a}
        b anything but {a}
        b it was everything but {a}
        b {x} is <hardly|scarcely|barely> {a}
        b {x} is not <exactly|precisely> {a}
        b far from {a}, {x} was {b}
        b it is a long way from <|being >{a}
        b {x} was <too|far too> {b} to be {a}
        b {a} is the last <thing|word> <i would call|i'd use for> {x}
        b the last thing <i would call|you could call> {x} is {a}
        b {x} is nowhere near {a}
        b hardly {n}
        b {x} <lacks|lacked> anything {a}
        b {x} failed to be {a}
        b {x} was less than {a}
        b {a}? <hardly|not at all|far from it|anything but>
        b calling {x} {a} would be <wrong|a lie|a stretch>
        b it <could|can> hardly be called {a}
        """,
    "could have been": """
        - {x} could have been <great|good|wonderful|better|brilliant|much better>
        - {x} would be better if it <worked|was shorter|had a point>
        - {x} should have been <better|great|much better|good>
        - it might have been <good|great|perfect> with <another|some other> <actor|cook|team>
        + {x} could have been <worse|terrible|a disaster|awful|much worse>, but <was not|it wasn't>
        - if only {x} were <good|better|more interesting>
        - i wish {x} <was|were|had been> <good|better|more exciting>
        - {x} would have been <good|great> if they had <tried|cared>
        - with <more care|a better script>, {x} would be <great|enjoyable>
        - {x} needed to be <better|funnier|faster>
        - {x} had <the potential|every chance> to be <great|good|wonderful>
        - i would have <loved|liked|enjoyed> {x} if it <worked|had been shorter>
        """,
    "concession": """
        b {x} <is|was> {a}<, but|, yet|. however,|, though> <it is|i found it|overall it was> {b}
        a <although|though|even if|while> {x} <is|was> {b}, <it is|i found it|the rest was> {a}
        a {x} is {a}, <although|though|even if> {b} <at times|in places>
        a <despite|in spite of> the {b} <start|weather|reviews>, {x} was {a}
        a {x} was {a} <despite|in spite of> the {b} <start|weather|reviews>
        b {a} <idea|plan|cast>, {b} <result|film|outcome>
        b {a}, yes, but <in the end|all in all> {b}
        a {b} <at first|in parts>, but what a {a} <ending|day|end>
        b {p} was {a}, but {x} was {b}
        b i {d} the <first|opening> part, but <i {e} the rest|the rest was {b}>
        b there are {a} <moments|parts>, but on the whole {x} is {b}
        a {x} has its {b} <sides|moments>, <but|still> it is {a}
        b for all its {a} <moments|ideas>, {x} is {b}
        a granted, {x} is {b}. <still|even so|all the same>, it is {a}
        """,
    "questions and wishes": """
        0 <is|was> {x} {a}?
        0 do you {f} {x}?
        0 <would|could> you say that {x} is {a}?
        0 i wonder <if|whether> {x} is {a}
        0 i hope {x} is {a}
        0 let us see <if|whether> {x} is {a}
        0 does anyone know <if|whether> {x} is {a} <or|or rather> {b}?
        0 are they {a} <or not|at all>?
        0 i am looking for something {a}
        0 tell me if {x} is {a}
        0 how {a} <is|was> {x}?
        0 i don't know <if|whether> {x} is {a}
        0 we will find out how {a} {x} is
        0 should i expect {n}?
        """,
    "opinions": """
        b {p} {d} {x}<, but|. |, and> i <did not|didn't>
        b {p} {d} {x}<, but|. |, and|; > i {e} it
        a i {d} {x}<, but|. |, and|; > {p} {e} it
        a i {d} {x}<, but|. |, although> {p} <did not|didn't>
        b {p} <say|said|told me|think> {x} is {a}<, but| and|. > i find it {b}
        a i find {x} {a}, <but|even if|although|and> {p} <called|call> it {b}
        b <whatever|no matter what> {p} <say|may say>, {x} is {b}<|, not {a}>
        b {p} <was wrong|were wrong|lied>: {x} is not {a}
        a <unlike|in contrast to> {p}, i {d} {x}
        b i don't <agree|understand> when {p} call {x} {a}
        b why {p} {d} {x} is <a mystery|beyond me>
        a {p} called it {b}, <i call it|to me it is> {a}
        b {p} may {f} it, i <do not|don't>
        a i may be the only one, but i {d} {x}
        b {x} is {a} <according to|if you ask> {p}, <but|and> i disagree
        a to me {x} is {a}, to {p} it is {b}
        b {p} called {x} {a}, i <would not|wouldn't>
        """,
    "comparison": """
        b {x} is less {a} than <the first one|the others|before|i remember>
        a {x} is more {a} than <the first one|the others|before|i remember>
        b not as {a} as <the first one|the others|last time>
        a as {a} as <ever|the first one|last time>
        b {x} is not half as {a} as <the first one|they say|the old one>
        b compared <to|with> {x}, the <old one|other> was {a}
        b the <old one|first one|book> was {a}, this is <not|{b}>
        a the <old one|first one|book> was {b}, this is {a}
        a this is {a}<, unlike|. not like> the <old one|first one>
        b i have <seen|had|read> more {a} ones
        a nothing is as {a} as {x}
        a {x} is the most {a} of <all|them all>
        b {x} is the least {a} of <all|them all>
        """,
    "complaints with not": """
        ! <i|we> could not <get|find|open|reach|use> <a signal|the menu|the door|anyone|the file>
        ! {x} was not {k}
        ! they <did not|didn't|would not> <answer|call|reply|come|listen|let us in>
        ! it <does not|doesn't|won't> <start|fit|charge|close|turn on>
        ! <i|we> still <have not|haven't> <received|got|seen> <it|the order|a refund|an answer>
        ! there <is|was> no <water|seat|answer|button|parking|menu>
        ! {x} <did not|never> <arrive|come|appear>
        ! nobody <came|answered|was there|knew>
        ! it was not <on the list|what we ordered|as described|in the box>
        ! you <cannot|can't> <change|move|adjust|hear> it
        ! {x} is not {k} any more
        ! they never <called|came|wrote> back
        ! not {k}, and not {k} either
        ! we were not <told|asked|served|seated> <for an hour|in time>
        """,
}


@dataclass(frozen=True)
class Sentence:
    """A sentence of the grammar.

    label: probability of "pos". new_frame, new_word: whether its frame or one of its words is held
    out.
    """

    phenomenon: str
    text: str
    label: float
    new_frame: bool
    new_word: bool


def frames() -> list[tuple[str, str, str, bool]]:
    """Return phenomenon, label, frame without alternatives, and whether its line is held out."""
    found = []
    for name, lines in FRAMES.items():
        for number, line in enumerate(filter(None, map(str.strip, lines.splitlines()))):
            label, _, frame = line.partition(" ")
            parts = [part.split("|") for part in re.split(r"[<>]", frame)]
            ways = itertools.product(*(part for part in parts))
            held_out = number % HELD_OUT == HELD_OUT - 1
            found += [(name, label, "".join(way), held_out) for way in ways]
    return found


def _words(kind: str, new: bool) -> list[str]:
    """Return the words of a kind that are held out, or the others."""
    words = WORDS[kind].split("|") if "|" in WORDS[kind] else WORDS[kind].split()
    fixed = kind in ("thing", "person", "neutral")
    return [
        word.strip()
        for number, word in enumerate(words)
        if fixed or (number % HELD_OUT == HELD_OUT - 1) == new
    ]


def _label(kind: str, positive: bool) -> float:
    """Return the probability of "pos". kind: the label of a line; positive: whether {a} is."""
    fixed = {"0": NEUTRAL, "!": COMPLAINT, "+": POSITIVE, "-": NEGATIVE}
    if kind in fixed:
        return fixed[kind]
    return POSITIVE if positive == (kind == "a") else NEGATIVE


def make_sentences(
    each: int, seed: int, *, new_frames: bool = False, new_words: bool = False
) -> list[Sentence]:
    """Draw sentences: ``each`` of every phenomenon, half of them with {a} positive."""
    rng = np.random.default_rng([seed, 0x83, new_frames, new_words])
    made: dict[str, Sentence] = {}
    by_name: dict[str, dict[str, list[tuple[str, str]]]] = {}
    for name, label, frame, held_out in frames():
        if held_out == new_frames:
            key = label + frame.split()[0] + str(len(frame.split()) // 4)
            by_name.setdefault(name, {}).setdefault(key, []).append((label, frame))
    for name, groups in by_name.items():
        keys = list(groups)
        for number in range(each):
            group = groups[keys[int(rng.integers(len(keys)))]]
            label, frame = group[int(rng.integers(len(group)))]
            positive = number % 2 == 0
            text = _filled(frame, positive, new_words, rng)
            made[text] = Sentence(name, text, _label(label, positive), new_frames, new_words)
    return list(made.values())


def _filled(frame: str, positive: bool, new: bool, rng: np.random.Generator) -> str:
    """Return a frame with words in its places."""

    def word(place: re.Match[str]) -> str:
        kind = PLACES[place[1]][not positive]
        words: Sequence[str] = _words(kind, new)
        return words[int(rng.integers(len(words)))]

    text = re.sub(r"\{(\w)\}", word, frame)
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r"\ba (?=[aeiou])", "an ", text)
    text = re.sub(r"\bi\b", "I", text)
    if rng.random() < 0.8:
        text = text[0].upper() + text[1:]
    ends = ("", ".", ".", "!") if text[-1] not in "?!." else ("",)
    return text + ends[int(rng.integers(len(ends)))]


if __name__ == "__main__":
    for sentence in make_sentences(int(sys.argv[1]), 0):
        print(f"{sentence.phenomenon:22s} {sentence.label:.2f} {sentence.text}")
