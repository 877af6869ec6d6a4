"""evaluate: models × labelled texts → metrics that are right, comparisons, files, and errors that
help."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import command, json_of
from hostile import run_here
from model_files import EMBEDDED, SMALL, edited
from table_files import read_rows, write_jsonl

from edge_lstm import Classifier, Policy
from edge_lstm.metrics import wilson_interval

MODEL = Classifier.load().model
TEXTS = ["A wonderful film.", "Dull, dull, dull.", "", "好", "bad " * 700, "<b>great</b> & odd"]
LABELS = ["pos", "neg", "pos", "neg", "neg", "pos"]


def write(labels: list[str] = LABELS, texts: list[str] = TEXTS, name: str = "x.jsonl") -> None:
    write_jsonl(name, [{"text": text, "label": label} for text, label in zip(texts, labels)])


def measured(*arguments: str | Path) -> Any:
    """What evaluate says of x.jsonl, by the name of each value."""
    return json_of("evaluate", "x.jsonl", *arguments)


def test_the_metrics_are_those_of_the_predictions_of_the_classifier(classifier: Classifier) -> None:
    write()
    values = measured()
    (model,) = values["models"]
    predictions = classifier.predict(TEXTS)
    right = sum(p.label == label for p, label in zip(predictions, LABELS))
    assert model["accuracy"] == right / len(TEXTS)
    interval = wilson_interval(right, len(TEXTS))
    assert model["accuracy_interval"] == {"low": interval.low, "high": interval.high}
    losses = [-math.log(p.probabilities[label]) for p, label in zip(predictions, LABELS)]
    assert model["log_loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    confusion = np.array(model["confusion"])
    assert confusion.sum() == len(TEXTS) and confusion.trace() == right
    assert values["statuses"] == {"ok": 3, "empty": 1, "unknown_words": 1, "truncated": 1}


def test_a_column_that_holds_the_labels_of_the_model_needs_no_name() -> None:
    write()
    lines = [{"text": t, "id": i, "Mood": y} for i, (t, y) in enumerate(zip(TEXTS, LABELS))]
    write_jsonl("found.jsonl", lines)
    found = command("evaluate", "found.jsonl")
    named = command("evaluate", "x.jsonl")
    assert found.stdout == named.stdout.replace("x.jsonl", "found.jsonl")
    note = "note: found.jsonl: the label is read from 'Mood', which holds the model's labels"
    assert found.stderr.splitlines()[0] == note and named.stderr == ""


@pytest.fixture
def turned() -> Path:
    """A file that says of each text the other label than SMALL."""
    Path("turned.onnx").write_bytes(edited({"labels": '["pos","neg"]'}))
    return Path("turned.onnx")


def test_models_are_compared_with_the_first_text_by_text(turned: Path) -> None:
    write([*LABELS[:5], "neg"])
    values = measured("-m", SMALL, "-m", turned)
    straight, other = values["models"]
    assert other["confusion"] == [row[::-1] for row in straight["confusion"]]
    (comparison,) = values["comparisons"]
    right = round(straight["accuracy"] * len(TEXTS))
    test = comparison["test"]
    assert (test["only_first_right"], test["only_second_right"]) == (right, len(TEXTS) - right)
    assert comparison["difference"] == pytest.approx(1 - 2 * straight["accuracy"])
    assert comparison["interval"]["low"] < comparison["difference"] < comparison["interval"]["high"]
    assert comparison["disagreements"] == len(TEXTS)
    assert comparison["micro_f1"] == pytest.approx(comparison["difference"])
    likely = Classifier.load(SMALL).probabilities(TEXTS)
    assert comparison["largest_change"] == pytest.approx(abs(likely - likely[:, ::-1]).max())


def test_models_of_one_question_stand_side_by_side_and_the_first_reads_the_statuses(
    turned: Path,
) -> None:
    write(["pos", "neg"], ["qwxyzzy", "A wonderful film."])
    both = measured("-m", SMALL, "-m", EMBEDDED)
    assert both["statuses"] == {"unknown_words": 1, "ok": 1}
    assert measured("-m", EMBEDDED, "-m", SMALL)["statuses"] == {"ok": 2}  # which reads pieces
    turned.write_bytes(edited({"labels": '["pos","bad"]'}))
    said = command("evaluate", "x.jsonl", "-m", SMALL, "-m", turned).error
    assert "has the labels pos, bad, " in said and "evaluate them one by one" in said


@pytest.mark.parametrize(("texts", "verdict"), [(5, "no significant"), (6, "a significant")])
def test_a_difference_is_significant_if_its_test_says_so(
    turned: Path, texts: int, verdict: str
) -> None:
    write(["pos"] * texts, ["A wonderful film."] * texts)
    said = command("evaluate", "x.jsonl", "-m", SMALL, "-m", turned).stdout
    assert f"{verdict} difference" in " ".join(said.split())


@pytest.mark.parametrize("name", ["keras", "format/pieces", "format/codes"])
def test_labels_that_make_no_matrix_for_a_terminal_show_the_most_frequent_confusions_first(
    name: str,
) -> None:
    path = SMALL.parent / f"{name}.int8.onnx"
    labels = Classifier.load(path).labels
    write(list(labels) * 4, [f"word{i % 7} word{i % 3}" for i in range(4 * len(labels))])
    confusion = measured("-m", path)["models"][0]["confusion"]
    said = command("evaluate", "x.jsonl", "-m", path).stdout
    _, has_confusions, table = said.partition("confusions\n")
    shown = [line.split() for line in table.splitlines()[1:] if line.startswith("label")]
    for truth, predicted, count in shown:
        assert confusion[labels.index(truth)][labels.index(predicted)] == int(count)
    counts = [int(count) for *_, count in shown]
    assert counts == sorted(counts, reverse=True)
    others = [n for i, row in enumerate(confusion) for k, n in enumerate(row) if i != k]
    assert bool(has_confusions) == (len(labels) > 4)
    assert not counts or counts == sorted(others, reverse=True)[: len(counts)]


# --- Thresholds -----------------------------------------------------------------------------------


def test_thresholds_come_from_the_curve_of_the_file(classifier: Classifier) -> None:
    write()
    (model,) = measured()["models"]
    highest = classifier.probabilities(TEXTS).max(axis=1)
    assert [point["abstain"] for point in model["operating_points"]] == [0.01, 0.02, 0.05, 0.1]
    for point in model["operating_points"]:
        policy = Policy.of(classifier.model, abstain=point["abstain"])
        assert point["threshold"] == pytest.approx(policy.threshold, abs=1e-6)
        assert point["answered"] == np.mean(highest >= np.float32(policy.threshold))
        assert not point["same_texts"]
    said = " ".join(command("evaluate", "x.jsonl").stdout.split())
    assert "from 25,000 texts (--data of the export)" in said


def test_without_a_curve_they_come_from_the_evaluated_texts_and_this_is_said() -> None:
    texts = [f"{'good ' * (i % 40)} bad film" for i in range(1000)]
    plain = Classifier.load(SMALL)
    probabilities = plain.probabilities(texts)
    # The least sure ones are wrong.
    wrong = probabilities.max(axis=1) < np.quantile(probabilities.max(axis=1), 0.1)
    write([plain.labels[i] for i in probabilities.argmax(axis=1) ^ wrong], texts)
    points = measured("-m", SMALL)["models"][0]["operating_points"]
    assert points and all(point["same_texts"] for point in points)
    assert all(point["wrong"] <= point["abstain"] and point["answered"] > 0.5 for point in points)
    said = " ".join(command("evaluate", "x.jsonl", "-m", SMALL).stdout.split())
    assert "chosen on these texts" in said and said.count("%* ") == len(points)


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
