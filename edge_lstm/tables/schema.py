"""What an input is: where it lies, how it is read, what its beginning says of its columns."""

from __future__ import annotations

from dataclasses import dataclass

from edge_lstm.tables.columns import find_text_column
from edge_lstm.tables.compression import Compression

STDIN = "-"
BOM = b"\xef\xbb\xbf"
MAX_ROW_BYTES = 16 * 2**20  # a longer row is no document: it becomes an error row and is not kept in memory


@dataclass(frozen=True)
class Source:
    """One input. path: a file, ``-`` for standard input, or the top of a folder of ``.txt`` files.

    format: the name of its format. files: of a folder, its ``.txt`` files, relative to it, in order.
    follow_links: whether symbolic links inside the folder are followed.
    """

    path: str
    format: str
    compression: Compression | None = None
    files: tuple[str, ...] = ()
    follow_links: bool = False

    @property
    def name(self) -> str:
        """What messages call it."""
        return "standard input" if self.path == STDIN else self.path


@dataclass(frozen=True)
class ReadOptions:
    """How inputs are read where that is not to be found out.

    text_column: name or number (from 1); delimiter, quote: of CSV and TSV ("" for no quotes at all);
    header: whether CSV and TSV files begin with the names of their columns.
    follow_links: whether what symbolic links inside a folder lead to is read.
    label_column: of labelled data, the column that is not the text: name or number.
    format: its name, where a suffix does not say it.
    """

    text_column: str | None = None
    delimiter: str | None = None
    quote: str | None = None
    header: bool = True
    follow_links: bool = False
    label_column: str | None = None
    format: str | None = None

    def find_text(self, columns: tuple[str, ...], source: Source) -> int:
        """Return the index of the text column. Raises DataError."""
        return find_text_column(columns, self.text_column, source.name, label=self.label_column)


@dataclass(frozen=True)
class Dialect:
    """The form of CSV. quote: "" where nothing is quoted. newline: what ends a line. bom: whether a byte
    order mark begins the file.
    """

    delimiter: str = ","
    quote: str = '"'
    newline: str = "\n"
    bom: bool = False


@dataclass(frozen=True)
class Schema:
    """The columns of an input. Small: it travels to each worker.

    format: the name of its format. columns: their names; for JSONL the keys of the first rows, in order of
        appearance. text: index of the text column.
    dialect, header: of CSV and TSV; header: whether the first row holds the names.
    types: of Parquet, the Arrow schema in Arrow's own form.
    """

    format: str
    columns: tuple[str, ...]
    text: int
    dialect: Dialect | None = None
    header: bool = True
    types: bytes | None = None

    @property
    def text_column(self) -> str:
        """The name of the text column."""
        return self.columns[self.text]
