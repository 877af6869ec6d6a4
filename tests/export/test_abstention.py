"""The risk-coverage curve: from texts that the network did not learn from into the file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import Trained
from edge_lstm_export.onnx.export import export
from edge_lstm_export.options import TrainingRequest, Validation
from edge_lstm_export.train.checkpoint import load_checkpoint, save_checkpoint
from edge_lstm_export.train.plan import make_plan
from edge_lstm_export.train.stats import dataset_stats
from edge_lstm_export.train.train import fit
from made import dataset, make_checkpoint, opened, rows, write_csv

from edge_lstm.answering import Point, RiskCoverage
from edge_lstm.classifier import Classifier
from edge_lstm.cli import run
from edge_lstm.errors import DataError

POINTS = (Point(0.0, 1000, 120), Point(0.9, 400, 0))
CURVE = RiskCoverage("validation part", 1000, POINTS, unfamiliar=((0.01, 1.25), (0.05, 1.125)))


def test_the_curve_is_of_texts_that_no_part_had_learnt_from(trained: Trained) -> None:
    data = dataset(rows(60))
    plan = replace(
        make_plan(dataset_stats(data), TrainingRequest("tiny", epochs=1)),
        validation=Validation(0.2),
    )
    found = fit(data, plan)
    curve = found.checkpoint.abstention
    assert curve is not None and found.validation is not None
    assert (curve.texts, curve.data) == (12, "validation part")
    assert curve.points[0].wrong == round((1 - found.validation.to_dict()["accuracy"]) * 12)
    crossed = load_checkpoint(trained.checkpoint).abstention
    assert crossed is not None and (crossed.texts, crossed.data) == (
        60,
        "training texts, cross-validated",
    )
    # Twelve texts show no share below 0.2 of familiar ones, sixty one of 0.05 (fewest_texts).
    assert [share for share, _ in curve.unfamiliar] == [0.2, 0.3]
    assert crossed.unfamiliar[0][0] == 0.05


def test_test_texts_that_were_drawn_from_the_data_count_and_given_ones_do_not() -> None:
    data = replace(dataset(rows(60)), test=dataset(rows(20, seed=9)).train)
    plan = make_plan(dataset_stats(data), TrainingRequest("tiny", epochs=1))
    plan = replace(plan, validation=Validation(0.2))
    counts = {}
    for drawn in ("file", "random"):
        found = fit(replace(data, test_rows=drawn), plan)
        curve = found.checkpoint.abstention
        assert curve is not None and found.test is not None and found.validation is not None
        wrong = [
            round((1 - each.subset_accuracy) * each.texts)
            for each in (found.validation, found.test)
        ]
        counts[curve.data] = (curve.texts, curve.points[0].wrong)
    assert counts == {
        "validation part": (12, wrong[0]),
        "validation and test part": (32, sum(wrong)),
    }


def test_the_curve_goes_through_checkpoint_and_both_files(tmp_path: Path) -> None:
    plain = make_checkpoint()
    checkpoint = replace(plain, abstention=CURVE)
    save_checkpoint(checkpoint, tmp_path / "c.safetensors")
    assert load_checkpoint(tmp_path / "c.safetensors").abstention == CURVE
    int8 = opened(export(checkpoint, quantize="int8", abstain=0.02).data)
    fp32 = opened(export(checkpoint, abstain=0.02).data)
    without = opened(export(plain).data)
    assert (
        fp32.abstention == int8.abstention == replace(CURVE, default=0.02)
        and without.abstention is None
    )
    assert without.onnx.graph == fp32.onnx.graph
    with pytest.raises(DataError, match=r"only for 0\.0058 or more"):
        export(checkpoint, abstain=0.001)
    with pytest.raises(
        DataError, match="checkpoint has no risk-coverage curve for --abstain; add --data"
    ):
        export(plain, abstain=0.02)


def test_the_texts_of_the_export_judge_what_the_validation_part_promised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = replace(make_checkpoint(), abstention=replace(CURVE, default=0.02))
    save_checkpoint(checkpoint, tmp_path / "c.safetensors")
    command = ["export", str(tmp_path / "c.safetensors"), "-o", str(tmp_path / "m.onnx")]
    run(command)
    said = "abstain: below 0.9; at most 0.02 of the rest wrong, by 1,000 texts (validation part)"
    assert said in capsys.readouterr().out
    # Sixty texts, of which the surer half is right: fewer, but the promise is not theirs.
    texts = [f"word{i} word{j}" for i, j in np.random.default_rng(0).integers(0, 190, (60, 2))]
    answers = Classifier.load(tmp_path / "m.onnx").probabilities(texts)
    sure = answers.max(axis=1) >= np.median(answers.max(axis=1))
    labels = [
        checkpoint.labels[i] for i in np.where(sure, answers.argmax(axis=1), answers.argmin(axis=1))
    ]
    data = write_csv(tmp_path / "data.csv", list(zip(texts, labels)))
    with pytest.raises(DataError, match=r"60 texts \(--data of the export\) give no threshold"):
        run([*command, "--data", str(data)])
    run([*command, "--data", str(data), "--abstain", "0.1"])
    assert "by 60 texts (--data of the export)" in capsys.readouterr().out
    model = Classifier.load(tmp_path / "m.onnx")
    strange = [p.status == "unfamiliar" for p in model.predict(texts, unfamiliar=0.05)]
    assert sum(strange) == 0  # of sixty texts none may lie above the threshold for 5 %
    assert model.model.abstention is not None and model.model.abstention.unfamiliar[0][0] == 0.05
    run(["evaluate", str(tmp_path / "m.onnx"), str(data)])
    said = " ".join(capsys.readouterr().out.split())
    assert "the threshold was chosen on these texts" in said
