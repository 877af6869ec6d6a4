"""Bytes of a line format → where each record lies, and where its text does, found for all records at once.

Most CSV has its quotes only where a writer puts them: around a field, and doubled inside. Then a line end
or delimiter is one exactly where an even number of quotes stands before it, and NumPy finds all of them in
a few passes over the bytes. A piece with any other quote is read line by line (dialect.py): slower, and by
the same rules. The tests hold both against Python's ``csv``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_lstm.tables.csv import NO_QUOTES, Dialect
from edge_lstm.tables.schema import Schema

Offsets = npt.NDArray[np.int64]

_LF, _CR = 10, 13


@dataclass(frozen=True)
class Records:
    """The rows of a piece of a file.

    starts, stops: int64 [rows], where each record lies in ``data``, its line end left out.
    ends: int64 [rows], where its line end is over.
    complete: how many bytes are lines that have ended, blank ones included.
    quotes: int64 [quotes], where they stand; None where one of them stands in no regular place.
    """

    data: bytes
    starts: Offsets
    stops: Offsets
    ends: Offsets
    complete: int
    quotes: Offsets | None

    def __len__(self) -> int:
        return len(self.starts)

    def __iter__(self) -> Iterator[bytes]:
        data = self.data
        for start, stop in zip(self.starts.tolist(), self.stops.tolist()):
            yield data[start:stop]


def cut(data: bytes, schema: Schema, *, whole: bool = True) -> Records:
    """Cuts a piece that begins where a record does. whole: no more follows, so the last line is complete."""
    ends, quotes = record_ends(data, schema.dialect or NO_QUOTES, whole=whole)
    view = np.frombuffer(data, np.uint8)
    starts = np.concatenate(([0], ends[:-1])) if len(ends) else ends
    stops = ends - (view[ends - 1] == _LF)
    stops -= (stops > starts) & (view[stops - 1] == _CR)
    complete = int(ends[-1]) if len(ends) else 0
    rows = _are_rows(data, view, starts, stops, schema)
    return Records(data, starts[rows], stops[rows], ends[rows], complete, quotes)


def record_ends(data: bytes, dialect: Dialect, *, whole: bool) -> tuple[Offsets, Offsets | None]:
    """Where records end, their line ends included: int64 [records], blank ones too; and ``quotes`` as in
    :class:`Records`.
    """
    view = np.frombuffer(data, np.uint8)
    quotes = _regular_quotes(view, dialect)
    if quotes is None:
        ends = _ends_line_by_line(data, dialect)
    else:
        ends = np.flatnonzero(view == _LF) + 1
        if len(quotes):
            ends = ends[_is_outside(ends, quotes)]
    if whole and (ends[-1] if len(ends) else 0) < len(data):
        ends = np.append(ends, len(data))
    return ends, quotes


def text_spans(records: Records, schema: Schema) -> tuple[Offsets, Offsets]:
    """Where the text of each record lies (of CSV with its quotes): int64 [rows], int64 [rows].

    -1 where it takes a look at the whole record: JSONL, an irregular quote, too many or too few columns.
    """
    if schema.format == "text":
        return records.starts, records.stops
    quotes, dialect = records.quotes, schema.dialect
    nowhere = np.full(len(records), -1, np.int64)
    if dialect is None or quotes is None:
        return nowhere, nowhere
    view = np.frombuffer(records.data, np.uint8)
    delimiters = np.flatnonzero(view == ord(dialect.delimiter))
    delimiters = delimiters[_is_outside(delimiters, quotes)]
    first = np.searchsorted(delimiters, records.starts)
    count = np.searchsorted(delimiters, records.stops) - first
    is_plain = count == len(schema.columns) - 1
    if len(quotes) % 2:  # the last quote never closes
        is_plain &= records.stops <= quotes[-1]
    starts, stops = records.starts, records.stops
    if schema.text > 0:
        starts = delimiters[np.where(is_plain, first + schema.text - 1, 0)] + 1 if is_plain.any() else nowhere
    if schema.text < len(schema.columns) - 1:
        stops = delimiters[np.where(is_plain, first + schema.text, 0)] if is_plain.any() else nowhere
    return np.where(is_plain, starts, -1), np.where(is_plain, stops, -1)


def _is_outside(places: Offsets, quotes: Offsets) -> Any:
    """Whether each place lies outside of quoted fields: bool [places]."""
    return np.searchsorted(quotes, places) % 2 == 0


def _regular_quotes(view: npt.NDArray[np.uint8], dialect: Dialect) -> Offsets | None:
    """Where quotes stand, or None where one does that no writer puts there.

    Regular: an opening quote has a delimiter or a line end before it, or the quote that closes, and then
    the two are one doubled quote; a closing one likewise, behind it.
    """
    if not dialect.quote:
        return np.empty(0, np.int64)
    quotes = np.flatnonzero(view == ord(dialect.quote))
    if not len(quotes):
        return quotes
    borders = np.zeros(256, bool)
    borders[[ord(dialect.delimiter), ord(dialect.quote), _LF]] = True
    opening, closing = quotes[::2], quotes[1::2]
    if not borders[view[opening[opening > 0] - 1]].all():
        return None
    closing = closing[closing < len(view) - 1]  # what follows the last byte is not known
    behind = view[closing + 1]
    odd = closing[~borders[behind]]
    # A line may end in CR LF; a CR alone is no line end.
    after = np.minimum(odd + 2, len(view) - 1)
    if ((view[odd + 1] != _CR) | ((odd + 2 < len(view)) & (view[after] != _LF))).any():
        return None
    return quotes


def _ends_line_by_line(data: bytes, dialect: Dialect) -> Offsets:
    ends = []
    start, is_open = 0, False
    while end := data.find(b"\n", start) + 1:
        is_open = dialect.is_open(data[start:end], is_open)
        if not is_open:
            ends.append(end)
        start = end
    return np.array(ends, np.int64)


def _are_rows(data: bytes, view: Any, starts: Offsets, stops: Offsets, schema: Schema) -> Any:
    """Which records are rows. A blank line is a document in a text, and may be one in CSV of one column;
    elsewhere it is none, as for csv.DictReader.
    """
    if schema.format == "text" or (schema.dialect is not None and len(schema.columns) == 1):
        return slice(None)
    rows = stops > starts
    if schema.format == "jsonl":
        for i in np.flatnonzero(rows & (view[starts] <= ord(" "))).tolist():
            rows[i] = bool(data[starts[i] : stops[i]].strip())
    return rows
