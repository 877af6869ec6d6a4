"""How many rows a training needs: the table of rows.md, and results/rows.svg.

    python -m benchmarks.rows

It draws results/rows.jsonl, whose runs are those of ``python -m benchmarks.public_sets SET:ROWS …
--results benchmarks/results/rows.jsonl --teachers svm default``.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.public_sets import SVM, Cell, Figures, load
from benchmarks.sets import ALL
from benchmarks.table import markdown_table, write_table

RESULTS = Path(__file__).parent / "results" / "rows.jsonl"
PAGE = Path(__file__).with_suffix(".md")
# Set → its name, and all of its rows.
SETS = {
    "cr": ("Customer reviews, 2 labels", 3_016),
    "sms_spam": ("SMS spam, 2 labels", 4_459),
    "tweeteval_emotion": ("Tweets, 4 emotions", 3_257),
    "trec6": ("Questions, 6 labels", 5_452),
    "banking77": ("BANKING77, 77 labels", 10_003),
    "clinc150": ("CLINC150, 150 labels", 15_000),
}
TOOLS = ("`small`", "linear SVM")
Means = Mapping[int, Mapping[str, float]]  # rows → tool → mean accuracy of the seeds, in %
WIDTH = 300
HEIGHT = 190
LEFT = 34
TOP = 24
ROWS = (20, 100, 500, 2_000, 5_000)
SHARES = (20, 40, 60, 80, 100)
# The colours of the tools; then of words and lines, where a page is light and where it is dark.
STYLE = """
text { font: 12px sans-serif; fill: #24303c } .small { font-size: 10px }
.end { text-anchor: end } .middle { text-anchor: middle }
path, line { fill: none; stroke: #8884 } .t0 { stroke: #2f8f5b; fill: #2f8f5b }
.t1 { stroke: #d9772b; fill: #d9772b }
path.t0, path.t1 { fill: none; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
  text { fill: #dde3ea } .t0 { stroke: #55c488; fill: #55c488 }
  .t1 { stroke: #f0a060; fill: #f0a060 }
}
"""


def means(runs: Mapping[Cell, Figures], name: str) -> Means:
    """Return the points of a set."""
    found: dict[int, dict[str, list[float]]] = {}
    for cell, run in runs.items():
        if cell.set == name:
            tool = TOOLS[cell.teacher == SVM]
            rows = SETS[name][1] if cell.rows == ALL else int(cell.rows)
            found.setdefault(rows, {}).setdefault(tool, []).append(100 * run.accuracy)
    return {
        rows: {tool: statistics.mean(shares) for tool, shares in found[rows].items()}
        for rows in sorted(found)
    }


def place(rows: float, share: float) -> tuple[float, float]:
    """Return x and y in a panel: rows logarithmic, shares in %."""
    across = math.log(rows / ROWS[0]) / math.log(ROWS[-1] / ROWS[0])
    up = (share - SHARES[0]) / (SHARES[-1] - SHARES[0])
    return LEFT + across * (WIDTH - LEFT - 12), TOP + (1 - up) * (HEIGHT - TOP - 24)


def panel(title: str, points: Means) -> Iterator[str]:
    """Yield the elements of a set's panel."""
    yield f'<text x="{LEFT}" y="14">{title}</text>'
    for share in SHARES:
        x, y = place(ROWS[0], share)
        yield f'<line x1="{x:.0f}" x2="{WIDTH - 12}" y1="{y:.0f}" y2="{y:.0f}"/>'
        yield f'<text class="small end" x="{x - 6:.0f}" y="{y + 4:.0f}">{share}</text>'
    for rows in ROWS:
        x, y = place(rows, SHARES[0])
        yield f'<text class="small middle" x="{x:.0f}" y="{y + 15:.0f}">{rows:,}</text>'
    for number, tool in enumerate(TOOLS):
        drawn = [place(min(rows, ROWS[-1]), each[tool]) for rows, each in points.items()]
        corners = " L ".join(f"{x:.1f} {y:.1f}" for x, y in drawn)
        yield f'<path class="t{number}" d="M {corners}"/>'
        yield from (
            f'<circle class="t{number}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in drawn
        )


def drawing(sets: Mapping[str, Means]) -> str:
    """Return the picture of all sets as SVG, three panels in a line."""
    size = f"{3 * WIDTH} {2 * HEIGHT + 28}"
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}"><style>{STYLE}</style>']
    for number, tool in enumerate(TOOLS):
        x = LEFT + 190 * number
        parts.append(f'<circle class="t{number}" cx="{x}" cy="12" r="5"/>')
        parts.append(f'<text x="{x + 10}" y="16">{tool.replace("`", "")}</text>')
    for number, (name, points) in enumerate(sets.items()):
        at = f"{WIDTH * (number % 3)} {28 + HEIGHT * (number // 3)}"
        parts += [f'<g transform="translate({at})">', *panel(SETS[name][0], points), "</g>"]
    return "\n".join([*parts, "</svg>\n"])


def main() -> None:
    """Write the table and the picture."""
    runs = load(RESULTS)
    sets = {name: means(runs, name) for name in SETS}
    lines = [
        [SETS[name][0], f"{rows:,}", *(f"{each[tool]:.1f}" for tool in TOOLS)]
        for name, points in sets.items()
        for rows, each in points.items()
    ]
    table = markdown_table(("set", "rows", *TOOLS), lines)
    write_table(PAGE, "benchmarks.rows", table)
    RESULTS.with_suffix(".svg").write_text(drawing(sets), encoding="utf-8")
    print(table)


if __name__ == "__main__":
    main()
