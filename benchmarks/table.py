"""Markdown tables and percentages, as the pages of the benchmarks show them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path


def markdown_table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], words: Sequence[int] = (0,)
) -> str:
    """Return a table; columns are numbers, except those of ``words``."""
    marks = ["---" if column in words else "---:" for column in range(len(heads))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, marks, *rows))


def percent(share: float) -> str:
    """Return a share of texts as a percentage of two decimals, never rounded up: 0.92676 →
    "92.67".
    """
    # A share of whole texts may lie a hair below its decimal: 0.8888 · 10^4 is 8887.999….
    return f"{math.floor(share * 1e4 + 1e-6) / 100:.2f}"


def write_table(page: Path, name: str, table: str) -> None:
    """Write a table into a page, between ``<!-- NAME -->`` and ``<!-- end of NAME -->``."""
    begin = f"<!-- {name} -->"
    end = f"<!-- end of {name} -->"
    text = page.read_text(encoding="utf-8")
    above, _, rest = text.partition(begin)
    _, found, below = rest.partition(end)
    if not found:
        raise SystemExit(f"error: {page} lacks the lines {begin} and {end}")
    page.write_text(f"{above}{begin}\n{table}\n{end}{below}", encoding="utf-8")
