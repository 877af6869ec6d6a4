"""CSV and TSV as bytes: where a record ends, what its fields are, how a field is written.

The rules are those of Python's ``csv`` module with its default settings (a doubled quote stands for one,
a quote inside an unquoted field is a plain character), applied to bytes, so that a record can be passed
on exactly as it came. The tests hold the two against each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

DELIMITERS = (",", ";", "\t", "|")
_SNIFFED_RECORDS = 50
_DENSE = 8  # bytes for each quote
_LINE_ENDS = (b"\n", b"\r\n", b"\r")


@dataclass(frozen=True)
class Dialect:
    """delimiter: one ASCII character; quote: one ASCII character, or "" where nothing is quoted;
    newline: what ends a line.
    """

    delimiter: str = ","
    quote: str = '"'
    newline: str = "\n"

    @cached_property
    def delimiter_byte(self) -> bytes:
        """The delimiter as it stands in a file."""
        return self.delimiter.encode()

    @cached_property
    def quote_byte(self) -> bytes:
        """The quote as it stands in a file."""
        return self.quote.encode()

    @cached_property
    def _patterns(self) -> tuple[re.Pattern[bytes], re.Pattern[bytes], re.Pattern[bytes]]:
        d, q = re.escape(self.delimiter_byte), re.escape(self.quote_byte)
        inside = b"[^%b]*(?:%b%b[^%b]*)*" % (q, q, q, q)
        end = b"%b(?!%b)" % (q, q)
        field = b"(?:%b%b%b|(?!%b))[^%b]*" % (q, inside, end, q, d)
        complete = re.compile(b"(?:%b%b)*%b" % (field, d, field))
        completes = re.compile(b"%b%b[^%b]*(?:%b%b)*" % (inside, end, d, d, field))
        parts = re.compile(b"(?:%b(%b)%b|(?!%b))([^%b]*)(%b|\\Z)" % (q, inside, end, q, d, d))
        return complete, completes, parts

    def field_pattern(self, columns: int, index: int) -> re.Pattern[bytes]:
        """Matches the whole of a record of so many columns, without its line end, whose quotes all stand in
        regular places; its group is the field with that index, quotes included.
        """
        d, field = re.escape(self.delimiter_byte), self._regular_field
        before, behind = index, columns - 1 - index
        return re.compile(b"(?:%b%b){%d}(%b)(?:%b%b){%d}" % (field, d, before, field, d, field, behind))

    @cached_property
    def _regular_field(self) -> bytes:
        """Pattern of a field whose quotes all stand where a writer puts them: around, and doubled inside."""
        d, q = re.escape(self.delimiter_byte), re.escape(self.quote_byte)
        if not q:
            return b"[^%b\\n]*" % d
        return b"(?:%b[^%b]*(?:%b%b[^%b]*)*%b|[^%b%b\\n]*)" % (q, q, q, q, q, q, q, d)

    @cached_property
    def _record(self) -> re.Pattern[bytes]:
        """A record of such fields, with its line end."""
        d, field = re.escape(self.delimiter_byte), self._regular_field
        return re.compile(b"%b(?:%b%b)*\\r?\\n" % (field, d, field))

    def is_open(self, line: bytes, was_open: bool) -> bool:
        """Whether a quoted field is still open at the end of ``line``, the next line of a record."""
        quote = self.quote_byte
        if not quote or quote not in line:
            return was_open
        pieces = line.split(quote)
        if self._is_regular(pieces, was_open):
            return was_open == (len(pieces) % 2 == 1)
        complete, completes, _ = self._patterns
        return (completes if was_open else complete).fullmatch(line) is None

    def _is_regular(self, pieces: list[bytes], was_open: bool) -> bool:
        """Whether every quote of a line, split at its quotes, stands where a writer puts one: at either end
        of a field or doubled inside. Then counting them tells all, in a fifth of a pattern's time.
        """
        delimiter, last = self.delimiter_byte, len(pieces) - 1
        for i in range(1 if was_open else 0, last + 1, 2):
            piece = pieces[i]
            if not piece:
                continue
            # Between two quotes, outside of fields: a delimiter follows the one and precedes the other.
            if i and not piece.startswith(delimiter) and (i < last or piece not in _LINE_ENDS):
                return False
            if i < last and not piece.endswith(delimiter):
                return False
        return True

    def read(self, record: bytes) -> tuple[list[bytes], bool]:
        """A record without its line end → (the values of its fields, whether a quote stays open)."""
        delimiter, quote = self.delimiter_byte, self.quote_byte
        if not quote or quote not in record:
            return record.split(delimiter), False
        pieces = record.split(quote)
        if len(pieces) % 2 == 0 or not self._is_regular(pieces, False):
            return [value for value, _ in self.spans(record)], self.is_open(record, False)
        values = []
        parts: list[bytes] = []
        last = len(pieces) - 1
        for i, piece in enumerate(pieces):
            if i % 2:
                parts.append(piece)
            elif piece:
                before, *begun = piece.split(delimiter)
                parts.append(before)
                for field in begun:
                    values.append(b"".join(parts))
                    parts = [field]
            elif 0 < i < last:
                parts.append(quote)
        values.append(b"".join(parts))
        return values, False

    def spans(self, record: bytes) -> list[tuple[bytes, bytes]]:
        """A record without its line end → for each field its value and its own bytes, quotes included.

        A record whose last quoted field never closes is read as ``csv`` does: to the end.
        """
        delimiter, quote = self.delimiter_byte, self.quote_byte
        if not quote or quote not in record:
            return [(field, field) for field in record.split(delimiter)]
        parts = self._patterns[2]
        fields = []
        position = 0
        while True:
            match = parts.match(record, position)
            if match is None:  # only an open quote does not match
                raw = record[position:]
                fields.append((raw[1:].replace(quote * 2, quote), raw))
                return fields
            quoted, rest, ended_by = match.groups()
            value = rest if quoted is None else quoted.replace(quote * 2, quote) + rest
            fields.append((value, record[position : match.end(2)]))
            if not ended_by:
                return fields
            position = match.end()

    def field(self, value: bytes) -> bytes:
        """A value as a field, quoted only where it must be.

        Without a quote character a value cannot hold the delimiter or a line end: they become spaces.
        """
        delimiter, quote = self.delimiter_byte, self.quote_byte
        if not (delimiter in value or b"\n" in value or b"\r" in value or (quote and quote in value)):
            return value
        if quote:
            return quote + value.replace(quote, quote * 2) + quote
        for special in (delimiter, b"\r", b"\n"):
            value = value.replace(special, b" ")
        return value

    def line(self, values: Iterable[bytes]) -> bytes:
        """Values → a record, without its line end."""
        return self.delimiter_byte.join(map(self.field, values))

    def cut(self, data: bytes, *, whole: bool = True) -> tuple[list[bytes], list[int]]:
        """A piece that begins where a record does → its records, without their line ends, and where the line
        end of each is over. whole: no more follows, so the last one is complete.
        """
        ends, end = list[int](), 0
        # A pattern needs memory for each pair of quotes in a field.
        is_dense = bool(self.quote_byte) and data.count(self.quote_byte) > len(data) // _DENSE
        while True:
            if not is_dense:
                # One after the other as long as their quotes are regular: the pattern's loop is the fast one.
                # (What re.Scanner is made of: a match begins where the last one ended.)
                pattern: Any = self._record
                ends += [match.end() for match in iter(pattern.scanner(data, end).match, None)]
            end = self._end_of_record(data, ends[-1] if ends else 0)
            if not end:
                break
            ends.append(end)
        starts = [0, *ends]
        records = [data[start : end - 1] for start, end in zip(starts, ends)]
        if whole and starts[-1] < len(data):
            records.append(data[starts[-1] :].removesuffix(b"\n"))
            ends.append(len(data))
        if b"\r" in data:
            records = [record[:-1] if record.endswith(b"\r") else record for record in records]
        return records, ends

    def _end_of_record(self, data: bytes, begin: int) -> int:
        """Where the record ends that begins there, whatever its quotes; 0 where that is not in ``data``."""
        is_open = False
        while end := data.find(b"\n", begin) + 1:
            is_open = self.is_open(data[begin:end], is_open)
            if not is_open:
                return end
            begin = self.next_line(data, end)
        return 0

    def next_line(self, data: bytes, begin: int) -> int:
        """Of the lines from ``begin`` on, inside of a quoted field, where the first one with a quote begins,
        or else the last one.
        """
        until = data.find(self.quote_byte, begin)
        return data.rfind(b"\n", begin, until if until >= 0 else len(data)) + 1 or begin


def strip_newline(line: bytes) -> bytes:
    """A line without the LF, CR LF or CR at its end."""
    if line.endswith(b"\n"):
        line = line[:-1]
    return line[:-1] if line.endswith(b"\r") else line


def sniff(head: bytes, delimiter: str | None = None, quote: str | None = None) -> Dialect:
    """The dialect of a file that begins with ``head`` (without a byte order mark).

    A delimiter is chosen by how many of the first records have as many fields as the header; given
    values are taken as they are.
    """
    lines = head.split(b"\n")[:-1] or [head]
    first_line = lines[0]
    newline = "\r\n" if first_line.endswith(b"\r") else "\n"
    if quote is None:
        quote = "'" if first_line.startswith(b"'") and b'"' not in first_line else '"'
    if delimiter is not None:
        return Dialect(delimiter, quote, newline)

    def fit(candidate: str) -> tuple[float, int]:
        dialect = Dialect(candidate, quote, newline)
        records, _ = dialect.cut(b"\n".join([*lines[: _SNIFFED_RECORDS * 4], b""]), whole=False)
        counts = [len(dialect.spans(record)) for record in records[:_SNIFFED_RECORDS] if record]
        if not counts or counts[0] < 2:
            return (0.0, 0)
        return (counts.count(counts[0]) / len(counts), counts[0])

    best = max(DELIMITERS, key=fit)  # the first of equals: the comma
    return Dialect(best if fit(best) > (0.0, 0) else ",", quote, newline)


def check_character(name: str, value: str | None) -> None:
    """ValueError where an option's value cannot be a delimiter or quote."""
    if value is None or (name == "quote" and value == ""):
        return
    if len(value) != 1 or not value.isascii() or value in "\r\n":
        raise ValueError(f"{name} must be one ASCII character, not {value!r}")
