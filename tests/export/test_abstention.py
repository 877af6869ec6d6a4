"""The risk-coverage curve: from texts that the network did not learn from into the file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import MakeCheckpoint
from edge_lstm_export import fit as fit_module
from edge_lstm_export.checkpoint import load_checkpoint, save_checkpoint
from edge_lstm_export.export import DATA_OF_EXPORT, export_fp32, quantize_int8
from edge_lstm_export.fit import VocabularyOptions, fit, new_network, prepare
from edge_lstm_export.network import NetworkConfig
from edge_lstm_export.presets import TrainingOptions
from test_ngrams import dataset, made_texts

from edge_lstm.answering import Point, RiskCoverage
from edge_lstm.classifier import Classifier
from edge_lstm.cli import run
from edge_lstm.errors import DataError
from edge_lstm.modelfile import ModelFile, parse_model
from edge_lstm.tables.labelled import Labelled
from edge_lstm.text import texts_digest

CURVE = RiskCoverage("validation part", 1000, (Point(0.0, 1000, 120), Point(0.9, 400, 0)))


def opened(data: bytes) -> ModelFile:
    return parse_model(data, Path("test.onnx"))


def test_the_curve_is_of_the_validation_part_before_that_is_learnt_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prepared = prepare(dataset(*made_texts(3, 40)), VocabularyOptions(300, pieces=True), validation_share=0.2)
    shape = NetworkConfig(embedding_dim=6, hidden=6, pooling="mean", ngrams=200, ngram_dim=5)
    events: list[Any] = []
    of, learn = RiskCoverage.of, fit_module.learn_ngrams_from_all

    def seen(probabilities: Any, truth: Any, data: str) -> RiskCoverage:
        events.append(("curve", len(truth)))
        return of(probabilities, truth, data)

    def learnt(*arguments: Any) -> None:
        events.append(("learnt", len(arguments[2].linear)))
        learn(*arguments)

    monkeypatch.setattr(fit_module.RiskCoverage, "of", seen)
    monkeypatch.setattr(fit_module, "learn_ngrams_from_all", learnt)
    fitted = fit(prepared, new_network(prepared, shape, seed=0), TrainingOptions(epochs=1))
    n, validation = len(prepared.train) + len(prepared.validation), len(prepared.validation)
    assert events == [("curve", validation), ("learnt", n)]
    curve = fitted.checkpoint.abstention
    assert curve is not None and fitted.validation is not None
    assert curve.points[0].wrong == round((1 - fitted.validation.accuracy) * validation)


def test_the_curve_goes_through_checkpoint_and_both_files(
    make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    plain = make_checkpoint()
    checkpoint = replace(plain, abstention=CURVE)
    save_checkpoint(checkpoint, tmp_path / "c.safetensors")
    assert load_checkpoint(tmp_path / "c.safetensors").abstention == CURVE
    fp32 = opened(export_fp32(checkpoint, abstain=0.02).data)
    int8 = opened(quantize_int8(fp32).data)
    for file in (fp32, int8):
        assert file.abstention == replace(CURVE, default=0.02)
    assert opened(quantize_int8(fp32, abstain=0.05).data).abstention == replace(CURVE, default=0.05)
    # The graph and the answers are those of a file without.
    assert opened(export_fp32(plain).data).onnx.graph == fp32.onnx.graph
    assert opened(export_fp32(plain).data).abstention is None
    with pytest.raises(DataError, match=r"0\.0058 is the least that they show"):
        export_fp32(checkpoint, abstain=0.001)
    with pytest.raises(DataError, match="there is no risk-coverage curve for --abstain; add --data"):
        export_fp32(plain, abstain=0.02)


def test_more_labelled_texts_make_a_curve_of_the_files_own_answers(make_checkpoint: MakeCheckpoint) -> None:
    checkpoint = make_checkpoint()
    rng = np.random.default_rng(0)
    texts = [" ".join(f"word{i}" for i in rng.integers(0, 190, 7)) for _ in range(300)]
    labels = [checkpoint.labels[i] for i in rng.integers(0, 2, 300)]
    fp32 = opened(export_fp32(checkpoint, labelled=Labelled(texts, labels)).data)
    int8 = opened(quantize_int8(fp32, labelled=Labelled(texts, labels), max_drop=100).data)
    truth = np.array([checkpoint.labels.index(label) for label in labels])
    for file in (fp32, int8):
        own = Classifier.from_model(file).probabilities(texts)
        curve = RiskCoverage.of(own, truth, DATA_OF_EXPORT)
        assert file.abstention == replace(curve, sha256=texts_digest(texts))


def test_the_texts_of_the_export_judge_what_the_validation_part_promised(
    make_checkpoint: MakeCheckpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = replace(make_checkpoint(), abstention=replace(CURVE, default=0.02))
    save_checkpoint(checkpoint, tmp_path / "c.safetensors")
    command = ["export", str(tmp_path / "c.safetensors"), "-o", str(tmp_path / "m.onnx")]
    run(command)
    said = capsys.readouterr().out
    assert "at most 0.02 wrong from a probability of 0.9 on" in said
    assert "of texts like these 1,000 (validation part)" in said
    # Sixty texts, of which the surer half is right: fewer, but the promise is not theirs.
    texts = [f"word{i} word{j}" for i, j in np.random.default_rng(0).integers(0, 190, (60, 2))]
    answers = Classifier.load(tmp_path / "m.onnx").probabilities(texts)
    sure = answers.max(axis=1) >= np.median(answers.max(axis=1))
    labels = [checkpoint.labels[i] for i in np.where(sure, answers.argmax(axis=1), answers.argmin(axis=1))]
    data = tmp_path / "data.csv"
    data.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in zip(texts, labels)))
    with pytest.raises(DataError, match=r"60 texts \(--data of the export\) do not show"):
        run([*command, "--data", str(data)])
    run([*command, "--data", str(data), "--abstain", "0.1"])
    assert "of texts like these 60 (--data of the export)" in capsys.readouterr().out
    run(["evaluate", str(tmp_path / "m.onnx"), "--data", str(data)])
    assert "threshold found on the same texts" in capsys.readouterr().out


def test_a_training_keeps_the_share_that_is_wanted_where_its_texts_show_it() -> None:
    prepared = prepare(dataset(*made_texts(3, 40)), VocabularyOptions(300, pieces=True), validation_share=0.2)
    shape = NetworkConfig(embedding_dim=6, hidden=6, pooling="mean", ngrams=200, ngram_dim=5)
    for wanted, kept in ((0.5, True), (0.001, False)):
        network = new_network(prepared, shape, seed=0)
        fitted = fit(prepared, network, TrainingOptions(epochs=1), abstain=wanted)
        assert fitted.checkpoint.abstention is not None
        assert (fitted.checkpoint.abstention.default == wanted) is kept
        assert any("--abstain 0.001 is not kept" in remark for remark in fitted.remarks) is not kept
        assert any("is not kept" in line for line in fitted.checkpoint.training["warnings"]) is not kept


def test_a_checkpoint_with_a_damaged_curve_is_refused(
    make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    damaged = replace(CURVE, points=(Point(0.0, 7, 1),))
    save_checkpoint(replace(make_checkpoint(), abstention=damaged), tmp_path / "c.safetensors")
    with pytest.raises(DataError, match="does not fit its weights"):
        load_checkpoint(tmp_path / "c.safetensors")


def test_export_stores_a_default_and_says_what_it_cannot_promise(
    make_checkpoint: MakeCheckpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = tmp_path / "c.safetensors", tmp_path / "m.onnx"
    save_checkpoint(replace(make_checkpoint(), abstention=CURVE), source)
    run(["export", str(source), "-o", str(output), "--quantize", "int8", "--abstain", "0.02"])
    model = opened(output.read_bytes())
    assert model.abstention is not None and model.abstention.default == 0.02
    capsys.readouterr()
    run(["inspect", str(output), "--json"])
    assert json.loads(capsys.readouterr().out)["abstention"]["default"] == 0.02
    for share in ("0", "1", "nan", "0.0001"):
        output.unlink(missing_ok=True)
        with pytest.raises(DataError, match=r"above 0 and below 1|least that they show"):
            run(["export", str(source), "-o", str(output), "--abstain", share])
        assert not output.exists()
