"""The texts that all peers answer: padded ids, lengths, labels, and the words as text.

IMDB's test reviews where the archive is at hand, else the example reviews that come with the package.
Everything is written into a folder of the cache; review text never reaches the results.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from edge_lstm_export.train.data import Dataset, hold_out
from edge_lstm_export.train.options import DataOptions
from edge_lstm_export.train.sources.imdb import ARCHIVE, DATA_VARIABLE
from edge_lstm_export.train.sources.memory import dataset_from
from edge_lstm_export.train.sources.read import read_dataset
from edge_lstm_export.train.vocabulary import count_words, most_frequent
from numpy.typing import NDArray

from benchmarks.sets import read
from edge_lstm.models import REVIEWS
from edge_lstm.text import Tokenizer, split_words

NUM_WORDS, LENGTH = 5000, 600  # of the seed network
POSITIVE = "pos"
_ARRAYS = ("left", "lengths", "labels")

Ids = NDArray[np.int32]


def prepare(data_dir: Path | None, cache: Path, seed: int = 7) -> Path:
    """Return the folder of the texts under `cache`, made where it is not there yet.

    left.npy: int32 [n, 600], 0 = padding on the left; lengths.npy, labels.npy (1 = positive): int32 [n];
    tokens.txt: one text per line, its words. All of the test split, in a fixed random order. The same of the
    training split in train-*.npy, and fasttext-train.txt: `__label__pos word word …`. name.txt says what the
    texts are. The benchmark downloads nothing of IMDB: without a folder the examples are taken.
    """
    archive = data_dir or os.environ.get(DATA_VARIABLE)
    folder = cache / "documents" / ("imdb" if archive else "examples")
    if (folder / "name.txt").exists():  # written last
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    dataset = read_dataset([str(Path(archive, ARCHIVE))], DataOptions()) if archive else _examples()
    assert dataset.test is not None
    tokenizer = Tokenizer(most_frequent(count_words(dataset.train.texts), NUM_WORDS), LENGTH)
    order = np.random.default_rng(seed)
    for prefix, split in (("", dataset.test), ("train-", dataset.train)):
        shuffled = split.subset(order.permutation(len(split)))
        positive = shuffled.labels[:, dataset.labels.index(POSITIVE)]
        rows = [tokenizer.encode_text(text).ids for text in shuffled.texts]
        np.save(folder / f"{prefix}left.npy", pad_left(rows))
        np.save(folder / f"{prefix}lengths.npy", np.array([len(ids) for ids in rows], np.int32))
        np.save(folder / f"{prefix}labels.npy", positive.astype(np.int32))
        lines = [" ".join(split_words(text)) for text in shuffled.texts]
        if not prefix:
            _write_lines(folder / "tokens.txt", lines)
        else:  # shuffled, since fastText learns in file order
            marks = (f"__label__{POSITIVE if is_positive else 'neg'} " for is_positive in positive)
            _write_lines(folder / "fasttext-train.txt", list(map("".join, zip(marks, lines))))
    name = "IMDB test reviews" if archive else "example reviews of the package"
    (folder / "name.txt").write_text(name, encoding="utf-8")
    return folder


def _examples() -> Dataset:
    """Return the package's example reviews, one half for training and the other to be answered."""
    dataset = dataset_from(*read(REVIEWS), "examples")
    train, test = hold_out(dataset.train, 0.5, seed=0)
    return Dataset("examples", dataset.labels, train, test, dataset.digest, several=False)


def _write_lines(path: Path, lines: Sequence[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")


def pad_left(rows: Sequence[Sequence[int]]) -> Ids:
    """Return int32 [n, 600], padded in front with 0, as Keras's pad_sequences does by default."""
    padded = np.zeros((len(rows), LENGTH), np.int32)
    for target, ids in zip(padded, rows):
        target[LENGTH - len(ids) :] = ids
    return padded


def cut(folder: Path, target: Path, count: int) -> Path:
    """Copy the first `count` texts to a folder of their own, so that timed processes hold no more than
    those."""
    target.mkdir(parents=True, exist_ok=True)
    for name in _ARRAYS:
        np.save(target / f"{name}.npy", np.load(folder / f"{name}.npy", mmap_mode="r")[:count])
    with (folder / "tokens.txt").open(encoding="utf-8", newline="\n") as lines:
        _write_lines(target / "tokens.txt", [line[:-1] for line in itertools.islice(lines, count)])
    (target / "name.txt").write_bytes((folder / "name.txt").read_bytes())
    return target


def describe(folder: Path) -> dict[str, Any]:
    """Return what the texts are, their number, and the tokens of a text on average."""
    lengths, name = np.load(folder / "lengths.npy"), (folder / "name.txt").read_text(encoding="utf-8")
    return {"name": name, "texts": len(lengths), "mean_tokens": float(lengths.mean())}
