"""Rows with fields: numbers beside gradient boosting, and JSON states beside their text.

    python -m benchmarks.fields numbers --sets cancer,wine,digits --preset small --folds 5
    python -m benchmarks.fields states --rows 80 --tasks 4

``numbers`` cross-validates ``TextClassifier`` on the tables of scikit-learn, next to
``HistGradientBoostingClassifier`` on the same folds. ``states`` makes JSON states of orders whose
answer is a rule on their numbers, and trains on the objects and on ``json.dumps`` of them. Each
line is JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

TESTED = 400  # states of a task
WORDS = ["box", "late", "please", "thanks", "colour", "wrong", "size", "call"]


def numbers(names: list[str], preset: str, folds: int) -> Iterator[dict[str, Any]]:
    """Yield the accuracy of each set: ours, and gradient boosting's."""
    from edge_lstm_export import TextClassifier
    from sklearn import datasets
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedKFold

    load = {
        "cancer": datasets.load_breast_cancer,
        "wine": datasets.load_wine,
        "digits": datasets.load_digits,
    }
    for name in names:
        data = load[name]()
        columns = [str(column) for column in data.feature_names]
        rows = [dict(zip(columns, row)) for row in data.data.tolist()]
        right = {"ours": 0, "boosting": 0}
        seconds = 0.0
        for learnt, judged in StratifiedKFold(folds, shuffle=True, random_state=0).split(
            data.data, data.target
        ):
            began = time.process_time()
            ours = TextClassifier(preset, teacher="none")
            ours.fit([rows[i] for i in learnt], data.target[learnt])
            seconds += time.process_time() - began
            found = ours.predict([rows[i] for i in judged])
            right["ours"] += int((found == data.target[judged]).sum())
            boosting = HistGradientBoostingClassifier(random_state=0)
            boosting.fit(data.data[learnt], data.target[learnt])
            right["boosting"] += int(
                (boosting.predict(data.data[judged]) == data.target[judged]).sum()
            )
        shares = {who: round(count / len(rows), 4) for who, count in right.items()}
        yield {"set": name, "rows": len(rows), "preset": preset, **shares, "seconds": seconds}


def state(draw: random.Random) -> dict[str, Any]:
    """Return the state of an order."""
    ordered = draw.randint(1, 40)
    price = round(draw.lognormvariate(3, 1), 2)
    return {
        "order": {"items": ordered, "price": price},
        "received": max(0, ordered + draw.choice([-3, -1, 0, 0, 0, 2])),
        "paid": round(price * draw.choice([0.5, 1, 1, 1.1]), 2),
        "days": draw.randint(0, 60),
        "customer": draw.choice(["new", "known", "key"]),
        "note": " ".join(draw.choices(WORDS, k=5)),
    }


def answer(task: int, row: dict[str, Any], draw: random.Random) -> str:
    """Return the answer of a task; one in twenty is any."""
    order = row["order"]
    owed = row["paid"] - order["price"]
    if task == 0:
        names = ["missing", "complete"]
        right = names[row["received"] >= order["items"]]
    elif task == 1:
        names = ["remind", "ok", "refund"]
        right = names[1 + (owed > 0) - (owed < 0)]
    elif task == 2:
        names = ["wait", "escalate"]
        right = names[row["days"] > 30 and row["customer"] == "key"]
    else:
        names = ["automatic", "manual"]
        right = names[order["price"] > 25 or "wrong" in row["note"]]
    return draw.choice(names) if draw.random() < 0.05 else right


def states(rows: int, tasks: int, preset: str) -> Iterator[dict[str, Any]]:
    """Yield the accuracy of each task, by the objects and by their JSON as text."""
    from edge_lstm_export import TextClassifier

    for task in range(tasks):
        draw = random.Random(task)
        every = [state(draw) for _ in range(rows + TESTED)]
        labels = np.array([answer(task, row, draw) for row in every])
        texts = [json.dumps(row) for row in every]
        found = {}
        for name, given in (("fields", every), ("text", texts)):
            model = TextClassifier(preset, teacher="none").fit(given[:rows], labels[:rows])
            found[name] = round(float((model.predict(given[rows:]) == labels[rows:]).mean()), 4)
        frequent = max((labels[rows:] == label).mean() for label in {*labels})
        yield {"task": task, "rows": rows, **found, "most frequent": round(float(frequent), 4)}


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("numbers", "states"))
    parser.add_argument("--sets", default="cancer,wine,digits")
    parser.add_argument("--preset", default="small")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=80)
    parser.add_argument("--tasks", type=int, default=4)
    asked = parser.parse_args()
    if asked.what == "numbers":
        lines = numbers(asked.sets.split(","), asked.preset, asked.folds)
    else:
        lines = states(asked.rows, asked.tasks, asked.preset)
    for line in lines:
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
