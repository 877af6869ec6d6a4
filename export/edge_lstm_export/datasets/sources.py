"""Which reader reads a SOURCE, by what it is: a name, a folder, an archive, a labelled file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from edge_lstm.errors import DataError
from edge_lstm_export.datasets.dataset import Dataset, checked, hold_out, label_names, make_split
from edge_lstm_export.datasets.fasttext import looks_like_fasttext, read_fasttext
from edge_lstm_export.datasets.imdb import find_imdb
from edge_lstm_export.datasets.keras_npz import read_keras_npz
from edge_lstm_export.datasets.reviews import read_review_folder, read_review_tar

IMDB = "imdb"
SOURCES = (
    "imdb, the aclImdb folder or its tar, Keras's imdb.npz, "
    "or a labelled CSV, TSV, JSONL, Parquet or fastText file"
)
_TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
TEST_SHARE = 0.1


@dataclass(frozen=True)
class DataOptions:
    """How a source is read.

    data_dir: where ``imdb`` lies already. word_index: Keras's, for imdb.npz.
    test: a labelled file with the test texts; test_share: where there is neither that nor a test split
        in the source, this share of each label's texts is held out, by ``seed``; 0 holds out none.
    unlabelled: whether texts without a label are wanted too.
    """

    data_dir: Path | None = None
    word_index: Path | None = None
    test: Path | None = None
    test_share: float = TEST_SHARE
    seed: int = 0
    unlabelled: bool = False
    show_progress: bool = False


def read_dataset(source: str, options: DataOptions = DataOptions()) -> Dataset:
    """Reads a source and looks for what often spoils a training (``Dataset.warnings``).

    Raises DataError where it is missing, damaged, of no known kind, or cannot train a classifier.
    """
    if not 0 <= options.test_share < 1:
        raise DataError(
            f"the share held out for the test must be from 0 to below 1, not {options.test_share}"
        )
    dataset = _read(source, options)
    if options.test is not None:
        dataset = _with_test(dataset, options.test)
    elif dataset.test is None and options.test_share:
        train, test = hold_out(dataset.train, options.test_share, options.seed)
        dataset = replace(dataset, train=train, test=test if len(test) else None)
    if not options.unlabelled:
        dataset = replace(dataset, unlabelled=())
    return checked(dataset)


def holds_splits(source: str) -> bool:
    """Whether a source comes in parts (training, test, unlabelled): IMDB, its folder or its tar."""
    return source == IMDB or Path(source).is_dir() or source.lower().endswith(_TARS)


def _read(source: str, options: DataOptions) -> Dataset:
    path, name = Path(source), Path(source).name
    if source == IMDB:
        path, name = find_imdb(options.data_dir, show_progress=options.show_progress), IMDB
    if path.is_dir():
        return read_review_folder(path, name or path.resolve().name, unlabelled=options.unlabelled)
    if not path.exists():
        raise DataError(f"no file or folder {source}; a source is {SOURCES}")
    if path.name.lower().endswith(_TARS):
        return read_review_tar(path, name, unlabelled=options.unlabelled)
    if path.suffix.lower() == ".npz":
        return read_keras_npz(path, options.word_index)
    texts, labels, unlabelled, digest = _read_file(path)
    names = label_names(labels, str(path))
    return Dataset(name, names, make_split(texts, labels, names, str(path)), None, digest, tuple(unlabelled))


def _with_test(dataset: Dataset, path: Path) -> Dataset:
    texts, labels, _, digest = _read_file(path)
    if not texts:
        raise DataError(f"{path} has no labelled text; give a labelled file")
    both = hashlib.sha256(f"{dataset.digest}{digest}".encode()).hexdigest()
    test = make_split(texts, labels, dataset.labels, str(path))
    return replace(dataset, test=test, digest=both)


def _read_file(path: Path) -> tuple[list[str], list[str], list[str], str]:
    """One labelled file → texts, their labels, unlabelled texts, digest."""
    if not path.is_file():
        raise DataError(f"no file {path}; check the path")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty; give a file with labelled texts")
    if looks_like_fasttext(path):
        read = read_fasttext(path)
        return read.texts, read.labels, read.unlabelled, read.digest
    raise DataError(f"{path} is of no known kind; a source is {SOURCES}")
