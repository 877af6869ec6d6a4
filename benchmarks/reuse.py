"""A model file as teacher and as start of a training: what it gains.

    python -m benchmarks.reuse [PAIR …] [--data FOLDER] [--seeds 3]

A pair is a file that was trained on many rows, and a set of few rows of a related question:

- ``halves``: banking77, from all rows to half of its labels, 200 rows;
- ``banking``: banking77, from all rows to the questions of a bank in clinc150, 100 rows;
- ``emotions``: goemotions, from all rows to tweeteval_emotion, 200 rows.

The file is a ``small`` of the training split. Each training is judged in int8 by the test split of
the second set.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from edge_lstm_export import TextClassifier
from sklearn.model_selection import train_test_split

from benchmarks.baselines import opened
from benchmarks.sets import DATA, Rows, read
from benchmarks.table import markdown_table

PAIRS = ("halves", "banking", "emotions")
ROWS = {"halves": 200, "banking": 100, "emotions": 200}
# Labels of clinc150 that its authors put into the domain of banking.
BANKING = (
    "freeze_account routing pin_change bill_due pay_bill account_blocked interest_rate min_payment "
    "bill_balance transfer order_checks balance spending_history transactions report_fraud"
)
WAYS = ("labels alone", "teacher", "start", "both")


def first_set(pair: str, data: Path) -> tuple[list[str], list[str] | list[list[str]]]:
    """Return what the reused file learns."""
    if pair != "emotions":
        return read(data / "banking77" / "train.csv")
    texts, labels = read(data / "goemotions" / "train.csv", "labels")
    return texts, [joined.split("|") for joined in labels]


def second_set(pair: str, data: Path) -> tuple[Rows, Rows]:
    """Return the training split and the test split of the set with few rows."""
    name = {"halves": "banking77", "banking": "clinc150", "emotions": "tweeteval_emotion"}[pair]
    train, test = read(data / name / "train.csv"), read(data / name / "test.csv")
    if pair == "emotions":
        return train, test
    wanted = {*BANKING.split()} if pair == "banking" else {*sorted({*train[1]})[::2]}
    return of_labels(train, wanted), of_labels(test, wanted)


def of_labels(rows: Rows, wanted: set[str]) -> Rows:
    """Return the rows with these labels."""
    kept = [(text, label) for text, label in zip(*rows) if label in wanted]
    return [text for text, _ in kept], [label for _, label in kept]


def measure(pair: str, way: str, seed: int, file: str, data: Path) -> float:
    """Return the accuracy of a training on a draw of few rows, in %."""
    train, (questions, truth) = second_set(pair, data)
    few, _, labels, _ = train_test_split(
        *train, train_size=ROWS[pair], random_state=seed, stratify=train[1]
    )
    teacher = {"labels alone": "none", "teacher": file, "both": file}.get(way)
    start = file if way in ("start", "both") else None
    model = TextClassifier(teacher=teacher, start=start, random_state=seed).fit(few, labels)
    return 100 * float((opened(model).answers(questions) == np.array(truth)).mean())


def main() -> None:
    """Train, and print a row for each pair."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("pairs", nargs="*", default=PAIRS, metavar="PAIR")
    add("--data", type=Path, default=DATA, help="the folder of the sets")
    add("--seeds", type=int, default=3)
    asked = parser.parse_args()
    rows = []
    for pair in asked.pairs:
        cells = [pair, f"{ROWS[pair]}"]
        with tempfile.TemporaryDirectory() as folder:
            file = str(Path(folder) / "first.onnx")
            TextClassifier().fit(*first_set(pair, asked.data)).export(file, quantize="int8")
            for way in WAYS:
                shares = [measure(pair, way, seed, file, asked.data) for seed in range(asked.seeds)]
                cells.append(f"{np.mean(shares):.1f} ± {np.std(shares):.1f}")
        rows.append(cells)
    print(markdown_table(("pair", "rows", *WAYS), rows))


if __name__ == "__main__":
    main()
