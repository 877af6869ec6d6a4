"""Several labels a text: ``edge-lstm train`` against scikit-learn's one-against-rest TF-IDF.

    python -m benchmarks.several_labels FOLDER [--part test|dev] [--preset small] [--only peer|model]

FOLDER holds train.csv, dev.csv and test.csv with the columns ``text`` and ``labels``, joined by ``|``
(GoEmotions; Demszky et al., 2020, for one). The model is trained on train.csv as the command does, a tenth of
which is its validation part, exported to int8 through its gates with dev.csv, and measured on the part.

The other is TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2) and a LogisticRegression for
each label. Its C is the one of the best macro F1 on the same validation part, its thresholds are chosen there
by the same function (thresholds.choose_thresholds), then it is fitted to all of train.csv.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from edge_lstm_export.checkpoint import load_checkpoint
from edge_lstm_export.datasets import DataOptions, Split, hold_out, read_dataset
from edge_lstm_export.export import export_fp32, quantize_int8
from edge_lstm_export.fit import VALIDATION_SHARE
from edge_lstm_export.job import TrainingJob
from edge_lstm_export.pipeline import run_job
from edge_lstm_export.thresholds import choose_thresholds
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from benchmarks.small_data import Silent
from edge_lstm import Classifier
from edge_lstm.answering import reach
from edge_lstm.evaluation.several import truth_of_sets
from edge_lstm.metrics import SetScores, set_scores
from edge_lstm.modelfile import parse_model
from edge_lstm.tables.labelled import LabelledSets, read_labelled

SEPARATOR = "|"
STRENGTHS = (3.0, 10.0)
Bools = npt.NDArray[np.bool_]


def part_of(folder: Path, part: str) -> LabelledSets:
    """The texts of a part of the set."""
    read = read_labelled(folder / f"{part}.csv", label_separator=SEPARATOR)
    assert isinstance(read, LabelledSets)
    return read


def peer(train: Split, labels: tuple[str, ...], texts: list[str], truth: Bools) -> SetScores:
    """scikit-learn's answers, measured."""
    rest, held = hold_out(train, VALIDATION_SHARE, 0)
    assert held.sets is not None
    best: tuple[float, float, tuple[float, ...]] | None = None
    for strength in STRENGTHS:
        probabilities = fitted(rest, strength, list(held.texts))
        thresholds = choose_thresholds(held.sets, probabilities)
        found = set_scores(held.sets, reach(probabilities, thresholds), labels)
        if best is None or found.macro_f1 > best[0]:
            best = found.macro_f1, strength, thresholds
    assert best is not None
    probabilities = fitted(train, best[1], texts)
    return set_scores(truth, reach(probabilities, best[2]), labels)


def fitted(train: Split, strength: float, texts: list[str]) -> npt.NDArray[np.float32]:
    """Probabilities of the texts, float32 [n, labels], from one model a label on the training texts."""
    assert train.sets is not None
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    x, asked = vectorizer.fit_transform(train.texts), vectorizer.transform(texts)
    columns: list[Any] = []
    for label in range(train.sets.shape[1]):
        model = LogisticRegression(C=strength, solver="liblinear").fit(x, train.sets[:, label])
        columns.append(model.predict_proba(asked)[:, 1])
    return np.stack(columns, axis=1).astype(np.float32)


def trained(folder: Path, preset: str) -> tuple[bytes, bytes]:
    """The int8 file and the fp32 file of the preset."""
    with tempfile.TemporaryDirectory() as temporary:
        output = Path(temporary) / "model.safetensors"
        data = DataOptions(label_separator=SEPARATOR, test_share=0)
        run_job(TrainingJob(str(folder / "train.csv"), output, preset=preset, data=data), Silent())
        return exported(output, folder)


def exported(checkpoint: Path, folder: Path) -> tuple[bytes, bytes]:
    """A checkpoint's int8 file, gated on dev.csv, and its fp32 file."""
    fp32 = export_fp32(load_checkpoint(checkpoint)).data
    int8 = quantize_int8(parse_model(fp32, checkpoint), labelled=part_of(folder, "dev"))
    return int8.data, fp32


def measured(name: str, size: str, scores: SetScores) -> str:
    """A line of the table."""
    return (
        f"{name:<24}{size:>9}{scores.micro_f1:>10.2%}{scores.macro_f1:>10.2%}{scores.subset_accuracy:>14.2%}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--part", default="test", choices=("test", "dev"))
    parser.add_argument("--preset", default="small")
    parser.add_argument("--checkpoint", type=Path, help="of an earlier training on train.csv")
    parser.add_argument("--only", choices=("peer", "model"))
    asked = parser.parse_args()
    dataset = read_dataset(
        str(asked.folder / "train.csv"), DataOptions(label_separator=SEPARATOR, test_share=0)
    )
    part = part_of(asked.folder, asked.part)
    truth = truth_of_sets(part.labels, dataset.labels, {}, asked.part)
    print(f"{'':<24}{'size':>9}{'micro F1':>10}{'macro F1':>10}{'exactly right':>14}", flush=True)
    if asked.only != "model":
        scores = peer(dataset.train, dataset.labels, part.texts, truth)
        print(measured("scikit-learn", "", scores), flush=True)
    if asked.only == "peer":
        return
    int8, fp32 = (
        exported(asked.checkpoint, asked.folder) if asked.checkpoint else trained(asked.folder, asked.preset)
    )
    given = []
    for name, data in ((f"{asked.preset}, int8", int8), (f"{asked.preset}, fp32", fp32)):
        classifier = Classifier.from_model(parse_model(data, Path(name)))
        assert classifier.labels == dataset.labels
        given.append(classifier.has_labels(classifier.probabilities(part.texts)))
        scores = set_scores(truth, given[-1], dataset.labels)
        print(measured(name, f"{len(data) / 1000:,.0f} kB", scores), flush=True)
    same = float((given[0] == given[1]).all(axis=1).mean())
    print(f"int8 and fp32 give {same:.2%} of the {len(part.texts):,} texts the same labels")


if __name__ == "__main__":
    main()
