"""What a sentiment model says of texts that it was not made from: sentences on other things, edited reviews,
negations, and texts with no sentiment at all.

    python -m benchmarks.other_texts [MODEL …] [--sets FOLDER]

Without MODEL, the embedded one. FOLDER holds labelled sets (NAME/test.csv); those that are missing are left
out. Nothing is chosen by these figures.
"""

from __future__ import annotations

import argparse
import os
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.documents import DATA_VARIABLE
from benchmarks.edited import NEGATED, PAIRS, judge
from edge_lstm import Classifier
from edge_lstm.errors import EdgeLSTMError
from edge_lstm.evaluation.sources import load_labelled

OWN_REVIEWS = Path(__file__).parent.parent / "examples" / "reviews.csv"
# Sentences with a sentiment: folder → what they are called.
SENTENCES = {"sst2": "SST-2", "uci_yelp": "Yelp", "uci_amazon": "Amazon"}
# Texts without one.
NEITHER = {"trec6": "questions", "zh_waimai10k": "Chinese"}
NEITHER_TEXTS = 500


def accuracies(classifier: Classifier, sets: Path | None) -> dict[str, float]:
    """Set → share of right answers, 0 to 1; ``edited``, ``negated``: of pairs of which both are right."""
    files = {"own reviews": OWN_REVIEWS}
    if sets is not None:
        files |= {name: sets / folder / "test.csv" for folder, name in SENTENCES.items()}
    found = {}
    for name, path in files.items():
        if path.is_file():
            data = load_labelled(str(path))
            answers = classifier.probabilities(data.texts).argmax(axis=1)
            found[name] = float(
                np.mean([classifier.labels[i] == label for i, label in zip(answers, data.labels)])
            )
    found["edited"] = judge(classifier, PAIRS).both
    found["negated"] = judge(classifier, NEGATED).both
    return found


def certainties(classifier: Classifier, sets: Path | None) -> dict[str, float]:
    """Kind of text → mean probability of the label that is answered, over NEITHER_TEXTS texts that have no
    sentiment. A model that knows its limits is near 1 / labels."""
    kinds = {"Python code": _code()}
    for folder, name in NEITHER.items():
        path = sets / folder / "test.csv" if sets is not None else None
        if path is not None and path.is_file():
            kinds[name] = load_labelled(str(path)).texts[:NEITHER_TEXTS]
    return {
        name: float(classifier.probabilities(texts).max(axis=1).mean())
        for name, texts in kinds.items()
        if texts
    }


def _code() -> Sequence[str]:
    """Lines of Python's own library, which every machine has: of 20 characters and more, without comments."""
    lines = [
        line.strip()
        for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines()[200:260:6]
    ]
    return [line for line in lines if len(line) >= 20 and not line.startswith("#")][:NEITHER_TEXTS]


def main() -> None:
    """Prints a line for each model and set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--sets", type=Path, default=default_sets(), metavar="FOLDER")
    given = parser.parse_args()
    for path in given.models or [None]:
        classifier = Classifier.load(path)
        print(classifier.model.path.name)
        for name, share in accuracies(classifier, given.sets).items():
            print(f"  {name:12s} {share:6.1%} right")
        for name, share in certainties(classifier, given.sets).items():
            print(f"  {name:12s} {share:6.2f} mean probability")


def default_sets(data_dir: str | Path | None = None) -> Path | None:
    """The labelled sets beside the IMDB archive, where there are any."""
    folder = data_dir or os.environ.get(DATA_VARIABLE)
    sets = Path(folder) / "sets" if folder else None
    return sets if sets is not None and sets.is_dir() else None


if __name__ == "__main__":
    try:
        main()
    except EdgeLSTMError as error:
        sys.exit(f"error: {error}")
