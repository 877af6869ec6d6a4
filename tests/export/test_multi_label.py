"""Texts with several labels: from a labelled file to an int8 file that gives them, and its
gates."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from cases import rows
from commands import command, inspected, train
from conftest import Trained
from edge_lstm_export.onnx import gates
from edge_lstm_export.onnx.exporting import export
from edge_lstm_export.options import UNTUNED
from edge_lstm_export.train.calibrate import choose_thresholds
from made import (
    checkpoint_file,
    classifier_of,
    make_checkpoint,
    multi_label_rows,
    write_csv,
)

from edge_lstm import Classifier, MultiLabelPrediction
from edge_lstm.errors import CheckError
from edge_lstm.tables.labelled import LabelledTexts

LABELS = ("anger", "fear", "joy")


def test_the_training_says_how_good_it_is(trained_multi_label: Trained) -> None:
    assert trained_multi_label.result.returncode == 0, trained_multi_label.result.stderr
    assert "test micro F1" in trained_multi_label.result.stdout
    training = inspected(trained_multi_label.checkpoint)["training"]
    assert training["validation"]["micro_f1"] > 0.8 and training["test"]["macro_f1"] > 0.7
    assert set(training["data"]["train_texts"]) == set(LABELS) and training["cross_validated"]


def test_the_file_gives_each_text_all_of_its_labels(trained_multi_label: Trained) -> None:
    path = Path("m.onnx")
    command("export", trained_multi_label.checkpoint, "-o", path, "--quantize", "int8")
    texts = ["filler3 joyful filler4 angerful", "filler1 filler2 filler9"]
    two, none = Classifier.load(path).predict(texts)
    assert isinstance(two, MultiLabelPrediction)
    assert sorted(two.labels) == ["anger", "joy"] and none.labels == ()
    assert none.label in LABELS  # the most probable one all the same


def test_int8_may_change_few_labels_and_lose_little_micro_f1() -> None:
    checkpoint = make_checkpoint(labels=3, multi_label=True)
    texts = [f"word{i} word{i + 1} word{2 * i}" for i in range(90)]
    answers = classifier_of(checkpoint).predict(texts)
    labelled = LabelledTexts(texts, [answer.labels for answer in answers], multi_label=True)
    comparison = export(checkpoint, quantize="int8", labelled=labelled, max_drop=100).comparison
    change = comparison.accuracy
    assert (change.metric, change.before, comparison.texts) == ("micro F1", 1.0, 90)


# Texts lost of how many, texts with other labels, and what is said. Of 90 texts 6 are 6.7 points,
# but the next 90 may well lose two less.
LOSSES = """
50 90 0 | points of micro F1
6 90 0 |
0 1000 15 | changes the labels of
0 1000 6 |
0 90 1 |
"""


@pytest.mark.parametrize(("numbers", "said"), rows(LOSSES))
def test_int8_is_refused_for_a_loss_or_for_many_changed_labels(numbers: str, said: str) -> None:
    lost, texts, changed = map(int, numbers.split())
    p_value = gates.p_value_of_drop(lost, 0, texts, 0.05)
    after = 0.9 - lost / texts
    change = gates.AccuracyChange("micro F1", 0.9, after, lost, 0, p_value, p_value > 0.05)
    comparison = gates.Comparison(texts, 0.0, changed, change)
    with pytest.raises(CheckError, match=said) if said else nullcontext():
        gates.check_accuracy(comparison, 5)


def test_data_of_the_other_kind_is_refused() -> None:
    source = checkpoint_file("c.safetensors")
    Path("d.jsonl").write_text('{"text": "a", "labels": ["label0"]}\n')
    given = ("-o", "m.onnx", "--data", "d.jsonl")
    assert "per text, the model gives" in command("export", source, *given).error


def test_a_threshold_has_the_best_f1() -> None:
    truth = np.arange(1000) < 300
    probabilities = np.concatenate([np.linspace(0.3, 1, 300), np.linspace(0, 0.8, 700)])

    def f1(threshold: float) -> float:
        given = probabilities >= threshold
        return float(2 * (given & truth).sum() / (given.sum() + 300))

    columns = (truth[:, None], probabilities.astype(np.float32)[:, None])
    (best,) = choose_thresholds(*columns)
    assert f1(best) > max(map(f1, np.linspace(0.01, 0.99, 99))) - 0.01


@pytest.mark.parametrize("seed", range(8))
def test_a_threshold_lies_half_way_between_two_texts_where_the_f1_is_best(seed: int) -> None:
    """Many texts have one probability, and are answered alike."""
    rng = np.random.default_rng(seed)
    chances = (rng.integers(1, 12, 60) / 12).astype(np.float32)
    truth = rng.random(60) < chances
    # A text's label is mixed with its probability, which counts as much as ten texts of the label.
    trust = 10 / (10 + truth.sum())
    mixed = (1 - trust) * truth + trust * chances

    def f1(threshold: float) -> float:
        given = chances >= threshold
        return float(2 * mixed[given].sum() / (given.sum() + mixed.sum()))

    there = np.array([0, *sorted({*chances.tolist()})])
    (found,) = choose_thresholds(truth[:, None], chances[:, None])
    assert found == pytest.approx(max((there[1:] + there[:-1]) / 2, key=f1), rel=1e-4)


def test_a_label_that_no_text_has_gets_the_threshold_of_one_half() -> None:
    nobody = np.zeros((20, 1), np.bool_)
    assert choose_thresholds(nobody, np.linspace(0, 1, 20, dtype=np.float32)[:, None]) == (UNTUNED,)
    assert UNTUNED == 0.5


def test_a_label_of_few_texts_does_not_get_the_threshold_of_chance() -> None:
    """One text of the label, which has by chance the lowest probability of all that are not near
    0."""
    probabilities = np.full((500, 1), 0.001, np.float32)
    probabilities[:40, 0] = np.linspace(0.9, 0.12, 40)
    truth = np.zeros((500, 1), np.bool_)
    truth[39] = True
    (threshold,) = choose_thresholds(truth, probabilities)
    assert threshold > 0.2
    none = np.zeros((500, 1), np.bool_)
    assert choose_thresholds(none, probabilities) == (UNTUNED,)


def test_teachers_and_a_log_are_for_several_labels_too() -> None:
    source = write_csv("rows.csv", multi_label_rows(80))
    log = write_csv("log.csv", multi_label_rows(30, seed=5), ("text",))
    result = train(
        *(source, "-o", "m.safetensors", "--label-separator", "|", "--preset", "tiny"),
        *("--epochs", "1", "--unlabelled", log, "--json"),
    )
    training = json.loads(result.stdout)
    assert training["data"]["unlabelled_texts"] > 20 and training["validation"]["micro_f1"] > 0.7
    assert [teacher["name"] for teacher in training["teachers"]] == ["linear"]
