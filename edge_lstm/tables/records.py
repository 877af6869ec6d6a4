"""Rows of a block: as they stand in the input, their texts, the values of their columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from edge_lstm.errors import DataError

# The text of a row and None, or None and why there is none.
RowText = tuple[str | None, str | None]


@dataclass(frozen=True)
class FileRecord:
    """A file of a folder. path: relative to it; error: why it could not be read."""

    path: str
    data: bytes
    error: str | None = None


@dataclass(frozen=True)
class TooLong:
    """Stands for a row that is too long to be held, of which nothing was kept. size: bytes."""

    size: int


class Rows:
    """The rows of a block, read.

    records: each as it stands in the input: bytes without their line end, a FileRecord, a TooLong; of a
        Parquet file the number of the row in the block.
    texts: the text of each, or why it has none.
    """

    def __init__(
        self, records: Sequence[Any], texts: list[RowText], values_of: Callable[[Any], Sequence[Any]]
    ) -> None:
        self.records = records
        self.texts = texts
        self._values_of = values_of

    def values(self, index: int) -> Sequence[Any]:
        """The values of a row in the order of the schema's columns, whatever the row's state: bytes (CSV,
        text, folders), or what JSON has; None where the row has no such column.
        """
        return self._values_of(self.records[index])


@dataclass(frozen=True)
class Row:
    """One row, for whoever wants just rows.

    source: what messages call its file; number: from 1, the header not counted.
    values: its columns by name, as text where the format has only text.
    text: the text to classify, or None, and then ``error`` says why.
    """

    source: str
    number: int
    values: dict[str, Any]
    text: str | None
    error: str | None

    def required_text(self) -> str:
        """The text. Raises DataError with file and row where there is none."""
        if self.text is None:
            raise DataError(f"{self.source} row {self.number}: {self.error}; correct or remove the row")
        return self.text
