"""Do answers follow what is said, or what it is said of? Pairs of reviews of which one is the other, edited.

    python -m benchmarks.edited [MODEL …] [--data FILE]

An edited review keeps its film, its story and nearly all of its words, and says the opposite (after
Kaushik, Hovy and Lipton, 2020, and Gardner et al., 2020). A model that goes by genre, names or the tone of
what is left answers both alike. Without MODEL, the embedded one; FILE has the columns pair, version (original
or edited), label and text.
"""

from __future__ import annotations

import argparse
import csv
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_lstm import Classifier
from edge_lstm.errors import EdgeLSTMError

PAIRS = Path(__file__).parent.parent / "examples" / "edited_reviews.csv"
NEGATED = PAIRS.with_name("negations.csv")  # short sentences and their negations, in the same form


@dataclass(frozen=True)
class Found:
    """Shares of 1. original, edited: right answers of each version; both: pairs of which both are right;
    order: pairs of which the positive version is the more positive one, wherever the border lies."""

    pairs: int
    original: float
    edited: float
    both: float
    order: float


def judge(classifier: Classifier, path: Path) -> Found:
    """Every pair through a model of two labels."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    positive = classifier.probabilities([row["text"] for row in rows])[:, 1]
    truth = np.array([row["label"] == classifier.labels[1] for row in rows])
    right = (positive > 0.5) == truth
    edited = np.array([row["version"] == "edited" for row in rows])
    names = sorted({row["pair"] for row in rows})
    place = {name: i for i, name in enumerate(names)}
    pair = np.array([place[row["pair"]] for row in rows])
    low, high = np.empty(len(names)), np.empty(len(names))
    low[pair[~truth]], high[pair[truth]] = positive[~truth], positive[truth]
    wrong_in = np.bincount(pair, weights=~right, minlength=len(names))
    return Found(
        len(names),
        float(right[~edited].mean()),
        float(right[edited].mean()),
        float((wrong_in == 0).mean()),
        float((high > low).mean()),
    )


def main() -> None:
    """Prints a line for each model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--data", type=Path, default=PAIRS, metavar="FILE")
    given = parser.parse_args()
    print("model                     pairs  original  edited  both right  in order")
    for path in given.models or [None]:
        classifier = Classifier.load(path)
        found = judge(classifier, given.data)
        name = classifier.model.path.name
        print(
            f"{name:24.24s}  {found.pairs:5d}  {found.original:8.1%}  {found.edited:6.1%}"
            f"  {found.both:10.1%}  {found.order:8.1%}"
        )


if __name__ == "__main__":
    try:
        main()
    except EdgeLSTMError as error:
        sys.exit(f"error: {error}")
