"""What is each idea of a training worth? With and without it, on held-out parts of the training
splits.

    python -m benchmarks.ablation [SET[:ROWS][+TEXTS] …] [--ideas NAME …] [--seeds 2]

An idea is turned off in the plan that the data and the defaults make; a set whose plan stays the
same says nothing of it. Both trainings learn from the same rows, and from TEXTS of the others
without their labels. The rest of the training split judges both, in float32; of SST-2 the dev split
does, since the sentiment model learnt from the other. A pair of trainings is a line of
results/ablation.jsonl, and is not made again. The table stands in decisions.md;
``--seeds 0`` only writes it.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge_lstm_export import Plan, TextClassifier, make_plan
from edge_lstm_export.options import SourceFile, TrainingRequest, Validation
from edge_lstm_export.train.plan.defaults import LOOPS, PRESETS
from edge_lstm_export.train.plan.planning import plan_training
from edge_lstm_export.train.plan.stats import DatasetStats
from edge_lstm_export.train.sources.memory import dataset_from
from sklearn.metrics import accuracy_score, f1_score

from benchmarks.sets import ALL, DATA, SETS, append, draw, held_out, lines, read
from benchmarks.table import markdown_table, write_table

RESULTS = Path(__file__).parent / "results" / "ablation.jsonl"
PAGE = Path(__file__).parent / "decisions.md"
Off = Callable[[Plan, DatasetStats], Plan]


def off(**changes: Any) -> Off:
    """Return what changes these fields of a plan; in a dict those of a part of it."""
    return lambda plan, _: replace(
        plan,
        **{n: replace(getattr(plan, n), **v) if type(v) is dict else v for n, v in changes.items()},
    )


def linear_teacher_off(plan: Plan, _: DatasetStats) -> Plan:
    """Return the plan of the other teachers; alone, the linear one has a log to label."""
    others = tuple(teacher for teacher in plan.teachers if teacher.kind != "linear")
    return replace(plan, teachers=others or plan.teachers)


def merged_off(plan: Plan, _: DatasetStats) -> Plan:
    """Return the plan of low-rank vectors alone."""
    fit = plan.sparse.fit.removesuffix("+svm")
    return replace(plan, sparse=replace(plan.sparse, fit=fit))


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
    rate = LOOPS[plan.kind].learning_rate
    return replace(plan, start=SourceFile(), loop=replace(plan.loop, learning_rate=rate))


IDEAS: Mapping[str, Off] = {
    "linear teacher with another": linear_teacher_off,
    "sentiment teacher": lambda plan, stats: make_plan(
        replace(stats, trial=None), TrainingRequest(seed=plan.seed)
    ),
    "pretrained LSTM": start_off,
    "augmentation": off(augmentation={"texts_per_row": 0}),
    "misspelt copies": off(augmentation={"typos": 0.0}),
    "word table": off(word_table="none", vocabulary={"expansion": False}),
    "meaning in the n-gram fit": off(sparse={"embeddings": 0.0}),
    "related words": off(vocabulary={"expansion": False}),
    "n-grams": off(network={"ngram_words": 0, "ngram_slots": 0, "ngram_dim": 0}),
    "SVMs merged in": merged_off,
    "large vocabulary": large_vocabulary_off,
    "subwords": off(text={"rule": "keras"}),
    "both directions": off(network={"bidirectional": False}, start=SourceFile()),
    "stacking": off(validation=Validation(0.0)),
}
Line = Mapping[str, Any]


def measure(name: str, seed: int, ideas: Iterable[str]) -> None:
    """Measure those ideas that change the plan of a set, SET[:ROWS][+TEXTS].

    A line has accuracy and macro F1, both from 0 to 1, and CPU seconds, each without the idea and
    with it.
    """
    labelled, _, unlabelled = name.partition("+")
    folder, _, rows = labelled.partition(":")
    train, (questions, truth) = held_out(DATA / folder, seed)
    if folder == "sst2":
        questions, truth = read(DATA / folder / "dev.csv")
    texts, labels = draw(train, rows or ALL, seed)
    log = sorted({*train[0]} - {*texts, *questions})[: int(unlabelled or 0)]
    dataset = dataset_from(texts, labels, unlabelled=log)
    planned = plan_training(dataset, TrainingRequest(seed=seed))

    def run(plan: Plan) -> tuple[float, float, float]:
        begin = time.process_time()
        model = TextClassifier(plan=plan).fit(texts, labels, unlabelled=log)
        seconds = time.process_time() - begin
        answers = model.predict(questions)
        macro_f1 = f1_score(truth, answers, labels=sorted({*truth}), average="macro")
        return accuracy_score(truth, answers), float(macro_f1), seconds

    whole = None
    for idea in ideas:
        plan = IDEAS[idea](planned.plan, planned.stats)
        if plan != planned.plan:
            whole = whole or run(planned.plan)
            figures = dict(zip(("accuracy", "macro_f1", "seconds"), zip(run(plan), whole)))
            line = {"idea": idea, "set": name, "seed": seed, "commit": _commit(), **figures}
            append(RESULTS, line)
            print(line, flush=True)


def _commit() -> str:
    command = ["git", "rev-parse", "--short=7", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def table(pairs: Iterable[Line]) -> str:
    """Return what each idea gains, in points, on the mean of the sets whose plan it changes.

    ``±`` is the standard error over the sets. The best and the worst set follow, the CPU seconds
    that the idea adds to a training, and the commit that was measured.
    """
    heads = ("idea", "sets", "accuracy", "macro F1", "most", "least", "seconds", "commit")
    by_idea: dict[str, list[Line]] = defaultdict(list)
    for line in pairs:
        by_idea[line["idea"]].append(line)
    rows = []
    for idea, measured in by_idea.items():
        accuracy = _gains(measured, "accuracy", 100)
        ranked = sorted(accuracy, key=lambda name: accuracy[name])
        rows.append(
            [
                idea,
                str(len(accuracy)),
                _mean(accuracy.values()),
                _mean(_gains(measured, "macro_f1", 100).values()),
                f"{ranked[-1]} {accuracy[ranked[-1]]:+.1f}",
                f"{ranked[0]} {accuracy[ranked[0]]:+.1f}",
                f"{statistics.mean(_gains(measured, 'seconds', 1).values()):+.1f}",
                ", ".join(sorted({line["commit"] for line in measured})),
            ]
        )
    return markdown_table(heads, rows, words=(0, 4, 5, 7))


def _gains(measured: Iterable[Line], figure: str, factor: int) -> dict[str, float]:
    """Return by set the mean over its seeds; older lines lack the macro F1."""
    gains: dict[str, list[float]] = defaultdict(list)
    for line in measured:
        if line[figure]:
            without, whole = line[figure]
            gains[line["set"]].append(factor * (whole - without))
    return {name: statistics.mean(of_seeds) for name, of_seeds in gains.items()}


def _mean(values: Iterable[float]) -> str:
    gains = [*values]
    if len(gains) < 2:
        return f"{gains[0]:+.1f}" if gains else "–"
    return f"{statistics.mean(gains):+.2f} ± {statistics.stdev(gains) / len(gains) ** 0.5:.2f}"


def main() -> None:
    """Make the pairs that are not there, and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    usual = [f"{name}:{rows}" for rows in (200, 2000) for name in SETS]
    parser.add_argument("sets", nargs="*", metavar="SET", default=usual)
    parser.add_argument("--ideas", nargs="+", choices=IDEAS, default=[*IDEAS])
    parser.add_argument("--seeds", type=int, default=2)
    asked = parser.parse_args()
    there = {(line["idea"], line["set"], line["seed"]) for line in lines(RESULTS)}
    for seed, name in itertools.product(range(asked.seeds), asked.sets):
        measure(name, seed, [i for i in asked.ideas if (i, name, seed) not in there])
    write_table(PAGE, "benchmarks.ablation", table(lines(RESULTS)))
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
