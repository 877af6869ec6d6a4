"""How good is a training on other people's labels, from few rows to all? Beside TF-IDF and a linear
SVM.

    python -m benchmarks.public_sets [SET[:ROWS] …] [--teachers svm none default FOLDER]

SET is a folder of ``--data`` with train.csv and test.csv, columns text and label. ROWS are drawn
from the training split, at least one of each label; ``10/label`` draws as many of each; without
ROWS all are learnt
from. ``10-fold`` is for sets without a published split: a tenth of all rows, which the seed names,
judges. A teacher is ``none``, ``default`` or an encoder's folder; ``svm`` is scikit-learn's model
in the place of a network. The int8 file, which passed every gate, answers the test split.

Each run is a line of the results, and is not made again. The page is written from all of them;
``--seeds 0`` only writes it. Results in another file are for other pages.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path

from edge_lstm_export import TextClassifier
from sklearn.metrics import accuracy_score, f1_score

from benchmarks import baselines
from benchmarks.linear_svm import linear_svm
from benchmarks.sets import ALL, DATA, SETS, TEN_FOLD, append, draw, fold, lines, split
from benchmarks.table import markdown_table

RESULTS = Path(__file__).parent / "results" / "public_sets.jsonl"
PAGE = Path(__file__).parent / "public_sets.md"
SVM = "svm"
HEAD = """# Accuracy on public data sets

`python -m benchmarks.public_sets` measures this ([how](README.md#public-sets-and-decisions)). A
cell has the **accuracy** ± the standard deviation over the seeds (†: one seed) and the macro F1,
both in %, then the size of the int8 file and the CPU seconds of the training. The figures for SST-2
with few rows mean little, because the sentiment model, a teacher there, learnt from its whole
training split."""


@dataclass(frozen=True)
class Cell:
    """What is trained. seed: of the draw and of the training."""

    set: str
    rows: str
    teacher: str
    preset: str
    seed: int

    @property
    def column(self) -> str:
        """The way of training, for people."""
        return "SVM" if self.teacher == SVM else f"{self.preset}, {self.teacher}"


@dataclass(frozen=True)
class Figures:
    """accuracy, macro_f1, weighted_f1: 0 to 1, the last by the labels' rows, where it was measured;
    kb: 1,000 bytes of the int8 file, 0 of the SVM; seconds: CPU time of the training.
    """

    accuracy: float
    macro_f1: float
    kb: float
    seconds: float
    weighted_f1: float = 0.0


def measure(cell: Cell, data: Path, teacher: str) -> Figures:
    """Train a cell and judge it. teacher: its name, or the folder of the encoder."""
    folder = data / cell.set
    parts = fold(folder, cell.seed) if cell.rows == TEN_FOLD else split(folder)
    train, (questions, truth) = parts
    texts, labels = draw(train, cell.rows, cell.seed)
    begin = time.process_time()
    if teacher == SVM:
        answers = linear_svm().fit(texts, labels).predict(questions)
        seconds = time.process_time() - begin
        kb = 0.0
    else:
        asked = None if teacher == "default" else teacher
        model = TextClassifier(cell.preset, teacher=asked, random_state=cell.seed)
        model.fit(texts, labels)
        seconds = time.process_time() - begin
        file = baselines.opened(model)
        answers = file.answers(questions)
        kb = file.size / 1000
    f1 = partial(f1_score, truth, answers, labels=sorted({*truth}), zero_division=0)
    shares = accuracy_score(truth, answers), f1(average="macro")
    return Figures(*map(float, shares), kb, seconds, float(f1(average="weighted")))


def load(path: Path) -> dict[Cell, Figures]:
    """Read the runs in a file of JSON lines; none where there is no file."""
    own, figures = ([field.name for field in fields(kind)] for kind in (Cell, Figures))
    return {
        Cell(*(line[f] for f in own)): Figures(*(line.get(f, 0.0) for f in figures))
        for line in lines(path)
    }


def page(runs: Mapping[Cell, Figures]) -> str:
    """Return the tables as Markdown."""
    lines = [HEAD]
    for all_rows, which in ((True, "all rows"), (False, "few rows")):
        table: dict[tuple[str, str], dict[str, list[Figures]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for cell, figures in sorted(runs.items(), key=lambda run: str(run[0])):
            if (cell.rows == ALL) == all_rows:
                table[cell.set, cell.rows][cell.column].append(figures)
        lines += ["", f"## Test splits, {which}", "", _table(table)]
    return "\n".join(lines) + "\n"


def _table(table: Mapping[tuple[str, str], Mapping[str, Sequence[Figures]]]) -> str:
    """Return a row for each set and number of rows, and the means of each way of training that has
    all.
    """
    columns = sorted({column for row in table.values() for column in row})
    lines = [
        [*setting, *(_cell(row.get(c, ())) for c in columns)] for setting, row in table.items()
    ]
    of_sets = ([_mean(row[c]) for row in table.values() if c in row] for c in columns)
    means = (
        _cell([_mean(runs)] if len(runs) == len(table) else ()).replace("†", "") for runs in of_sets
    )
    return markdown_table(
        ("set", "rows", *columns), [*lines, ["**mean**", "", *means]], words=(0, 1)
    )


def _mean(runs: Sequence[Figures]) -> Figures:
    return Figures(
        *(statistics.mean(getattr(run, field.name) for run in runs) for field in fields(Figures))
    )


def _cell(runs: Sequence[Figures]) -> str:
    if not runs:
        return "–"
    mean = _mean(runs)
    shares = [100 * run.accuracy for run in runs]
    spread = f" ± {statistics.stdev(shares):.1f}" if len(runs) > 1 else "†"
    size = f"{mean.kb:,.0f} kB, " if mean.kb else ""
    accuracy = f"**{100 * mean.accuracy:.1f}**{spread}"
    return f"{accuracy}; {100 * mean.macro_f1:.1f}; {size}{mean.seconds:,.0f} s"


def main() -> None:
    """Make the runs that are asked for and not there, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add(
        "cells",
        nargs="*",
        default=SETS,
        metavar="SET[:ROWS]",
        help="without any: the six sets, all rows",
    )
    add("--data", type=Path, default=DATA, help="the folder of the sets")
    add("--teachers", nargs="+", default=["default"])
    add("--preset", default="small")
    add("--seeds", type=int, default=3)
    add("--results", type=Path, default=RESULTS, help="JSON lines")
    asked = parser.parse_args()
    runs = load(asked.results)
    before = len(runs)
    for seed in range(asked.seeds):
        for name, _, rows in (cell.partition(":") for cell in asked.cells):
            for teacher in asked.teachers:
                shown = Path(teacher).name
                cell = Cell(name, rows or ALL, shown, asked.preset, seed)
                if cell not in runs:
                    runs[cell] = measure(cell, asked.data, teacher)
                    append(asked.results, {**asdict(cell), **asdict(runs[cell])})
                    print(cell, runs[cell], flush=True)
    if asked.results == RESULTS:
        PAGE.write_text(page(runs), encoding="utf-8")
    made = len(runs) - before
    others = f"the others were in {asked.results}"
    print(f"{made:,} runs made; {others}, where a run is made again once its line is removed")


if __name__ == "__main__":
    main()
