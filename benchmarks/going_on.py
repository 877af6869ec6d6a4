"""Going on from a model: banking77 learnt with 60 labels, then the other 17 from their rows alone.

    python -m benchmarks.going_on FOLDER [--models FOLDER]

FOLDER holds banking77/train.csv and test.csv (columns text,label). 17 labels, spread evenly over the
alphabet, are new. Three trainings of preset small: of the old labels (with their rows kept), of the new rows
alone with ``--from`` it, and of everything. Accuracy is that on the test texts of the old labels, of the new
ones, and of all; seconds are CPU seconds of the whole command. --models keeps the checkpoints and takes those
that are there, of which no time is known then.
"""

from __future__ import annotations

import argparse
import csv
import resource
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from edge_lstm_export.checkpoint import load_checkpoint
from edge_lstm_export.evaluation import predict_logits
from edge_lstm_export.examples import Examples, one_hot

from benchmarks.anyones_labels import Rows, read, run_command

NEW_LABELS = 17


def split(rows: Rows, new: set[str], folder: Path, name: str) -> tuple[Path, Path]:
    """The rows of the old and of the new labels, as files."""
    paths = folder / f"old_{name}.csv", folder / f"new_{name}.csv"
    for path, is_new in zip(paths, (False, True)):
        with path.open("w", encoding="utf-8", newline="") as file:
            chosen = [row for row in zip(*rows) if (row[1] in new) == is_new]
            csv.writer(file).writerows([("text", "label"), *chosen])
    return paths


def trained(path: Path, *arguments: Any) -> float | None:
    """Trains a checkpoint. → CPU seconds, None where it was there."""
    if path.exists():
        return None
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run_command(["train", *arguments, "-o", path, "--no-test"])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def right(path: Path, test: Rows) -> np.ndarray:
    """bool [n]: which test texts a checkpoint answers rightly."""
    checkpoint = load_checkpoint(path)
    empty = one_hot(np.zeros(len(test[0]), np.int64), len(checkpoint.labels))
    examples = Examples.from_texts(checkpoint.tokenizer, test[0], empty)
    best = predict_logits(checkpoint.network, examples).numpy().argmax(axis=1)
    return np.array([checkpoint.labels[i] == label for i, label in zip(best, test[1])])


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", type=Path)
    arguments = parser.parse_args()
    data = arguments.folder / "banking77"
    train, test = read(data / "train.csv"), read(data / "test.csv")
    labels = sorted(set(train[1]))
    step = len(labels)
    new = {label for i, label in enumerate(labels) if i * NEW_LABELS // step != (i - 1) * NEW_LABELS // step}
    of_new = np.array([label in new for label in test[1]])
    with tempfile.TemporaryDirectory() as scratch:
        models = arguments.models or Path(scratch)
        models.mkdir(parents=True, exist_ok=True)
        old_rows, new_rows = split(train, new, Path(scratch), "train")
        old, gone_on, everything = (models / f"{name}.safetensors" for name in ("old", "from", "all"))
        no_test = ("--set", "test-share=0")
        seconds = [
            trained(old, old_rows, *no_test, "--set", "keep-rows=yes"),
            trained(gone_on, new_rows, *no_test, "--from", old),
            trained(everything, data / "train.csv", *no_test),
        ]
        print("| training | old labels | new labels | all | CPU seconds |\n|---|---:|---:|---:|---:|")
        for name, path, taken in zip(
            (
                f"the {len(labels) - len(new)} old labels",
                "then --from it, the new rows",
                "everything at once",
            ),
            (old, gone_on, everything),
            seconds,
        ):
            found = right(path, test)
            shares = [f"{found[~of_new].mean():.2%}", f"{found[of_new].mean():.2%}", f"{found.mean():.2%}"]
            if path == old:
                shares[1:] = ["–", "–"]
            print(f"| {name} | {' | '.join(shares)} | {'–' if taken is None else f'{taken:.0f}'} |")


if __name__ == "__main__":
    main()
