"""The vocabulary: the words of the training split by frequency, or Keras's own word index; and the pieces
that other words are read as."""

from __future__ import annotations

import itertools
import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from edge_lstm.errors import DataError
from edge_lstm.text import FIRST_WORD_ID, MARKS, Tokenizer, spaceless, split_marks, split_words

_SURROGATE = re.compile("[\ud800-\udfff]")


def count_words(texts: Iterable[str]) -> Counter[str]:
    """How often each word occurs, by the text rule."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(split_words(text))
    return counts


def most_frequent(counts: Counter[str], num_words: int, skip_top: int = 0) -> tuple[str, ...]:
    """The words whose ids are below ``num_words``, most frequent first, equals in order of the alphabet
    (so that the order of the texts decides nothing). The ``skip_top`` most frequent are left out and
    the next take their place. DataError where no word is left.
    """
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    return _cut(tuple(ranked), num_words, skip_top)


# A word whose odds the label moves by less than a fifth is left out, however surely it does: such words are
# frequent. tiny reads 54 tokens of a review without them, 89 with them, for 0.4 points less (film-disjoint
# reviews of IMDB's training split, one seed).
LEAST_LOG_ODDS = 0.2


def most_informative(
    texts: Sequence[str], labels: Sequence[int], count: int, num_words: int, skip_top: int = 0
) -> tuple[str, ...]:
    """The words that tell labels apart best, so that a network need not read the others.

    labels: indices below ``count``. A word's rank is by |log odds ratio| over its standard error, of the
    texts that hold it (half a text added to each count; Haldane, 1956), the largest over the labels
    against the rest; words whose |log odds ratio| is below LEAST_LOG_ODDS come last. DataError where no
    word is left.
    """
    holding = [Counter[str]() for _ in range(count)]
    for text, label in zip(texts, labels):
        holding[label].update(set(split_words(text)))
    sizes = [0] * count
    for label in labels:
        sizes[label] += 1
    total: Counter[str] = Counter()
    for one in holding:
        total.update(one)

    def informative(word: str) -> float:
        strongest = 0.0
        for label in [1] if count == 2 else range(count):
            inside, outside = holding[label][word] + 0.5, total[word] - holding[label][word] + 0.5
            odds = math.log(inside / outside * (len(texts) - sizes[label] + 1) / (sizes[label] + 1))
            if abs(odds) >= LEAST_LOG_ODDS:
                strongest = max(strongest, abs(odds) / math.sqrt(1 / inside + 1 / outside))
        return strongest

    scores = {word: informative(word) for word in total}
    ranked = sorted(total, key=lambda word: (-scores[word], word))
    return _cut(tuple(ranked), num_words, skip_top)


# A piece has at most so many characters, and is taken where it occurs in so many different words.
LONGEST_PIECE = 6
FEWEST_WORDS = 3
LONGEST_WORD = 60  # characters: a longer one is no word, and is read as pieces
# Texts are in a script without spaces where more of their words than this hold one.
SPACELESS_SHARE = 0.3
# Of the vocabulary's lines, how many are pieces: of words in other scripts, and of those without spaces.
PIECES_SHARE, SPACELESS_PIECES_SHARE = 0.2, 0.9
MOST_PIECES_SHARE = 0.4  # where words leave room: more would take the places of word pairs


def words_and_pieces(
    texts: Sequence[str],
    num_words: int,
    skip_top: int = 0,
    marks: Sequence[str] = MARKS,
    *,
    rare: bool = False,
) -> tuple[tuple[str, ...], tuple[str, ...], float]:
    """(words, pieces, the share of words in scripts without spaces, 0 to 1): the vocabulary of the rule
    pieces-1, together of ids below ``num_words``.

    Words are the most frequent ones (a word that occurs once gets no id where there are others, unless
    ``rare`` says so: those of letters alone then come last, :func:`rare_words`); pieces are all
    characters that occur more than once, as many as find place, and the parts of words that a reading of all
    words by the longest piece uses most. They take what few words leave: few texts know few of the next
    text's words, but many of their parts. Labels are not read. DataError where no word is left.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(split_marks(text, marks))
    without_spaces = sum(n for word, n in counts.items() if spaceless(word)) / max(1, counts.total())
    share = SPACELESS_PIECES_SHARE if without_spaces > SPACELESS_SHARE else PIECES_SHARE
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    ranked = [word for word in ranked if len(word) <= LONGEST_WORD] or list(
        dict.fromkeys(word[:LONGEST_WORD] for word in ranked)
    )
    often = [word for word in ranked if counts[word] > 1]
    if rare and often:
        often = [word for word in ranked if counts[word] > 1 or _is_rare(word, counts)]
    places = num_words - FIRST_WORD_ID
    room = min(round(MOST_PIECES_SHARE * places), places - len(often)) if often else 0
    pieces = _pieces(counts, max(round(share * places), room))
    words = _cut(tuple(often if often else ranked), num_words - len(pieces), skip_top)
    return words, pieces, without_spaces


def line_bytes(entries: Sequence[str], default: float) -> float:
    """Mean bytes of these words and pieces in a model file, which has each on a line, in UTF-8; ``default``
    of none."""
    # Half a character (a lone surrogate of broken JSON) gets into no vocabulary, but may be in a text.
    held = sum(len(entry.encode("utf-8", "surrogatepass")) + 1 for entry in entries)
    return held / len(entries) if entries else default


# Scripts whose characters are syllables, of which another one makes another word sooner than a misspelt one;
# and what chooses the look of an emoji.
_NO_LETTERS = re.compile("[\u1200-\u139f\u13a0-\u13ff\uac00-\ud7a3\ufe00-\ufe0f]")


def letters_of(words: Iterable[str]) -> str:
    """The letters of these words, with the signs that combine with them, in order: in misspelt words one may
    stand for another. None of scripts without spaces or of syllables, and no digit."""
    found = {c for c in set("".join(words)) if unicodedata.category(c)[0] in "LM"}
    return "".join(sorted(c for c in found if not spaceless(c) and not _NO_LETTERS.match(c)))


def rare_words(texts: Iterable[str], words: Sequence[str], marks: Sequence[str]) -> int:
    """How many of the words of :func:`words_and_pieces`, the last ones, occur once in its texts."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(split_marks(text, marks))
    if all(counts[word] == 1 for word in words):
        return 0  # nothing else is there
    return sum(_is_rare(word, counts) for word in words)


def _is_rare(word: str, counts: Counter[str]) -> bool:
    # A number that occurs once says nothing but that it is one, which its pieces say; so do those of a phrase
    # in a script without spaces.
    return counts[word] == 1 and word.isalpha() and not spaceless(word)


# A mark is a word where it moves the odds of a label by a fifth or more, by so many standard errors (of more
# labels, more): every mark is a token, and a full stop in nearly every text says nothing.
SUREST = 3.0


def informative_marks(texts: Sequence[str], labels: Sequence[int], count: int) -> str:
    """The punctuation marks that tell labels apart, in ASCII's order. labels: indices below ``count``."""
    holding = {mark: [0] * count for mark in MARKS}
    sizes = [0] * count
    for text, label in zip(texts, labels):
        sizes[label] += 1
        for mark in set(text).intersection(MARKS):
            holding[mark][label] += 1
    surest = math.sqrt(SUREST**2 + 2 * math.log(count))  # one of many differs by chance
    kept = []
    for mark, by_label in holding.items():
        total = sum(by_label)
        for label in [1] if count == 2 else range(count):
            there, elsewhere = by_label[label] + 0.5, total - by_label[label] + 0.5
            without, others = sizes[label] - there + 1, len(texts) - sizes[label] - elsewhere + 1
            odds = math.log(there * others / (elsewhere * without))
            error = math.sqrt(1 / there + 1 / elsewhere + 1 / without + 1 / others)
            if abs(odds) >= LEAST_LOG_ODDS and abs(odds) >= surest * error:
                kept.append(mark)
                break
    return "".join(sorted(kept))


def _pieces(counts: Counter[str], most: int) -> tuple[str, ...]:
    """The pieces, at most so many, the most used first."""
    weights = {
        # A script without spaces repeats its pieces inside sentences; elsewhere different words count.
        word: float(count) if spaceless(word) else 1 + math.log(count)
        for word, count in counts.items()
        if word not in MARKS and len(word) <= 1000
    }
    characters, parts = Counter[str](), Counter[str]()
    for word, weight in weights.items():
        for character in word:
            characters[character] += weight  # type: ignore[assignment]
        for size in range(2, LONGEST_PIECE + 1):
            for start in range(len(word) - size + 1):
                parts[word[start : start + size]] += weight  # type: ignore[assignment]
    single = [c for c in _by_use(characters) if characters[c] > 1][: max(most // 2, 1)]
    room = max(0, most - len(single))
    worth = Counter({part: n * (len(part) - 1) for part, n in parts.items() if n > 1})
    often = [part for part in _by_use(worth) if parts[part] >= FEWEST_WORDS]
    candidates = {*single, *often[: 2 * room]}
    used: Counter[str] = Counter()
    for word, weight in weights.items():
        for part in _longest_first(word, candidates):
            used[part] += weight  # type: ignore[assignment]
    longer = [part for part in _by_use(used) if len(part) > 1][:room]
    # Few texts leave room: for parts that stand in a longer one in every word, and for those of two words.
    unused = (part for part in _by_use(worth) if part not in used)
    longer += list(itertools.islice(unused, room - len(longer)))
    return tuple(sorted([*single, *longer], key=lambda part: (-used[part], part)))


def _by_use(counts: Counter[str]) -> list[str]:
    return sorted(counts, key=lambda part: (-counts[part], part))


def _longest_first(word: str, pieces: set[str]) -> list[str]:
    """The pieces of a word by the rule pieces-1; characters without a piece are left out."""
    found, start = [], 0
    while start < len(word):
        for end in range(min(len(word), start + LONGEST_PIECE), start, -1):
            if word[start:end] in pieces:
                found.append(word[start:end])
                break
        else:
            end = start + 1
        start = end
    return found


def unknown_share(tokenizer: Tokenizer, texts: Iterable[str]) -> float:
    """The share of words outside the vocabulary to expect of new texts like these, of the rule pieces-1.

    Words that occur once stand for those that a next text brings (Good & Turing), and those are not in the
    vocabulary.
    """
    words = known = 0
    for text in texts:
        here, of_them = tokenizer.count_words(text)
        words, known = words + here, known + of_them
    return 1 - known / max(1, words)


def adopted(index: tuple[str, ...], num_words: int, skip_top: int = 0) -> tuple[str, ...]:
    """The same from a word index, see :func:`read_word_index`."""
    return _cut(index, num_words, skip_top)


def _cut(ranked: tuple[str, ...], num_words: int, skip_top: int) -> tuple[str, ...]:
    if num_words <= FIRST_WORD_ID:
        raise DataError(
            f"--num-words must be above {FIRST_WORD_ID}, not {num_words}: lower ids are not words"
        )
    # Half a character (a lone surrogate of broken JSON) is no text: no file can hold such a word.
    ranked = tuple(word for word in ranked if not _SURROGATE.search(word))
    words = ranked[skip_top : skip_top + num_words - FIRST_WORD_ID]
    if not words:
        raise DataError(
            f"no word is left of {len(ranked)}; "
            + ("use a smaller --skip-top" if skip_top else "the training texts hold no words")
        )
    return words


def read_word_index(path: Path) -> tuple[str, ...]:
    """Keras's word index, {"word": rank, …}, as the words in order of their ranks, from 1.

    DataError where the file is not such an index: every rank from 1 on must occur once.
    """
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"no word index at {path}; check the path") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not a JSON file ({error}); give a word index as Keras has it") from None
    if not isinstance(index, dict) or not all(type(rank) is int for rank in index.values()):
        raise DataError(f"{path} is not a word index; give a JSON object of words and their ranks")
    words = sorted(index, key=index.__getitem__)
    if not words or [index[word] for word in words] != list(range(1, len(words) + 1)):
        raise DataError(f"{path} is not a word index: its ranks are not 1 to {len(index)}, each once")
    return tuple(words)
