"""Read a SOURCE: a name, a folder, an archive or labelled files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from edge_lstm.errors import DataError, read_error
from edge_lstm.printable import counted, well_formed
from edge_lstm.tables.labelled import (
    FASTTEXT_PREFIX,
    Columns,
    LabelledTexts,
    Shares,
    check_columns,
    read_labelled,
)
from edge_lstm.tables.lines import TEXT
from edge_lstm.tables.reader import Inputs, format_of, open_inputs
from edge_lstm.tables.schema import BOM, STDIN, ReadOptions
from edge_lstm_export.digests import file_digest, labelled_digest
from edge_lstm_export.options import DataOptions
from edge_lstm_export.train.sources.dataset import (
    Dataset,
    TestRows,
    all_names,
    few_groups,
    hold_out,
    label_names,
    make_split,
)
from edge_lstm_export.train.sources.fields import row_text, with_fields
from edge_lstm_export.train.sources.imdb import IMDB, has_parts, read_reviews
from edge_lstm_export.train.sources.log import BECAUSE, TIME, Log, read_log
from edge_lstm_export.train.sources.warnings import checked

SOURCES = (
    "a labelled file (CSV, JSONL, …), a folder with a subfolder of .txt files per label, or imdb"
)
_NUMBER = re.compile(r"\d+")


def read_dataset(
    sources: Sequence[str],
    options: DataOptions,
    most_unlabelled: int | None = None,
) -> Dataset:
    """Read a source, or several labelled files as one, and look for what often spoils a training.

    The rows of several files follow each other, and each file may have labels that others lack.

    most_unlabelled: texts without a label that are chosen; None: all.

    Raise DataError if a source is missing, damaged, of no known kind, or cannot train a classifier.
    """
    for source in sources:
        _check_there(source)
        if has_parts(source) and len(sources) > 1:
            raise DataError(f"{source} has its own splits; give it alone, or labelled files only")
        if has_parts(source) and options.group_column is not None:
            raise DataError(f"{source} has no columns; leave --group-column out")
    paths = [Path(source) for source in sources]
    dataset = read_reviews(sources[0]) if has_parts(sources[0]) else _read_files(paths, options)
    # Fewer texts are cross-validated instead.
    is_enough = len(dataset.train) >= 2000 and not few_groups(dataset.groups)
    if options.by_digest:
        dataset = _without_fifth(dataset)
    elif options.test is not None:
        dataset = _with_test(dataset, options, options.test)
    elif dataset.test is None and is_enough:
        train, test = hold_out(dataset.train, 0.1, options.seed)
        drawn: TestRows = "random" if train.groups is None else "groups"
        found = test.subset(test.traffic) if len(test) else None
        dataset = replace(dataset, train=train, test=found, test_rows=drawn)
    if options.fields is not None:
        dataset = with_fields(dataset, options)
    dataset = checked(dataset)
    if options.unlabelled is None:
        return dataset
    return _with_unlabelled(dataset, options.unlabelled, options, most_unlabelled)


def check_sources(sources: Sequence[str], options: DataOptions) -> None:
    """Check files and columns before PyTorch is loaded, as reading them would.

    Raise DataError, MissingPackageError.
    """
    for source in (*sources, *([str(options.test)] if options.test is not None else [])):
        _check_there(source)
        path = Path(source)
        if path.is_dir() or has_parts(source):
            continue
        check_columns(path, _reading(path, options))
    log = options.unlabelled
    # A pipe can be read only once.
    if log is not None and not has_parts(log) and (Path(log).is_file() or not Path(log).exists()):
        _open_texts(log, options)


def _with_unlabelled(
    dataset: Dataset, source: str, options: DataOptions, most: int | None
) -> Dataset:
    """Return the data set with the texts of a source, other than its own.

    most: see :func:`choose_unlabelled`.

    Raise DataError if the source has no texts.
    """
    left_out = {*dataset.train.texts, *(dataset.test.texts if dataset.test else ())}
    texts = read_texts(source, options)
    if dataset.fields is not None:
        texts = tuple(map(dataset.fields.read, texts))
    chosen, notes = choose_unlabelled(texts, left_out, options.seed, source, most)
    return replace(dataset, unlabelled=chosen, notes=tuple(notes))


def choose_unlabelled(
    texts: Sequence[str], left_out: Collection[str], seed: int, source: str, most: int | None
) -> tuple[tuple[str, ...], list[str]]:
    """Return the different texts, sorted, and remarks for a person, a line each.

    left_out: the labelled and the test texts.
    source: name of the texts' source, for the remarks.
    most: texts that are chosen; of more, a random part, in which texts differ in more than numbers.
        None: all.
    """
    chosen = sorted({*texts}.difference(left_out))
    repeated = sum(text in left_out for text in texts)
    remarks = []
    of = f"of {counted(len(texts), 'text')} of {source}"
    if repeated:
        rest = "not used" if chosen else "none is left to label"
        verb = "is a labelled or test text" if repeated == 1 else "are labelled or test texts"
        remarks.append(f"{repeated:,} {of} {verb}: {rest}")
    if most is not None and len(chosen) > most:
        order = np.random.default_rng([seed, 0xB2]).permutation(len(chosen)).tolist()
        forms = {_NUMBER.sub("0", chosen[i]): chosen[i] for i in order}
        chosen = sorted([*forms.values()][:most])
        remarks.append(f"a random {len(chosen):,} {of} are used")
    return tuple(chosen), remarks


def read_texts(source: str, options: DataOptions) -> tuple[str, ...]:
    """Return the texts of a source without their labels.

    They are IMDB's unlabelled part, or every text of a file.

    Raise DataError if it has no texts.
    """
    if has_parts(source):
        texts = read_reviews(source, unlabelled=True).unlabelled
    else:
        inputs = _open_texts(source, options)
        texts = tuple(
            well_formed(row.text) for row in inputs.rows() if row.text and not row.text.isspace()
        )
        if options.fields is not None:
            texts = tuple(row_text(text, options) for text in texts)
    if not texts:
        raise DataError(
            f"{source} has no unlabelled text; give another --unlabelled, or leave it out"
        )
    return texts


def _open_texts(source: str, options: DataOptions) -> Inputs:
    """Open a file of texts. Its column of texts may have another name than in labelled files."""
    reading = ReadOptions(
        options.text_column,
        format=None if format_of(source) else options.format,
        encoding=options.encoding,
        fields=options.fields,
    )
    try:
        return open_inputs([source], options=reading)
    except DataError:
        if options.text_column is None:
            raise
        return open_inputs([source], options=replace(reading, text_column=None))


def _check_there(source: str) -> None:
    path = Path(source)
    if source not in (STDIN, IMDB) and not path.exists():
        raise DataError(f"no file or folder {source}; a source is {SOURCES}")
    if source == STDIN or not (source == IMDB or path.is_file() or path.is_dir()):
        raise DataError(
            f"{source} is a pipe or device, and data are read twice; save them to a file"
        )
    if (path / "train").is_dir():
        raise DataError(
            f"{source} has splits; train on {path / 'train'}, with --test {path / 'test'}"
        )


def _read_files(paths: Sequence[Path], options: DataOptions) -> Dataset:
    parts = [_read_labelled(path, options) for path in paths]
    multi_label = any(part.multi_label for part in parts)
    if multi_label and not all(part.multi_label for part in parts):
        parts = [_read_labelled(path, options, multi_label=True) for path in paths]
    texts = [text for part in parts for text in part.texts]
    rows = [row for part in parts for row in part.labels]
    shares = _shares(parts)
    where = " + ".join(map(str, paths))
    names = list(all_names(rows, shares))
    labels = label_names(names, where, multi_label=multi_label)
    groups = None
    if options.group_column is not None:
        groups = [group for part in parts for group in part.groups or ()]
    logs = [_log(path, part, options) for path, part in zip(paths, parts)]
    columns = _distinct(part.columns for part in parts)
    digest = _digest(paths, parts)
    train = make_split(texts, rows, labels, where, groups, shares)
    if any(logs):
        weights = [
            log.weights if log else np.ones(len(part.texts)) for log, part in zip(logs, parts)
        ]
        train = replace(train, weights=np.concatenate(weights).astype(np.float32))
    absent = [
        name for name in options.indicator_columns if name not in labels and not name.isdigit()
    ]
    warnings = [f"no text has the label {name}: the model will not know it" for name in absent]
    for path, part, log in zip(paths, parts, logs):
        warnings += part.notes(path.name)
        warnings += [f"{path.name}: {note}" for note in (log.notes() if log else ())]
    return Dataset(
        _name(paths),
        labels,
        train,
        None,
        digest,
        multi_label,
        warnings=tuple(warnings),
        columns=columns,
        group_column=options.group_column or "",
    )


def _log(path: Path, part: LabelledTexts, options: DataOptions) -> Log | None:
    """Return why the rows of a log are there; None for another file.

    Raise DataError.
    """
    if part.columns is None or part.multi_label:
        return None
    inputs = open_inputs([path], options=_reading(path, options))
    if not {BECAUSE, TIME} <= {*inputs.schema.columns}:
        return None
    return read_log(inputs.rows(), part)


def _shares(parts: Sequence[LabelledTexts]) -> list[Shares | None]:
    """Return the shares of all texts; empty if all labels are certain."""
    if not any(part.shares for part in parts):
        return []
    return [each for part in parts for each in part.shares or [None] * len(part.texts)]


def _distinct(columns: Iterable[Columns | None]) -> tuple[Columns, ...]:
    return tuple(dict.fromkeys(each for each in columns if each is not None))


def _without_fifth(dataset: Dataset) -> Dataset:
    """Hold out each text whose key is a multiple of five, as every other training does.

    Raise DataError unless that leaves texts on both sides.
    """
    is_held = dataset.train.keys % np.uint64(5) == 0
    if is_held.all() or not is_held.any():
        raise DataError(f"{dataset.name} has too few texts to hold out a fifth; add more")
    test = dataset.train.subset(np.flatnonzero(is_held))
    return replace(
        dataset,
        train=dataset.train.subset(np.flatnonzero(~is_held)),
        test=test.subset(test.traffic),
        test_rows="digest",
    )


def _with_test(dataset: Dataset, options: DataOptions, path: Path) -> Dataset:
    _check_there(str(path))
    plain = replace(options, group_column=None)  # a file of its own has no rows to keep together
    part = _read_labelled(path, plain, multi_label=dataset.multi_label)
    if part.multi_label and not dataset.multi_label:
        raise DataError(
            f"{path} has several labels per text, the training texts one; label both alike"
        )
    both = hashlib.sha256(f"{dataset.digest}{_digest([path], [part])}".encode()).hexdigest()
    test = make_split(part.texts, part.labels, dataset.labels, str(path), shares=part.shares)
    return replace(
        dataset,
        test=test,
        digest=both,
        warnings=(*dataset.warnings, *part.notes(path.name)),
        columns=_distinct((*dataset.columns, part.columns)),
        test_rows="file",
    )


def _read_labelled(path: Path, options: DataOptions, *, multi_label: bool = False) -> LabelledTexts:
    """multi_label: a text may have several labels whatever the file; else as it has them."""
    reading = replace(_reading(path, options), multi_label=multi_label or None)
    part = read_labelled(path, options=reading)
    if options.fields is None:
        return part
    if part.columns is None:
        raise DataError(f"{path} has no columns; leave --field and --fields out")
    labels = part.columns.labels
    return replace(part, texts=[row_text(text, options, labels) for text in part.texts])


def _name(paths: Sequence[Path]) -> str:
    return " + ".join(path.name or path.resolve().name for path in paths)


def _digest(paths: Sequence[Path], parts: Sequence[LabelledTexts]) -> str:
    """Return the sha256 (hex) of a file, of a folder's texts, or of several files' digests."""
    digests = [
        file_digest(path) if path.is_file() else labelled_digest(part.texts, part.labels)
        for path, part in zip(paths, parts)
    ]
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256(" + ".join(digests).encode()).hexdigest()


def _reading(path: Path, options: DataOptions) -> DataOptions:
    """Return how to read a file: as text if one of an unknown suffix begins as fastText's do.

    Raise DataError.
    """
    if options.format is not None or not path.is_file():
        return options
    try:
        with path.open("rb") as file:
            start = file.read(4096).removeprefix(BOM).lstrip()
    except OSError as error:
        raise read_error(path, error) from None
    is_fasttext = start.startswith(FASTTEXT_PREFIX.encode())
    return replace(options, format=TEXT.name) if is_fasttext else options
