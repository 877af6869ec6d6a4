"""Write the engine's Unicode tables from this Python's: python tests/engine/unicode_table.py

The engine then lower-cases as this Python's str.lower() does.
"""

import unicodedata
from collections.abc import Iterator
from itertools import groupby, pairwise
from pathlib import Path
from textwrap import wrap

SOURCE = Path(__file__).parents[2] / "engine" / "edge_lstm.c"
BEGIN, END = "/* unicode_table.py writes from here */\n", "/* to here */\n"
EVERY = [chr(c) for c in range(0x110000)]


def lower_ranges() -> Iterator[tuple[int, int, int, int]]:
    """(first, count, step, distance): count letters, each the step-th, whose lower case is that far away."""
    moved = {
        ord(c): ord(c.lower()) - ord(c) for c in EVERY if len(c.lower()) == 1 and c != c.lower()
    }
    while moved:
        first, distance = next(iter(moved.items()))
        step = 1 if moved.get(first + 1) == distance else 2
        count = 0
        while moved.get(first + count * step) == distance:
            del moved[first + count * step]
            count += 1
        yield first, count, step, distance


def around_sigma(c: str) -> int:
    """What a character is to a capital sigma behind it: 2 passed over, 1 a cased letter, 0 neither."""
    if (c + "Σ").lower().endswith("ς"):
        return 1
    return 2 if ("A" + c + "Σ").lower().endswith("ς") else 0


def digits(number: int) -> str:
    """A number in digits of five bits, the highest first, with 32 more on the last, as characters from ?."""
    text = chr(63 + (number & 31 | 32))
    while number := number >> 5:
        text = chr(63 + (number & 31)) + text
    return text


def table() -> str:
    """The C source of both tables."""
    ranges = list(lower_ranges())
    assert all(a[0] < b[0] for a, b in pairwise(ranges)), "ranges overlap"
    runs = [4 * len(list(run)) + kind for kind, run in groupby(map(around_sigma, EVERY))]
    lower = ", ".join(f"{first << 8 | s - 1 << 7 | n - 1},{d}" for first, n, s, d in ranges)
    assert all(count <= 128 for _, count, _, _ in ranges), "more than 7 bits"
    version, indent = unicodedata.unidata_version, " " * 4
    source = f"/* Of Unicode {version}. A range: first letter << 8 | step - 1 << 7 | count - 1; "
    source += "distance. */\nstatic const int32_t LOWER[] = {\n"
    source += "\n".join(wrap(lower, 120, initial_indent=indent, subsequent_indent=indent))
    text = "".join(map(digits, runs))
    assert "??" not in text, "it might be a trigraph"
    lines = [text[i : i + 112].replace("\\", "\\\\") for i in range(0, len(text), 112)]
    quoted = "\n".join('    "' + line.replace('"', '\\"') + '"' for line in lines)
    return f"{source}}};\nstatic const char AROUND_SIGMA[] =\n{quoted};\n"


if __name__ == "__main__":
    before, rest = SOURCE.read_text(encoding="utf-8").split(BEGIN)
    SOURCE.write_text(before + BEGIN + table() + END + rest.split(END)[1], encoding="utf-8")
