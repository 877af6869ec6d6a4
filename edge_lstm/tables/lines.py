"""Text: a document a line. Written as text, a row is what was added to it, tab-separated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from edge_lstm.errors import DataError
from edge_lstm.tables.csv import join
from edge_lstm.tables.format import Broken, Format, OutputColumns, Row, Rows, Text, Writer, too_long
from edge_lstm.tables.schema import MAX_ROW_BYTES, Dialect, ReadOptions, Schema, Source
from edge_lstm.tables.stream import LongLine, Stream, check_text
from edge_lstm.tables.values import utf8_error

if TYPE_CHECKING:
    from hashlib import _Hash

FASTTEXT_PREFIX = "__label__"
_TABS = Dialect("\t", quote="")


def line_rows(stream: Stream, digest: _Hash) -> Iterator[tuple[bytes | Broken | None, int]]:
    """Yield each line of a stream without its end, and its size (see Format.rows)."""
    for piece in stream.pieces(digest):
        if piece is None:
            yield None, 0
        elif isinstance(piece, LongLine):
            yield too_long(piece.size), 0
        else:
            lines = piece.split(b"\n")
            if not lines[-1]:
                lines.pop()
            for line in lines:
                yield (line if len(line) <= MAX_ROW_BYTES else too_long(len(line))), len(line)


class TextFormat(Format):
    """Text files; fastText's, where lines begin with labels."""

    name = "text"
    suffixes = (".txt", ".text", ".ft")
    has_fixed_columns = False
    has_labels = True
    lacking_label = f"the line does not begin with {FASTTEXT_PREFIX}NAME; a text file needs it on every line"

    def schema(self, source: Source, stream: Stream | None, options: ReadOptions) -> Schema:
        assert stream is not None
        check_text(source, stream.head())
        return Schema(self.name, ("text",), 0)

    def rows(
        self, source: Source, stream: Stream | None, schema: Schema, digest: _Hash
    ) -> Iterator[tuple[Any, int]]:
        assert stream is not None
        return line_rows(stream, digest)

    def parse(self, rows: Sequence[Any], schema: Schema, **_: Any) -> Rows:
        texts: list[Text] = []
        values: list[Sequence[Any]] = []
        for row in rows:
            if isinstance(row, Broken):
                texts.append((None, row.reason))
                values.append((None,))
                continue
            text = row.removesuffix(b"\r").decode("utf-8", "surrogateescape")
            where = utf8_error(text)
            texts.append((text, None) if where is None else (None, f"the text is not UTF-8 {where}"))
            values.append((text,))
        return Rows(texts, lambda: values)

    def labels(self, row: Row) -> tuple[str, tuple[str, ...]] | None:
        """``__label__x text``, or several labels before the text."""
        names, rest = [], row.required_text().lstrip()
        while rest.startswith(FASTTEXT_PREFIX):
            first, _, rest = rest.partition(" ")
            if first == FASTTEXT_PREFIX:
                raise DataError(f"{row.source} row {row.number}: {FASTTEXT_PREFIX} without a name; name it")
            names.append(first.removeprefix(FASTTEXT_PREFIX))
            if rest.lstrip().startswith(FASTTEXT_PREFIX):
                rest = rest.lstrip()
        return rest, tuple(names)

    def writer(self, columns: OutputColumns) -> Writer:
        return TextWriter()


class TextWriter(Writer):
    """Writes the added columns alone."""

    def write(self, rows: Rows, added: Sequence[Sequence[Any] | None]) -> bytes:
        """See Writer."""
        return "".join([join(values, _TABS) for values in added if values is not None]).encode()


TEXT = TextFormat()
