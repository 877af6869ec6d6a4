"""What pieces of words cost on the way from a text to its ids: the rule pieces-1 beside that of whole words.

    python -m benchmarks.text_to_ids FOLDER [--sets NAME ...]

FOLDER holds NAME/{train,test}.csv with the columns text,label. Both rules have 6,000 ids, chosen as ``train``
chooses them from the training texts (of pieces-1 with the marks that tell the labels apart), and read the
test texts: for the first time, each unknown word being cut into pieces, and again, when these are remembered.
The rules take turns, a part of the texts each, and every figure is the median of all parts and rounds. Sets
of several labels, and those in a script without spaces, where a sentence is one word, are passed over.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from edge_lstm_export.vocabulary import count_words, informative_marks, most_frequent, words_and_pieces

from benchmarks.anyones_labels import Rows, read, single_label
from edge_lstm.text import Tokenizer, spaceless

IDS = 6000
PART, ROUNDS = 50, 15  # texts that are timed together, short enough that few are interrupted


def tokenizers(train: Rows) -> tuple[Callable[[], Tokenizer], Callable[[], Tokenizer]]:
    """What makes a tokenizer of whole words, and one of the rule pieces-1, anew."""
    texts, labels = train
    names = sorted(set(labels))
    marks = informative_marks(texts, [names.index(label) for label in labels], len(names))
    words, pieces, _ = words_and_pieces(texts, IDS, marks=marks)
    whole = most_frequent(count_words(texts), IDS)
    return lambda: Tokenizer(whole), lambda: Tokenizer(words, pieces=pieces)


def micros(rules: Sequence[Callable[[], Tokenizer]], texts: Sequence[str]) -> list[list[float]]:
    """µs a text, for each rule: [of the first reading, of the second]."""
    parts = [texts[i : i + PART] for i in range(0, len(texts), PART)]
    found: list[list[list[float]]] = [[[], []] for _ in rules]
    for _ in range(ROUNDS):
        made = [rule() for rule in rules]
        for part in parts:
            for times, tokenizer in zip(found, made):
                for reading in times:
                    start = time.perf_counter()
                    for text in part:
                        tokenizer.encode_text(text)
                    reading.append((time.perf_counter() - start) / len(part) * 1e6)
    return [[statistics.median(reading) for reading in times] for times in found]


def main() -> None:
    """Prints a row for each set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+")
    arguments = parser.parse_args()
    names = arguments.sets or sorted(
        path.parent.name for path in arguments.folder.glob("*/train.csv") if single_label(path)
    )
    print("| set | whole words, µs a text | pieces, first reading | again |\n|---|---|---|---|")
    for name in names:
        train, test = (read(arguments.folder / name / f"{part}.csv") for part in ("train", "test"))
        if sum(map(spaceless, test[0])) > len(test[0]) / 2:
            continue
        (whole, _), (first, again) = micros(tokenizers(train), test[0])
        cells = (f"{pieces:.2f} ({pieces / whole:.2f})" for pieces in (first, again))
        print(f"| {name} | {whole:.2f} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
