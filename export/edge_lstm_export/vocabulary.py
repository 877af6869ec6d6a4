"""The vocabulary: the words of the training split by frequency, or Keras's own word index."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from edge_lstm.errors import DataError
from edge_lstm.text import FIRST_WORD_ID, split_words

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


def most_telling(
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

    def telling(word: str) -> float:
        strongest = 0.0
        for label in [1] if count == 2 else range(count):
            inside, outside = holding[label][word] + 0.5, total[word] - holding[label][word] + 0.5
            odds = math.log(inside / outside * (len(texts) - sizes[label] + 1) / (sizes[label] + 1))
            if abs(odds) >= LEAST_LOG_ODDS:
                strongest = max(strongest, abs(odds) / math.sqrt(1 / inside + 1 / outside))
        return strongest

    scores = {word: telling(word) for word in total}
    ranked = sorted(total, key=lambda word: (-scores[word], word))
    return _cut(tuple(ranked), num_words, skip_top)


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
        raise DataError(f"{path} is no JSON file ({error}); give a word index as Keras has it") from None
    if not isinstance(index, dict) or not all(type(rank) is int for rank in index.values()):
        raise DataError(f"{path} is no word index; give a JSON object of words and their ranks")
    words = sorted(index, key=index.__getitem__)
    if not words or [index[word] for word in words] != list(range(1, len(words) + 1)):
        raise DataError(f"{path} is no word index: its ranks are not 1 to {len(index)}, each once")
    return tuple(words)
