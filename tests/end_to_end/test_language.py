"""The documents and the code use the field's words: retired ones do not come back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = [
    path for folder in ("edge_lstm", "export") for path in sorted((ROOT / folder).rglob("*.py"))
]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *(ROOT / name for name in ("engine/vectors.md", "tests/README.md")),
    *(ROOT / "docs").rglob("*.md"),
]
COUNTED = (
    "labels?|texts?|tokens?|bytes|instructions|multiplications|µs|ms|mJ|rows?|lines?|documents?"
)
WHOLE = "text|review|token|second|minute|line|run|row"
# "a text" after a count: "per text". Where a verb follows, it is a clause: "how many labels a text
# has".
VERBS = "has|takes|took|may|holds?|had|is|can|gets?|be|was|of"
RETIRED = {
    rf"\b(?:{COUNTED}) an? (?:{WHOLE})\b(?! (?:{VERBS})\b)": "per",
    r"^distrust:": "warning:",
    r"\bnear texts\b": "unlabelled texts",
    r"\bmade texts\b": "augmented texts",
    r"\bnear words\b": "synonyms",
    r"\b(?:torn|surer|taught|lessons?)\b": "the field's word",
    r"\banyone's labels\b": "public data sets",
    r"[`\"'](?:unsure|guess)[`\"']": "abstained, predicted",
    r"^## None of these\b": "Abstention",
}


def lines_with(pattern: re.Pattern[str], paths: Iterable[Path]) -> list[str]:
    """Each line that has the pattern, with its place."""
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in paths
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]


@pytest.mark.parametrize("pattern", RETIRED)
def test_a_retired_word_does_not_come_back(pattern: str) -> None:
    found = lines_with(re.compile(pattern, re.IGNORECASE), [*CODE, *PAGES])
    assert not found, f"write {RETIRED[pattern]!r} instead"
