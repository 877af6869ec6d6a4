"""evaluate --mistakes: what is judged wrongly comes back as labelled data."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from test_cli import run

from edge_lstm import Classifier
from edge_lstm.tables.labelled import read_labelled

TEXTS = [
    "A wonderful film.",
    "Dull!",
    'Said "excellent"\nand left; a perfect café.',
    "=1+1 best film, perfect",
    "great",
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text", "label"], *[[text, "neg"] for text in TEXTS]])
    return path


def test_mistakes_are_read_back_as_labelled_texts_the_surest_first(tmp_path: Path, data: Path) -> None:
    target = tmp_path / "mistakes.csv"
    done = run("evaluate", "-d", str(data), "--mistakes", str(target))
    assert done.returncode == 0, done.stderr
    answers = [(i, p) for i, p in enumerate(Classifier.load().predict(TEXTS), 1) if p.label != "neg"]
    answers.sort(key=lambda item: -item[1].probability)
    with target.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(answers) >= 2
    for row, (number, p) in zip(rows, answers):
        assert row == {
            "row": str(number),
            "label": "neg",
            "guess": p.label,
            "probability": f"{p.probability:.4f}",
            "text": TEXTS[number - 1],
        }
    labelled = read_labelled(target)
    assert (labelled.texts, labelled.labels) == ([row["text"] for row in rows], [("neg",)] * len(rows))


def test_the_mistakes_of_one_model_are_written_and_over_nothing_that_is_read(
    tmp_path: Path, data: Path
) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(Path(Classifier.load().model.path).read_bytes())
    for arguments, says in (
        ([str(model), str(model), "--mistakes", str(tmp_path / "m.csv")], "of one model; name one"),
        ([str(model), "--mistakes", str(data)], "is one of the inputs"),
        (
            [str(model), "--report", str(tmp_path / "r"), "--mistakes", str(tmp_path / "r")],
            "two outputs are one",
        ),
        ([str(model), "--mistakes", str(tmp_path / "m.xlsx")], "give a name that ends in .csv"),
    ):
        done = run("evaluate", *arguments, "-d", str(data))
        assert done.returncode == 1 and says in done.stderr.decode(), done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.csv", "m.onnx"]
