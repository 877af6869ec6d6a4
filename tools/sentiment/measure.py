"""What a sentiment model says of sentences with a twist, of new frames and of new words.

    python tools/sentiment/measure.py [MODEL …] [--data FOLDER] [--wrong]

By phenomenon of grammar.py: the share of right answers, in points, on held-out frames, on held-out
words, on both, on frames that others wrote (with held-out words), and on sentences that they typed.
Questions are right between 0.25 and 0.75. With FOLDER, also on the test splits of sst2, uci_yelp
and uci_amazon, and on those rows of the last two that hold a negation. The last line is the
calibration error on the others' sentences with a sentiment.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import numpy as np
from grammar import (
    HELD,
    NEGATIVE,
    NEUTRAL,
    OTHERS,
    POSITIVE,
    Sentence,
    frames,
    make_sentences,
    typed_sentences,
)

from edge_lstm import Classifier
from edge_lstm.metrics import calibration_bins, expected_calibration_error
from edge_lstm.tables.labelled import read_labelled

EACH = 300
SEED = 83
KINDS = {
    "known": {},
    "frames": {"whose": HELD},
    "words": {"new_words": True},
    "both": {"whose": HELD, "new_words": True},
    "others": {"whose": OTHERS, "new_words": True},
}
SETS = ("sst2", "uci_yelp", "uci_amazon")
NEGATION = re.compile(r"\b(?:not|no|never|nothing|nobody|none|neither|nor|cannot)\b|n't\b", re.I)


def right(sentences: list[Sentence], positive: np.ndarray) -> np.ndarray:
    """Tell which answers are right: bool [n]. positive: probabilities, [n]."""
    labels = np.array([sentence.label for sentence in sentences])
    between = (positive > 0.25) & (positive < 0.75)
    return np.where(labels == NEUTRAL, between, (positive > 0.5) == (labels > 0.5))


def calibration(truth: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the expected calibration error, in points. truth: int [n]."""
    return 100 * expected_calibration_error(calibration_bins(truth, probabilities))


def read(path: Path) -> tuple[list[str], np.ndarray]:
    """Read texts, and whether each is positive: bool [n]."""
    rows = read_labelled(path)
    return [*rows.texts], np.array([labels[0] in ("pos", "1") for labels in rows.labels])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--data", type=Path, metavar="FOLDER")
    parser.add_argument("--wrong", action="store_true", help="print typed sentences answered wrong")
    asked = parser.parse_args()
    for classifier in map(Classifier.load, asked.models or [None]):
        kinds = "".join(f"{kind:>8s}" for kind in [*KINDS, "typed"])
        print(f"{classifier.model.path.name:22s}{kinds}")
        judged = {kind: make_sentences(EACH, SEED, **new) for kind, new in KINDS.items()}
        judged["typed"] = typed_sentences()
        answers = {}
        for kind, sentences in judged.items():
            rows = classifier.probabilities([sentence.text for sentence in sentences])
            answers[kind] = sentences, rows
        for name in dict.fromkeys(frame.phenomenon for frame in frames()):
            shares = []
            for sentences, rows in answers.values():
                of_name = [i for i, each in enumerate(sentences) if each.phenomenon == name]
                few = [sentences[i] for i in of_name]
                shares.append(100 * right(few, rows[of_name, 1]).mean())
            print(f"{name:22s}" + "".join(f"{share:8.1f}" for share in shares))
        sentences, rows = answers["typed"]
        for i in np.flatnonzero(~right(sentences, rows[:, 1])) if asked.wrong else ():
            print(f"{rows[i, 1]:.2f} {sentences[i].text}")
        sentences, rows = answers["others"]
        sure = [i for i, each in enumerate(sentences) if each.label in (NEGATIVE, POSITIVE)]
        truth = np.array([int(sentences[i].label > 0.5) for i in sure])
        for name in SETS if asked.data else ():
            texts, positive = read(asked.data / name / "test.csv")
            found = classifier.probabilities(texts)
            hits = (found[:, 1] > 0.5) == positive
            print(f"{name:22s}{100 * hits.mean():8.1f}")
            negated = np.array([bool(NEGATION.search(text)) for text in texts])
            print(f"  {negated.sum():4d} with a negation{100 * hits[negated].mean():8.1f}")
            print(f"  calibration error{calibration(positive.astype(int), found):11.1f}")
        print(f"{'calibration error':22s}{calibration(truth, rows[sure]):8.1f}")


if __name__ == "__main__":
    main()
