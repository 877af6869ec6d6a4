"""The texts that all peers answer: padded ids, lengths, labels, and the words as text.

IMDB's test reviews where the archive is at hand, else the example reviews that come with the package.
Everything is written into a folder of the cache; review text never reaches the results.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from edge_lstm_export.datasets import DataOptions, Dataset, hold_out, read_dataset
from edge_lstm_export.datasets.dataset import label_names, make_split
from edge_lstm_export.datasets.imdb import DATA_VARIABLE, find_imdb
from edge_lstm_export.vocabulary import count_words, most_frequent
from numpy.typing import NDArray

from benchmarks.seed import LENGTH
from edge_lstm.models import REVIEWS
from edge_lstm.tables.labelled import read_labelled
from edge_lstm.text import Tokenizer, split_words

NUM_WORDS = 5000
POSITIVE = "pos"
_LAYOUT = 2  # of the folder; another number makes it again
_ARRAYS = ("left", "lengths", "labels")

Ids = NDArray[np.int32]


def prepare(data_dir: Path | None, cache: Path, seed: int = 7) -> Path:
    """The folder of the texts under `cache`, made where it is not there yet.

    left.npy: int32 [n, 600], 0 = padding on the left; lengths.npy, labels.npy (1 = positive): int32 [n];
    tokens.txt: one text a line, its words. All of the test split, in a fixed random order. The same of the
    training split in train-*.npy, and fasttext-train.txt: `__label__pos word word …`. source.json says what
    the texts are.
    """
    archive = _archive(data_dir)
    folder = cache / "documents" / (f"imdb-{archive.stat().st_size}" if archive else "examples")
    source = folder / "source.json"
    if source.exists() and json.loads(source.read_text(encoding="utf-8"))["layout"] == _LAYOUT:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    dataset = read_dataset("imdb", DataOptions(data_dir=archive.parent)) if archive else _examples()
    assert dataset.test is not None
    words = most_frequent(count_words(dataset.train.texts), NUM_WORDS)
    tokenizer = Tokenizer(words, LENGTH)
    order = np.random.default_rng(seed)
    for prefix, split in (("", dataset.test), ("train-", dataset.train)):
        shuffled = split.subset(order.permutation(len(split)))
        positive = shuffled.labels == dataset.labels.index(POSITIVE)
        rows = [tokenizer.encode_text(text).ids for text in shuffled.texts]
        np.save(folder / f"{prefix}left.npy", pad_left(rows))
        np.save(folder / f"{prefix}lengths.npy", np.array([len(ids) for ids in rows], np.int32))
        np.save(folder / f"{prefix}labels.npy", positive.astype(np.int32))
        lines = [" ".join(split_words(text)) for text in shuffled.texts]
        if not prefix:
            _write_lines(folder / "tokens.txt", lines)
        else:  # shuffled, since fastText learns in file order
            marks = (f"__label__{POSITIVE if one else 'neg'} " for one in positive)
            _write_lines(folder / "fasttext-train.txt", list(map("".join, zip(marks, lines))))
    described = {
        "layout": _LAYOUT,
        "name": "IMDB test reviews" if archive else "example reviews of the package",
        "digest": dataset.digest,
    }
    source.write_text(
        json.dumps(described) + "\n", encoding="utf-8"
    )  # last: a half-made folder is made again
    return folder


def _archive(data_dir: Path | None) -> Path | None:
    """The archive (or its folder), None where no place is named: the benchmark downloads nothing of it."""
    named = data_dir or (Path(value) if (value := os.environ.get(DATA_VARIABLE)) else None)
    return find_imdb(named) if named else None


def _examples() -> Dataset:
    """The package's example reviews, one half for training and the other to be answered."""
    read = read_labelled([REVIEWS])
    names = label_names(read.labels, "the examples")
    train, test = hold_out(make_split(read.texts, read.labels, names, "the examples"), 0.5, seed=0)
    return Dataset("examples", names, train, test, digest="")


def _write_lines(path: Path, lines: Sequence[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")


def pad_left(rows: Sequence[Sequence[int]]) -> Ids:
    """int32 [n, 600], padded in front with 0, as Keras's pad_sequences does by default."""
    padded = np.zeros((len(rows), LENGTH), np.int32)
    for target, ids in zip(padded, rows):
        target[LENGTH - len(ids) :] = ids
    return padded


def cut(folder: Path, target: Path, count: int) -> Path:
    """The first `count` texts in a folder of their own, so that timed processes hold no more than those."""
    target.mkdir(parents=True, exist_ok=True)
    for name in _ARRAYS:
        np.save(target / f"{name}.npy", np.load(folder / f"{name}.npy", mmap_mode="r")[:count])
    with (folder / "tokens.txt").open(encoding="utf-8", newline="\n") as lines:
        _write_lines(target / "tokens.txt", [line[:-1] for line in itertools.islice(lines, count)])
    (target / "source.json").write_text(
        (folder / "source.json").read_text(encoding="utf-8"), encoding="utf-8"
    )
    return target


def describe(folder: Path) -> dict[str, Any]:
    """For the report: what the texts are, their number, and the tokens of a text on average."""
    lengths = np.load(folder / "lengths.npy")
    source = json.loads((folder / "source.json").read_text(encoding="utf-8"))
    return {"name": source["name"], "texts": len(lengths), "mean_tokens": float(lengths.mean())}
