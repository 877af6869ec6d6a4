"""Encoders fine-tuned on parts of the rows: none answers a row that it saw, and none is fine-tuned twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edge_lstm_export import pipeline, presets, reading, short_teaching, tuned_encoders, who_teaches
from safetensors.numpy import load_file
from test_short_teaching import COMMON, WORDS, rows, what_is_learnt, write

from edge_lstm.cli import run

pytest.importorskip("transformers")

from edge_lstm_export.teacher import transformer, tuned
from edge_lstm_export.teacher.hub import load_encoder
from edge_lstm_export.teacher.transformer import TransformerOptions, vectors_of
from transformers_made import make_transformer

pytestmark = pytest.mark.usefixtures("encoder_is_heard")


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    return make_transformer(
        tmp_path / "encoder", [*COMMON, *(word for words in WORDS.values() for word in words)]
    )


def train(tmp_path: Path, encoder: Path, *more: str) -> int:
    few = write(tmp_path / "few.csv", rows(24, 0))
    test = write(tmp_path / "test.csv", rows(100, 2))
    options = ["-o", str(tmp_path / "m.safetensors"), "--preset", "tiny", "--epochs", "1", "--json"]
    return run(["train", str(few), "--test", str(test), *options, "--teacher", str(encoder), *more])


def test_what_is_fine_tuned_answers_texts_that_it_did_not_see(
    encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random weights know nothing: what they answer was learnt from the rows."""
    monkeypatch.setattr(tuned, "RATE", 2e-3)
    monkeypatch.setattr(tuned, "FEWEST_STEPS", 150)
    model = load_encoder(str(encoder), 2)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    table = rows(200, 0)
    labels = np.array([label == "shop" for _, label in table], np.int64)
    options = TransformerOptions()
    shown = [text for text, _ in table]
    vectors = vectors_of(model, shown, options)
    learnt = tuned.fine_tuned(model, shown, labels, vectors, options, lambda line: None)
    texts = [text for text, _ in rows(100, 7)]
    expected = [label == "shop" for _, label in rows(100, 7)]
    found = tuned.logits_of(learnt, texts, options).argmax(axis=1)
    assert (found == expected).mean() > 0.9
    # It is a copy, and the table of words was left as it was.
    assert all((value == before[name]).all() for name, value in model.state_dict().items())
    words = "embeddings.word_embeddings.weight"
    assert (learnt.encoder.state_dict()[words] == model.encoder.state_dict()[words]).all()


@pytest.mark.parametrize(("many", "held_learnt"), [(False, False), (True, False), (True, True)])
def test_no_row_is_answered_by_an_encoder_that_saw_it(
    tmp_path: Path,
    encoder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    many: bool,
    held_learnt: bool,
) -> None:
    """held_learnt: the validation part is learnt from too, once it has judged."""
    calls: list[tuple[list[str], list[str]]] = []

    def answers(
        encoder: Any, texts: list[str], labels: Any, vectors: Any, others: list[str], *_: Any, **named: Any
    ) -> Any:
        calls.append((texts, others))
        return np.full((len(others), 2), 0.5, np.float32)

    monkeypatch.setattr(tuned, "answers_of_tuned", answers)
    monkeypatch.setattr(reading, "variants_of", lambda rows, wanted: 2)
    read, vectors_of = [], transformer.vectors_of

    def counted(model: Any, texts: list[str], options: Any) -> Any:
        read.extend(texts)
        return vectors_of(model, texts, options)

    monkeypatch.setattr(transformer, "vectors_of", counted)
    if many:
        monkeypatch.setattr(tuned_encoders, "FEW_TEXTS", 10)
        monkeypatch.setattr(short_teaching, "FEW_TEXTS", 10)
    if held_learnt:
        monkeypatch.setattr(reading, "FEW_TEXTS", 10)
    train(tmp_path, encoder, *(["--validation", "0.2"] if many else []))
    training = json.loads(capsys.readouterr().out)
    known = {text for text, _ in rows(24, 0)}
    assert len(calls) == 3
    assert all(known & set(learnt) for learnt, _ in calls)
    asked = [text for _, others in calls for text in others if text in known]
    held = training["data"]["validation_texts"]
    labelled_rows = sum(training["data"]["train_texts"].values())
    assert len(asked) == len(set(asked)) == labelled_rows + held * held_learnt
    for learnt, others in calls:
        assert not set(learnt) & set(others)
    made = training["distillation"]["made_texts"]
    labelled = sum(len(others) for _, others in calls) - len(asked)
    assert made > 0 or not many
    # Of many rows the frozen encoder reads them alone, for its fine-tuning to begin with.
    assert (set(read) <= known) == many
    assert ("encoder_accuracy" in training["distillation"]) != many
    assert ("svm" in training["parts"]) == many  # of the rows' own labels, beside what the teachers taught
    assert len(training["distillation"]["weights"]) == (2 if many else 3)
    if many:  # each text by the encoder that saw nothing that it was made of
        assert labelled == made
    else:
        assert labelled % 3 == 0 and labelled >= 3 * made


@pytest.mark.parametrize("made", [True, False])
def test_the_validation_part_is_learnt_from_once_it_has_judged(
    tmp_path: Path,
    encoder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    made: bool,
) -> None:
    for module in (tuned_encoders, short_teaching, reading):
        monkeypatch.setattr(module, "FEW_TEXTS", 10)
    monkeypatch.setattr(reading, "variants_of", lambda rows, wanted: 2)
    monkeypatch.setattr(tuned, "FEWEST_STEPS", 2)
    judged: dict[str, Any] = {}
    whole = pipeline.hold_out_validate

    def judge(prepared: Any, network: Any, options: Any, lesson: Any) -> Any:
        judged.update(prepared=prepared, lesson=lesson, found=whole(prepared, network, options, lesson))
        return judged["found"]

    monkeypatch.setattr(pipeline, "hold_out_validate", judge)
    learnt = what_is_learnt(monkeypatch)
    train(tmp_path, encoder, "--validation", "0.2", *([] if made else ["--set", "made-texts=0"]))
    shown = capsys.readouterr()
    training = json.loads(shown.out)
    assert "the validation part judges a network that has not learnt from it" in shown.err
    prepared, first, examples = judged["prepared"], judged["lesson"].examples, learnt["lesson"].examples
    held = len(prepared.validation)
    assert held == training["data"]["validation_texts"] == training["validation"]["texts"]
    assert not training["cross_validated"]
    assert bool(prepared.later) == bool(prepared.made.texts) == made
    assert len(first) == len(prepared.train) + len(prepared.made.texts)
    assert len(examples) == len(first) + held + len(prepared.later)
    # The rows' own labels are the largest target, those of the validation part too.
    rows_learnt = len(prepared.train) + held
    truth = [*prepared.train.labels, *prepared.validation.labels]
    assert examples.targets[:rows_learnt].argmax(axis=1).tolist() == truth
    assert learnt["crossed"] is judged["found"] and len(judged["found"].targets) == held


def test_a_better_encoder_counts_and_says_so(
    tmp_path: Path, encoder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "variants_of", lambda rows, wanted: 1)
    monkeypatch.setattr(tuned, "FEWEST_STEPS", 20)
    train(tmp_path, encoder)
    shown = capsys.readouterr()
    taught = json.loads(shown.out)["distillation"]
    assert f"fine-tuned, {taught['fine_tuned_accuracy']:.2%}, cross-fitted" in shown.err
    assert len(taught["weights"]) == 3
    assert not list(tmp_path.glob("*.partial"))


def test_an_interrupted_training_fine_tunes_no_encoder_twice(
    tmp_path: Path, encoder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "variants_of", lambda rows, wanted: 1)
    monkeypatch.setattr(tuned, "FEWEST_STEPS", 2)
    begun, whole = [], tuned.fine_tuned

    def fine_tuned(*given: Any) -> Any:
        begun.append(given[1])
        if len(begun) == 3:
            raise KeyboardInterrupt
        return whole(*given)

    monkeypatch.setattr(tuned, "fine_tuned", fine_tuned)
    assert train(tmp_path, encoder) == 130
    assert len(list(tmp_path.glob("m.teacher.safetensors.*.partial"))) == 2
    train(tmp_path, encoder)
    assert len(begun) == 4 and begun[3] == begun[2]
    assert not list(tmp_path.glob("*.partial"))
    assert json.loads(capsys.readouterr().out)["distillation"]["fine_tuned_accuracy"] > 0


def test_an_interruption_while_the_validation_part_judges_costs_that_alone(
    tmp_path: Path, encoder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (tuned_encoders, short_teaching, reading):
        monkeypatch.setattr(module, "FEW_TEXTS", 10)
    monkeypatch.setattr(reading, "variants_of", lambda rows, wanted: 2)
    monkeypatch.setattr(tuned, "FEWEST_STEPS", 2)
    held_out = ("--validation", "0.2")
    train(tmp_path, encoder, *held_out)
    whole = (tmp_path / "m.safetensors").rename(tmp_path / "whole.safetensors")
    tune, tuned_again = tuned.fine_tuned, []
    monkeypatch.setattr(tuned, "fine_tuned", lambda *given: tuned_again.append(given) or tune(*given))
    judge = pipeline.hold_out_validate

    def interrupted(*given: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "hold_out_validate", interrupted)
    capsys.readouterr()
    assert train(tmp_path, encoder, *held_out) == 130
    assert "start again with the same command" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "m.safetensors").exists()
    assert tuned_again and list(tmp_path.glob("m.teacher.safetensors.*.partial"))
    monkeypatch.setattr(pipeline, "hold_out_validate", judge)
    tuned_again.clear()
    train(tmp_path, encoder, *held_out)
    assert not tuned_again
    found, expected = load_file(tmp_path / "m.safetensors"), load_file(whole)
    assert found.keys() == expected.keys()
    assert all((found[name] == expected[name]).all() for name in expected)
    assert not list(tmp_path.glob("*.partial"))


def test_rows_of_which_a_fold_leaves_one_label_are_no_lesson(
    tmp_path: Path, encoder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = write(tmp_path / "few.csv", [*rows(24, 0)[::2], ("a receipt", "shop")])
    run(["train", str(few), "-o", str(tmp_path / "m.safetensors"), "--preset", "tiny", "--epochs", "1",
         "--json", "--teacher", str(encoder)])  # fmt: skip
    assert "fine_tuned_accuracy" not in json.loads(capsys.readouterr().out)["distillation"]


def test_long_texts_are_learnt_in_parts_and_not_for_hours(
    encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuned, "MOST_PIECES", 5_000)
    lengths: list[int] = []
    framed = tuned.framed

    def counted(model: Any, batch: list[Any]) -> Any:
        lengths.extend(map(len, batch))
        return framed(model, batch)

    monkeypatch.setattr(tuned, "framed", counted)
    texts = [" ".join([text] * 40) for text, _ in rows(64, 0)]
    model, options = load_encoder(str(encoder), 2), TransformerOptions(crop=100)
    vectors = vectors_of(model, texts, options)
    tuned.fine_tuned(model, texts, np.arange(64) % 2, vectors, options, lambda line: None)
    assert max(lengths) == 100
    assert 5_000 <= sum(lengths) < 5_000 + 32 * 100


@pytest.mark.parametrize(("count", "steps"), [(16, 10), (17, 5)])
def test_many_labels_are_learnt_in_half_the_passes(
    encoder: Path, monkeypatch: pytest.MonkeyPatch, count: int, steps: int
) -> None:
    monkeypatch.setattr(tuned, "FEWEST_STEPS", 1)
    monkeypatch.setattr(tuned, "FEWEST_STEPS_OF_MANY", 3)
    monkeypatch.setattr(tuned, "BATCH", 8)
    batches: list[int] = []
    framed = tuned.framed

    def counted(model: Any, batch: list[Any]) -> Any:
        batches.append(len(batch))
        return framed(model, batch)

    monkeypatch.setattr(tuned, "framed", counted)
    model, options = load_encoder(str(encoder), count), TransformerOptions()
    texts = [text for text, _ in rows(40, 0)]
    vectors = vectors_of(model, texts, options)
    tuned.fine_tuned(model, texts, np.arange(40) % count, vectors, options, lambda line: None)
    assert batches == [8] * steps
    assert tuned.times_read(40, count) == steps / 5
    assert tuned.times_read(10, count) == (3.2 if count == 16 else 2.4)  # four steps of 8, and three


@pytest.mark.parametrize("least", [2000, 10])
def test_the_vectors_of_many_labels_learn_the_rows_and_what_was_made_of_them(
    tmp_path: Path, encoder: Path, monkeypatch: pytest.MonkeyPatch, least: int
) -> None:
    """Of many rows from both, of few an SVM stands beside them already."""
    monkeypatch.setattr(reading, "variants_of", lambda rows, wanted: 1)
    monkeypatch.setattr(tuned, "FEWEST_STEPS_OF_MANY", 2)
    for module in (short_teaching, tuned_encoders, pipeline, reading, who_teaches):
        monkeypatch.setattr(module, "FEW_TEXTS", least)
    learnt = what_is_learnt(monkeypatch)
    table = [(f"{text} thing{i % 17}", f"label{i % 17}") for i, (text, _) in enumerate(rows(68, 0))]
    few = write(tmp_path / "few.csv", table)
    test = write(tmp_path / "test.csv", table[:17])
    run(["train", str(few), "--test", str(test), "-o", str(tmp_path / "m.safetensors"), "--preset", "tiny",
         "--epochs", "1", "--teacher", str(encoder)])  # fmt: skip
    assert learnt["lesson"].svm is None
    assert learnt["lesson"].linear is learnt["lesson"].examples
    if least == 2000:
        assert learnt["lesson"].vectors is not None and learnt["lesson"].labelled is None
    else:
        labelled = learnt["lesson"].labelled
        assert learnt["lesson"].vectors is None
        assert len(labelled) < len(learnt["lesson"].linear)
        assert set(labelled.targets.ravel().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("count", [2, 3, 4])
def test_fine_tuning_begins_where_the_frozen_vectors_end(
    encoder: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Without a step that changes anything it answers as the logistic regression does; of four labels, one
    has no row."""
    from edge_lstm_export.teacher.frozen import linear_head

    monkeypatch.setattr(tuned, "RATE", 0.0)
    monkeypatch.setattr(tuned, "HEAD_RATE", 0.0)
    model, options = load_encoder(str(encoder), count), TransformerOptions()
    texts = [text for text, _ in rows(60, 0)]
    labels = np.arange(60) % min(count, 3)
    vectors = vectors_of(model, texts, options)
    weights, bias = linear_head(vectors, labels, count)
    from sklearn.linear_model import LogisticRegression

    expected = LogisticRegression(C=10, max_iter=300, tol=1e-3).fit(vectors, labels).predict_proba(vectors)
    logits = vectors @ weights.T + bias
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.allclose(probabilities[:, : min(count, 3)], expected, atol=1e-4)
    found = tuned.logits_of(
        tuned.fine_tuned(model, texts, labels, vectors, options, lambda line: None), texts, options
    )
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.9  # in bfloat16, of one length
    assert found.shape == (60, count)


def test_many_rows_and_what_was_made_of_them_take_fewer_passes(
    tmp_path: Path, encoder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "variants_of", lambda rows, wanted: 1)
    monkeypatch.setattr(tuned, "FEWEST_STEPS", 2)
    monkeypatch.setattr(presets, "_FEWEST_STEPS", 1)
    few = write(tmp_path / "few.csv", rows(24, 0))
    passes = []
    for least in (2000, 10):
        for module in (pipeline, reading, who_teaches):
            monkeypatch.setattr(module, "FEW_TEXTS", least)
        run(["train", str(few), "-o", str(tmp_path / f"{least}.safetensors"), "--preset", "tiny", "--json",
             "--teacher", str(encoder)])  # fmt: skip
        passes.append(json.loads(capsys.readouterr().out)["options"]["epochs"])
    assert passes == [14, 8]
