"""Texts that are longer than a model reads: its end, its beginning, or windows of it.

    python -m benchmarks.windows MODEL… [--bytes 600 1000 2500 4000]

Of IMDB's test reviews, the ones of which a model reads only the end. A window is a piece of about
equal size (edge_lstm/windows.py); the means of the windows' logits and probabilities have the
weight of their bytes. "better, worse": reviews that the reading of the end gets wrong, and right.
"""

from __future__ import annotations

import argparse

import numpy as np
import numpy.typing as npt

from benchmarks.sets import imdb
from benchmarks.table import markdown_table, percent
from edge_lstm import Classifier
from edge_lstm.windows import combine, cut

# Characters of a text's beginning, which the models read to its end.
FIRST = 2_000


def main() -> None:
    """Print a table for each model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("models", nargs="+")
    parser.add_argument("--bytes", nargs="+", type=int, default=[600, 1000, 1500, 2500, 4000])
    asked = parser.parse_args()
    split = imdb().test
    assert split is not None
    for path in asked.models:
        classifier = Classifier.load(path)
        statuses = [answer.status for answer in classifier.predict(split.texts)]
        long = [i for i, status in enumerate(statuses) if status == "truncated"]
        texts = [split.texts[i] for i in long]
        truth = np.array([split.labels[i].argmax() for i in long])
        print(f"\n{path}: {len(long):,} of {len(split.texts):,} reviews are longer\n")
        print(table(classifier, texts, truth, asked.bytes))


def table(
    classifier: Classifier, texts: list[str], truth: npt.NDArray[np.int64], sizes: list[int]
) -> str:
    """Return the accuracy of each reading as Markdown."""
    end = classifier.probabilities(texts)
    beginning = classifier.probabilities([text[:FIRST] for text in texts])
    readings = {"its last tokens": end, f"its first {FIRST:,} characters": beginning}
    for size in sizes:
        windows = [cut(text.encode(), size) for text in texts]
        counts = [len(each) for each in windows]
        pieces = [window for each in windows for window in each]
        answers = classifier.probabilities([piece.decode() for piece in pieces])
        weights = [len(piece) for piece in pieces]
        name = f"windows of {size:,} bytes"
        logits = combine(answers, weights, counts, is_multi_label=False)
        readings[f"{name}, mean logits"] = logits
        weighted = answers * np.array(weights)[:, None]
        starts = np.cumsum([0, *counts[:-1]])
        readings[f"{name}, mean probabilities"] = np.add.reduceat(weighted, starts)
    is_right = {name: values.argmax(axis=1) == truth for name, values in readings.items()}
    base = is_right["its last tokens"]
    rows = [
        [name, percent(right.mean()), f"{(right & ~base).sum()}, {(base & ~right).sum()}"]
        for name, right in is_right.items()
    ]
    return markdown_table(("read", "accuracy", "better, worse"), rows)


if __name__ == "__main__":
    main()
