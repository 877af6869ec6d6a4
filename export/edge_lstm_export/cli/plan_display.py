"""A plan in words: the data, and every field with its value and the reason for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from edge_lstm.cli.notes import wrapped
from edge_lstm.printable import counted, listed, shorten

if TYPE_CHECKING:  # a message needs no torch
    from edge_lstm_export.train.run import Inputs
    from edge_lstm_export.train.sources import Dataset

# What a training shows of its plan.
_MAIN = (
    "max_kilobytes",
    "kind",
    "question",
    "network.hidden",
    "word_table",
    "teachers",
    "validation.share",
    "validation.folds",
    "loop.epochs",
)


def plan_lines(prepared: Inputs, *, only_main: bool) -> Iterator[str]:
    """Yield the data, and the fields of the plan, each with its value and reason.

    only_main: a person waits for the training, and no field is to be edited.
    """
    from edge_lstm_export.train.plan import fields_of

    fields = (
        (path, f"{value} ({reason})")
        for path, value, reason in fields_of(prepared.decided)
        if path in _MAIN or not only_main
    )
    yield from _lines(_data_rows(prepared))
    yield ""
    yield from _lines(fields)


def _lines(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield a line for each (name, value)."""
    for name, value in rows:
        # Values begin behind the longest path.
        yield wrapped(value, name=name, indent=28)


def _data_rows(prepared: Inputs) -> list[tuple[str, str]]:
    """Return (name, value) of the data."""
    dataset = prepared.dataset
    stats = prepared.decided.stats
    texts = zip(dataset.labels, dataset.train.counts())
    counts = [f"{shorten(name)} {count:,}" for name, count in texts]
    multi_label = ", several per text" if stats.multi_label else ""
    unit = "characters" if stats.unsegmented else "words"
    rows = [("source", dataset.name)]
    if dataset.columns:
        rows.append(("columns", columns_in_words(dataset)))
    rows += [
        ("texts", f"{stats.rows:,} training, {len(dataset.test or ()):,} test"),
        ("labels", f"{stats.labels}{multi_label}: {listed(counts, 8)}"),
        ("length", f"{stats.mean_length:.0f} {unit} per text on average"),
    ]
    rows += dataset.reasons
    if stats.unlabelled:
        rows.append(("unlabelled", counted(stats.unlabelled, "text")))
    return rows


def columns_in_words(dataset: Dataset) -> str:
    """Return the columns that were read, in words; files may have different ones."""
    read = []
    for columns in dataset.columns:
        labels = listed([f"{shorten(name)!r}" for name in columns.labels], 8)
        kind = "label" if len(columns.labels) == 1 else "labels"
        text = f"text {columns.text!r}" if columns.text else "rows"
        read.append(f"{text}, {kind} {labels}")
    return "; ".join(read)
