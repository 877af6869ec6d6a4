"""Which reader reads a SOURCE, by what it is: a name, a folder, an archive, a labelled file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edge_lstm.answering import LABEL_JOINT
from edge_lstm.errors import DataError
from edge_lstm.printable import listed, shorten
from edge_lstm.tables.compression import TAR_SUFFIXES
from edge_lstm.tables.formats import named
from edge_lstm.tables.labelled import Labelled, LabelledSets, has_labels, read_labelled
from edge_lstm.tables.lines import FASTTEXT_PREFIX, TEXT
from edge_lstm.tables.reader import open_inputs
from edge_lstm.tables.schema import STDIN, ReadOptions
from edge_lstm_export.datasets.dataset import (
    Dataset,
    Labels,
    Split,
    file_digest,
    hold_out,
    label_names,
    make_sets,
    make_split,
    set_names,
)
from edge_lstm_export.datasets.imdb import find_imdb
from edge_lstm_export.datasets.keras_npz import read_keras_npz
from edge_lstm_export.datasets.reviews import read_review_folder, read_review_tar
from edge_lstm_export.datasets.warnings import checked

IMDB = "imdb"
SOURCES = (
    "imdb, the aclImdb folder or its tar, Keras's imdb.npz, "
    "or a labelled CSV, TSV, JSONL, Parquet or fastText file"
)
TEST_SHARE = 0.1


@dataclass(frozen=True)
class DataOptions:
    """How a source is read.

    data_dir: where ``imdb`` lies already. word_index: Keras's, for imdb.npz.
    test: a labelled file with the test texts; test_share: where there is neither that nor a test split
        in the source, this share of each label's texts is held out, by ``seed``; 0 holds out none, None
        is a tenth.
    unlabelled: whether texts without a label are wanted too (``train/unsup`` of the reviews).
    input_format, text_column, label_column: of labelled files, where they do not tell by themselves.
    label_separator, label_columns: of texts with several labels, see tables.labelled.read_labelled.
    follow_links: whether what symbolic links inside a folder lead to is read.
    """

    data_dir: Path | None = None
    word_index: Path | None = None
    test: Path | None = None
    test_share: float | None = None
    seed: int = 0
    unlabelled: bool = False
    show_progress: bool = False
    input_format: str | None = None
    text_column: str | None = None
    label_column: str | None = None
    label_separator: str | None = None
    label_columns: tuple[str, ...] = ()
    follow_links: bool = False


# Texts → names of labels, and the label of each text: int64 [n].
Labeller = Callable[[Sequence[str]], tuple[tuple[str, ...], Labels]]


def read_dataset(
    source: str, options: DataOptions = DataOptions(), labeller: Labeller | None = None
) -> Dataset:
    """Reads a source and looks for what often spoils a training (``Dataset.warnings``).

    labeller: labels the texts of a file without labels.

    Raises DataError where it is missing, damaged, of no known kind, or cannot train a classifier.
    """
    share = TEST_SHARE if options.test_share is None else options.test_share
    if not 0 <= share < 1:
        raise DataError(f"the share held out for the test must be from 0 to below 1, not {share}")
    if labeller is not None and not _holds_labels(source, options):
        dataset = _labelled_by(labeller, source, options)
    else:
        dataset = _read(source, options)
    if options.test is not None:
        dataset = _with_test(dataset, options, options.test)
    elif dataset.test is None and share:
        train, test = hold_out(dataset.train, share, options.seed)
        dataset = replace(dataset, train=train, test=test if len(test) else None)
    if not options.unlabelled:
        dataset = replace(dataset, unlabelled=())
    return checked(dataset)


def holds_splits(source: str) -> bool:
    """Whether a source comes in parts (training, test, unlabelled): IMDB, its folder or its tar."""
    return source == IMDB or Path(source).is_dir() or source.lower().endswith(TAR_SUFFIXES)


def _labelled_by(labeller: Labeller, source: str, options: DataOptions) -> Dataset:
    path = Path(source)
    reading = ReadOptions(text_column=options.text_column)
    rows = open_inputs([path], format=_format(path, options), options=reading).rows()
    texts = tuple(dict.fromkeys(row.text for row in rows if row.text))
    if not texts:
        raise DataError(f"{source} has no text; check the file")
    names, labels = labeller(texts)
    return Dataset(path.name, names, Split(texts, labels), None, file_digest(path))


def _holds_labels(source: str, options: DataOptions) -> bool:
    """Whether a source's texts have labels. Where it cannot be read, reading it says why."""
    path = Path(source)
    named = options.label_column is not None or options.label_separator is not None or options.label_columns
    if named or not path.is_file() or holds_splits(source):
        return True
    if path.suffix.lower() == ".npz":
        return True
    return has_labels(path, format=_format(path, options), text_column=options.text_column)


def _read(source: str, options: DataOptions) -> Dataset:
    path, name = Path(source), Path(source).name
    if source == STDIN:
        raise DataError("a training's data must be there to read again; save them to a file")
    if source == IMDB:
        path, name = find_imdb(options.data_dir, show_progress=options.show_progress), IMDB
    if path.is_dir() and ((path / "train").is_dir() or source == IMDB):
        return read_review_folder(
            path,
            name or path.resolve().name,
            unlabelled=options.unlabelled,
            follow_links=options.follow_links,
        )
    if not path.exists():
        raise DataError(f"no file or folder {source}; a source is {SOURCES}")
    _check_lasting(path)
    if path.name.lower().endswith(TAR_SUFFIXES):
        return read_review_tar(path, name, unlabelled=options.unlabelled)
    if path.suffix.lower() == ".npz":
        return read_keras_npz(path, options.word_index)
    read, digest = _read_labelled(path, options)
    name, where = name or path.resolve().name, str(path)
    if isinstance(read, LabelledSets):
        names = set_names(read.labels, where)
        return Dataset(
            name=name,
            labels=names,
            train=make_sets(read.texts, read.labels, names, where),
            test=None,
            digest=digest,
            warnings=tuple(_odd_sets(read, options.label_columns)),
        )
    names = label_names(read.labels, where)
    return Dataset(name, names, make_split(read.texts, read.labels, names, where), None, digest)


def _odd_sets(read: LabelledSets, columns: Sequence[str]) -> Iterator[str]:
    """Lines on texts with several labels that look as if they had been meant otherwise."""
    if max(map(len, read.labels)) < 2:
        yield "no text has several labels: if some should, look at --label-separator or --label-columns"
    occurring = {name for own in read.labels for name in own}
    lacking = [shorten(name) for name in columns if name not in occurring and not name.isdigit()]
    if lacking:
        yield f"no text has the label {listed(lacking)}: the model will not know it"


def _check_lasting(path: Path) -> None:
    if not (path.is_file() or path.is_dir()):
        raise DataError(f"{path} is no file: a training's data must be there to read again; save them to one")


def _with_test(dataset: Dataset, options: DataOptions, path: Path) -> Dataset:
    read, digest = _read_labelled(path, options, several=dataset.several)
    both = hashlib.sha256(f"{dataset.digest}{digest}".encode()).hexdigest()
    if isinstance(read, LabelledSets):
        if not dataset.several:
            raise DataError(
                f"{path} has several labels a text, the training texts have one; label both the same way"
            )
        test = make_sets(read.texts, read.labels, dataset.labels, str(path))
    else:
        test = make_split(read.texts, read.labels, dataset.labels, str(path))
    return replace(dataset, test=test, digest=both)


def _read_labelled(
    path: Path, options: DataOptions, *, several: bool = False
) -> tuple[Labelled | LabelledSets, str]:
    """A labelled file, or a folder with a folder of texts for each label → texts and labels, digest.

    several: labels are sets whatever the file; else as it has them.
    """
    if not path.exists():
        raise DataError(f"no file {path}; check the path")
    _check_lasting(path)
    read = read_labelled(
        path,
        format=_format(path, options),
        text_column=options.text_column,
        label_column=options.label_column,
        label_separator=options.label_separator,
        label_columns=options.label_columns,
        several=several or None,
        follow_links=options.follow_links,
    )
    if path.is_file():
        return read, file_digest(path)
    digest = hashlib.sha256()
    labels = [LABEL_JOINT.join([own] if isinstance(own, str) else own) for own in read.labels]
    for part in (value for pair in zip(labels, read.texts) for value in pair):
        digest.update(part.encode("utf-8", "surrogatepass") + b"\0")
    return read, digest.hexdigest()


def read_rows(
    path: Path, options: DataOptions, *, several: bool
) -> tuple[list[str], list[tuple[str, ...]], str]:
    """A labelled file, or a folder with a folder of texts for each label → texts, the labels of each, digest.

    several: whether a text may have several, or none. Raises DataError, also where one has and may not.
    """
    read, digest = _read_labelled(path, options, several=several)
    if isinstance(read, Labelled):
        return read.texts, [(label,) for label in read.labels], digest
    if not several:
        raise DataError(
            f"{path} has several labels a text, the checkpoint of --from gives one; train anew with all rows"
        )
    return read.texts, read.labels, digest


def _format(path: Path, options: DataOptions) -> str | None:
    """The format that is given; text where a file of an unknown suffix begins as fastText's do."""
    if options.input_format is not None:
        return named(options.input_format).name
    if path.is_file():
        with path.open("rb") as file:
            start = file.read(4096)
        if start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(FASTTEXT_PREFIX.encode()):
            return TEXT.name
    return None
