"""An input: where it is, how it is to be read, what its beginning says of its columns."""

from __future__ import annotations

from dataclasses import dataclass

from edge_lstm.tables.columns import find_text_column
from edge_lstm.tables.compression import Compression
from edge_lstm.tables.dialect import Dialect

STDIN = "-"
BOM = b"\xef\xbb\xbf"


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
    """How inputs are to be read where it should not be found by itself.

    text_column: name or number (from 1); delimiter, quote: of CSV and TSV ("" for no quotes at all);
    header: whether CSV and TSV files begin with the names of their columns.
    follow_links: whether what symbolic links inside a folder lead to is read.
    label_column: of labelled data, the column that is not the text: name or number.
    """

    text_column: str | None = None
    delimiter: str | None = None
    quote: str | None = None
    header: bool = True
    follow_links: bool = False
    label_column: str | None = None

    def find_text(self, columns: tuple[str, ...], source: Source) -> int:
        """Index of the text column. Raises DataError."""
        return find_text_column(columns, self.text_column, source.name, label=self.label_column)


@dataclass(frozen=True)
class Schema:
    """How every record of an input is to be read. Small: it travels to each worker.

    format: the name of its format.
    columns: their names; for JSONL the keys of the first rows, in order of appearance.
    text: index of the text column.
    dialect: of CSV and TSV.
    header: what stands in the file before the rows: of CSV the header record, with a byte order mark if there
        is one; of Parquet the types of the columns, as an Arrow schema in Arrow's own form.
    """

    format: str
    columns: tuple[str, ...]
    text: int
    dialect: Dialect | None = None
    header: bytes | None = None

    @property
    def text_column(self) -> str:
        """The name of the text column."""
        return self.columns[self.text]
