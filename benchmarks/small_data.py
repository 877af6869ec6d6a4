"""How good is the plain command on little data? Parts of IMDB's training split, against scikit-learn.

    python -m benchmarks.small_data --data-dir FOLDER [--texts 100 500 2000] [--labels 2 5] [--flipped 0]
        [--presets small] [--splits 5]

A model is trained as ``edge-lstm train data.csv -o model.safetensors`` does (a tenth of the texts is its
test split, a tenth of the rest its validation part), exported to int8 through its gates, and measured on
reviews of the training split that are in no part. The other is TfidfVectorizer(ngram_range=(1, 2)) and
LogisticRegression on all the texts. Labels and stars: see label_noise.py.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from edge_lstm_export.export import export_fp32, quantize_int8
from edge_lstm_export.job import TrainingJob
from edge_lstm_export.pipeline import run_job
from edge_lstm_export.training import Callbacks, Progress
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from benchmarks.label_noise import STARS, rated_reviews
from edge_lstm import Classifier
from edge_lstm.modelfile import parse_model


class Silent:
    """Watches a job and says nothing."""

    def started(self, *_: object) -> None:
        """Nothing is said."""

    def say(self, line: str) -> None:
        """Nothing is said."""

    def callbacks(self, keep: Callable[[Progress], None]) -> Callbacks:
        """Nothing is called."""
        return Callbacks()


def ours(preset: str, texts: list[str], labels: np.ndarray, folder: Path) -> Classifier:
    """The int8 model that the command and ``export --quantize int8`` give."""
    data = folder / "data.csv"
    with data.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *zip(texts, labels.tolist())])
    fitted = run_job(TrainingJob(str(data), folder / "model.safetensors", preset=preset), Silent())
    fp32 = parse_model(export_fp32(fitted.checkpoint).data, folder / "model.onnx")
    return Classifier.from_model(parse_model(quantize_int8(fp32).data, folder / "model.int8.onnx"))


def theirs(texts: list[str], labels: np.ndarray, held_out: list[str], c: float) -> np.ndarray:
    """What scikit-learn answers: int64 [held-out texts]."""
    vectors = TfidfVectorizer(ngram_range=(1, 2))
    model = LogisticRegression(C=c, max_iter=300).fit(vectors.fit_transform(texts), labels)
    return np.asarray(model.predict(vectors.transform(held_out)))


def main() -> None:
    """Prints a line for each number of labels and texts: accuracies, mean and spread of the splits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--texts", type=int, nargs="+", default=[100, 500, 2000])
    parser.add_argument("--labels", type=int, nargs="+", default=[2, 5], choices=[2, 5])
    parser.add_argument("--flipped", type=float, default=0.0)
    parser.add_argument("--presets", nargs="+", default=["small"])
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--held-out", type=int, default=2500)
    arguments = parser.parse_args()
    reviews, stars = rated_reviews(arguments.data_dir / "aclImdb_v1.tar.gz")
    names = {2: (stars > 5).astype(np.int64), 5: np.array([STARS[star] for star in stars])}
    columns = ["TF-IDF", "TF-IDF, C=30", *arguments.presets]
    print("labels  texts  " + "  ".join(f"{column:>12}" for column in columns) + "  seconds")
    for count in arguments.labels:
        for size in arguments.texts:
            found = []
            begin = time.perf_counter()
            for split in range(arguments.splits):
                order = np.random.default_rng(split).permutation(len(reviews))
                rows, others = order[:size], order[-arguments.held_out :]
                rng = np.random.default_rng(split + 100)
                wrong = rng.random(size) < arguments.flipped
                truth = names[count]
                given = np.where(wrong, (truth[rows] + rng.integers(1, count, size)) % count, truth[rows])
                texts, held_out = [reviews[i] for i in rows], [reviews[i] for i in others]
                answers = [theirs(texts, given, held_out, c) for c in (1.0, 30.0)]
                for preset in arguments.presets:
                    with tempfile.TemporaryDirectory() as folder:
                        model = ours(preset, texts, given, Path(folder))
                    answers.append(np.array([int(answer.label or -1) for answer in model.predict(held_out)]))
                found.append([100 * (answer == truth[others]).mean() for answer in answers])
            table = np.array(found)
            cells = "  ".join(f"{m:>5.1f} ± {s:>4.1f}" for m, s in zip(table.mean(axis=0), table.std(axis=0)))
            print(
                f"{count:>6} {size:>6}  {cells}  {(time.perf_counter() - begin) / len(found):>7.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
