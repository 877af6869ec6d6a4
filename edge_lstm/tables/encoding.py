"""Which encoding a file seems to have that is not UTF-8, and the command that converts it.

The page that classifies (live_page/page.html) refuses the same files.
"""

from __future__ import annotations

import codecs
import re
import shlex
from pathlib import Path

from edge_lstm.errors import DataError
from edge_lstm.tables.schema import BOM, STDIN, Source

WESTERN = "WINDOWS-1252"  # of Excel's CSV in western Europe and America; latin-1 is a part of it
_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SAMPLE_BYTES = 200
# A file as a whole is in another encoding from so many lines and such a share of them on; fewer are
# bad rows.
_FEWEST_LINES, _LEAST_SHARE = 2, 0.01
_LEAST_TO_VALID = 10  # lines that are not UTF-8 for each that is, and has more than ASCII
_MOST_WESTERN = 0.4  # share of bytes beyond ASCII in lines of a western language, short ones too
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
# bytes beyond ASCII from which on an unknown encoding is one, not bytes of no text
_FEWEST_LETTERS = 16
# Bytes that stand in WINDOWS-1252 for nothing, or for a sign that is rare in texts; and their
# largest share.
_RARE = re.compile(
    rb"[\x81\x83\x86-\x88\x8d\x8f\x90\x98\x9d\xa4\xa6\xa8\xac\xad\xaf\xb8\xd7\xf7\xff]"
)
_MOST_RARE = 0.1
_IN_WORD = re.compile(rb"[A-Za-z][\x80-\xff]|[\x80-\xff][A-Za-z]")
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")


def check_text(source: Source, head: bytes) -> None:
    """Raise DataError if the beginning of an input is no text in UTF-8, with its encoding as it
    seems and the command that converts it. A few lines that are not UTF-8 are bad rows, not the end
    of the run."""
    if head.startswith(b"\x1f\x8b"):
        hint = (
            "decompress it once"
            if source.is_gzip
            else f"name it {source.path}.gz, or decompress it"
        )
        if source.path == STDIN:
            hint = "decompress it with: gunzip -c FILE | edge-lstm …"
        raise DataError(f"{source.name} is {'twice ' * source.is_gzip}compressed (gzip); {hint}")
    zeros = head[:_SAMPLE_BYTES].count(0)
    if head.startswith(_UTF_16_MARKS) or zeros > max(3, len(head[:_SAMPLE_BYTES]) // 5):
        raise DataError(_not_8_bit(source, head))
    encoding = None if head.startswith(BOM) else _of_lines(head)
    if encoding == WESTERN:
        how = conversion(source, encoding)
        raise DataError(
            f"{source.name} is not UTF-8 but, as it seems, {encoding}; convert it with: {how}"
        )
    if encoding is not None:
        how = conversion(source, "ENCODING")
        names = "WINDOWS-1251, SHIFT_JIS or GB18030"
        raise DataError(
            f"{source.name} is not UTF-8; find its encoding ({names}, …), convert it with: {how}"
        )


def conversion(source: Source, encoding: str) -> str:
    """Return the command that makes UTF-8 of an input."""
    convert = f"iconv -f {encoding} -t UTF-8"
    if source.path == STDIN:
        return convert
    path = Path(source.path)
    if source.is_gzip:
        plain = path.with_suffix("")
        target = plain.with_suffix(f".utf8{plain.suffix}")
        return f"gzip -dc {shlex.quote(source.path)} | {convert} > {shlex.quote(str(target))}"
    target = path.with_suffix(f".utf8{path.suffix}")
    return f"{convert} {shlex.quote(source.path)} > {shlex.quote(str(target))}"


def _not_8_bit(source: Source, head: bytes) -> str:
    """Return what to say of a file with many zero bytes, or a mark of UTF-16."""
    encoding = _wide_encoding(head)
    if encoding is None:
        how = conversion(source, "UTF-16")
        look = "decompress it and look" if source.is_gzip else "look into it"
        return (
            f"{source.name} is UTF-16 or binary, not UTF-8 text; {look}, or convert it with: {how}"
        )
    return (
        f"{source.name} is {encoding}, not UTF-8; convert it with: {conversion(source, encoding)}"
    )


def _wide_encoding(head: bytes) -> str | None:
    """Return UTF-16 or UTF-32, with the order of its bytes if no mark says it; None if it is
    neither."""
    sample = head[:_SAMPLE_BYTES]
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "UTF-32"
    encoding = "UTF-16"
    # of a character of ASCII, the first or the second byte is zero
    if not head.startswith(_UTF_16_MARKS):
        encoding = "UTF-16BE" if sample[::2].count(0) > sample[1::2].count(0) else "UTF-16LE"
    text = sample.decode(encoding, "replace").rstrip("\ufffd")  # the last character may be cut
    is_text = all(c.isprintable() or c.isspace() for c in text)
    return encoding if is_text else None


def _of_lines(head: bytes) -> str | None:
    """Return the encoding of a beginning that is not UTF-8 as a whole, an empty name for an unknown
    one; None if it is UTF-8, but for a few lines."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # its last character may be cut
    except UnicodeDecodeError:
        pass
    else:
        return None
    bad, valid = list[bytes](), 0
    lines = head.split(b"\n")
    for line in lines:
        if line.isascii():
            continue
        try:
            line.decode()
            valid += 1
        except UnicodeDecodeError:
            bad.append(line)
    if len(bad) < max(_FEWEST_LINES, _LEAST_SHARE * len(lines), _LEAST_TO_VALID * valid):
        return None
    text = b"\n".join(bad)
    beyond_ascii = len(_BEYOND_ASCII.findall(text))
    if _CONTROL.search(text):  # bytes of no text
        return None
    rare = len(_RARE.findall(text))
    in_words = sum(_IN_WORD.search(line) is not None for line in bad)
    is_western = beyond_ascii <= _MOST_WESTERN * len(text) and rare <= _MOST_RARE * beyond_ascii
    if is_western and 2 * in_words > len(bad):
        return WESTERN
    return "" if beyond_ascii >= _FEWEST_LETTERS else None
