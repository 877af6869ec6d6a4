"""What a sentiment model says of texts that it was not made from: sentences on other things, edited reviews,
negations, and texts with no sentiment at all.

    python -m benchmarks.other_texts [MODEL …] [--data FOLDER]

Without MODEL the embedded one answers. FOLDER holds labelled sets (NAME/test.csv); those that are missing are
left out. Nothing is chosen by these figures.
"""

from __future__ import annotations

import argparse
import sysconfig
from pathlib import Path

import numpy as np

from benchmarks.edited import NEGATED, PAIRS, judge
from benchmarks.sets import DATA, read
from edge_lstm import Classifier

OWN_REVIEWS = Path(__file__).parent.parent / "examples" / "reviews.csv"
# Sentences with a sentiment, and texts without one: folder → what they are called.
SENTENCES = {"sst2": "SST-2", "uci_yelp": "Yelp", "uci_amazon": "Amazon"}
NEITHER, NEITHER_TEXTS = {"trec6": "questions", "zh_waimai10k": "Chinese"}, 500


def accuracies(classifier: Classifier, data: Path) -> dict[str, float]:
    """Return set → share of right answers, 0 to 1; ``edited``, ``negated``: of pairs of which both are
    right."""
    files = {"own reviews": OWN_REVIEWS}
    files |= {name: data / folder / "test.csv" for folder, name in SENTENCES.items()}
    shares = {}
    for name, path in files.items():
        if path.is_file():
            texts, labels = read(path)
            answers = np.array(classifier.labels)[classifier.probabilities(texts).argmax(axis=1)]
            shares[name] = float((answers == np.array(labels)).mean())
    return {**shares, "edited": judge(classifier, PAIRS).both, "negated": judge(classifier, NEGATED).both}


def certainties(classifier: Classifier, data: Path) -> dict[str, float]:
    """Return kind of text → mean probability of the label that is answered, over texts without a sentiment. A
    model that knows its limits is near 1 / labels."""
    kinds = {"Python code": _code()}
    for folder, name in NEITHER.items():
        path = data / folder / "test.csv"
        if path.is_file():
            kinds[name] = read(path)[0]
    probabilities = {name: classifier.probabilities(texts[:NEITHER_TEXTS]) for name, texts in kinds.items()}
    return {name: float(rows.max(axis=1).mean()) for name, rows in probabilities.items()}


def _code() -> list[str]:
    """Lines of Python's own library, which every machine has: of 20 characters and more, without comments."""
    lines = [
        line.strip()
        for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines()[200:260:6]
    ]
    return [line for line in lines if len(line) >= 20 and not line.startswith("#")]


def main() -> None:
    """Print a line for each model and set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--data", type=Path, default=DATA, metavar="FOLDER")
    asked = parser.parse_args()
    for path in asked.models or [None]:
        classifier = Classifier.load(path)
        print(classifier.model.path.name)
        for name, share in accuracies(classifier, asked.data).items():
            print(f"  {name:12s} {share:6.1%} right")
        for name, share in certainties(classifier, asked.data).items():
            print(f"  {name:12s} {share:6.2f} mean probability")


if __name__ == "__main__":
    main()
