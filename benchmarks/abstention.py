"""Is the promise of ``--abstain`` kept? Share answered and share wrong on test splits, for fp32 and int8.

    python -m benchmarks.abstention FOLDER [--sets banking77 trec6] [--models FOLDER] [--out FILE.md]

FOLDER holds a folder for each set with train.csv and test.csv (columns text,label). For each set ``edge-lstm
train train.csv`` with nothing held out for a test (its validation part makes the curve), then ``export`` and
``export --quantize int8``. The test texts are answered once by each file, and each share of wrong answers
that is wanted gives a threshold by the file's curve. Intervals are Wilson's (95 %). --models keeps the
checkpoints and files, and takes those that are there.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.anyones_labels import read, run_command
from edge_lstm.answering import SHOWN_RISKS
from edge_lstm.evaluation.evaluate import evaluate
from edge_lstm.metrics import wilson_interval
from edge_lstm.modelfile import open_model

HEADER = (
    "| set | file | validation texts | test texts | wanted | threshold | answered | wrong | 95 % interval |",
    "|---|---|---:|---:|---:|---:|---:|---:|---|",
)


def trained(folder: Path, models: Path, seed: int) -> list[Path]:
    """The fp32 and the int8 file of a set, made where they are not there."""
    name = f"{folder.name}.{seed}"
    checkpoint = models / f"{name}.safetensors"
    if not checkpoint.exists():
        train = ["train", folder / "train.csv", "-o", checkpoint, "--set", "test-share=0", "--seed", seed]
        train += ["--teacher", "none"]  # what the rows teach alone
        run_command([*train, "--no-test"])
    files = [models / f"{name}.fp32.onnx", models / f"{name}.int8.onnx"]
    for file, options in zip(files, ([], ["--quantize", "int8"])):
        if not file.exists():
            run_command(["export", checkpoint, "-o", file, *options])
    return files


def rows(folder: Path, files: Sequence[Path]) -> Iterator[str]:
    """A row of the table for each file and share of wrong answers."""
    texts, labels = read(folder / "test.csv")
    opened = [open_model(file) for file in files]
    evaluation = evaluate(opened, texts, labels)
    for model, result in zip(opened, evaluation.models):
        curve = model.abstention
        assert curve is not None
        start = f"| {folder.name} | {model.precision} | {curve.texts:,} | {len(texts):,} |"
        yield f"{start} – | 0 | 100 % | {1 - result.accuracy:.2%} | |"
        for wanted in SHOWN_RISKS:
            point = curve.promised(wanted)
            if point is None:
                yield f"{start} {wanted:.0%} | none: {curve.least:.2g} is the least | | | |"
                continue
            answering = replace(result, threshold=point.threshold)
            answered, wrong = int(answering.answered.sum()), answering.wrong_answers
            interval = wilson_interval(wrong, answered)
            yield (
                f"{start} {wanted:.0%} | {point.threshold:.4f} | {answered / len(texts):.1%} | "
                f"**{wrong / answered:.2%}** | {interval.low:.2%} to {interval.high:.2%} |"
            )


def main() -> None:
    """Prints the table, and writes it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", default=["banking77", "trec6"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    lines = list(HEADER)
    with tempfile.TemporaryDirectory() as scratch:
        models = arguments.models or Path(scratch)
        models.mkdir(parents=True, exist_ok=True)
        for name in arguments.sets:
            folder = arguments.folder / name
            lines += rows(folder, trained(folder, models, arguments.seed))
    print(*lines, sep="\n")
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
