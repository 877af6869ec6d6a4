"""evaluate: models × labelled texts → metrics that are right, comparisons, files, and errors that
help."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import command, json_of
from hostile import run_here
from model_files import EMBEDDED, SMALL, edited
from table_files import read_rows, write_jsonl

from edge_lstm import Classifier
from edge_lstm.core.text import Tokenizer
from edge_lstm.evaluation.compare import compare
from edge_lstm.evaluation.report import tables
from edge_lstm.evaluation.result import Evaluation, ModelResult, OovRate

MODEL = Classifier.load().model
KNOWN = Tokenizer(("the", "film", "good"))
TEXTS = ["A wonderful film.", "Dull, dull, dull.", "", "好", "bad " * 700, "<b>great</b> & odd"]
LABELS = ["pos", "neg", "pos", "neg", "neg", "pos"]


def write(labels: list[str] = LABELS, texts: list[str] = TEXTS, name: str = "x.jsonl") -> None:
    write_jsonl(name, [{"text": text, "label": label} for text, label in zip(texts, labels)])


def measured(*arguments: str | Path) -> Any:
    """What evaluate says of x.jsonl, by the name of each value."""
    return json_of("evaluate", "x.jsonl", *arguments)


def result(right: list[bool], **changes: Any) -> ModelResult:
    """Predictions for texts whose true label is the first, right or wrong as given."""
    probabilities = np.array([[0.9, 0.1] if r else [0.2, 0.8] for r in right], dtype=np.float32)
    truth = np.array([[True, False]] * len(right))
    values = {"labels": ("a", "b"), "truth": truth, "probabilities": probabilities, **changes}
    return ModelResult(model=MODEL, name="m.onnx", **values)


def test_the_metrics_are_those_of_the_predictions_of_the_classifier(classifier: Classifier) -> None:
    write()
    values = measured()
    (model,) = values["models"]
    predictions = classifier.predict(TEXTS)
    right = sum(p.label == label for p, label in zip(predictions, LABELS))
    assert model["accuracy"] == right / len(TEXTS)
    losses = [-math.log(p.probabilities[label]) for p, label in zip(predictions, LABELS)]
    assert model["log_loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    confusion = np.array(model["confusion"])
    assert confusion.sum() == len(TEXTS) and confusion.trace() == right
    assert values["statuses"] == {"ok": 3, "empty": 1, "unknown_words": 1, "truncated": 1}


def test_models_are_compared_with_the_first_text_by_text() -> None:
    comparison = compare(
        result([True] * 7 + [False] * 3), result([True] * 6 + [False, True, True, True])
    )
    assert (comparison.test.only_first_right, comparison.test.only_second_right) == (1, 3)
    assert (comparison.difference, comparison.micro_f1) == (pytest.approx(0.2),) * 2
    assert comparison.interval.low < 0.2 < comparison.interval.high
    assert comparison.disagreements == 4
    assert comparison.largest_change == pytest.approx(0.7)


def test_columns_follow_the_labels_whatever_their_order_in_the_file() -> None:
    write()
    Path("turned.onnx").write_bytes(edited({"labels": '["pos","neg"]'}))
    straight, other = measured("-m", SMALL, "-m", "turned.onnx")["models"]
    assert other["confusion"] == [row[::-1] for row in straight["confusion"]]


def test_out_of_vocabulary_words_are_counted_over_the_whole_of_every_text() -> None:
    for length in (2, 600):
        model = replace(MODEL, tokenizer=Tokenizer(KNOWN.words, length=length), training={})
        rate = OovRate.of(model, ["The film, unseen and good", "what", "!", ""])
        assert rate.rate == pytest.approx(3 / 6)
        assert OovRate.of(model, ["", "?"]).rate == 0


def test_texts_of_another_kind_are_told_from_those_to_be_expected() -> None:
    texts = ["the film good odd", "good film good film good film good film"]  # 1 of 12 words
    for expected, other_kind in ((0.06, False), (0.03, True), (None, False)):
        training = {"data": {"unknown_words": expected}}
        rate = OovRate.of(replace(MODEL, tokenizer=KNOWN, training=training), texts)
        assert rate.out_of_domain is other_kind
        assert ("add texts like these" in rate.note) is other_kind
    without = replace(MODEL, tokenizer=KNOWN, training={})
    assert OovRate.of(without, ["the film is quite unheard of"]).out_of_domain


def reported(*results: ModelResult) -> Evaluation:
    """An evaluation of these, each compared with the first."""
    first, *others = results
    comparisons = tuple(compare(first, other) for other in others)
    n = len(first.truth)
    return Evaluation(
        data="x",
        texts=("a",) * n,
        statuses={},
        results=results,
        comparisons=comparisons,
        numbers=tuple(range(1, n + 1)),
    )


@pytest.mark.parametrize("labels", [2, 4, 30])
def test_labels_that_make_no_matrix_for_a_terminal_show_the_most_frequent_confusions_first(
    labels: int,
) -> None:
    names = tuple(f"the label number {i}" for i in range(labels))
    every = np.eye(labels, dtype=np.float32)
    truth = every[[0, 1, 1, 1]] > 0
    model = result([True], labels=names, truth=truth, probabilities=every[[1, 0, 0, 1]])
    found = [table for table in tables(reported(model)) if "confusions" in table.title]
    expected = [(names[1], names[0], 2), (names[0], names[1], 1)]
    assert [table.rows for table in found] == ([expected] if labels > 2 else [])


@pytest.mark.parametrize(("worse", "verdict"), [(5, "no significant"), (6, "a significant")])
def test_a_difference_is_significant_if_its_test_says_so(worse: int, verdict: str) -> None:
    better = result([True] * 20)
    evaluation = reported(better, result([True] * (20 - worse) + [False] * worse))
    *_, comparison = tables(evaluation)
    assert any(f"{verdict} difference" in str(row) for row in comparison.rows)


def test_mistakes_are_read_back_as_labelled_texts_the_surest_first() -> None:
    texts = [
        "A wonderful film.",
        "Dull!",
        'Said "excellent"\nand left; a perfect café.',
        "=1+1 best",
    ]
    write(["neg"] * 4, texts)
    command("evaluate", "x.jsonl", "--mistakes", "mistakes.csv")
    written = read_rows("mistakes.csv")
    answers = enumerate(zip(texts, Classifier.load().predict(texts)), 1)
    wrong = [(p.probability, i, text) for i, (text, p) in answers if p.label != "neg"]
    assert written == [
        {
            "row": str(i),
            "label": "neg",
            "predicted": "pos",
            "probability": f"{probability:.4f}",
            "text": text,
        }
        for probability, i, text in sorted(wrong, reverse=True)
    ]
    again = json_of("evaluate", "mistakes.csv")
    assert (again["texts"], again["models"][0]["accuracy"]) == (len(written), 0)
    assert len(written) >= 2


def test_the_command_prints_tables_that_fit_a_terminal() -> None:
    write()
    done = run_here(["evaluate", "x.jsonl"])
    assert (done.exit, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == "6 texts of x.jsonl (1 empty, 3 ok, 1 truncated, 1 unknown_words)"
    assert max(map(len, lines)) < 80
    cells = [line.split() for line in lines]
    head = cells.index(["true", "label", "neg", "pos"])
    assert cells[head + 1 : head + 3] == [
        [label, *map(str, row)]
        for label, row in zip(MODEL.labels, measured()["models"][0]["confusion"])
    ]


def test_rows_without_a_label_are_counted_and_the_others_keep_their_numbers() -> None:
    Path("x.csv").write_text("text,label\nfirst,\nA wonderful film.,neg\nDull!,NaN\n")
    done = run_here(["evaluate", "x.csv", "--mistakes", "m.csv"])
    assert done.out.startswith("1 text of x.csv (1 ok); 2 rows without a label left out\n")
    assert Path("m.csv").read_text(encoding="utf-8-sig").splitlines()[1].startswith("2,neg,pos,")


def test_several_models_are_compared_side_by_side() -> None:
    write()
    Path("m.onnx").write_bytes(MODEL.data)
    values = measured("-m", "m.onnx", "-m", EMBEDDED)
    assert [model["name"] for model in values["models"]] == ["m.onnx", EMBEDDED.name]
    assert values["models"][0]["accuracy"] == measured()["models"][0]["accuracy"]
    assert values["models"][0]["sha256"] == MODEL.sha256()
    assert values["comparisons"][0]["disagreements"] == 0


def test_a_file_is_read_by_its_suffix_or_its_format() -> None:
    write()
    expected = run_here(["evaluate", "x.jsonl", "--json"]).out
    Path("x.jsonl").rename("x.log")
    by_format = run_here(["evaluate", "x.log", "--input-format", "jsonl", "--json"]).out
    assert by_format == expected.replace("x.jsonl", "x.log")
