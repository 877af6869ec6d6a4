"""What subwords cost on the way from a text to its ids: the subword rule beside that of whole words.

    python -m benchmarks.text_to_ids [SET …] [--data FOLDER]

Both rules have 6,000 ids, chosen from the training texts as ``train`` chooses them, and read the test texts:
for the first time, each unknown word being cut into subwords, and again, when these are remembered. The rules
take turns, a part of the texts each; a figure is the median of all parts and rounds. Of an unsegmented script
a sentence would be one word, so the standard sets are those with spaces.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from edge_lstm_export.train import vocabulary

from benchmarks.sets import DATA, SETS, Rows, split
from edge_lstm.text import Tokenizer

IDS = 6000
PART, ROUNDS = 50, 15  # texts that are timed together, short enough that few are interrupted


def tokenizers(train: Rows) -> tuple[Callable[[], Tokenizer], Callable[[], Tokenizer]]:
    """Return what makes a tokenizer of whole words, and one of the subword rule, anew."""
    texts, labels = train
    marks = vocabulary.informative_marks(texts, np.array(labels)[:, None] == np.unique(labels))
    words, subwords = vocabulary.words_and_subwords(texts, IDS, marks)
    whole = vocabulary.most_frequent(vocabulary.count_words(texts), IDS)
    return lambda: Tokenizer(whole), lambda: Tokenizer(words, pieces=subwords)


def micros(rules: Sequence[Callable[[], Tokenizer]], texts: Sequence[str]) -> list[list[float]]:
    """Return for each rule the µs per text: [of the first reading, of the second]."""
    parts = [texts[i : i + PART] for i in range(0, len(texts), PART)]
    samples: list[list[list[float]]] = [[[], []] for _ in rules]
    for _ in range(ROUNDS):
        made = [rule() for rule in rules]
        for part in parts:
            for times, tokenizer in zip(samples, made):
                for reading in times:
                    start = time.perf_counter()
                    for text in part:
                        tokenizer.encode_text(text)
                    reading.append((time.perf_counter() - start) / len(part) * 1e6)
    return [[statistics.median(reading) for reading in times] for times in samples]


def main() -> None:
    """Print a row for each set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("sets", nargs="*", default=[name for name in SETS if not name.startswith("zh_")])
    parser.add_argument("--data", type=Path, default=DATA)
    asked = parser.parse_args()
    print("| set | whole words, µs per text | subwords, first reading | again |\n|---|---:|---:|---:|")
    for name in asked.sets:
        train, (questions, _) = split(asked.data / name, 0.0, 0)
        (whole, _), (first, again) = micros(tokenizers(train), questions)
        cells = (f"{each:.2f} ({each / whole:.2f})" for each in (first, again))
        print(f"| {name} | {whole:.2f} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
