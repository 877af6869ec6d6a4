"""Scores: numbers that texts were given, as a file answers them, beside ridge on TF-IDF.

    python -m benchmarks.scores [SET …] [--preset NAME …] [--data FOLDER]

A set is a folder with train.csv and test.csv, columns text and label, whose labels are numbers.
``sst1`` has the grades of film sentences, 0 to 4. Each tool learns from the training split and
answers the test split; ridge takes its strength by cross-validation on the training split. The
package's model, which has read the training sentences' phrases, teaches a default training of sst1.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from edge_lstm_export import TextClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline

from benchmarks.sets import DATA, Rows, split
from benchmarks.table import markdown_table, percent
from edge_lstm import Classifier
from edge_lstm.metrics import spearman

SETS = ("sst1",)
STRENGTHS = 10.0 ** np.arange(-2, 3)
HEADS = ("set", "tool", "kB", "MAE", "Spearman", "within one")

Numbers = npt.NDArray[np.float64]


def file_scores(
    preset: str, teacher: str | None, train: Rows, questions: list[str]
) -> tuple[Numbers, float]:
    """Return what the int8 file of a training answers, and its size in 1,000 bytes."""
    model = TextClassifier(preset, teacher=teacher, question="score", random_state=0).fit(*train)
    with tempfile.TemporaryDirectory() as folder:
        path = model.export(Path(folder) / "model.onnx", quantize="int8")
        classifier = Classifier.load(path)
        kilobytes = path.stat().st_size / 1000
    levels = np.array([float(label) for label in classifier.labels])
    return classifier.probabilities(questions) @ levels, kilobytes


def ridge_scores(train: Rows, questions: list[str]) -> Numbers:
    """Return what ridge regression answers, kept within the scale."""
    levels = np.array([float(label) for label in train[1]])
    words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2, dtype=np.float32)
    model = make_pipeline(words, RidgeCV(STRENGTHS, cv=3)).fit(train[0], levels)
    return np.clip(model.predict(questions), levels.min(), levels.max())


def figures(answers: Numbers, truth: Numbers) -> list[str]:
    """Return mean absolute error, Spearman's correlation, and the share within one."""
    off = np.abs(answers - truth)
    correlation = spearman(answers, truth)
    shown = "–" if correlation is None else f"{correlation:.3f}"
    return [f"{off.mean():.3f}", shown, f"{percent((off <= 1).mean())} %"]


def main() -> None:
    """Train, and print a row for each set and tool."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("sets", nargs="*", default=SETS, metavar="SET")
    add("--preset", nargs="+", default=["small"])
    add("--data", type=Path, default=DATA, help="the folder of the sets")
    asked = parser.parse_args()
    rows = []
    for name in asked.sets:
        train, (questions, labels) = split(asked.data / name, 0, 0)
        truth = np.array([float(label) for label in labels])
        for preset in asked.preset:
            for teacher, tool in ((None, preset), ("none", f"{preset}, labels alone")):
                answers, kilobytes = file_scores(preset, teacher, train, questions)
                rows.append([name, tool, f"{kilobytes:.0f}", *figures(answers, truth)])
        rows.append([name, "ridge", "", *figures(ridge_scores(train, questions), truth)])
    print(markdown_table(HEADS, rows, words=(0, 1)))


if __name__ == "__main__":
    main()
