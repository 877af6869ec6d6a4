"""Are the rows that ``edge-lstm suggest`` asks for worth more than rows at random?

    python -m benchmarks.suggested_rows FOLDER --sets trec6 banking77 [--draws 5] [--rounds 3] [--each 50]

FOLDER holds NAME/{train,test}.csv with the columns text,label. A draw starts from EACH random rows of the
training split, at least one a label. Then, in every round, a model (preset ``small``, int8) is trained on the
rows that there are, and EACH more get their true label: those that it suggests of the rest of the split, or
random ones. Writes OUT.json and OUT.md: accuracy on the whole test split after each round. A finished run is
not made again.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from edge_lstm_export.export import export_fp32, quantize_int8
from edge_lstm_export.job import TrainingJob
from edge_lstm_export.pipeline import run_job

from benchmarks.anyones_labels import Rows, read
from benchmarks.few_rows import cell, drawn, write_csv
from benchmarks.small_data import Silent
from edge_lstm import Classifier
from edge_lstm.modelfile import parse_model
from edge_lstm.suggest import suggest

SUGGESTED, AT_RANDOM = "suggested", "at random"


@dataclass(frozen=True)
class Run:
    """One way of choosing rows from one draw. rows, accuracies (0 to 1): of the model after each round, the
    first one's before any."""

    set: str
    draw: int
    way: str
    rows: list[int]
    accuracies: list[float]


def trained(rows: Rows, seed: int) -> Classifier:
    """The int8 model that the command gives."""
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "rows.csv"
        write_csv(data, [("text", "label"), *zip(*rows)])
        job = TrainingJob(str(data), Path(scratch) / "m.safetensors", options={"seed": seed})
        fp32 = parse_model(export_fp32(run_job(job, Silent()).checkpoint).data, Path(scratch) / "m.onnx")
        return Classifier.from_model(parse_model(quantize_int8(fp32).data, Path(scratch) / "m.int8.onnx"))


def accuracy(model: Classifier, test: Rows) -> float:
    """From 0 to 1."""
    answers = model.probabilities(test[0]).argmax(axis=1)
    return sum(model.labels[i] == label for i, label in zip(answers, test[1])) / len(test[1])


def chosen(model: Classifier, texts: Sequence[str], labelled: Sequence[str], count: int) -> list[str]:
    """The texts that are suggested."""
    return [row.text for row in suggest(model, texts, count, labelled=labelled).rows]


def rounds(train: Rows, test: Rows, name: str, draw: int, way: str, count: int, each: int) -> Run:
    """Trains, chooses and labels, ``count`` times, and trains once more."""
    truth = dict(zip(*train))
    rows, rng = drawn(train, str(each), draw), random.Random(draw)
    sizes, found = [], []
    for number in range(count + 1):
        model = trained(rows, draw)
        sizes.append(len(rows[0]))
        found.append(accuracy(model, test))
        if number == count:
            break
        rest = [text for text in truth if text not in set(rows[0])]
        more = chosen(model, rest, rows[0], each) if way == SUGGESTED else rng.sample(rest, each)
        rows = [*rows[0], *more], [*rows[1], *(truth[text] for text in more)]
    return Run(name, draw, way, sizes, found)


def page(runs: Sequence[Run]) -> str:
    """The table as Markdown: means of the draws after each round."""
    names = sorted({run.set for run in runs})
    lines = [
        "# Rows that are suggested",
        "",
        f"`python -m benchmarks.suggested_rows FOLDER --sets {' '.join(names)}`;",
        "what is run is said there. Accuracy on the whole test split in %, mean ± standard deviation of the",
        "draws, by the rows learnt from.",
        "",
    ]
    for name in names:
        own = [run for run in runs if run.set == name]
        sizes = own[0].rows
        draws = len({run.draw for run in own})
        lines += [f"| {name}, {draws} draws | {' | '.join(f'{size:,} rows' for size in sizes)} |"]
        lines += ["|---" * (1 + len(sizes)) + "|"]
        for way in (SUGGESTED, AT_RANDOM):
            each = [run.accuracies for run in own if run.way == way]
            cells = [cell(column) for column in zip(*each)]
            if cells:
                lines.append(f"| {way} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Runs what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", required=True)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--each", type=int, default=50)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "suggested_rows")
    arguments = parser.parse_args()
    kept = arguments.out.with_suffix(".json")
    runs = [Run(**run) for run in json.loads(kept.read_text())] if kept.exists() else []
    done = {(run.set, run.draw, run.way) for run in runs}
    for draw in range(arguments.draws):
        for name in arguments.sets:
            train, test = (read(arguments.folder / name / f"{part}.csv") for part in ("train", "test"))
            for way in (SUGGESTED, AT_RANDOM):
                if (name, draw, way) in done:
                    continue
                runs.append(rounds(train, test, name, draw, way, arguments.rounds, arguments.each))
                print(runs[-1], flush=True)
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_text(json.dumps([asdict(run) for run in runs], indent=1) + "\n", encoding="utf-8")
    arguments.out.with_suffix(".md").write_text(page(runs), encoding="utf-8")


if __name__ == "__main__":
    main()
