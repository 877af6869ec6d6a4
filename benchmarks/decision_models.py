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
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import f1_score, precision_score, recall_score
from sklearn.model_selection import train_test_split

from benchmarks import baselines
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
# Of results/expanded-jev-2026-09-29/README.md and test/expanded-test-jev-20260929.md.
JEV = {
    "banking77": {"accuracy": 0.792, "coverage": 0.512, "errors": 0.0368},
    "clinc150": {
        "accuracy": 0.886, "precision": 0.903, "recall": 0.812, "coverage": 0.883, "errors": 0.0665,
    },
    "nlu++": {
        "accuracy": 0.043, "micro_f1": 0.483, "macro_f1": 0.581, "coverage": 0.0,
    },
}  # fmt: skip


@dataclass(frozen=True)
class Texts:
    """Texts and the labels of each: a str, or a set of str. asked: if it is a set, those of the
    labels that are asked of the text, bool [texts, labels].
    """

    texts: list[str]
    labels: list[Any]
    asked: Any = None

    def truth(self, names: Sequence[str]) -> Bools:
        """Return which labels each text has, [texts, labels]."""
        has = [{each} if isinstance(each, str) else each for each in self.labels]
        return np.array([[name in labels for name in names] for labels in has])

    def unlike(self, other: Texts) -> Texts:
        """Return the texts that the other part does not have."""
        seen = {" ".join(text.lower().split()) for text in other.texts}
        kept = [i for i, t in enumerate(self.texts) if " ".join(t.lower().split()) not in seen]
        labels = [self.labels[i] for i in kept]
        asked = None if self.asked is None else self.asked[kept]
        return Texts([self.texts[i] for i in kept], labels, asked)


Parts = tuple[Texts, Texts, Texts]  # learnt from, for the threshold, and judging


def banking(clones: Path) -> Parts:
    """Return BANKING77; ten texts of each label of the training split are for the threshold."""
    folder = clones / "task-specific-datasets" / "banking_data"
    texts, labels = read(folder / "train.csv", "category")
    learnt, held, of_learnt, of_held = train_test_split(
        texts, labels, test_size=770, random_state=0, stratify=labels
    )
    test = Texts(*read(folder / "test.csv", "category"))
    return Texts(learnt, of_learnt), Texts(held, of_held), test


def clinc(clones: Path) -> Parts:
    """Return CLINC150 with its questions out of scope, of which 100 are learnt from."""
    rows = json.loads((clones / "oos-eval" / "data" / "data_full.json").read_text("utf-8"))
    train, validation, test = (
        Texts(*map(list, zip(*rows[name], *rows[f"oos_{name}"])))
        for name in ("train", "val", "test")
    )
    return train, validation, test


def nlu(clones: Path) -> Parts:
    """Return NLU++: both domains, a text with the intents of its own domain."""
    folder = clones / "task-specific-datasets" / "nlupp" / "data"
    intents = json.loads((folder / "ontology.json").read_text("utf-8"))["intents"]

    def part(*folds: int) -> Texts:
        texts: list[str] = []
        labels: list[set[str]] = []
        asked = []
        for domain, fold in itertools.product(("banking", "hotels"), folds):
            own = [
                not {"general", domain}.isdisjoint(intents[i]["domain"]) for i in sorted(intents)
            ]
            rows = json.loads((folder / domain / f"fold{fold}.json").read_text("utf-8"))
            texts += [row["text"] for row in rows]
            labels += [{*row.get("intents", ())} for row in rows]
            asked += [own] * len(rows)
        return Texts(texts, labels, np.array(asked))

    return part(*range(16)), part(16, 17), part(18, 19)


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


def judged(model: baselines.Model, validation: Texts, test: Texts) -> dict[str, Any]:
    """Return the figures of a model, shares of 1, and the bytes of its file."""
    given, certain = answers(model, validation)
    threshold = sure(certain, (given == validation.truth(model.labels)).all(axis=1))
    given, certain = answers(model, test)
    truth = test.truth(model.labels)
    figures = {**of_answers(given, truth, model.labels), "bytes": model.size, "coverage": 0.0}
    if threshold is not None:
        is_answered = certain >= threshold
        is_wrong = (given != truth).any(axis=1)
        figures |= {"coverage": is_answered.mean(), "errors": is_wrong[is_answered].mean()}
    if model.classifier is not None and NONE in model.labels:
        found = model.classifier.predict(test.texts, unfamiliar=UNFAMILIAR)
        given[[each.status == "unfamiliar" for each in found]] = np.array(model.labels) == NONE
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
    """Train and judge all tools on all sets; return tool → set → figures."""
    report: dict[str, Any] = {"Jev, published": JEV}
    for name, parts in (("banking77", banking), ("clinc150", clinc), ("nlu++", nlu)):
        train, validation, test = parts(clones)
        for tool, trained in baselines.TOOLS.items():
            model = trained(train.texts, train.labels)
            found = judged(model, validation.unlike(test), test)
            report.setdefault(tool, {})[name] = found
            print(name, tool, found, flush=True)
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
    rows = [
        [shown, *(_cell(of_sets[name], key) for of_sets in report.values())]
        for shown, name, key in ROWS
    ]
    sizes = [of_sets["banking77"].get("bytes") for of_sets in report.values()]
    rows.append(["file, BANKING77", *(f"{size / 1e6:.2g} MB" if size else "" for size in sizes)])
    return markdown_table(("%", *report), rows)


def _cell(figures: dict[str, Any], key: str) -> str:
    more = figures.get("with_unfamiliar", {})
    shares = [100 * of[key] for of in (figures, more) if key in of]
    return f"{shares[0]:.1f}" + "".join(f" ({share:.1f})" for share in shares[1:])


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
