"""Text: one document per line. Written as text, a row is what was added to it, tab-separated."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from edge_lstm.errors import DataError
from edge_lstm.tables.format import Broken, Format, OutputColumns, Row, Rows, too_long
from edge_lstm.tables.schema import MAX_ROW_BYTES, ReadOptions, Schema, Source
from edge_lstm.tables.stream import LongLine, Stream, check_text
from edge_lstm.tables.values import Text, text_or_reason

if TYPE_CHECKING:
    from hashlib import _Hash

FASTTEXT_PREFIX = "__label__"
_BREAKS = re.compile("[\t\r\n]")


def line_rows(stream: Stream | None, digest: _Hash) -> Iterator[tuple[bytes | Broken | None, int]]:
    """Yield each line of a stream without its end, and its size (see Format.rows)."""
    assert stream is not None
    for piece in stream.pieces(digest):
        if piece is None:
            yield None, 0
        elif isinstance(piece, LongLine):
            yield too_long(piece.size), 0
        else:
            for line in piece.removesuffix(b"\n").split(b"\n"):
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

    def rows(self, source: Source, stream: Stream | None, digest: _Hash, schema: Schema) -> Iterator[Any]:
        return line_rows(stream, digest)

    def parse(self, rows: Any, schema: Schema, keys: object) -> Rows:
        texts: list[Text] = []
        values: list[Sequence[Any]] = []
        for row in rows:
            if isinstance(row, Broken):
                texts.append((None, row.reason))
                values.append((None,))
                continue
            text = row.removesuffix(b"\r").decode("utf-8", "surrogateescape")
            texts.append(text_or_reason(text))
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

    def writer(self, columns: OutputColumns) -> TextWriter:
        return TextWriter()


class TextWriter:
    """Writes the added columns alone; a tab or a line end in a value becomes a space."""

    header = b""

    def write(self, rows: Rows, added: Sequence[Sequence[Any] | None]) -> bytes:
        """See Writer."""
        lines = [
            "\t".join(["" if value is None else _BREAKS.sub(" ", str(value)) for value in values])
            for values in added
            if values is not None
        ]
        return "".join([line + "\n" for line in lines]).encode()


TEXT = TextFormat()
