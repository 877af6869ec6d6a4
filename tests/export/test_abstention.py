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
from edge_lstm_export.checkpoint.checkpoint import load_checkpoint, save_checkpoint
from edge_lstm_export.onnx.exporting import export
from edge_lstm_export.train.fit import Fitted, fit
from edge_lstm_export.train.plan.stats import dataset_stats
from made import (
    dataset,
    make_checkpoint,
    model_of,
    rows,
    write_csv,
)

from edge_lstm import Classifier
from edge_lstm.core.modelfile import open_model
from edge_lstm.core.risk_coverage import Point, RiskCoverage
from edge_lstm.errors import DataError

POINTS = (Point(0.0, 1000, 120), Point(0.9, 400, 0))
CURVE = RiskCoverage("validation part", 1000, POINTS, unfamiliar=((0.01, 1.25), (0.05, 1.125)))


def test_the_curve_is_of_texts_that_no_part_had_learnt_from(trained: Trained) -> None:
    crossed = load_checkpoint(trained.checkpoint).abstention
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


def test_the_curve_goes_through_checkpoint_and_both_files(tmp_path: Path) -> None:
    plain = make_checkpoint()
    save_checkpoint(replace(plain, abstention=CURVE), tmp_path / "c.safetensors")
    checkpoint = load_checkpoint(tmp_path / "c.safetensors")
    for quantize in (None, "int8"):
        file = model_of(checkpoint, quantize=quantize, abstain=0.02)
        assert file.abstention == replace(CURVE, default=0.02)
    assert model_of(plain).abstention is None
    with pytest.raises(DataError, match=r"only for 0\.0058 or more"):
        export(checkpoint, abstain=0.001)
    said = "checkpoint has no risk-coverage curve for --abstain; add --data"
    with pytest.raises(DataError, match=said):
        export(plain, abstain=0.02)


def test_the_texts_of_the_export_judge_what_the_validation_part_promised(tmp_path: Path) -> None:
    checkpoint = replace(make_checkpoint(), abstention=replace(CURVE, default=0.02))
    source = tmp_path / "c.safetensors"
    output = tmp_path / "m.onnx"
    save_checkpoint(checkpoint, source)
    said = "abstain: below 0.9; at most 0.02 of the rest wrong, by 1,000 texts (validation part)"
    assert said in command("export", source, "-o", output).stdout
    # Sixty texts, of which the surer half is right: fewer, but the promise is not theirs.
    texts = [f"word{i} word{j}" for i, j in np.random.default_rng(0).integers(0, 190, (60, 2))]
    answers = Classifier.load(output).probabilities(texts)
    sure = answers.max(axis=1) >= np.median(answers.max(axis=1))
    right = np.where(sure, answers.argmax(axis=1), answers.argmin(axis=1))
    labels = [checkpoint.labels[i] for i in right]
    data = write_csv(tmp_path / "data.csv", list(zip(texts, labels)))
    judged = ("export", source, "-o", output, "--data", data)
    error = command(*judged).error
    assert "60 texts (--data of the export) give no threshold" in error
    assert "by 60 texts (--data of the export)" in command(*judged, "--abstain", "0.1").stdout
    curve = open_model(output).abstention
    assert curve.unfamiliar[0][0] == 0.05
