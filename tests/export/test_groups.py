"""Rows of a group, as of one author, are on one side of every split, and figures say so."""

from __future__ import annotations

import random
import string
from pathlib import Path
from typing import Any

import pytest
from cases import named
from commands import command, train
from edge_lstm_export import TextClassifier, TrainingRequest
from made import (
    write_csv,
)

from edge_lstm.errors import DataError

QUICK = TrainingRequest(preset="tiny", teacher="none", epochs=1)
COLUMNS = ("text", "label", "author")


def authors(first: int, count: int, texts: int = 12) -> list[tuple[str, str, str]]:
    """(text, label, author): an author writes of one label, in words of their own.

    Words that all authors use tell the label in seven texts of ten.
    """
    rng = random.Random(first)
    rows = []
    for author in range(first, first + count):
        own = ["".join(rng.choices(string.ascii_lowercase, k=7)) for _ in range(3)]
        label, other = (("good", "bad"), ("bad", "good"))[author % 2]
        for _ in range(texts):
            cue = label if rng.random() < 0.7 else other
            words = [*rng.choices(own, k=2), f"{cue}ness", *rng.choices(["so", "then", "it"], k=3)]
            rng.shuffle(words)
            rows.append((" ".join(words), label, f"author {author}"))
    return rows


def fitted(rows: list[tuple[str, str, str]], *, by_author: bool) -> TextClassifier:
    texts, labels, names = zip(*rows)
    model = TextClassifier("tiny", teacher="none", epochs=1)
    return model.fit(texts, labels, groups=names if by_author else None)


@pytest.fixture(scope="module")
def by_author() -> TextClassifier:
    return fitted(authors(0, 20), by_author=True)


def accuracy(model: TextClassifier) -> float:
    return float(model.report["validation"]["accuracy"])


def test_the_figure_is_that_of_new_authors_only_with_groups(by_author: TextClassifier) -> None:
    texts, labels, _ = zip(*authors(100, 20))
    new = by_author.score(texts, labels)
    alone = fitted(authors(0, 20), by_author=False)
    assert accuracy(alone) > new + 0.2, "rows of the same authors promise too much"
    assert abs(accuracy(by_author) - new) < 0.1
    assert by_author.result_.baseline.scores.micro_f1 < new + 0.1, "the linear model's folds, too"
    assert alone.report["held_out"] == {"validation": "folds"}
    assert by_author.report["held_out"] == {"validation": "group folds"}


def test_the_file_says_what_it_was_judged_by(by_author: TextClassifier) -> None:
    path = by_author.export(Path("m.onnx"), quantize="int8")
    card = command("inspect", "-m", path, "--card").stdout
    assert '"validation": "group folds"' in card
    assert '"group_column": "groups"' in card and '"groups": 20' in card


# --- What cannot be split -------------------------------------------------------------------------


def table(*rows: tuple[str, str]) -> list[tuple[str, str, str]]:
    """(text, label, author) of labels and authors."""
    return [(f"text {i} of it", label, author) for i, (label, author) in enumerate(rows)]


MIXED = table(*((label, author) for label in "ab" for author in "xyz" for _ in range(4)))
# The column of the groups, label and author of each row, and what is said.
REFUSED = """
no such column | autor | ax ay bx by | no column 'autor'; its columns are
one author | author | ax bx | have the same 'author'; name
an author a label | author | ax by | no label has texts of two values of 'author'; name another
the label | label | ax ay bx by | no label has texts of two values of 'label'
a row without | author | ax ay bx by a | row 5: no group in 'author'; fill
"""


@pytest.mark.parametrize(("column", "pairs", "said"), named(REFUSED))
def test_groups_that_cannot_judge_are_refused_in_a_line(column: str, pairs: str, said: str) -> None:
    rows = table(*((pair[0], pair[1:]) for pair in pairs.split() * 6))
    source = write_csv("d.csv", rows, COLUMNS)
    result = train(source, "-o", "m.safetensors", "--group-column", column)
    assert said in result.error
    assert [path.name for path in Path().iterdir()] == ["d.csv"]


def test_files_without_columns_have_no_groups() -> None:
    source = Path("d.txt")
    source.write_text("__label__a x y\n__label__b z\n")
    result = train(source, "--dry-run", "--group-column", "author")
    assert "d.txt is text, which has no columns; leave --group-column out" in result.error
    result = train("imdb", "--dry-run", "--group-column", "author")
    assert "imdb has no columns; leave --group-column out" in result.error


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        (["x"], "there are not 24 groups; give one for each text"),
        ("x" * 24, "there are not 24 groups"),
        ([None, *"x" * 23], "group 0 is None; give a name or a number"),
        ([{"x"}, *"x" * 23], r"group 0 is {'x'}; give"),
    ],
    ids=["too few", "a single text", "missing", "a set"],
)
def test_groups_of_a_program_are_a_value_for_each_text(groups: Any, said: str) -> None:
    texts, labels, _ = zip(*MIXED)
    with pytest.raises(DataError, match=said):
        TextClassifier().fit(texts, labels, groups=groups)


# --- The plan -------------------------------------------------------------------------------------


def test_there_are_no_more_folds_than_groups() -> None:
    two = table(*((label, author) for label in "ab" for author in "xy" for _ in range(6)))
    source = write_csv("d.csv", two, COLUMNS)
    said = " ".join(train(source, "--group-column", "author", "--dry-run").stdout.split())
    assert "validation.folds 2 (2 groups are too few" in said


def test_a_label_of_one_author_is_said_to_be_judged_by_none() -> None:
    source = write_csv("d.csv", [*MIXED, *table(*[("rare", "x")] * 4)], COLUMNS)
    said = " ".join(train(source, "--group-column", "author", "--dry-run").stderr.split())
    assert "rare has texts of only one 'author', so no other can judge it" in said


def test_the_plan_shows_the_groups_and_runs_with_them_alone() -> None:
    source = write_csv("d.csv", authors(0, 12), COLUMNS)
    grouped = (source, "--group-column", "author", "--dry-run")
    said = " ".join(train(*grouped, "--teacher", "none").stdout.split())
    assert "validation.group_column author (12 groups)" in said
    plan = Path("plan.json")
    plan.write_text(train(*grouped, "--teacher", "none", "--json").stdout)
    refused = train(source, "--plan", plan, "--dry-run").error
    said = "the plan has the groups 'author', the data have none; give --group-column 'author'"
    assert said in refused
    assert train(*grouped, "--plan", plan).returncode == 0
