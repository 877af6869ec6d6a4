"""How good is the plain command on few labelled rows? Parts of training splits, whole test splits.

    python -m benchmarks.few_rows FOLDER [--sets NAME ...] [--rows 50 200 1000] [--draws 5] [--encoder MiniLM]

FOLDER holds NAME/{train,test}.csv with the columns text,label. A draw is a random part of the training
split, of so many rows, at least one a label; "10 a label" is that many rows of each, "all" the whole split.
The columns are ``edge-lstm train`` on these rows (preset ``small``, exported to int8 by its gates); that
with ``--teacher none --set pretrained=no``, another file where the embedded model knows the labels (sst2) or
what English words mean helps (tweeteval_emotion, banking77); with ``--encoder`` also that command with
``--teacher`` and with ``--teacher --unlabelled`` (the rest of the training split, unlabelled) and the encoder
itself, frozen, with a logistic regression (C = 10) on its vectors; and of anyones_labels.py scikit-learn's
linear models and, with ``--fasttext``, fastText with subwords, in an environment of its own
(environments.py). Writes OUT.json, OUT.svg and the page; a finished run is not made again, so that one that
was ended goes on.

    python -m benchmarks.few_rows FOLDER --held-out 1500 [--set NAME=VALUE ...] --out OUT --page PAGE.md

chooses a default without a look at the test split: so many random rows of the training split, other ones for
each draw, take its place, and what is drawn, and the log, are of the others. --set: as of ``edge-lstm
train``, for its columns. Such runs have a name of their own, so that several may come to one page.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import typer
from edge_lstm_export.cli.settings import parsed
from edge_lstm_export.datasets import DataOptions
from edge_lstm_export.export import export_fp32, quantize_int8
from edge_lstm_export.job import TrainingJob
from edge_lstm_export.pipeline import run_job
from edge_lstm_export.presets import NO_TEACHER

from benchmarks.anyones_labels import FASTTEXT, LINEAR, Rows, fasttext, linear_model, read
from benchmarks.environments import ensure
from benchmarks.small_data import Silent
from edge_lstm import Classifier
from edge_lstm.modelfile import parse_model

OURS = "edge-lstm small"
ALONE = f"{OURS}, own labels alone"
TAUGHT, WITH_LOG = f"{OURS}, encoder", f"{OURS}, encoder, unlabelled rest"
MINE = (OURS, ALONE, TAUGHT, WITH_LOG)
FROZEN = "the encoder, frozen"
SUBWORDS = "fastText, subwords"
COLUMNS = (*MINE, FROZEN, *LINEAR, SUBWORDS)
A_LABEL, ALL = "10 a label", "all"
OUT, PAGE = Path(__file__).parent / "results" / "few_rows", Path(__file__).parent / "few_rows.md"


@dataclass(frozen=True)
class Run:
    """One column on one draw. accuracy, said: 0 to 1, measured and as the training cross-validated it (None
    where there is no such figure); kb: 1,000 bytes of the int8 file; seconds: of training."""

    set: str
    rows: str
    draw: int
    column: str
    texts: int
    accuracy: float
    said: float | None
    kb: float | None
    seconds: float


def drawn(train: Rows, rows: str, seed: int) -> Rows:
    """A random part of a training split: ``rows`` is a number, "10 a label" or "all"."""
    texts, labels = train
    if rows == ALL:
        return train
    order = list(range(len(texts)))
    random.Random(seed).shuffle(order)
    each, most = (10, len(order)) if rows == A_LABEL else (1, int(rows))
    first: list[int] = []
    seen: dict[str, int] = {}
    for i in order:
        seen[labels[i]] = seen.get(labels[i], 0) + 1
        if seen[labels[i]] <= each:
            first.append(i)
    rest = [] if rows == A_LABEL else [i for i in order if i not in set(first)]
    chosen = [*first, *rest][: max(most, len(first)) if rows != A_LABEL else None]
    return [texts[i] for i in chosen], [labels[i] for i in chosen]


def held_out(train: Rows, rows: int, seed: int) -> tuple[Rows, Rows]:
    """(the others, so many random rows) of a training split."""
    texts, labels = train
    order = list(range(len(texts)))
    random.Random(f"held out {seed}").shuffle(order)
    parts = sorted(order[rows:]), sorted(order[:rows])
    others, held = (([texts[i] for i in part], [labels[i] for i in part]) for part in parts)
    return others, held


def ours(
    train: Rows,
    test: Sequence[str],
    seed: int,
    teacher: str | None = None,
    log: Sequence[str] = (),
    *,
    pretrained: bool = True,
    settings: Sequence[str] = (),
) -> tuple[list[str], float | None, float]:
    """(answers of the int8 file, the accuracy that the training said, kB). settings: NAME=VALUE each."""
    given = parsed(settings, {})
    with tempfile.TemporaryDirectory() as scratch:
        data, unlabelled = Path(scratch) / "few.csv", Path(scratch) / "log.csv"
        write_csv(data, [("text", "label"), *zip(*train)])
        write_csv(unlabelled, [("text",), *((text,) for text in log)])
        job = TrainingJob(
            str(data),
            Path(scratch) / "m.safetensors",
            data=DataOptions(**{"test_share": 0.0, **given["data"]}),  # the test split is a file of its own
            vocabulary={"pretrained": pretrained, **given["vocabulary"]},
            network=given["network"],
            options={"seed": seed, **given["options"]},
            teacher=teacher,
            unlabelled=str(unlabelled) if log else None,
            **given[""],
        )
        fitted = run_job(job, Silent())
        fp32 = parse_model(export_fp32(fitted.checkpoint).data, Path(scratch) / "m.onnx")
        model = quantize_int8(fp32).data
        classifier = Classifier.from_model(parse_model(model, Path(scratch) / "m.int8.onnx"))
    answers = [classifier.labels[i] for i in classifier.probabilities(test).argmax(axis=1)]
    said = fitted.validation.accuracy if fitted.validation else None
    return answers, said, len(model) / 1000


def frozen(train: Rows, test: Sequence[str], encoder: str) -> list[str]:
    """The answers of a logistic regression on the encoder's vectors."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=10, max_iter=300).fit(_vectors(encoder, tuple(train[0])), train[1])
    return [str(label) for label in model.predict(_vectors(encoder, tuple(test)))]


@lru_cache(maxsize=4)
def _vectors(encoder: str, texts: tuple[str, ...]) -> Any:
    from edge_lstm_export.teacher.hub import load_encoder
    from edge_lstm_export.teacher.transformer import TransformerOptions, vectors_of

    return vectors_of(load_encoder(encoder, 2), texts, TransformerOptions())


def write_csv(path: Path, rows: Sequence[Sequence[str]]) -> None:
    """Rows, the header among them."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def measure(
    name: str,
    train: Rows,
    test: Rows,
    rows: str,
    draw: int,
    column: str,
    encoder: str | None = None,
    settings: Sequence[str] = (),
) -> Run:
    """Trains one column on one draw. settings: of edge-lstm's columns."""
    part = drawn(train, rows, draw)
    said = kb = None
    start = time.perf_counter()
    if column in MINE:
        known = {*part[0], *test[0]}
        rest = [text for text in train[0] if text not in known] if column == WITH_LOG else []
        teacher = {OURS: None, ALONE: NO_TEACHER}.get(column, encoder)
        answers, said, kb = ours(
            part, test[0], draw, teacher, rest, pretrained=column != ALONE, settings=settings
        )
    elif column == FROZEN:
        assert encoder is not None
        answers = frozen(part, test[0], encoder)
    elif column == SUBWORDS:
        python = ensure("fasttext", Path.home() / ".cache" / "edge-lstm" / "benchmarks").python
        with tempfile.TemporaryDirectory() as scratch:
            answers, *_ = fasttext(python, FASTTEXT[SUBWORDS], part, test[0], 0, draw, Path(scratch))
    else:
        answers = linear_model(column).fit(*part).predict(test[0]).tolist()
    seconds = time.perf_counter() - start
    accuracy = sum(a == b for a, b in zip(answers, test[1])) / len(test[1])
    return Run(name, rows, draw, column, len(part[0]), accuracy, said, kb, seconds)


def main() -> None:
    """Runs what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+")
    parser.add_argument("--rows", nargs="+", default=["50", "200", "1000"], help=f'numbers, or "{A_LABEL}"')
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--encoder", help="a folder, or a name on the Hugging Face hub: two more columns")
    parser.add_argument("--fasttext", action="store_true", help="a column more")
    parser.add_argument("--columns", nargs="+", help="of those of the page")
    parser.add_argument(
        "--held-out", type=int, metavar="N", help="judge by so many rows of the training split"
    )
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="repeatable")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--page", type=Path, default=PAGE)
    arguments = parser.parse_args()
    aside = [f"{arguments.held_out:,} rows held out"] if arguments.held_out is not None else []
    aside += sorted(arguments.set)
    try:
        parsed(arguments.set, {})
    except typer.BadParameter as error:
        parser.error(str(error))
    if aside and (arguments.out == OUT or arguments.page == PAGE):
        parser.error("--held-out and --set are not for the page in the repository; add --out and --page")
    names = arguments.sets or sorted(path.parent.name for path in arguments.folder.glob("*/train.csv"))
    out: Path = arguments.out
    kept = out.with_name(f"{out.name}.json")
    runs = [Run(**run) for run in json.loads(kept.read_text())] if kept.exists() else []
    done = {(run.set, run.rows, run.draw, run.column) for run in runs}
    beside = (*LINEAR, SUBWORDS) if arguments.fasttext else LINEAR
    columns = arguments.columns or ((*MINE, FROZEN) if arguments.encoder else MINE[:2]) + beside
    for draw in range(arguments.draws):
        for name in names:
            train, test = (read(arguments.folder / name / f"{part}.csv") for part in ("train", "test"))
            if arguments.held_out is not None:
                if not 0 < arguments.held_out < len(train[0]):
                    parser.error(f"--held-out must be from 1 to below the {len(train[0]):,} rows of {name}")
                train, test = held_out(train, arguments.held_out, draw)
            named = ", ".join([name, *aside])
            for rows in arguments.rows:
                for column in columns:
                    if (named, rows, draw, column) in done or (rows, column) == (ALL, WITH_LOG):
                        continue
                    asked = arguments.encoder, arguments.set
                    runs.append(measure(named, train, test, rows, draw, column, *asked))
                    print(f"{named} {rows} {draw} {column}: {runs[-1].accuracy:.2%}", flush=True)
                    kept.parent.mkdir(parents=True, exist_ok=True)
                    kept.write_text(json.dumps([asdict(r) for r in runs], indent=1) + "\n", encoding="utf-8")
    arguments.page.write_text(page(runs), encoding="utf-8")
    out.with_name(f"{out.name}.svg").write_text(picture(runs), encoding="utf-8")


def _settings(runs: Sequence[Run]) -> list[tuple[str, str]]:
    sizes = {(run.set, run.rows): run.texts for run in runs}
    return sorted(sizes, key=lambda key: (key[0], sizes[key]))


def _of(runs: Sequence[Run], setting: tuple[str, str], column: str) -> list[Run]:
    return [run for run in runs if (run.set, run.rows, run.column) == (*setting, column)]


def cell(values: Sequence[float]) -> str:
    """Mean ± standard deviation of shares from 0 to 1, in %."""
    if not values:
        return "–"
    spread = f" ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else ""
    # No figure is rounded up; the smallest part is that of sums in floating point.
    return f"{math.floor(1000 * statistics.mean(values) + 1e-6) / 10:.1f}{spread}"


def page(runs: Sequence[Run]) -> str:
    """Two tables as Markdown: how accurate; and what edge-lstm's trainings said and took."""
    columns = [column for column in COLUMNS if any(run.column == column for run in runs)]
    lines = [
        "# Few rows",
        "",
        "`python -m benchmarks.few_rows FOLDER --encoder MiniLM --fasttext`; what is run is said there.",
        "Accuracy on the whole test split, where no rows are held out, in %, mean ± standard deviation of",
        "the draws (in brackets how many, where others have more). –: not run.",
        f"{ALONE}: without the embedded model, and without what English words mean.",
        "",
        "![Accuracy over the number of labelled rows](results/few_rows.svg)",
        "",
        *_table(runs, columns, _accuracy),
    ]
    mine = [column for column in columns if column in MINE]
    if mine:
        lines += [
            "",
            "What the trainings said of their accuracy, in %, cross-validated on their rows (from 2,000 on,",
            "of the validation part); the size of the int8 file; how long they took.",
            "",
            *_table(runs, mine, _training),
        ]
    return "\n".join(lines) + "\n"


def _table(
    runs: Sequence[Run], columns: Sequence[str], shown: Callable[[Sequence[Run], int], str]
) -> list[str]:
    """A line for each set and number of rows; shown: of a column's runs and the most draws of any column."""
    lines = [f"| set | rows | draws | {' | '.join(columns)} |", "|---" * (3 + len(columns)) + "|"]
    for setting in _settings(runs):
        draws = max(len(_of(runs, setting, column)) for column in COLUMNS)
        cells = [*setting, str(draws), *(shown(_of(runs, setting, column), draws) for column in columns)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _accuracy(runs: Sequence[Run], draws: int) -> str:
    fewer = f" ({len(runs)})" if 0 < len(runs) < draws else ""
    return cell([run.accuracy for run in runs]) + fewer


def _training(runs: Sequence[Run], draws: int) -> str:
    said = [run.said for run in runs if run.said is not None]
    sizes = [run.kb for run in runs if run.kb is not None]
    if not sizes:
        return "–"
    seconds = statistics.mean(run.seconds for run in runs)
    said_too = f"{cell(said)}; " if said else ""
    return f"{said_too}{statistics.mean(sizes):,.0f} kB, {seconds:,.0f} s"


def picture(runs: Sequence[Run]) -> str:
    """Accuracy over the number of rows, a panel a set."""
    import matplotlib as mpl

    mpl.use("svg")
    from io import StringIO

    from matplotlib import pyplot

    mpl.rcParams["svg.hashsalt"] = "edge-lstm"
    names = sorted({run.set for run in runs})
    across = min(3, len(names))
    down = -(-len(names) // across)
    figure, panels = pyplot.subplots(
        down, across, figsize=(3.2 * across, 2.6 * down + 0.9), layout="constrained", squeeze=False
    )
    for axes in panels.flat[len(names) :]:
        axes.set_axis_off()
    for axes, name in zip(panels.flat, names):
        for number, column in enumerate(COLUMNS):
            points = []
            for setting in _settings(runs):
                those = _of(runs, setting, column)
                if setting[0] == name and those:
                    points.append((those[0].texts, 100 * statistics.mean(run.accuracy for run in those)))
            if points:
                style = "D-" if column in MINE else "o--"
                # On many sets this one is the first one, and would hide it.
                marker = {"markerfacecolor": "none", "markersize": 10} if column == ALONE else {}
                axes.plot(*zip(*points), style, color=f"C{number}", label=column, **marker)
        axes.set_xscale("log")
        counts = sorted({run.texts for run in runs if run.set == name})
        axes.set_xticks(counts, [f"{count:,}" for count in counts])
        axes.minorticks_off()
        axes.margins(x=0.2)
        axes.set_title(name)
        axes.set_xlabel("labelled rows")
        axes.grid(alpha=0.3)
    for axes in panels[:, 0]:
        axes.set_ylabel("accuracy, %")
    shown = {
        label: handle for axes in panels.flat for handle, label in zip(*axes.get_legend_handles_labels())
    }
    figure.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=3, frameon=False)
    text = StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    pyplot.close(figure)
    return text.getvalue()


if __name__ == "__main__":
    main()
