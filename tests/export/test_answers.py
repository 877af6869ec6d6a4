"""Answers as they come: typed questions, confidences, distributions."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import rows
from commands import command, train
from edge_lstm_export import TextClassifier
from edge_lstm_export.train.data.training_data import smoothed
from edge_lstm_export.train.plan.stats import dataset_stats
from edge_lstm_export.train.sources.dataset import Dataset
from edge_lstm_export.train.sources.memory import dataset_from
from edge_lstm_export.train.sources.warnings import checked
from made import (
    FILLERS,
    read,
    write,
    write_csv,
)

from edge_lstm.errors import DataError
from edge_lstm.evaluation.sources import load_labelled

QUICK: dict[str, Any] = {"preset": "tiny", "teacher": "none", "epochs": 1}


def graded(count: int, levels: int = 5, names: list[str] | None = None) -> list[tuple[str, str]]:
    """(text, label): a text of a level has words of the level and of its neighbours."""
    rng = random.Random(0)
    made = []
    for i in range(count):
        level = i % levels
        near = [min(max(level + rng.choice((-1, 0, 0, 1)), 0), levels - 1) for _ in range(4)]
        words = [f"word{each}" for each in near] + rng.choices(FILLERS, k=3)
        made.append((" ".join(words), names[level] if names else str(level)))
    return made


def refused(text: str, suffix: str, *options: str) -> str:
    """The line that a file of such data gets."""
    path = write(f"rows{suffix}", text)
    return train(path, "--dry-run", *options).error


def dataset_of(rows: list[tuple[str, str]]) -> Dataset:
    return dataset_from([text for text, _ in rows], [label for _, label in rows])


# --- The type of the question ---------------------------------------------------------------------


QUESTIONS = """
0 1 | yes_no
FALSE TRUE | yes_no
1 2 | choice
0.5 1 1.5 | choice
1 2 n/a | choice
a b | choice
"""


@pytest.mark.parametrize(("labels", "question"), rows(QUESTIONS))
def test_the_labels_tell_the_type_of_a_question(labels: str, question: str) -> None:
    rows = [(f"text {i}", label) for i, label in enumerate(labels.split() * 3)]
    assert dataset_stats(dataset_of(rows)).question == question


READ_AS_NAMES = "read as names of classes: if they are a scale, give --question score"


@pytest.mark.parametrize(
    ("labels", "options", "is_noted"),
    [
        ("1 2 3", (), True),
        ("1 2 3", ("--question", "choice"), False),
        ("1 2 3", ("--question", "score"), False),
        ("1 2", (), False),
        ("1 1.0 2", (), False),
        ("1 2 n/a", (), False),
    ],
)
def test_a_note_says_that_numbers_are_read_as_names(
    labels: str, options: tuple[str, ...], is_noted: bool
) -> None:
    rows = [(f"text {i}", label) for i, label in enumerate(labels.split() * 4)]
    source = write_csv("rows.csv", rows)
    said = " ".join(train(source, "--dry-run", "--preset", "seed", *options).stderr.split())
    assert (READ_AS_NAMES in said) == is_noted


UNFIT = """
1 2 n/a | score | the labels of a score must be numbers, and n/a is not one
1 1.0 2 | score | the labels 1 and 1.0 are the same number
a b | yes_no | the labels of a yes/no question are yes and no
1 2 3 | rank | question must be one of choice, yes_no, score
"""


@pytest.mark.parametrize(("labels", "question", "error"), rows(UNFIT))
def test_labels_that_do_not_fit_the_type_are_one_error(
    labels: str, question: str, error: str
) -> None:
    rows = [(f"text {i}", label) for i, label in enumerate(labels.split() * 4)]
    source = write_csv("rows.csv", rows)
    assert error in train(source, "--dry-run", "--question", question).error


def test_numbers_and_words_mixed_are_noted() -> None:
    rows = [(f"text {i}", label) for i, label in enumerate(["1", "2", "3", "none"] * 3)]
    assert any("none is not a number" in said for said in checked(dataset_of(rows)).warnings)


def test_neighbours_get_a_share_of_a_target() -> None:
    found = smoothed(np.eye(3, dtype=np.float32), (1.0, 10.0, 2.0))
    assert np.allclose(found, [[0.8, 0, 0.2], [0, 0.8, 0.2], [0.1, 0.1, 0.8]])


def test_a_score_goes_from_labels_to_a_number() -> None:
    source = write_csv("rows.csv", graded(200), ("text", "stars"))
    checkpoint = Path("stars.safetensors")
    model = Path("stars.onnx")
    options = ("--preset", "tiny", "--teacher", "none", "--epochs", "1", "--question", "score")
    assert train(source, "-o", checkpoint, *options).returncode == 0
    assert command("export", checkpoint, "-o", model, "--quantize", "int8").returncode == 0
    assert json.loads(command("inspect", "--json", "-m", model).stdout)["question"] == {
        "type": "score"
    }
    result = json.loads(command("evaluate", source, "-m", model, "--json").stdout)["models"][0]
    assert result["score"]["mae"] < 0.8
    low, high = (
        float(command("predict", "-m", model, f"word{level} word{level}").stdout.split("\t")[0])
        for level in (0, 4)
    )
    assert low < 1.5 < 2.5 < high


# --- Confidences and distributions ----------------------------------------------------------------


def test_a_confidence_leaves_the_rest_to_the_other_labels() -> None:
    text = "text,label,sure\none,a,0.7\ntwo,b,\nthree,c,1\nfour,a,0\n"
    table = write("rows.csv", text)
    train_split = read(table, confidence_column="sure").train
    wanted = [[0.7, 0.15, 0.15], [0, 1, 0], [0, 0, 1], [0, 0.5, 0.5]]
    assert np.allclose(train_split.targets, wanted)
    assert train_split.counts() == [2, 1, 1]
    certain = read(write(table, text.replace("0.7", "1").replace("a,0\n", "a,1\n")))
    assert certain.train.shares is None


def test_a_label_may_be_a_distribution() -> None:
    first = '{"text": "one", "label": {"a": 0.25, "b": 0.75}}\n'
    lines = f'{first}{{"text": "two", "label": "c"}}\n'
    split = read(write("rows.jsonl", lines)).train
    assert np.allclose(split.targets, [[0.25, 0.75, 0], [0, 0, 1]])
    assert split.counts() == [0, 1, 1]
    cell = 'text,label\none,"{""a"": 0.25, ""b"": 0.7501}"\ntwo,c\n'
    table = read(write("rows.csv", cell))
    assert np.allclose(table.train.targets, split.targets, atol=1e-3)
    labelled = load_labelled(str(Path("rows.jsonl")))
    assert labelled.labels == [("b",), ("c",)]


@pytest.mark.parametrize(
    ("suffix", "confidence"),
    [
        *((".csv", each) for each in ("nan", "2", "-0.1", "high", "0x1")),
        *((".jsonl", each) for each in ("NaN", "true", '"much"', "{}")),
    ],
)
def test_a_confidence_that_is_none_is_one_error(suffix: str, confidence: str) -> None:
    table = f'text,label,sure\none,a,0.5\ntwo,b,"{confidence}"\n'
    lines = f'{{"text": "one", "label": "a", "sure": {confidence}}}\n' * 2
    content = table if suffix == ".csv" else lines
    said = refused(content, suffix, "--confidence-column", "sure")
    assert f"rows{suffix} row " in said and "not a number from 0 to 1" in said


DISTRIBUTIONS = """
{"a": 0.5, "b": 0.2} | probabilities that add up to 0.7, not 1
{"a": 0.7, "b": 0.401} | add up to 1.101, not 1
{"a": 0.7, "b": 0.199} | add up to 0.899, not 1
{"a": -0.5, "b": 1.5} | to numbers from 0 to 1
{"a": 0.5, " a": 0.5} | does not map different labels
{"": 1} | does not map different labels
{"a": true} | to numbers from 0 to 1
"""


@pytest.mark.parametrize(("label", "reason"), rows(DISTRIBUTIONS))
def test_a_distribution_that_is_none_is_one_error(label: str, reason: str) -> None:
    rows = f'{{"text": "one", "label": "a"}}\n{{"text": "two", "label": {label}}}\n'
    said = refused(rows, ".jsonl")
    assert "rows.jsonl row 2: 'label' holds" in said and reason in said


def test_distributions_that_people_rounded_are_scaled_and_counted() -> None:
    rounded = [{"a": 0.5, "b": 0.4}, {"a": 0.6, "b": 0.5}, {"a": 0.66, "b": 0.297}]
    exact = [{"a": 0.5, "b": 0.5}, {"b": 1}, {"a": 0.3334, "b": 0.6665}]
    labels = rounded + exact
    lines = [{"text": f"text {i}", "label": label} for i, label in enumerate(labels)]
    Path("rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    note = "probabilities that add up to 0.9 to 1.1, not 1, in 3 of 6 rows: they are scaled"
    done = train("rows.jsonl", "--dry-run")
    assert f"rows.jsonl: {note}" in " ".join(done.stdout.split() + done.stderr.split())
    texts = [str(line["text"]) for line in lines]
    matrix = np.array([[label.get(name, 0.0) for name in "ab"] for label in labels])
    for given in (labels, matrix):
        dataset = dataset_from(texts, given)
        assert dataset.warnings == (f"texts: {note}",)
        assert np.allclose(dataset.train.targets[0], [5 / 9, 4 / 9])
        assert np.allclose(dataset.train.targets.sum(axis=1), 1)


COLUMNS = """
--confidence-column none | has no column 'none'
--confidence-column label | 'label' cannot be the confidence too
--confidence-column sure --label-separator ; | one label per text
--confidence-column sure --confidence-column sure | as many
--label-column label --label-column x --confidence-column x | as many
"""


@pytest.mark.parametrize(("options", "error"), rows(COLUMNS))
def test_a_confidence_column_that_cannot_be_is_one_error(options: str, error: str) -> None:
    columns = ("text", "label", "sure", "x")
    source = write_csv("rows.csv", ["oa1c", "tb1d"], columns)
    assert error in train(source, "--dry-run", *options.split()).error


def test_a_program_gives_distributions_as_dicts_or_a_matrix() -> None:
    texts = ["one", "two", "three"]
    dicts = [{"b": 0.75, "a": 0.25}, {"c": np.float32(1)}, {"a": 0.5, "b": 0.5}]
    matrix = np.array([[0.25, 0.75, 0], [0, 0, 1], [0.5, 0.5, 0]])
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(matrix, columns=["a", "b", "c"])
    for given in (dicts, frame):
        dataset = dataset_from(texts, given)
        assert dataset.labels == ("a", "b", "c") and not dataset.multi_label
        assert np.allclose(dataset.train.targets, matrix)
        assert dataset.train.counts() == [1, 1, 1]
    assert dataset_from(texts, matrix).labels == ("0", "1", "2")
    assert dataset_from(texts, matrix).digest != dataset_from(texts, np.eye(3)).digest


@pytest.mark.parametrize(
    ("labels", "error"),
    [
        ([{"a": 0.5, "b": 0.2}, {"a": 1.0}], "label 0 holds probabilities that add up to 0.7"),
        ([{"a": 1.0}, "b"], "label 0 holds a dict"),
        (np.array([[0.5, 0.2], [0.0, 1.0]]), "not in each row probabilities"),
        (np.array([[-0.5, 1.5], [0.0, 1.0]]), "label 0 holds an object"),
        (np.array([[1, 2], [0, 1]]), "values other than 0 and 1"),
        (np.zeros((2, 2)), "no labelled"),
    ],
)
def test_distributions_of_a_program_are_checked(labels: Any, error: str) -> None:
    with pytest.raises(DataError, match=error):
        TextClassifier(**QUICK).fit(["one", "two"], labels)


def test_what_is_learnt_is_the_distribution() -> None:
    rng = random.Random(1)
    said = {"wave": {"sea": 0.7, "shop": 0.3}, "till": {"sea": 0.4, "shop": 0.6}}
    words = rng.choices([*said], k=120)
    texts = [" ".join([word, *rng.choices(FILLERS, k=4)]) for word in words]
    model = TextClassifier(**QUICK).fit(texts, [said[word] for word in words])
    sea = model.predict_proba(["wave", "till"])[:, model.classes_.tolist().index("sea")]
    assert sea == pytest.approx([0.7, 0.4], abs=0.1)
