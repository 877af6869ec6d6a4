"""Do answers follow what is said, or what it is said of? Pairs of reviews of which one is the other, edited.

    python -m benchmarks.edited [MODEL …] [--data FILE]

An edited review keeps its film, its story and nearly all of its words, and says the opposite (after
Kaushik, Hovy and Lipton, 2020, and Gardner et al., 2020). A model that goes by genre, names or the tone of
what is left answers both alike. Without MODEL the embedded one answers; FILE has the columns pair, version
(original or edited), label and text.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_lstm import Classifier

PAIRS = Path(__file__).parent.parent / "examples" / "edited_reviews.csv"
NEGATED = PAIRS.with_name("negations.csv")  # short sentences and their negations, in the same form


@dataclass(frozen=True)
class PairScores:
    """Shares of 1. original, edited: right answers of each version; both: pairs of which both are right;
    order: pairs of which the positive version is the more positive one, wherever the border lies."""

    pairs: int
    original: float
    edited: float
    both: float
    order: float


def judge(classifier: Classifier, path: Path) -> PairScores:
    """Answer every pair with a model of two labels."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: (row["pair"], row["label"]))
    positive = classifier.probabilities([row["text"] for row in rows])[:, 1]
    truth = np.array([row["label"] == classifier.labels[1] for row in rows])
    edited = np.array([row["version"] == "edited" for row in rows])
    right = (positive > 0.5) == truth
    both = right.reshape(-1, 2).all(axis=1)
    order = positive[truth] > positive[~truth]  # sorted, so that each is beside its pair's other
    shares = (right[~edited], right[edited], both, order)
    return PairScores(len(both), *(float(share.mean()) for share in shares))


def main() -> None:
    """Print a line for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--data", type=Path, default=PAIRS, metavar="FILE")
    asked = parser.parse_args()
    print("model                     pairs  original  edited  both right  in order")
    for path in asked.models or [None]:
        classifier = Classifier.load(path)
        scores = judge(classifier, asked.data)
        print(
            f"{classifier.model.path.name:24.24s}  {scores.pairs:5d}  {scores.original:8.1%}"
            f"  {scores.edited:6.1%}  {scores.both:10.1%}  {scores.order:8.1%}"
        )


if __name__ == "__main__":
    main()
