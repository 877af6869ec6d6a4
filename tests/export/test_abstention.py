"""The risk-coverage curve: from texts that the network did not learn from into the file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import command
from conftest import Trained
from edge_lstm_export import TrainingRequest, make_plan
from edge_lstm_export.train.fit import Fitted, fit
from edge_lstm_export.train.plan.stats import dataset_stats
from made import (
    checkpoint_file,
    dataset,
    make_checkpoint,
    model_at,
    rows,
    write_csv,
)

from edge_lstm import Classifier
from edge_lstm.core.risk_coverage import Point, RiskCoverage

POINTS = (Point(0.0, 1000, 120), Point(0.9, 400, 0))
CURVE = RiskCoverage("validation part", 1000, POINTS, unfamiliar=((0.01, 1.25), (0.05, 1.125)))


def test_the_curve_is_of_texts_that_no_part_had_learnt_from(trained: Trained) -> None:
    command("export", trained.checkpoint, "-o", "m.onnx")
    crossed = model_at("m.onnx").abstention
    assert (crossed.texts, crossed.data) == (60, "training texts, cross-validated")
    # Sixty texts show no share below 0.05 of familiar ones (fewest_texts), twelve none below 0.2.
    assert crossed.unfamiliar[0][0] == 0.05
    curve = fitted().checkpoint.abstention
    assert [share for share, _ in curve.unfamiliar] == [0.2, 0.3]


def fitted(**changes: Any) -> Fitted:
    """A training of which a fifth of 60 rows is the validation part."""
    data = dataset(rows(60))
    asked = TrainingRequest("tiny", "none", epochs=1, validation=0.2)
    return fit(replace(data, **changes), make_plan(dataset_stats(data), asked))


@pytest.mark.parametrize(
    ("drawn", "name", "texts"),
    [("file", "validation part", 12), ("random", "validation and test part", 32)],
)
def test_test_texts_that_were_drawn_from_the_data_count_and_given_ones_do_not(
    drawn: str, name: str, texts: int
) -> None:
    found = fitted(test=dataset(rows(20, seed=9)).train, test_rows=drawn)
    curve = found.checkpoint.abstention
    parts = [found.validation, found.test] if drawn == "random" else [found.validation]
    assert (curve.data, curve.texts) == (name, texts)
    wrong = sum(round((1 - part.subset_accuracy) * part.texts) for part in parts)
    assert curve.points[0].wrong == wrong


def test_the_curve_goes_through_checkpoint_and_both_files() -> None:
    output = Path("m.onnx")
    plain = checkpoint_file("p.safetensors")
    curved = replace(make_checkpoint(), abstention=CURVE)
    asked = ("export", checkpoint_file("c.safetensors", curved), "-o", output)
    for more in ((), ("--quantize", "int8")):
        command(*asked, "--abstain", "0.02", *more)
        assert model_at(output).abstention == replace(CURVE, default=0.02)
    assert "only for 0.0058 or more" in command(*asked, "--abstain", "0.001").error
    of_plain = ("export", plain, "-o", output)
    said = "checkpoint has no risk-coverage curve for --abstain; add --data"
    assert said in command(*of_plain, "--abstain", "0.02").error
    command(*of_plain)
    assert model_at(output).abstention is None


def test_the_texts_of_the_export_judge_what_the_validation_part_promised() -> None:
    checkpoint = replace(make_checkpoint(), abstention=replace(CURVE, default=0.02))
    source = checkpoint_file("c.safetensors", checkpoint)
    output = Path("m.onnx")
    said = "abstain: below 0.9; at most 0.02 of the rest wrong, by 1,000 texts (validation part)"
    assert said in command("export", source, "-o", output).stdout
    # Sixty texts, of which the surer half is right: fewer, but the promise is not theirs.
    texts = [f"word{i} word{j}" for i, j in np.random.default_rng(0).integers(0, 190, (60, 2))]
    answers = Classifier.load(output).probabilities(texts)
    sure = answers.max(axis=1) >= np.median(answers.max(axis=1))
    right = np.where(sure, answers.argmax(axis=1), answers.argmin(axis=1))
    labels = [checkpoint.labels[i] for i in right]
    data = write_csv("data.csv", list(zip(texts, labels)))
    judged = ("export", source, "-o", output, "--data", data)
    error = command(*judged).error
    assert "60 texts (--data of the export) give no threshold" in error
    assert "by 60 texts (--data of the export)" in command(*judged, "--abstain", "0.1").stdout
    assert model_at(output).abstention.unfamiliar[0][0] == 0.05
