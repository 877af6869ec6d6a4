"""Write the Unicode tables of edge_lstm.c from this Python: lower case, and what is around a sigma.

    python engine/unicode_table.py          rewrite the block between the marks
    python engine/unicode_table.py --print  only print it

The engine then lower-cases as str.lower() of the Python that wrote the table; Unicode's version is beside it.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterator
from itertools import groupby, pairwise
from pathlib import Path

SOURCE = Path(__file__).with_name("edge_lstm.c")
BEGIN, END = "/* unicode_table.py writes from here */\n", "/* to here */\n"
MOST = 1024  # code points in one entry: ten bits
CODE_POINTS = [*range(0xD800), *range(0xE000, 0x110000)]


def lower_ranges() -> Iterator[tuple[int, int, int, int]]:
    """(first, count, step, distance): count letters, each the step-th, whose lower case is that far away."""
    letters = {c: ord(chr(c).lower()) - c for c in CODE_POINTS if len(chr(c).lower()) == 1}
    moved = {c: distance for c, distance in letters.items() if distance}
    done: set[int] = set()
    for first, distance in moved.items():
        if first in done:
            continue
        step = 1 if moved.get(first + 1) == distance else 2
        count = 1
        while moved.get(first + count * step) == distance and count < MOST:
            count += 1
        done |= {first + k * step for k in range(count)}
        yield first, count, step, distance


def sigma_class(code_point: int) -> int:
    """What a code point is to a capital sigma behind it: 2 passed over, 1 a cased letter, 0 neither."""
    if 0xD800 <= code_point < 0xE000:
        return 0
    character = chr(code_point)
    if (character + "Σ").lower().endswith("ς"):
        return 1
    return 2 if ("A" + character + "Σ").lower().endswith("ς") else 0


def class_runs() -> str:
    """The classes of all code points in a row: of each run 4 * its length + its class, in digits of five
    bits, the highest first, as characters from "?" on; 32 more for a number's last digit."""
    text = ""
    for kind, run in groupby(range(0x110000), key=sigma_class):
        number = 4 * sum(1 for _ in run) + kind
        digits = [number & 31 | 32]
        while number := number >> 5:
            digits.insert(0, number & 31)
        text += "".join(chr(63 + digit) for digit in digits)
    assert "??" not in text, "it might be a trigraph"
    return text


def table() -> str:
    """The C source of both tables."""
    ranges = sorted(lower_ranges())
    assert all(a[0] + a[1] * a[2] <= b[0] + a[2] - 1 for a, b in pairwise(ranges)), "ranges overlap"
    lower = [f"{{0x{f << 11 | s - 1 << 10 | n - 1:x}, {d}}}" for f, n, s, d in ranges]
    return (
        f"/* Of Unicode {unicodedata.unidata_version}. "
        "Bits of a range: first code point (21), step - 1 (1), count - 1 (10). */\n"
        "static const struct { uint32_t range; int32_t distance; } LOWER[] = {\n"
        + _wrapped(lower)
        + "};\n/* What each code point is to a capital sigma: of each run 4 * its length + NEITHER, CASED or "
        "PASSED_OVER, in digits of\n * five bits, the highest first, as characters from ? on; 32 more for a "
        "number's last digit. */\nstatic const char AROUND_SIGMA[] =\n" + _quoted(class_runs()) + ";\n"
    )


def _quoted(text: str) -> str:
    escaped = [text[i : i + 112].replace("\\", "\\\\") for i in range(0, len(text), 112)]
    return "\n".join(f'    "{line}"' for line in escaped)


def _wrapped(entries: list[str]) -> str:
    lines, line = [], "   "
    for entry in entries:
        if len(line) + len(entry) > 118:
            lines.append(line)
            line = "   "
        line += f" {entry},"
    return "\n".join([*lines, line]) + "\n"


def main() -> None:
    """Rewrite the block."""
    if "--print" in sys.argv[1:]:
        sys.stdout.write(table())
        return
    text = SOURCE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    SOURCE.write_text(before + BEGIN + table() + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
