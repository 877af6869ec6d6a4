"""A model that gives several labels per text, on the device: what it answers, and how that is
measured.

A model of one label stands in for one: its probabilities, with a threshold for each of its labels.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cases import rows
from commands import command, json_of
from model_files import edited, loaded, multi_label
from table_files import read_rows, write_jsonl

from edge_lstm import Classifier, MultiLabelPrediction, score_files
from edge_lstm.errors import DataError
from edge_lstm.tables.labelled import LabelledTexts, LabelOptions, read_labelled

GOOD = "A wonderful film, a joy."
BAD = "A boring waste of time."
MIXED = "It is a film."


def with_thresholds(*thresholds: float) -> Classifier:
    return loaded(edited(multi_label(thresholds)))


@pytest.fixture
def classifier() -> Classifier:
    return with_thresholds(0.4, 0.6)


def test_a_text_has_the_labels_that_reach_their_threshold(classifier: Classifier) -> None:
    good, bad = classifier.predict([GOOD, BAD])
    assert isinstance(good, MultiLabelPrediction)
    assert (good.labels, bad.labels) == (("pos",), ("neg",))
    probability = good.probabilities["neg"]
    both = with_thresholds(probability, 0.5).predict([GOOD])[0]  # reached is enough
    assert both.labels == ("pos", "neg")  # the most probable first
    none = with_thresholds(1.0, 1.0).predict([GOOD])[0]
    assert none.labels == ()
    assert (none.label, none.status) == ("pos", "ok")


def test_score_joins_the_labels_in_one_column_and_counts_each() -> None:
    both = with_thresholds(1e-4, 0.5)
    Path("in.txt").write_text(f"{GOOD}\n{BAD}\n")
    none = with_thresholds(1.0, 1.0)
    for model, labels in (
        (both, ["pos|neg", "neg"]),
        (none, [None, None]),
    ):
        score_files("in.txt", "out.jsonl", model=model)
        assert [row["label"] for row in read_rows("out.jsonl")] == labels
    summary = score_files("in.txt", "out.jsonl", model=both)
    assert summary.labels == {"pos": 1, "neg": 2}
    assert [row["label"] for row in read_rows("out.jsonl")] == ["pos|neg", "neg"]


@pytest.mark.usefixtures("classifier")
def test_predict_says_which_labels_with_every_probability_and_threshold() -> None:
    (answer,) = Classifier.load("m.onnx").predict([""])
    assert json_of("predict", "-m", "m.onnx", "") == {
        "labels": [*answer.labels],
        "probabilities": answer.probabilities,
        "thresholds": {"neg": 0.4, "pos": 0.6},
        "status": "empty",
    }


@pytest.mark.usefixtures("classifier")
def test_explain_is_about_having_the_label_or_not() -> None:
    explained = json_of("explain", "-m", "m.onnx", GOOD)
    assert explained["label"] == "pos"
    words = {word["text"]: word["effect"] for word in explained["words"]}
    assert words["wonderful"] > 0


def test_evaluate_measures_the_sets() -> None:
    Path("one.onnx").write_bytes(edited(multi_label((1e-4, 0.5))))
    Path("two.onnx").write_bytes(edited(multi_label((0.4, 0.6))))
    rows = [{"text": GOOD, "labels": ["pos"]}, {"text": BAD, "labels": ["neg"]}]
    write_jsonl("data.jsonl", rows)
    asked = ("evaluate", "data.jsonl", "-m", "one.onnx", "-m", "two.onnx")
    values = json_of(*asked)
    first, second = values["models"]
    # The first gives a label too many.
    assert (first["subset_accuracy"], second["subset_accuracy"]) == (0.5, 1.0)
    assert first["micro_f1"] == pytest.approx(2 * 2 / (2 + 3))
    assert first["macro_f1"] == pytest.approx((2 / 3 + 1) / 2)
    assert [row["support"] for row in first["labels"]] == [1, 1]
    assert (first["labels"][0]["threshold"], values["labels_per_text"]) == (1e-4, 1)
    assert values["comparisons"][0]["disagreements"] == 1
    gain = second["micro_f1"] - first["micro_f1"]
    assert values["comparisons"][0]["micro_f1"] == pytest.approx(gain) and gain > 0
    likely = Classifier.load("two.onnx").probabilities([GOOD, BAD]).astype(float)
    losses = -np.log(np.where([[False, True], [True, False]], likely, 1 - likely))
    assert second["log_loss"] == pytest.approx(losses.sum(axis=1).mean(), rel=1e-5)
    assert "micro F1" in command(*asked).stdout
    command("evaluate", "data.jsonl", "-m", "one.onnx", "--mistakes", "m.csv")
    (wrong,) = read_rows("m.csv")  # the text with one label too many
    assert {*wrong["predicted"].split("|")} == {"pos", "neg"}


def test_labels_in_another_order_keep_their_thresholds() -> None:
    Path("one.onnx").write_bytes(edited(multi_label((1e-4, 0.5))))
    Path("two.onnx").write_bytes(edited(multi_label((1e-4, 0.5), labels='["pos","neg"]')))
    write_jsonl("data.jsonl", [{"text": GOOD, "labels": ["pos"]}, {"text": BAD, "labels": []}])
    for first, second in (("one", "two"), ("two", "one")):
        asked = ("evaluate", "data.jsonl", "-m", f"{first}.onnx", "-m", f"{second}.onnx")
        values = json_of(*asked)
        assert values["labels_per_text"] == 0.5
        for model in values["models"]:
            found = {row["label"]: row["threshold"] for row in model["labels"]}
            own = {"one": {"neg": 1e-4, "pos": 0.5}, "two": {"pos": 1e-4, "neg": 0.5}}
            assert found == own[model["name"].removesuffix(".onnx")]
            alone = json_of("evaluate", "data.jsonl", "-m", model["name"])["models"][0]
            assert model["subset_accuracy"] == alone["subset_accuracy"]


@pytest.mark.parametrize(
    ("name", "options", "labels", "content"),
    rows(
        r"""
        a.csv | {"label_separator": "|"} | b a,,a | text,labels\nx,b|a\ny,\nz,a| a |\n
        a.csv | {"label_separator": ","} | a b | text,labels\nx,"a, b"\n
        a.csv | {"indicator_columns": ["a", "b"]} | ,a b | text,a,b\nx,0,0\ny,true,1.0\n
        a.jsonl | {} | a 2, | {"text": "", "labels": ["a", 2, "a"]}\n{"text": ""}\n
        a.txt | {} | a b,,b | __label__a __label__b x\nno label\n__label__b y\n
        a.txt | {"multi_label": true} | a,b | __label__a __label__a x\n__label__b y\n
        a.csv | {"multi_label": true} | a,a b | text,labels\nx,a\ny,a|b\n
        """
    ),
)
def test_several_labels_are_read(name: str, options: str, labels: str, content: str) -> None:
    Path(name).write_text(content)
    found = read_labelled(name, options=LabelOptions(**json.loads(options)))
    assert found.multi_label
    assert ",".join(" ".join(own) for own in found.labels) == labels


@pytest.mark.needs("pyarrow")
def test_lists_of_a_parquet_column() -> None:
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.table({"text": ["x", "y", "z"], "labels": [["a", "b"], [], None]})
    parquet.write_table(table, "a.parquet")
    labels = [("a", "b"), (), ()]
    assert read_labelled("a.parquet") == LabelledTexts(["x", "y", "z"], labels, multi_label=True)


def test_one_label_a_text_is_read_as_before() -> None:
    Path("a.csv").write_text("text,label\nx,a|b\ny,c\n")
    assert read_labelled("a.csv") == LabelledTexts(["x", "y"], [("a|b",), ("c",)])
    # the same label twice
    Path("a.txt").write_text("__label__a __label__a x\n__label__b y\n")
    assert read_labelled("a.txt") == LabelledTexts(["x", "y"], [("a",), ("b",)])


@pytest.mark.parametrize(
    ("name", "options", "message", "content"),
    rows(
        r"""
        a.jsonl | {} | an entry of 'labels' is not a label | {"text": "x", "labels": [null]}
        a.jsonl | {"multi_label": true} | holds an obj | {"text": "x", "labels": {"a": 1}}
        a.jsonl | {} | no labelled row | {"text": "x", "labels": []}
        a.txt | {"label_separator": "|"} | no label columns | __label__a x
        """
    ),
)
def test_labels_in_no_known_form_are_refused(
    name: str, options: str, message: str, content: str
) -> None:
    Path(name).write_text(content)
    with pytest.raises(DataError, match=message):
        read_labelled(name, options=LabelOptions(**json.loads(options)))
