"""What is each idea of a training worth? With and without it, on held-out parts of the training
splits.

    python -m benchmarks.ablation [--sets NAME …] [--rows all 200] [--draws 5]

An idea is turned off in the plan that the data and the defaults make. Both plans are run on the
same draw and judged, in float32, by the same quarter of the training split, of SST-2 by its dev
split, since the sentiment model learnt from the other. Where the plan is without the idea, its run
counts twice. Runs are kept in results/ablation.jsonl and not made again. The table ends
decisions.md, below its mark; ``--draws 0`` only writes it.
"""

from __future__ import annotations

import argparse
import inspect
import itertools
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from edge_lstm_export import Plan, TextClassifier, make_plan
from edge_lstm_export.options import SourceFile, TrainingRequest, Validation
from edge_lstm_export.train.defaults import PRESETS, loop_defaults
from edge_lstm_export.train.planning import plan_training
from edge_lstm_export.train.sources.memory import dataset_from
from edge_lstm_export.train.stats import DatasetStats

from benchmarks.sets import ALL, DATA, SETS, append, draw, lines, read, split
from benchmarks.table import markdown_table

RESULTS = Path(__file__).parent / "results" / "ablation.jsonl"
PAGE = Path(__file__).parent / "decisions.md"
MARK = "<!-- benchmarks.ablation -->\n"
Off = Callable[[Plan, DatasetStats], Plan]
# (set, rows, draw, the idea that is turned off or "") → (accuracy from 0 to 1, CPU seconds)
Runs = dict[tuple[str, str, int, str], tuple[float, float]]


def off(**changes: Any) -> Off:
    """Return what changes these fields of a plan; in a dict those of a part of it."""
    return lambda plan, _: replace(
        plan,
        **{n: replace(getattr(plan, n), **v) if type(v) is dict else v for n, v in changes.items()},
    )


def linear_teacher_off(plan: Plan, _: DatasetStats) -> Plan:
    """Return the plan of the other teachers."""
    others = tuple(teacher for teacher in plan.teachers if teacher.kind != "linear")
    return replace(plan, teachers=others)


def large_vocabulary_off(plan: Plan, _: DatasetStats) -> Plan:
    """Return the plan with the preset's short shape: fewer words before a larger LSTM."""
    shape = PRESETS[plan.preset].short
    network = replace(
        plan.network, num_words=shape.words, embedding_dim=shape.embedding, hidden=shape.hidden
    )
    # no model file has an LSTM of this shape
    return replace(plan, network=network, start=SourceFile())


def start_off(plan: Plan, _: DatasetStats) -> Plan:
    """Return the plan with random first weights, and the rate for these."""
    if not plan.start.source:
        return plan
    rate = loop_defaults(plan.kind).learning_rate
    return replace(plan, start=SourceFile(), loop=replace(plan.loop, learning_rate=rate))


# Idea → how it is turned off, and the code of its own below edge_lstm_export.train.
IDEAS: Mapping[str, tuple[Off, str]] = {
    "linear teacher": (linear_teacher_off, "teachers.linear"),
    "sentiment teacher": (
        lambda plan, stats: make_plan(replace(stats, trial=None), TrainingRequest(seed=plan.seed)),
        "teachers.model.model_teacher",
    ),
    "pretrained LSTM": (start_off, "start.first_weights"),
    "soft targets": (off(hard_label_weight=1.0), ""),
    "augmentation": (off(augmentation={"texts_per_row": 0}), "unlabelled.augment"),
    "misspelt copies": (off(augmentation={"typos": 0.0}), "unlabelled.misspell"),
    "word table": (off(word_table="none", vocabulary={"expansion": False}), "pretrained"),
    "meaning in the n-gram fit": (off(sparse={"embeddings": 0.0}), "ngrams.with_embeddings"),
    "related words": (off(vocabulary={"expansion": False}), "pretrained.PretrainedWords.related"),
    "n-grams": (off(network={"ngram_words": 0, "ngram_slots": 0, "ngram_dim": 0}), "ngrams"),
    "naive Bayes": (off(sparse={"bayes": 0.0}), "linear.bayes_weights"),
    "large vocabulary": (large_vocabulary_off, ""),
    "subwords": (off(text={"rule": "keras"}), "vocabulary.words_and_subwords"),
    "both directions": (off(network={"bidirectional": False}, start=SourceFile()), ""),
    "word dropout": (off(loop={"word_dropout": 0.0}), ""),
    "stacking": (off(validation=Validation(0.0)), "calibrate.fit_stack"),
}


def measure(name: str, rows: str, seed: int, runs: Runs) -> None:
    """Add those runs of a draw that are not there."""
    train, (questions, truth) = split(DATA / name, 0.25, seed)
    if name == "sst2":
        questions, truth = read(DATA / name / "dev.csv")
    texts, labels = draw(train, rows, seed)
    dataset = dataset_from(texts, labels)
    request = TrainingRequest(seed=seed)
    planned = plan_training(dataset, request)
    whole = planned.plan
    for idea in ("", *IDEAS):
        if (run := (name, rows, seed, idea)) not in runs:
            plan = IDEAS[idea][0](whole, planned.stats) if idea else whole
            runs[run] = runs.get((name, rows, seed, ""), (0.0, 0.0))
            if not idea or plan != whole:
                begin = time.process_time()
                model = TextClassifier(plan=plan).fit(texts, labels)
                runs[run] = model.score(questions, truth), time.process_time() - begin
            append(RESULTS, {"run": run, "figures": runs[run]})
            print(*run, *runs[run], flush=True)


def table(runs: Runs) -> str:
    """Return the points of accuracy that each idea gains.

    A row has the mean over the sets, ± its standard error, for each number of rows; the set that
    gains most and the one that gains least; the CPU seconds that the idea takes; and its lines.
    """
    sizes = sorted({rows for _, rows, _, _ in runs}, key=lambda rows: rows != ALL)
    heads = ("idea", *(f"mean, {rows}" for rows in sizes), "most", "least", "seconds", "lines")
    lines = []
    for idea, (_, code) in IDEAS.items():
        by_size: dict[str, list[float]] = {rows: [] for rows in sizes}
        by_set: dict[str, list[float]] = {}
        seconds = []
        for name, rows, seed, turned_off in runs:
            if turned_off == idea:
                whole = runs[name, rows, seed, ""]
                without = runs[name, rows, seed, idea]
                gain = 100 * (whole[0] - without[0])
                by_size[rows].append(gain)
                by_set.setdefault(f"{name}, {rows}", []).append(gain)
                seconds.append(whole[1] - without[1])
        ranked = sorted(by_set, key=lambda each: statistics.mean(by_set[each]))
        lines.append(
            [
                idea,
                *map(_mean, by_size.values()),
                f"{ranked[-1]}: {_mean(by_set[ranked[-1]])}",
                f"{ranked[0]}: {_mean(by_set[ranked[0]])}",
                _mean(seconds),
                str(_lines(code)),
            ]
        )
    return markdown_table(heads, lines) + "\n"


def _mean(values: Sequence[float]) -> str:
    error = f" ± {statistics.stdev(values) / len(values) ** 0.5:.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):+.1f}{error}" if values else "–"


def _lines(code: str) -> int:
    """Return the number of lines of an idea's code, a name below edge_lstm_export.train."""
    if not code:
        return 0
    return len(inspect.getsource(resolve_name(f"edge_lstm_export.train.{code}")).splitlines())


def main() -> None:
    """Make the runs that are not there, and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--rows", nargs="+", default=[ALL, "200"])
    parser.add_argument("--draws", type=int, default=5)
    asked = parser.parse_args()
    runs: Runs = {tuple(line["run"]): tuple(line["figures"]) for line in lines(RESULTS)}
    for seed, rows, name in itertools.product(range(asked.draws), asked.rows, asked.sets):
        if any((name, rows, seed, idea) not in runs for idea in ("", *IDEAS)):
            measure(name, rows, seed, runs)
    PAGE.write_text(PAGE.read_text("utf-8").partition(MARK)[0] + MARK + table(runs), "utf-8")
    print(f"wrote {PAGE} from {len(runs):,} runs of {RESULTS}, which are not made again")


if __name__ == "__main__":
    main()
