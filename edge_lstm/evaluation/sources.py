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

DEFAULT_SPLIT = "test"


def load_labelled(
    source: str,
    *,
    split: str | None = None,
    options: LabelOptions = DEFAULT_LABEL_OPTIONS,
) -> LabelledTexts:
    """Read the texts and label names of a source.

    source: a labelled file; a folder with one subfolder for each label, or with such folders for
        each split; or, with edge-lstm[train], ``imdb`` or its tar.
    split: name of one split; None for DEFAULT_SPLIT, or for all texts of a source without splits.
    options: how a file or folder is read.

    Raise DataError. Raise MissingPackageError if the workstation's packages are needed and not
    installed.
    """
    path = Path(source)
    if options.format is not None:
        named(options.format)
    if (source == "imdb" and not path.exists()) or source.lower().endswith(TAR_SUFFIXES):
        labelled = _from_dataset(source, split or DEFAULT_SPLIT)
        return replace(labelled, multi_label=bool(options.multi_label))
    part = path / (split or DEFAULT_SPLIT)
    if split is not None and not part.is_dir():
        kind = f"has no split {split!r}" if path.is_dir() else "has no splits"
        raise DataError(f"{source} {kind}; leave --split out")
    return read_labelled([part if part.is_dir() else path], options=options)


def read_foreign(path: str | Path) -> tuple[str, ...]:
    """Read the texts of a file that ``score`` reads, each once.

    Raise DataError if the file has no text.
    """
    rows = read_rows([path])
    texts = tuple(dict.fromkeys(row.text for row in rows if row.text and row.text.strip()))
    if not texts:
        raise DataError(
            f"{path} holds no foreign text; give a file with at least one, or leave it out"
        )
    return texts


def _from_dataset(source: str, split: str) -> LabelledTexts:
    from edge_lstm_export.options import DataOptions
    from edge_lstm_export.train.sources.read import read_dataset

    # The evaluation needs every text, so none is held out: test_share=0.
    dataset = read_dataset([source], DataOptions(test_share=0.0))
    part = {"train": dataset.train, "test": dataset.test}.get(split)
    if part is None:
        raise DataError(f"{source} has no split {split!r}; give --split train or --split test")
    return LabelledTexts(list(part.texts), [(dataset.labels[i],) for i in part.strata.tolist()])
