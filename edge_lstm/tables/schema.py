"""What an input is: where it lies, how it is read, what its beginning says of its columns."""

from __future__ import annotations

from dataclasses import dataclass

from edge_lstm.errors import DataError
from edge_lstm.tables.columns import find_text_column

STDIN = "-"
BOM = b"\xef\xbb\xbf"
MAX_ROW_BYTES = 16 * 2**20  # a longer row is no document: it becomes an error row and is not kept in memory


@dataclass(frozen=True)
class Source:
    """One input. path: a file, ``-`` for standard input, or the top of a folder of ``.txt`` files.

    format: the name of its format. is_gzip: whether it is compressed.
    files: of a folder, its ``.txt`` files, relative to it, in order.
    """

    path: str
    format: str
    is_gzip: bool = False
    files: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What messages call it."""
        return "standard input" if self.path == STDIN else self.path


@dataclass(frozen=True)
class ReadOptions:
    """How inputs are read where that is not to be found out.

    text_column: name or number (from 1). delimiter: of CSV and TSV.
    label_column: of labelled data, the column that is not the text: name or number.
    format: its name, where a suffix does not say it.
    """

    text_column: str | None = None
    delimiter: str | None = None
    label_column: str | None = None
    format: str | None = None

    def check(self) -> None:
        """Raise DataError where the delimiter cannot be one."""
        value = self.delimiter
        if value is not None and (len(value) != 1 or not value.isascii() or value in '\r\n"'):
            raise DataError(f"delimiter must be one ASCII character, not {value!r}; give one character")

    def find_text(self, columns: tuple[str, ...], source: Source) -> int:
        """Return the index of the text column. Raises DataError."""
        return find_text_column(columns, self.text_column, source.name, label=self.label_column)


@dataclass(frozen=True)
class Dialect:
    """The form of CSV. newline: what ends a line. bom: whether a byte order mark begins the file."""

    delimiter: str = ","
    newline: str = "\n"
    bom: bool = False


@dataclass(frozen=True)
class Schema:
    """The columns of an input. Small: it travels to each worker.

    format: the name of its format. columns: their names; for JSONL the keys of the first rows, in order of
        appearance. text: index of the text column.
    is_unicode: whether its strings are Unicode by themselves, not bytes that may be no UTF-8 (see values.py).
    dialect: of CSV and TSV. types: of Parquet, the Arrow schema in Arrow's own form.
    """

    format: str
    columns: tuple[str, ...]
    text: int
    is_unicode: bool = False
    dialect: Dialect | None = None
    types: bytes | None = None

    @property
    def text_column(self) -> str:
        """The name of the text column."""
        return self.columns[self.text]
