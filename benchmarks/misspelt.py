"""What misspellings cost: accuracy of texts as they are, and with some of their letters exchanged.

    python -m benchmarks.misspelt FOLDER [--sets trec6 ...] [--features ngrams ...] [--models FOLDER]

FOLDER holds a folder for each set with train.csv and test.csv (columns text,label). For each set ``edge-lstm
train train.csv`` with ``--set features=ngrams`` (words and pieces of words), the same with ``misspelt=yes``
(misspelt words as known ones), and ``features=pairs`` (words and word pairs alone), then ``export --quantize
int8``. Each letter of the test texts becomes, with the given probability, a letter drawn from all
that these texts hold; all files answer the same texts, in three draws.
--models keeps the checkpoints and files, and takes those that are there.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.anyones_labels import read, run_command

FEATURES = {  # name → settings
    "misspelt": ("features=ngrams", "misspelt=yes"),
    "ngrams": ("features=ngrams",),
    "pairs": ("features=pairs",),
}
DRAWS = 3
HEADER = (
    "| set | test texts | features | as they are | misspelt | points lost |",
    "|---|---:|---|---:|---:|---:|",
)


def misspelt(texts: Sequence[str], share: float, seed: int) -> list[str]:
    """The texts with about ``share`` of their letters exchanged for others of them."""
    rng = random.Random(seed)
    letters = [c for text in texts for c in text.lower() if c.isalpha()]
    return [
        "".join(rng.choice(letters) if c.isalpha() and rng.random() < share else c for c in text)
        for text in texts
    ]


def trained(folder: Path, features: str, models: Path) -> Path:
    """The int8 file of a set, made where it is not there."""
    checkpoint = models / f"{folder.name}.{features}.safetensors"
    model = checkpoint.with_suffix(".onnx")
    if not model.exists():
        train = ["train", folder / "train.csv", "--test", folder / "test.csv", "--no-test", "-o", checkpoint]
        train += ["--teacher", "none"]  # what the rows teach alone
        run_command([*train, *(part for setting in FEATURES[features] for part in ("--set", setting))])
        run_command(["export", checkpoint, "-o", model, "--quantize", "int8"])
    return model


def row(folder: Path, features: str, model: Path, share: float) -> str:
    """A row of the table."""
    from edge_lstm import Classifier

    texts, truth = read(folder / "test.csv")
    classifier = Classifier.load(model)

    def accuracy(texts: Sequence[str]) -> float:
        answers = [row.label for row in classifier.predict(list(texts))]
        return 100 * sum(map(str.__eq__, answers, truth)) / len(truth)

    whole = accuracy(texts)
    edited = statistics.mean(accuracy(misspelt(texts, share, draw)) for draw in range(DRAWS))
    figures = f"{whole:.2f} % | {edited:.2f} % | {whole - edited:.2f}"
    return f"| {folder.name} | {len(texts):,} | {features} | {figures} |"


def main() -> None:
    """Prints the table, and writes it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", default=["trec6", "sst2", "tweeteval_emotion", "sms_spam"])
    parser.add_argument("--features", nargs="+", default=[*FEATURES], choices=[*FEATURES])
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    lines = list(HEADER)
    print(*lines, sep="\n")
    with tempfile.TemporaryDirectory() as scratch:
        models = arguments.models or Path(scratch)
        models.mkdir(parents=True, exist_ok=True)
        for name in arguments.sets:
            for features in arguments.features:
                folder = arguments.folder / name
                lines.append(row(folder, features, trained(folder, features, models), arguments.share))
                print(lines[-1], flush=True)
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
