"""The documents and the code use the field's words: retired ones do not come back."""

from __future__ import annotations

import ast
import io
import re
import tokenize
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


# Turns that a reader solves rather than reads: a condition that is called a place, a noun that a
# pronoun keeps back, a sentence without a verb.
TURNS = re.compile(
    r"\bwhere (?:it|there|a|an|the|no|none|they|that|this|these|labels|texts|rows)\b"
    r"|\b(?:what|which|who(?:ever)?) (?:is|are|of|it|they|holds|has)\b"
    r"|\b(?:Error|None|empty|false|true) where\b|\b(?:those|that) (?:that|which|of)\b"
    r"|\b(?:is|are) (?:none|no)\b|\bso many\b|(?:^|\. )Of [a-z]|\bin the place of\b|\bbeside\b"
)
# How many docstrings and comments have one. These numbers only fall.
DOCSTRINGS_WITH_TURNS = 4
COMMENTS_WITH_TURNS = 5
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def test_docstrings_and_comments_have_no_more_turns_of_our_own() -> None:
    docstrings = []
    comments = []
    for path in CODE:
        name = path.relative_to(ROOT)
        source = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, DOCUMENTED):
                text = " ".join((ast.get_docstring(node) or "").split())
                if TURNS.search(text):
                    docstrings.append(f"{name}: {text[:80]}")
        comments += [
            f"{name}:{token.start[0]}: {token.string}"
            for token in tokenize.generate_tokens(io.StringIO(source).readline)
            if token.type == tokenize.COMMENT and TURNS.search(token.string)
        ]
    assert len(docstrings) <= DOCSTRINGS_WITH_TURNS, "\n".join(docstrings)
    assert len(comments) <= COMMENTS_WITH_TURNS, "\n".join(comments)


# The turns that readers of the documents stumbled over most often.
TURNS_OF_PAGES = re.compile(r"\bbeside\b|\b[Ii]n (?:the )?place of\b|\bso many\b|\bas whose\b")
LINES_WITH_TURNS = 5  # only falls


def test_pages_have_no_more_turns_of_our_own() -> None:
    found = lines_with(TURNS_OF_PAGES, [*PAGES, *(ROOT / "benchmarks").glob("*.md")])
    assert len(found) <= LINES_WITH_TURNS, "\n".join(found)
