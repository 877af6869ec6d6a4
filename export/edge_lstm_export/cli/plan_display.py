"""A plan in words: the short form, and the long one with every field and the facts that decided."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from edge_lstm.cli.notes import wrapped
from edge_lstm.printable import counted, listed, shorten

if TYPE_CHECKING:  # a message needs no torch
    from edge_lstm_export.train.data import Dataset
    from edge_lstm_export.train.run import Inputs

# Columns where values begin: of the short form, and of the long one, whose names are paths.
SHORT_COLUMN = 17
LONG_COLUMN = 34


def short_lines(prepared: Inputs) -> Iterator[str]:
    """Yield the data and the main decisions, each with its reason."""
    from edge_lstm_export.train.plan import explain

    yield from _lines(_data_rows(prepared), SHORT_COLUMN)
    yield ""
    yield from _lines(_with_reasons(explain(prepared.decided)), SHORT_COLUMN)


def long_lines(prepared: Inputs) -> Iterator[str]:
    """Yield the data, their statistics, every field of the plan and the bytes."""
    from edge_lstm_export.train.plan import fields_of
    from edge_lstm_export.train.sizes import expected_parts

    plan = prepared.plan
    stats = prepared.decided.stats
    yield from _lines(_data_rows(prepared), LONG_COLUMN)
    yield "\nstatistics that decided:"
    yield from _lines(_statistics(prepared), LONG_COLUMN)
    yield "\nevery field, and why:"
    yield from _lines(_with_reasons(fields_of(prepared.decided)), LONG_COLUMN)
    yield "\nbytes of the int8 file, if the texts fill it:"
    sizes = expected_parts(plan.network, plan.max_kilobytes, stats)
    yield from _lines(((part, f"{size:,}") for part, size in sizes.items()), LONG_COLUMN)


def _lines(rows: Iterable[tuple[str, str]], column: int) -> Iterator[str]:
    """Yield a line for each (name, value). column: where values begin."""
    for name, value in rows:
        yield wrapped(value, name=name, indent=column)


def _with_reasons(decisions: Iterable[tuple[str, str, str]]) -> Iterator[tuple[str, str]]:
    for name, value, reason in decisions:
        yield name, f"{value} ({reason})"


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
    if stats.unlabelled:
        rows.append(("unlabelled", counted(stats.unlabelled, "text")))
    return rows


def _statistics(prepared: Inputs) -> Iterator[tuple[str, str]]:
    for name, value in asdict(prepared.decided.stats).items():
        if name == "trial" and value is not None:
            yield f"trial of {value['source']}", value["finding"]
        elif isinstance(value, float):
            yield name, f"{value:.4g}"
        else:
            yield name, f"{value}"


def columns_in_words(dataset: Dataset) -> str:
    """Return the columns that were read, in words; files may have different ones."""
    read = []
    for columns in dataset.columns:
        labels = listed([f"{shorten(name)!r}" for name in columns.labels], 8)
        kind = "label" if len(columns.labels) == 1 else "labels"
        said = f"{kind} {labels}" if labels else "labels by the teacher"
        read.append(f"text {columns.text!r}, {said}")
    return "; ".join(read)
