"""The formats there are, by name and by suffix. A new one is a module of its own, and a name in this list."""

from __future__ import annotations

from edge_lstm.errors import DataError
from edge_lstm.tables import csv, folder, jsonl, lines, parquet
from edge_lstm.tables.compression import split_suffix
from edge_lstm.tables.format import Format

_ALL = (lines.TEXT, csv.CSV, csv.TSV, jsonl.JSONL, parquet.PARQUET, folder.FOLDER)
FORMATS: dict[str, Format] = {each.name: each for each in _ALL}
_BY_SUFFIX = {suffix: each.name for each in _ALL for suffix in each.suffixes}


def named(name: str) -> Format:
    """Return the format that an option calls so. Raises DataError."""
    if name not in FORMATS:
        raise DataError(f"no format {name!r}; give one of {', '.join(FORMATS)}")
    return FORMATS[name]


def format_of(path: str) -> str | None:
    """Return the name of the format that a path's suffix says, compressed or not; None where it says none."""
    return _BY_SUFFIX.get(split_suffix(path)[0])
