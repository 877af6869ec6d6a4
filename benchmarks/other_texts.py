"""What a sentiment model says of texts that it was not made from: pairs of a text and its opposite,
sentences of several kinds and on other things, and texts without a sentiment.

    python -m benchmarks.other_texts [MODEL …] [--data FOLDER]

An edited review keeps its film, its story and nearly all of its words, and says the opposite (after
Kaushik, Hovy and Lipton, 2020, and Gardner et al., 2020); a model that goes by genre or names
answers both alike. A negated sentence is a short one. Without MODEL the embedded one answers.
FOLDER holds labelled sets (NAME/test.csv); those that are missing are left out. Nothing is chosen
by these figures.
"""

from __future__ import annotations

import argparse
import csv
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.sets import ORIGINS, read
from edge_lstm import Classifier

EXAMPLES = Path(__file__).parent.parent / "examples"
PAIRS = {"edited": EXAMPLES / "edited_reviews.csv", "negated": EXAMPLES / "negations.csv"}
KINDS = EXAMPLES / "sentences.csv"  # kind, label, text
# Sentences with a sentiment, and texts without one: folder → what they are called.
SENTENCES = {"sst2": "SST-2", "uci_yelp": "Yelp", "uci_amazon": "Amazon"}
NEITHER = {"trec6": "questions", "zh_waimai10k": "Chinese"}
NEITHER_TEXTS = 500


@dataclass(frozen=True)
class PairScores:
    """Shares of 1. original, edited: right answers of each version; both: pairs of which both are
    right;
    order: pairs of which the positive version is the more positive one, wherever the border
        lies.
    """

    pairs: int
    original: float
    edited: float
    both: float
    order: float


def judge(classifier: Classifier, path: Path) -> PairScores:
    """Answer every pair of a CSV (pair, version, label, text) with a model of two labels."""
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


def accuracies(classifier: Classifier, data: Path) -> dict[str, float]:
    """Return set → share of right answers, 0 to 1; of pairs, those of which both are right."""
    files = {"own reviews": EXAMPLES / "reviews.csv", "own sentences": KINDS}
    files |= {name: data / folder / "test.csv" for folder, name in SENTENCES.items()}
    shares = {}
    for name, path in files.items():
        if path.is_file():
            texts, labels = read(path)
            answers = np.array(classifier.labels)[classifier.probabilities(texts).argmax(axis=1)]
            shares[name] = float((answers == np.array(labels)).mean())
    return {**shares, **{name: judge(classifier, path).both for name, path in PAIRS.items()}}


def of_kinds(classifier: Classifier) -> dict[str, tuple[int, int]]:
    """Return kind of sentence → (right answers, sentences)."""
    with KINDS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    answers = classifier.predict([row["text"] for row in rows])
    kinds: dict[str, tuple[int, int]] = {}
    for row, answer in zip(rows, answers):
        right, texts = kinds.get(row["kind"], (0, 0))
        kinds[row["kind"]] = right + (answer.label == row["label"]), texts + 1
    return kinds


def certainties(classifier: Classifier, data: Path) -> dict[str, float]:
    """Return kind of text → mean probability of the label that is answered, over texts without a
    sentiment. A model that knows its limits is near 1 / labels.
    """
    kinds = {"Python code": _code()}
    for folder, name in NEITHER.items():
        path = data / folder / "test.csv"
        if path.is_file():
            kinds[name] = read(path)[0]
    probabilities = {
        name: classifier.probabilities(texts[:NEITHER_TEXTS]) for name, texts in kinds.items()
    }
    return {name: float(rows.max(axis=1).mean()) for name, rows in probabilities.items()}


def _code() -> list[str]:
    """Return lines of Python's own library, of 20 characters and more, without comments."""
    lines = [
        line.strip()
        for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines()[200:260:6]
    ]
    return [line for line in lines if len(line) >= 20 and not line.startswith("#")]


def main() -> None:
    """Print the table of pairs for each model, and with --data a line for each set."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--data", type=Path, metavar="FOLDER")
    asked = parser.parse_args()
    for folder in (*SENTENCES, *NEITHER) if asked.data else ():
        if not (asked.data / folder / "test.csv").is_file():
            print(f"left out: {folder}/test.csv, from {ORIGINS[folder]}", file=sys.stderr)
    print(f"{'model':24s}  {'texts':8s} pairs  original  edited  both right  in order")
    for classifier in map(Classifier.load, asked.models or [None]):
        for name, path in PAIRS.items():
            s = judge(classifier, path)
            shares = f"{s.original:9.1%}{s.edited:8.1%}{s.both:12.1%}{s.order:10.1%}"
            print(f"{classifier.model.path.name:24.24s}  {name:8s}{s.pairs:6d} {shares}")
        for name, (right, texts) in of_kinds(classifier).items():
            print(f"  {name:12s} {right:3d} of {texts} right")
        if asked.data:
            for name, share in accuracies(classifier, asked.data).items():
                print(f"  {name:12s} {share:6.1%} right")
            for name, share in certainties(classifier, asked.data).items():
                print(f"  {name:12s} {share:6.2f} mean probability")


if __name__ == "__main__":
    main()
