"""Decisions beside a decision model that has seen no label, as it was measured by others.

    python -m benchmarks.decision_models CLONES [--draw]

CLONES holds clones of github.com/PolyAI-LDN/task-specific-datasets and clinc/oos-eval. The sets,
the splits and the figures are those of github.com/nibzard/decision-model-benchmark
(docs/expanded-benchmarks.md), from which Jev's figures are copied
(results/expanded-jev-2026-09-29). A threshold is the one of the validation texts that answers most
of them with at most 5 % errors, and 100 or more; it is not changed on the test texts.

Needs fasttext-community. Writes results/decision_models.json and the table of decision_models.md;
``--draw`` writes only the table.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import f1_score, precision_score, recall_score
from sklearn.model_selection import train_test_split

from benchmarks import baselines, conditions
from benchmarks.clock import fastest
from benchmarks.sets import read
from benchmarks.table import markdown_table, write_table

Scores = npt.NDArray[np.floating[Any]]  # [texts, labels]
Bools = npt.NDArray[np.bool_]
RESULTS = Path(__file__).parent / "results" / "decision_models.json"
PAGE = Path(__file__).with_suffix(".md")
NONE = "oos"  # CLINC150's label of a question that none of its intents is for
ERRORS = 0.05
FEWEST = 100
UNFAMILIAR = 0.05
TIMED = 200
ROUNDS = 7
# Of results/expanded-jev-2026-09-29/README.md and test/expanded-test-jev-20260929.md.
JEV = {
    "banking77": {"accuracy": 0.792, "coverage": 0.512, "errors": 0.0368},
    "clinc150": {
        "accuracy": 0.886, "precision": 0.903, "recall": 0.812, "coverage": 0.883, "errors": 0.0665,
    },
    "nlu++": {
        "accuracy": 0.043, "micro_f1": 0.483, "macro_f1": 0.581, "coverage": 0.0, "errors": None,
    },
}  # fmt: skip


@dataclass(frozen=True)
class Texts:
    """Texts and the labels of each. asked: those of the labels that are asked of a text, bool
    [texts, labels], if a text has several.
    """

    texts: list[str]
    labels: list[Any]
    asked: Bools | None = None

    def truth(self, names: Sequence[str]) -> Bools:
        """Return which labels each text has, [texts, labels]."""
        has = [{each} if isinstance(each, str) else each for each in self.labels]
        return np.array([[name in labels for name in names] for labels in has])


@dataclass(frozen=True)
class Task:
    """A set in three parts: learnt from, for the threshold, and judging."""

    name: str
    train: Texts
    validation: Texts
    test: Texts


def _same(text: str) -> str:
    """Return what makes two texts one."""
    return " ".join(text.lower().split())


def _unseen(validation: Texts, test: Texts) -> Texts:
    """Return the validation texts that are not test texts."""
    seen = {*map(_same, test.texts)}
    kept = [i for i, text in enumerate(validation.texts) if _same(text) not in seen]
    asked = None if validation.asked is None else validation.asked[kept]
    return Texts(
        *([column[i] for i in kept] for column in (validation.texts, validation.labels)), asked
    )


def banking(clones: Path) -> Task:
    """Return BANKING77; ten texts of each label of the training split are for the threshold."""
    folder = clones / "task-specific-datasets" / "banking_data"
    texts, labels = read(folder / "train.csv", "category")
    parts = train_test_split(texts, labels, test_size=770, random_state=0, stratify=labels)
    test = Texts(*read(folder / "test.csv", "category"))
    return Task(
        "banking77", Texts(parts[0], parts[2]), _unseen(Texts(parts[1], parts[3]), test), test
    )


def clinc(clones: Path) -> Task:
    """Return CLINC150 with its questions out of scope, of which 100 are learnt from."""
    rows = json.loads((clones / "oos-eval" / "data" / "data_full.json").read_text("utf-8"))
    train, validation, test = (
        Texts(*map(list, zip(*rows[part], *rows[f"oos_{part}"])))
        for part in ("train", "val", "test")
    )
    return Task("clinc150", train, _unseen(validation, test), test)


def nlu(clones: Path) -> Task:
    """Return NLU++: both domains, a text with the intents of its own domain."""
    folder = clones / "task-specific-datasets" / "nlupp" / "data"
    intents = json.loads((folder / "ontology.json").read_text("utf-8"))["intents"]
    names = sorted(intents)

    def part(folds: Iterable[int]) -> Texts:
        texts: list[str] = []
        labels = []
        asked = []
        for domain in ("banking", "hotels"):
            own = [not {"general", domain}.isdisjoint(intents[name]["domain"]) for name in names]
            for fold in folds:
                path = folder / domain / f"fold{fold}.json"
                for row in json.loads(path.read_text("utf-8")):
                    texts.append(row["text"])
                    labels.append({*row.get("intents", ())})
                    asked.append(own)
        return Texts(texts, labels, np.array(asked))

    test = part((18, 19))
    return Task("nlu++", part(range(16)), _unseen(part((16, 17)), test), test)


def sure(scores: Scores, right: Bools) -> float | None:
    """Return the lowest score that is answered: most texts with ERRORS wrong, FEWEST or more."""
    order = np.argsort(-scores, kind="stable")
    shares = np.cumsum(~right[order]) / np.arange(1, len(order) + 1)
    last = np.append(np.diff(scores[order]) != 0, True)  # equal scores stay together
    found = np.flatnonzero((shares <= ERRORS) & last)
    return float(scores[order][found[-1]]) if len(found) and found[-1] + 1 >= FEWEST else None


def answers(model: baselines.Model, part: Texts) -> tuple[Bools, Scores]:
    """Return what each text is said to have, [texts, labels], and how sure that is, [texts]."""
    scores = model.scores(part.texts)
    if part.asked is None:
        best = scores.argmax(axis=1)
        return np.eye(scores.shape[1], dtype=np.bool_)[best], scores.max(axis=1)
    distances = np.abs(scores - model.border)
    given = (scores >= model.border) & part.asked
    return given, np.where(part.asked, distances, np.inf).min(axis=1)


def judged(task: Task, model: baselines.Model) -> dict[str, Any]:
    """Return the figures of a model, shares of 1, and the bytes of its file."""
    given, certain = answers(model, task.validation)
    is_right = (given == task.validation.truth(model.labels)).all(axis=1)
    threshold = sure(certain, is_right)
    given, certain = answers(model, task.test)
    truth = task.test.truth(model.labels)
    figures = {**of_answers(given, truth, model.labels), "bytes": model.size}
    if threshold is None:
        figures |= {"coverage": 0.0, "errors": None}
    else:
        is_answered = certain >= threshold
        is_wrong = (given != truth).any(axis=1)[is_answered]
        figures |= {"coverage": is_answered.mean(), "errors": is_wrong.mean()}
    if model.classifier is not None and NONE in model.labels:
        found = model.classifier.predict(task.test.texts, unfamiliar=UNFAMILIAR)
        is_unfamiliar = np.array([each.status == "unfamiliar" for each in found])
        given[is_unfamiliar] = np.array(model.labels) == NONE
        figures["with_unfamiliar"] = of_answers(given, truth, model.labels)
    return figures


def of_answers(given: Bools, truth: Bools, labels: list[str]) -> dict[str, Any]:
    """Return accuracy, and what else the set is judged by."""
    figures = {"accuracy": (given == truth).all(axis=1).mean()}
    if NONE in labels:
        column = labels.index(NONE)
        none = truth[:, column], given[:, column]
        figures |= {"precision": precision_score(*none), "recall": recall_score(*none)}
    elif (truth.sum(axis=1) > 1).any():
        for average in ("micro", "macro"):
            figures[f"{average}_f1"] = f1_score(truth, given, average=average, zero_division=0)
    return figures


def measure(clones: Path) -> dict[str, Any]:
    """Train and judge all tools on all sets; return the report."""
    report: dict[str, Any] = {"conditions": conditions.now(), "tools": {"Jev, published": JEV}}
    tools = {
        **baselines.TOOLS,
        next(iter(baselines.TOOLS)): partial(baselines.small, engine="native"),
    }
    for read_task in (banking, clinc, nlu):
        task = read_task(clones)
        models = {name: train(task.train.texts, task.train.labels) for name, train in tools.items()}
        for name, model in models.items():
            report["tools"].setdefault(name, {})[task.name] = judged(task, model)
            print(task.name, name, report["tools"][name][task.name], flush=True)
        timed = fastest(
            {name: model.scores for name, model in models.items()},
            [[text] for text in task.test.texts[:TIMED]],
            ROUNDS,
        )
        for name, taken in timed.items():
            report["tools"][name][task.name]["micros"] = float(np.median(taken))
        report.setdefault("texts", {})[task.name] = [
            len(part.texts) for part in (task.train, task.validation, task.test)
        ]
    return report


ROWS = (
    ("BANKING77, 3,080 questions, 77 labels: right", "banking77", "accuracy"),
    ("answered at 5 % errors", "banking77", "coverage"),
    ("wrong among these", "banking77", "errors"),
    ("CLINC150, 5,500 questions, 150 labels and none of these: right", "clinc150", "accuracy"),
    ("none of these: precision", "clinc150", "precision"),
    ("none of these: recall", "clinc150", "recall"),
    ("answered at 5 % errors", "clinc150", "coverage"),
    ("wrong among these", "clinc150", "errors"),
    ("NLU++, 302 messages, micro F1 of the intents", "nlu++", "micro_f1"),
    ("macro F1", "nlu++", "macro_f1"),
    ("messages with all intents right", "nlu++", "accuracy"),
    ("messages answered at 5 % errors", "nlu++", "coverage"),
)


def table(report: dict[str, Any]) -> str:
    """Return a row for each figure, in %, and a column for each tool."""
    tools = report["tools"]
    rows = [
        [shown, *(_cell(of_sets[name], key) for of_sets in tools.values())]
        for shown, name, key in ROWS
    ]
    ours = [of_sets["banking77"] for of_sets in tools.values()]
    sizes = (f"{of['bytes'] / 1e6:.2g} MB" if "bytes" in of else "" for of in ours)
    rows.append(["file, BANKING77", *sizes])
    micros = (f"{of['micros']:,.0f} µs" if "micros" in of else "316 ms" for of in ours)
    rows.append(["one question, BANKING77", *micros])
    return markdown_table(("%", *tools), rows)


def _cell(figures: dict[str, Any], key: str) -> str:
    value = figures[key]
    shown = "–" if value is None else f"{100 * value:.1f}"
    more = figures.get("with_unfamiliar", {})
    return f"{shown} ({100 * more[key]:.1f})" if key in more else shown


def main() -> None:
    """Measure, or only write the table again."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("clones", type=Path)
    parser.add_argument("--draw", action="store_true")
    asked = parser.parse_args()
    if not asked.draw:
        report = measure(asked.clones)
        RESULTS.write_text(json.dumps(report, indent=1, default=float) + "\n", encoding="utf-8")
    write_table(PAGE, "benchmarks.decision_models", table(json.loads(RESULTS.read_text("utf-8"))))


if __name__ == "__main__":
    main()
