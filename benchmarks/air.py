"""Where the bytes of model files are, and what `xz -9e` makes of each part.

    python -m benchmarks.air FILE...

A part that xz makes much smaller has air: a closer form would say the same.
"""

from __future__ import annotations

import lzma
import sys
from collections import Counter
from pathlib import Path

from benchmarks.table import markdown_table
from edge_lstm.core import onnx_file
from edge_lstm.core.modelfile import KEY_VOCABULARY

# The beginnings of constants' names.
CONSTANTS = {
    "embedding": "words' vectors",
    "lstm": "LSTM",
    "ngram_vectors": "n-grams' vectors",
    "pair": "pairs' index",
}
VOCABULARY = "vocabulary"
METADATA = "other metadata"
GRAPH = "graph and head"
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]


def packed(data: bytes) -> int:
    """Return the bytes of data as xz stores it, without xz's own header."""
    return len(lzma.compress(data, lzma.FORMAT_RAW, filters=FILTERS))


def parts(path: Path) -> dict[str, tuple[int, int]]:
    """Return the bytes of each part and of the file, first as stored, then in xz."""
    data = path.read_bytes()
    file = onnx_file.parse(data)
    stored: Counter[str] = Counter()
    small: Counter[str] = Counter()

    def add(part: str, values: bytes) -> None:
        stored[part] += len(values)
        small[part] += packed(values)

    for name, constant in onnx_file.parse_graph(file.graph).constants.items():
        for start, part in CONSTANTS.items():
            if name.startswith(start):
                add(part, bytes(constant.raw))
    add(VOCABULARY, file.metadata[KEY_VOCABULARY].encode())
    others = [value for key, value in file.metadata.items() if key != KEY_VOCABULARY]
    add(METADATA, "".join(others).encode())
    whole = packed(data)
    # What is left, so that the parts add up to the file.
    stored[GRAPH] = len(data) - stored.total()
    small[GRAPH] = max(0, whole - small.total())
    order = [*CONSTANTS.values(), VOCABULARY, METADATA, GRAPH]
    found = {part: (stored[part], small[part]) for part in order}
    return {**found, "file": (len(data), whole)}


def main() -> None:
    """Print a table, with a column for each file."""
    paths = [Path(name) for name in sys.argv[1:]]
    if not paths:
        sys.exit("usage: python -m benchmarks.air FILE...")
    columns = [parts(path) for path in paths]
    rows = [
        [part, *(f"{size:,} ({xz:,})" for size, xz in (column[part] for column in columns))]
        for part in columns[0]
    ]
    shares = (1 - xz / size for size, xz in (column["file"] for column in columns))
    rows.append(["air", *(f"{share:.1%}" for share in shares)])
    print(markdown_table(["bytes (with xz)", *(path.stem for path in paths)], rows))


if __name__ == "__main__":
    main()
