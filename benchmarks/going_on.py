"""Going on from a model: banking77 learnt with 60 labels, then the other 17 from their rows alone.

    python -m benchmarks.going_on FOLDER [--seeds 3] [--models FOLDER]

FOLDER holds banking77/train.csv and test.csv (columns text,label). 17 labels, spread evenly over the
alphabet, are new. Three trainings of preset small: of the old labels (with their rows kept), of the new rows
alone with ``--from`` it, and of everything. Accuracy is that on the test texts of the old labels, of the new
ones, and of all; seconds are CPU seconds of the whole command, of which every training spends the first ones
on importing Python's packages: measured alone too, the best of three. Each seed draws its own networks and
its own validation parts; of several the table has the mean, and from the least to the most. --models keeps
the checkpoints with their seconds, and takes those that are there.
"""

from __future__ import annotations

import argparse
import csv
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from edge_lstm_export.checkpoint import load_checkpoint
from edge_lstm_export.evaluation import predict_logits
from edge_lstm_export.examples import Examples, one_hot

from benchmarks.anyones_labels import Rows, read, run_command

NEW_LABELS = 17
TRAININGS = {
    "old": "the old labels",
    "from": "then `--from` it, the new rows",
    "all": "everything at once",
}


def split(rows: Rows, new: set[str], folder: Path, name: str) -> tuple[Path, Path]:
    """The rows of the old and of the new labels, as files."""
    paths = folder / f"old_{name}.csv", folder / f"new_{name}.csv"
    for path, is_new in zip(paths, (False, True)):
        with path.open("w", encoding="utf-8", newline="") as file:
            chosen = [row for row in zip(*rows) if (row[1] in new) == is_new]
            csv.writer(file).writerows([("text", "label"), *chosen])
    return paths


def cpu_seconds(call: Callable[[], Any]) -> float:
    """Of the processes that a call starts and waits for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    call()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def trained(path: Path, *arguments: Any) -> float:
    """Trains a checkpoint where it is not there. → CPU seconds."""
    kept = path.with_suffix(".seconds")
    if not kept.exists():
        seconds = cpu_seconds(lambda: run_command(["train", *arguments, "-o", path, "--no-test"]))
        kept.write_text(f"{seconds:.2f}\n", encoding="ascii")
    return float(kept.read_text(encoding="ascii"))


def starting() -> float:
    """CPU seconds until a training has imported what it needs."""
    command = [sys.executable, "-c", "import edge_lstm_export.pipeline"]
    return min(cpu_seconds(lambda: subprocess.run(command, check=True)) for _ in range(3))


def right(path: Path, test: Rows) -> np.ndarray:
    """bool [n]: which test texts a checkpoint answers rightly."""
    checkpoint = load_checkpoint(path)
    empty = one_hot(np.zeros(len(test[0]), np.int64), len(checkpoint.labels))
    examples = Examples.from_texts(checkpoint.tokenizer, test[0], empty)
    best = predict_logits(checkpoint.network, examples).numpy().argmax(axis=1)
    return np.array([checkpoint.labels[i] == label for i, label in zip(best, test[1])])


def of_seed(seed: int, files: Sequence[Path], everything: Path, models: Path) -> dict[str, float]:
    """A seed's three trainings. → training: CPU seconds. files: the rows of the old and of the new labels."""
    old, gone_on, whole = (models / f"{name}.{seed}.safetensors" for name in TRAININGS)
    common = ("--seed", seed, "--set", "test-share=0")
    return {
        "old": trained(old, files[0], *common, "--set", "keep-rows=yes"),
        "from": trained(gone_on, files[1], *common, "--from", old),
        "all": trained(whole, everything, *common),
    }


def spread(values: Sequence[float], form: str) -> str:
    """Mean, and from the least to the most where there are several."""
    mean = format(sum(values) / len(values), form)
    return mean if len(values) == 1 else f"{mean} ({min(values):{form}} to {max(values):{form}})"


def main() -> None:
    """Prints a table, and what is asked of going on."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--models", type=Path)
    arguments = parser.parse_args()
    data = arguments.folder / "banking77"
    train, test = read(data / "train.csv"), read(data / "test.csv")
    labels = sorted(set(train[1]))
    step = len(labels)
    new = {label for i, label in enumerate(labels) if i * NEW_LABELS // step != (i - 1) * NEW_LABELS // step}
    of_new = np.array([label in new for label in test[1]])
    parts = (~of_new, of_new, np.ones_like(of_new))
    found: dict[str, list[list[float]]] = {name: [] for name in TRAININGS}
    with tempfile.TemporaryDirectory() as scratch:
        models = arguments.models or Path(scratch)
        models.mkdir(parents=True, exist_ok=True)
        files = split(train, new, Path(scratch), "train")
        for seed in range(arguments.seeds):
            for name, seconds in of_seed(seed, files, data / "train.csv", models).items():
                answered = right(models / f"{name}.{seed}.safetensors", test)
                found[name].append([*(float(answered[part].mean()) for part in parts), seconds])
    print("| training | old labels | new labels | all | CPU seconds |\n|---|---:|---:|---:|---:|")
    for name, description in TRAININGS.items():
        columns = list(zip(*found[name]))
        cells = [spread(column, ".2%") for column in columns[:3]]
        if name == "old":
            cells[1:] = ["–", "–"]
        print(f"| {description} | {' | '.join(cells)} | {spread(columns[3], '.0f')} |")
    old, gone_on, everything = (found[name] for name in TRAININGS)
    lost = [100 * (before[0] - after[0]) for before, after in zip(old, gone_on)]
    behind = [100 * (whole[1] - after[1]) for whole, after in zip(everything, gone_on)]
    share = [after[3] / whole[3] for whole, after in zip(everything, gone_on)]
    print(f"\nthe old labels lose {spread(lost, '.2f')} points; the new ones are {spread(behind, '.2f')}")
    print(f"points behind a training on everything, in {spread(share, '.2f')} of its CPU time;")
    start = starting()
    learning = [(after[3] - start) / (whole[3] - start) for whole, after in zip(everything, gone_on)]
    print(f"{spread(learning, '.2f')} without the {start:.1f} seconds that each needs to start")


if __name__ == "__main__":
    main()
