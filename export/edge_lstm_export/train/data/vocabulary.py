"""The vocabulary: which words have an id, and the subwords that other words are read as."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import islice

import numpy as np

from edge_lstm.core.fields import FIELD_WORDS
from edge_lstm.core.text import (
    FIRST_WORD_ID,
    MARKS,
    NEVER_IN_ENTRIES,
    Tokenizer,
    spaceless,
    split_marks,
    split_words,
)
from edge_lstm.errors import DataError
from edge_lstm_export.arrays import Bools
from edge_lstm_export.options import Plan, TextOptions
from edge_lstm_export.train.data.pretrained import PretrainedWords
from edge_lstm_export.train.data.rows import LabelledRows
from edge_lstm_export.train.data.transfer import TransferSet
from edge_lstm_export.train.sources import Dataset

LONGEST_WORD = 60  # characters; a longer word is read as subwords


def build_vocabulary(
    texts: Sequence[str],
    unlabelled: Sequence[str],
    text: TextOptions,
    num_words: int,
    subword_share: float = 0.2,
    marks: str = MARKS,
    related: Callable[[Sequence[str], int], Sequence[str]] | None = None,
) -> Tokenizer:
    """Make the text rule with the vocabulary of these texts, of ids below ``num_words``.

    It reads no labels.

    subword_share: subwords, as a share of the ids, if words fill the others.
    marks: punctuation that is a word (see :func:`informative_marks`), by the subword rule.
    related: returns other words to add, given the chosen ones and the most to add.

    Raises DataError if no word is left.
    """
    if text.rule == "keras":
        return Tokenizer(_first_words(_by_use(count_words(texts)), num_words), text.length)
    words, subwords = words_and_subwords([*texts, *unlabelled], num_words, subword_share, marks)
    if related is not None:
        room = num_words - FIRST_WORD_ID - len(words) - len(subwords)
        words = (*words, *related(words, room))
    return Tokenizer.of_subwords(words, subwords, text.length)


def count_words(texts: Iterable[str]) -> Counter[str]:
    """How often each word occurs, by Keras's rule."""
    return Counter(word for text in texts for word in split_words(text))


def words_and_subwords(
    texts: Sequence[str], num_words: int, subword_share: float = 0.2, marks: str = MARKS
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the words and subwords of the subword rule, together of ids below ``num_words``.

    Words are the most frequent ones; a word that occurs once gets no id if others repeat. Subwords
    are all characters that occur more than once, if they find room, and the parts of words that a
    reading of all words by the longest subword uses most. They take the room that few words leave:
    few texts hold few words of the next text, but many of their parts.

    Raises DataError if no word is left.
    """
    counts = Counter(word for text in texts for word in split_marks(text, marks))
    ranked = _by_use(counts)
    short = [word for word in ranked if len(word) <= LONGEST_WORD]
    ranked = short or list(dict.fromkeys(word[:LONGEST_WORD] for word in ranked))
    repeated = [word for word in ranked if counts[word] > 1]
    places = num_words - FIRST_WORD_ID
    most = round(subword_share * places)
    if repeated:
        # Few texts fill fewer than the planned ids.
        room = min(round(0.4 * places), places - len(repeated))
        most = max(most, room)
    subwords = _subwords(counts, most)
    return _first_words(repeated or ranked, num_words - len(subwords)), subwords


def informative_marks(texts: Sequence[str], labels: Bools) -> str:
    """Return the punctuation marks that tell labels apart, in ASCII's order. labels: bool [n, L].

    A mark counts by its log odds ratio and the standard error of that (half a text is added to each
    count; Haldane, 1956). A full stop in nearly every text says nothing, and would be a token each
    time.
    """
    holds = np.array([[mark in text for mark in MARKS] for text in texts], np.float64)
    holds = holds.reshape(-1, len(MARKS))
    sizes = labels.sum(axis=0)
    inside = holds.T @ labels + 0.5  # marks, L
    outside = holds.sum(axis=0)[:, None] - inside + 1
    without = sizes - inside + 1
    rest = len(texts) - sizes - outside + 1
    odds = np.log(inside * rest / (outside * without))
    error = np.sqrt(1 / inside + 1 / outside + 1 / without + 1 / rest)
    # Three standard errors, and more with many labels, one of which differs by chance.
    errors = math.sqrt(3.0**2 + 2 * math.log(labels.shape[1]))
    size = np.abs(odds)
    tells = ((size >= 0.2) & (size >= errors * error)).any(axis=1)
    return "".join(sorted(mark for mark, chosen in zip(MARKS, tells) if chosen))


def _subwords(counts: Counter[str], most: int) -> tuple[str, ...]:
    """Return the subwords, at most ``most``, the most used first."""
    # A longer word says nothing of subwords, and would take minutes.
    weights = {
        # An unsegmented script repeats its parts inside sentences; elsewhere different words count.
        word: float(count) if spaceless(word) else 1 + math.log(count)
        for word, count in counts.items()
        if word not in MARKS and len(word) <= 1000 and not FIELD_WORDS.fullmatch(word)
    }
    characters: dict[str, float] = defaultdict(float)
    parts: dict[str, float] = defaultdict(float)
    used: dict[str, float] = defaultdict(float)
    for word, weight in weights.items():
        for run in NEVER_IN_ENTRIES.split(word):
            for character in run:
                characters[character] += weight
            for size in range(2, 6 + 1):  # a subword has at most six characters
                for start in range(len(run) - size + 1):
                    parts[run[start : start + size]] += weight
    single = [c for c in _by_use(characters) if characters[c] > 1][: max(most // 2, 1)]
    room = max(0, most - len(single))
    # A part of one or two words is no subword.
    worth = {part: n * (len(part) - 1) for part, n in parts.items() if n >= 3}
    candidates = (*single, *_by_use(worth)[: 2 * room])
    reader = Tokenizer.of_subwords((), candidates)
    for word, weight in weights.items():
        for part in filter(reader.is_known, reader.split_word(word)):
            used[candidates[part - FIRST_WORD_ID]] += weight
    # In an unsegmented script, the reading must use a subword five times.
    often = [part for part in _by_use(used) if used[part] >= 5 or not spaceless(part)]
    longer = [part for part in often if len(part) > 1][:room]
    return tuple(_by_use({part: used[part] for part in [*single, *longer]}))


def _by_use(counts: Mapping[str, float]) -> list[str]:
    """Return the words, the most frequent first, equals by the alphabet.

    So the order of the texts decides nothing.
    """
    return sorted(counts, key=lambda part: (-counts[part], part))


def _first_words(ranked: Sequence[str], num_words: int) -> tuple[str, ...]:
    if num_words <= FIRST_WORD_ID:
        raise DataError(
            f"num_words must be above {FIRST_WORD_ID}, not {num_words}: lower ids are not words"
        )
    usable = (word for word in ranked if not NEVER_IN_ENTRIES.search(word))
    words = tuple(islice(usable, num_words - FIRST_WORD_ID))
    if not words:
        raise DataError(
            "the training texts hold no words; give other texts, or name another --text-column"
        )
    return words


def choose_vocabulary(
    dataset: Dataset,
    rows: LabelledRows,
    transfer: TransferSet,
    plan: Plan,
    words: PretrainedWords | None,
) -> Tokenizer:
    """Choose the vocabulary of the whole training split, the validation part included.

    It reads no label, and by Keras's rule the ids are then the ids of Keras's index. The test split
    is not read. The words are ranked, whatever their bytes in the file.

    words: pretrained embeddings, whose words near the texts' words fill free places.
    """
    texts = dataset.train.texts
    related = None
    if words is not None and plan.vocabulary.expansion:
        related = partial(words.related, texts)
    marks = informative_marks(rows.learnt.texts, rows.learnt.labels)
    log = transfer.texts[: transfer.from_log]
    return build_vocabulary(
        texts, log, plan.text, plan.network.num_words, plan.vocabulary.subword_share, marks, related
    )
