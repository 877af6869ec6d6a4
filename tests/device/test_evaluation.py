"""evaluate: models × labelled texts → metrics that are right, comparisons, files, and errors that
help."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import run_here
from pages import Page
from table_files import read_csv, write_jsonl

from edge_lstm import Classifier
from edge_lstm.core.modelfile import ModelFile, open_model
from edge_lstm.core.text import Tokenizer
from edge_lstm.evaluation.compare import compare
from edge_lstm.evaluation.evaluate import evaluate, parse_label_map
from edge_lstm.evaluation.report import report, tables, write_mistakes
from edge_lstm.evaluation.result import Evaluation, ModelResult, OovRate
from edge_lstm.tables.labelled import LabelledTexts, read_labelled

MODEL = open_model()
KNOWN = Tokenizer(("the", "film", "good"))
TEXTS = ["A wonderful film.", "Dull, dull, dull.", "", "好", "bad " * 700, "<b>great</b> & odd"]
LABELS = ["pos", "neg", "pos", "neg", "neg", "pos"]


def labelled(texts: list[str], labels: list[str]) -> LabelledTexts:
    return LabelledTexts(texts, [(label,) for label in labels])


def evaluated(
    *models: ModelFile, texts: Any = TEXTS, labels: Any = LABELS, **options: Any
) -> Evaluation:
    return evaluate([Classifier(m) for m in models], labelled(texts, labels), **options)


def result(right: list[bool], **changes: Any) -> ModelResult:
    """Predictions for texts whose true label is the first, right or wrong as given."""
    probabilities = np.array([[0.9, 0.1] if r else [0.2, 0.8] for r in right], dtype=np.float32)
    truth = np.array([[True, False]] * len(right))
    values = {"labels": ("a", "b"), "truth": truth, "probabilities": probabilities, **changes}
    return ModelResult(model=MODEL, name="m.onnx", **values)


def test_the_metrics_are_those_of_the_predictions_of_the_classifier() -> None:
    evaluation = evaluated(MODEL, data="x.csv")
    (model,) = evaluation.results
    predictions = Classifier.load().predict(TEXTS)
    right = sum(p.label == label for p, label in zip(predictions, LABELS))
    assert model.accuracy == right / len(TEXTS) == model.scores.micro_f1
    assert model.log_loss == pytest.approx(
        -np.mean([math.log(p.probabilities[label]) for p, label in zip(predictions, LABELS)]),
        rel=1e-5,
    )
    confusion = model.one_label.confusion
    assert confusion.sum() == len(TEXTS) and confusion.trace() == right
    assert evaluation.statuses == {"ok": 3, "empty": 1, "unknown_words": 1, "truncated": 1}


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
    # as if the file named its columns the other way
    turned = replace(MODEL, labels=MODEL.labels[::-1])
    straight, other = evaluated(MODEL, turned).results
    assert other.labels == straight.labels
    assert (other.probabilities == straight.probabilities[:, ::-1]).all()


NUMBERS = ["1" if label == "pos" else "0" for label in LABELS]


def test_a_label_map_says_what_the_datas_labels_mean() -> None:
    mapped = evaluated(MODEL, labels=NUMBERS, label_map=parse_label_map("0=neg, 1=pos"))
    assert mapped.results[0].accuracy == evaluated(MODEL).results[0].accuracy


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


@pytest.fixture(scope="module")
def page() -> Page:
    steers = "red \x1b[31m and \x9b31m turned \u202eround"
    odd = ["</span><script>alert(1)</script>", "lone \ud800 surrogate", "zero \0 byte", steers]
    texts = [*odd, *TEXTS]
    # All wrong, so that the page shows every one of them.
    other = {"pos": "neg", "neg": "pos"}
    labels = [other[p.label or ""] for p in Classifier.load().predict(texts)]
    model = replace(MODEL, training={"warnings": ["only 90 <texts>: collect more"]})
    return Page(report(evaluated(model, model, texts=texts, labels=labels, data="<x>.csv")))


def test_the_report_loads_and_runs_nothing_shows_every_part_and_no_character_that_steers(
    page: Page,
) -> None:
    assert page.loads_and_runs_nothing()
    assert "</span><script>alert(1)</script>" in page.text
    for part in (
        *("of <x>.csv", "95 % interval", "cal. error", "by label"),
        *("true label (row)", "Misclassified by", "(empty)", "training warning: only 90 <texts>"),
        r"red \x1b[31m and \x9b31m turned \u202eround",
    ):
        assert part in page.text
    assert not {"\x1b", "\x9b", "\u202e", "\0"} & set(page.text)


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


@pytest.mark.parametrize("labels", [2, 16, 30])
def test_a_report_has_any_number_of_labels_and_the_most_frequent_confusions_first(
    labels: int,
) -> None:
    names = tuple(f"label number {i} <&>" for i in range(labels))
    every = np.eye(labels, dtype=np.float32)
    truth = every[[0, 1, 1, 1]] > 0
    model = result([True], labels=names, truth=truth, probabilities=every[[1, 0, 0, 1]])
    found = [table for table in tables(reported(model)) if "confusions" in table.title]
    expected = [(names[1], names[0], 2), (names[0], names[1], 1)]
    assert [table.rows for table in found] == ([expected] if labels > 16 else [])
    assert Page(report(reported(model))).loads_and_runs_nothing()


@pytest.mark.parametrize(("worse", "verdict"), [(5, "no significant"), (6, "a significant")])
def test_a_difference_is_significant_if_its_test_says_so(worse: int, verdict: str) -> None:
    better = result([True] * 20)
    evaluation = reported(better, result([True] * (20 - worse) + [False] * worse))
    assert f"{verdict} difference" in Page(report(evaluation)).text


def test_mistakes_are_read_back_as_labelled_texts_the_surest_first() -> None:
    texts = [
        "A wonderful film.",
        "Dull!",
        'Said "excellent"\nand left; a perfect café.',
        "=1+1 best",
    ]
    write_mistakes(evaluated(MODEL, texts=texts, labels=["neg"] * 4), Path("mistakes.csv"))
    written = read_csv("mistakes.csv")
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
    back = read_labelled("mistakes.csv")
    assert [(row["text"], row["label"]) for row in written] == [*zip(back.texts, back.names)]
    assert len(written) >= 2


@pytest.fixture
def data() -> None:
    """Labelled texts: x.jsonl, and a folder of two splits."""
    rows = [{"text": text, "label": label} for text, label in zip(TEXTS, LABELS)]
    write_jsonl("x.jsonl", rows)
    for split in ("train", "test"):
        for label in ("neg", "pos"):
            Path("folder", split, label).mkdir(parents=True)
            Path("folder", split, label, "1.txt").write_text(f"{split} {label}")


@pytest.mark.usefixtures("data")
def test_the_command_prints_tables_that_fit_a_terminal() -> None:
    done = run_here(["evaluate", "x.jsonl", "--report", "r.html"])
    assert (done.exit, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == "6 texts of x.jsonl (1 empty, 3 ok, 1 truncated, 1 unknown_words)"
    assert max(map(len, lines)) < 80
    assert Path("r.html").exists()
    cells = [line.split() for line in lines]
    head = cells.index(["true", "label", "neg", "pos"])
    assert cells[head + 1 : head + 3] == [
        [label, *map(str, row)]
        for label, row in zip(MODEL.labels, evaluated(MODEL).results[0].one_label.confusion)
    ]


def test_rows_without_a_label_are_counted_and_the_others_keep_their_numbers() -> None:
    Path("x.csv").write_text("text,label\nfirst,\nA wonderful film.,neg\nDull!,NaN\n")
    done = run_here(["evaluate", "x.csv", "--mistakes", "m.csv"])
    assert done.out.startswith("1 text of x.csv (1 ok); 2 rows without a label left out\n")
    assert Path("m.csv").read_text(encoding="utf-8-sig").splitlines()[1].startswith("2,neg,pos,")


@pytest.mark.usefixtures("data")
def test_several_models_are_compared_side_by_side() -> None:
    Path("m.onnx").write_bytes(MODEL.data)
    done = run_here(["evaluate", "x.jsonl", "-m", "m.onnx", "-m", str(MODEL.path), "--json"])
    result = json.loads(done.out)
    assert [model["name"] for model in result["models"]] == ["m.onnx", MODEL.path.name]
    assert result["models"][0]["accuracy"] == evaluated(MODEL).results[0].accuracy
    assert result["models"][0]["sha256"] == MODEL.sha256()
    assert result["comparisons"][0]["disagreements"] == 0


@pytest.mark.usefixtures("data")
def test_a_file_is_read_by_its_suffix_or_its_format() -> None:
    expected = run_here(["evaluate", "x.jsonl", "--json"]).out
    Path("x.jsonl").rename("x.log")
    by_format = run_here(["evaluate", "x.log", "--input-format", "jsonl", "--json"]).out
    assert by_format == expected.replace("x.jsonl", "x.log")
