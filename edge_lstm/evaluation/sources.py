"""The sources of labelled texts: files that the device reads, and the workstation's data sets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edge_lstm.errors import DataError
from edge_lstm.tables.labelled import (
    DEFAULT_LABEL_OPTIONS,
    LabelledTexts,
    LabelOptions,
    read_labelled,
)
from edge_lstm.tables.reader import TAR_SUFFIXES, named, read_rows
from edge_lstm.tables.schema import ReadOptions


def load_labelled(source: str, *, options: LabelOptions = DEFAULT_LABEL_OPTIONS) -> LabelledTexts:
    """Read the texts and label names of a source.

    source: a labelled file; a folder with one subfolder for each label, or with such a folder
        ``test``; or, with edge-lstm[train], the test texts of ``imdb`` or its tar.
    options: how a file or folder is read.

    Raise DataError. Raise MissingPackageError if the workstation's packages are needed and not
    installed.
    """
    path = Path(source)
    if options.format is not None:
        named(options.format)
    if (source == "imdb" and not path.exists()) or source.lower().endswith(TAR_SUFFIXES):
        return replace(_test_texts(source), multi_label=bool(options.multi_label))
    part = path / "test"
    return read_labelled([part if part.is_dir() else path], options=options)


def read_foreign(path: str | Path, labelled: LabelOptions) -> tuple[str, ...]:
    """Read the texts of a file that ``score`` reads, each once.

    labelled: how the labelled texts are read, of which the same fields are read.

    Raise DataError if the file has no text.
    """
    rows = read_rows([path], options=ReadOptions(fields=labelled.fields))
    texts = tuple(dict.fromkeys(row.text for row in rows if row.text and row.text.strip()))
    if not texts:
        raise DataError(
            f"{path} holds no foreign text; give a file with at least one, or leave it out"
        )
    return texts


def _test_texts(source: str) -> LabelledTexts:
    from edge_lstm_export.train.sources import read_reviews

    dataset = read_reviews(source)
    part = dataset.test
    if part is None:
        raise DataError(f"{source} has no test texts; give another source")
    return LabelledTexts(list(part.texts), [(dataset.labels[i],) for i in part.strata.tolist()])
