"""Training from Python: scikit-learn's habits, texts and labels of any form, the way to a file."""

from __future__ import annotations

import copy
import inspect
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import edge_lstm_export
import numpy as np
import pandas as pd
import pytest
import sklearn
from edge_lstm_export import TextClassifier, make_plan, train_files
from edge_lstm_export.graph.weights import coded, rounded
from edge_lstm_export.onnx.export import export
from edge_lstm_export.options import DataOptions, TrainingRequest
from edge_lstm_export.train.checkpoint import load_checkpoint
from edge_lstm_export.train.sources.memory import dataset_from
from edge_lstm_export.train.stats import DatasetStats
from made import multi_label_rows, rows, write_csv
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import f1_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from edge_lstm.classifier import Classifier
from edge_lstm.errors import DataError

TEXTS, LABELS = (list(column) for column in zip(*rows(60)))
QUICK: dict[str, Any] = {"preset": "tiny", "epochs": 1, "teacher": "none", "validation": 0.0}
SETS = [set(filter(None, label.split("|"))) for _, label in multi_label_rows(60)]
MULTI_LABEL = [text for text, _ in multi_label_rows(60)]


@pytest.fixture(scope="module")
def model() -> TextClassifier:
    """With a validation part, so that it is calibrated."""
    return TextClassifier(**{**QUICK, "validation": 0.2, "epochs": 2}).fit(TEXTS, LABELS)


@pytest.fixture(scope="module")
def multi_label() -> TextClassifier:
    return TextClassifier(**QUICK).fit(MULTI_LABEL, SETS)


def test_its_parameters_are_those_of_its_signature_and_it_is_cloned() -> None:
    model = TextClassifier("base", epochs=3, random_state=7)
    assert set(model.get_params()) == set(inspect.signature(TextClassifier).parameters)
    copied = clone(model)
    assert copied is not model and copied.get_params() == model.get_params()
    assert model.set_params(epochs=5) is model and model.epochs == 5
    assert "preset='base'" in repr(model) and sklearn.base.is_classifier(model)


def test_it_learns_and_predicts_labels_and_probabilities(model: TextClassifier) -> None:
    assert model.classes_.tolist() == ["sea", "shop"]
    probabilities = model.predict_proba(TEXTS)
    assert probabilities.shape == (60, 2) and probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert (model.predict(TEXTS) == model.classes_[probabilities.argmax(axis=1)]).all()
    assert model.score(TEXTS, LABELS) > 0.9
    assert model.score(TEXTS, LABELS, sample_weight=[1.0] * 60) == model.score(TEXTS, LABELS)
    assert len(model.predict([])) == 0 and model.predict_proba([]).shape == (0, 2)


@pytest.mark.parametrize("call", ["predict", "predict_proba", "score", "export", "save", "report"])
def test_before_fit_it_says_so(call: str, tmp_path: Path) -> None:
    arguments = {
        "score": ([], []),
        "export": (tmp_path / "m.onnx",),
        "save": (tmp_path / "m.safetensors",),
    }
    with pytest.raises(NotFittedError):
        found = getattr(TextClassifier(), call)
        found(*arguments.get(call, ([],)))


def series_from_9(values: Any) -> Any:
    return pd.Series(values, index=range(9, 69))


@pytest.mark.parametrize("form", [tuple, np.array, pd.Series, series_from_9])
def test_texts_and_labels_come_in_any_form(form: Any) -> None:
    found = TextClassifier(**QUICK).fit(form(TEXTS), form(LABELS))
    plain = TextClassifier(**QUICK).fit(TEXTS, LABELS)
    assert np.array_equal(found.predict_proba(form(TEXTS)), plain.predict_proba(TEXTS))


@pytest.mark.parametrize("kind", [int, bool, np.int64, float])
def test_labels_keep_their_type_and_numbers_are_in_order(kind: Any) -> None:
    truth = [kind(label == "shop") for label in LABELS]
    model = TextClassifier(**QUICK).fit(TEXTS, truth)
    assert model.classes_.tolist() == [kind(0), kind(1)]
    assert model.predict(TEXTS).dtype == np.array(truth).dtype
    assert model.score(TEXTS, truth) > 0.9
    ten = TextClassifier(**QUICK).fit(TEXTS, [(9, 10)[label == "sea"] for label in LABELS])
    assert ten.classes_.tolist() == [9, 10]  # and not "10" before "9"


def test_several_labels_are_sets(multi_label: TextClassifier) -> None:
    assert multi_label.classes_.tolist() == ["anger", "fear", "joy"]
    answers = multi_label.predict(MULTI_LABEL)
    assert all(isinstance(found, set) and found <= {*multi_label.classes_} for found in answers)
    assert (
        multi_label.score(MULTI_LABEL, SETS)
        == np.mean([a == b for a, b in zip(answers, SETS)])
        > 0.5
    )
    assert multi_label.score(MULTI_LABEL, [sorted(labels) for labels in SETS]) == multi_label.score(
        MULTI_LABEL, SETS
    )
    assert (multi_label.predict_proba(MULTI_LABEL) <= 1).all()
    assert multi_label.predict([]) == []
    # sets have another order in each process
    turned = [sorted(labels, reverse=True) for labels in SETS]
    assert dataset_from(MULTI_LABEL, turned).digest == multi_label.report["data"]["sha256"]


@pytest.mark.parametrize("form", [np.array, sparse.csr_matrix, pd.DataFrame])
def test_several_labels_are_an_indicator_matrix(multi_label: TextClassifier, form: Any) -> None:
    matrix = np.array(
        [[label in own for label in ("anger", "fear", "joy")] for own in SETS]
    ).astype(int)
    model = TextClassifier(**QUICK).fit(MULTI_LABEL, form(matrix))
    assert model.classes_.tolist() == ["0", "1", "2"]
    found = model.predict(MULTI_LABEL)
    assert found.shape == matrix.shape and found.dtype == np.int64
    assert f1_score(matrix, found, average="micro") > 0.7
    assert model.score(MULTI_LABEL, form(matrix)) == (found == matrix).all(axis=1).mean()
    assert np.array_equal(model.predict_proba(MULTI_LABEL), multi_label.predict_proba(MULTI_LABEL))
    named = TextClassifier(**QUICK).fit(
        MULTI_LABEL, pd.DataFrame(matrix, columns=["anger", "fear", "joy"])
    )
    assert named.classes_.tolist() == ["anger", "fear", "joy"]


def test_the_same_seed_gives_the_same_bits_and_another_one_others() -> None:
    answers = [
        TextClassifier(**QUICK, random_state=seed).fit(TEXTS, LABELS).predict_proba(TEXTS)
        for seed in (3, 3, 4)
    ]
    assert np.array_equal(answers[0], answers[1])
    assert not np.array_equal(answers[0], answers[2])


def test_a_copy_and_a_pickle_answer_with_the_same_bits(model: TextClassifier) -> None:
    expected = model.predict_proba(TEXTS)
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert np.array_equal(other.predict_proba(TEXTS), expected)
        assert other.report == model.report and other.plan_ == model.plan_


def test_cross_validation_a_grid_and_a_pipeline_run_on_it() -> None:
    scores = cross_val_score(TextClassifier(**QUICK), np.array(TEXTS), np.array(LABELS), cv=2)
    assert len(scores) == 2 and scores.min() > 0.7
    grid = GridSearchCV(
        TextClassifier(**QUICK), {"preset": ["tiny", "small"], "epochs": [1, 2]}, cv=2
    )
    grid.fit(TEXTS, LABELS)
    assert set(grid.best_params_) == {"preset", "epochs"}
    assert grid.best_estimator_.plan_.loop.epochs == grid.best_params_["epochs"]
    lower = FunctionTransformer(lambda texts: [text.lower() for text in texts])
    pipeline = Pipeline([("lower", lower), ("classify", TextClassifier(**QUICK))])
    assert pipeline.fit([text.upper() for text in TEXTS], LABELS).score(TEXTS, LABELS) > 0.9
    matrix = np.array([["joy" in own, "fear" in own] for own in SETS]).astype(int)
    assert len(cross_val_score(TextClassifier(**QUICK), np.array(MULTI_LABEL), matrix, cv=2)) == 2


def test_a_plan_is_run_as_it_is() -> None:
    plan = make_plan(DatasetStats(60, 2), TrainingRequest("tiny", epochs=1, validation=0.0))
    model = TextClassifier("base", plan=plan).fit(TEXTS, LABELS)
    assert model.plan_ == plan and model.report["preset"] == "tiny"
    assert model.report["data"]["train_texts"] == {"sea": 30, "shop": 30}
    with pytest.raises(DataError, match="the plan is for 2 labels"):
        TextClassifier(plan=plan).fit(TEXTS[:30], ["a", "b", "c"] * 10)


def test_a_rare_label_is_raised_unasked() -> None:
    labels = ["sea", "sea", "sea", "sea", "shop"] * 24
    texts = [
        f"{i} {'wave harbour' if label == 'sea' else 'basket till'}"
        for i, label in enumerate(labels)
    ]
    model = TextClassifier("tiny", epochs=2).fit(texts, labels)
    # The words tell the labels, so that no shift at all is the best one.
    calibration = replace(model.plan_.calibration, balance=True)
    best = TextClassifier(plan=replace(model.plan_, calibration=calibration)).fit(texts, labels)
    usual, unshifted = (np.diff(np.log(m.predict_proba(texts)), axis=1) for m in (model, best))
    assert usual - unshifted == pytest.approx(0.15 * np.log(97 / 25), abs=1e-3)


def test_verbose_shows_stages_and_epochs_on_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    quick = {**QUICK, "epochs": 2, "validation": 0.2}
    said: list[str] = []
    TextClassifier(**quick, verbose=2, callback=said.append).fit(TEXTS, LABELS)
    shown = capsys.readouterr()
    assert shown.out == "" and max(map(len, shown.err.splitlines())) < 80
    assert "epoch 1 of 2  loss " in shown.err and "epoch 2 of 2  loss " in shown.err
    assert said and set(said) < set(shown.err.splitlines())
    cross_val_score(TextClassifier(**quick, verbose=1), TEXTS, LABELS, cv=2)
    assert capsys.readouterr().err.count("training ") == 2
    TextClassifier(**quick).fit(TEXTS, LABELS)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("multi_label", [False, True], ids=["one label", "several labels"])
def test_many_topics_are_learnt_without_an_lstm(multi_label: bool, tmp_path: Path) -> None:
    labels = [f"topic{number}" for number in range(17)]
    table = [(f"{text} " * 15, label) for text, label in rows(17 * 12, labels)]
    texts, answers = (list(column) for column in zip(*table))
    own = [{label} for label in answers] if multi_label else answers
    model = TextClassifier("tiny", teacher="none").fit(texts, own)
    training = model.result_.checkpoint.training
    assert model.plan_.kind == "topics"
    assert (training["epochs"], training["parts"]["lstm"]) == (0, 0)
    path = model.export(tmp_path / "topics.onnx", quantize="int8")
    file = Classifier.load(path)
    assert file.model.network.layers == () and "embedding" not in file.model.quantization
    found = file.predict(texts[:17])
    assert [each.labels if multi_label else each.label for each in found] == [
        (label,) if multi_label else label for label in answers[:17]
    ]
    ngrams = model.result_.checkpoint.network.ngrams
    assert ngrams is not None
    vectors = ngrams.vectors.weight.numpy()[1:]
    held = rounded(vectors, 0) if multi_label else coded(vectors)
    assert np.allclose(held.values * held.scales, vectors), "the texts chose what the file holds"


def test_a_callback_is_told_the_stages_and_can_end_the_training() -> None:
    said: list[str] = []
    TextClassifier(**{**QUICK, "validation": None}, callback=said.append).fit(TEXTS, LABELS)
    assert said[0] == "cross-validation 1 of 3" and "cross-validation 3 of 3" in said

    def ended(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        TextClassifier(**QUICK, callback=ended).fit(TEXTS, LABELS)


def test_unlabelled_texts_are_learnt_from() -> None:
    log = [text for text, _ in rows(30, seed=5)]
    for form in (list, tuple, pd.Series):
        model = TextClassifier(**{**QUICK, "teacher": None}).fit(
            TEXTS, LABELS, unlabelled=form(log)
        )
        assert model.report["data"]["unlabelled_texts"] == len(set(log))
    with pytest.raises(DataError, match="unlabelled"):
        TextClassifier(preset="seed").fit(TEXTS, LABELS, unlabelled=log)


@pytest.mark.parametrize("quantize", [None, "int8"])
def test_an_exported_file_gives_the_same_labels(
    model: TextClassifier, tmp_path: Path, quantize: Any
) -> None:
    path = model.export(tmp_path / "new" / "m.onnx", quantize=quantize, length=40)
    classifier = Classifier.load(path)
    assert classifier.model.tokenizer.length == 40
    assert [answer.label for answer in classifier.predict(TEXTS)] == model.predict(TEXTS).tolist()
    difference = np.abs(classifier.probabilities(TEXTS) - model.predict_proba(TEXTS)).max()
    assert difference < (1e-4 if quantize is None else 0.1)
    saved = load_checkpoint(model.save(tmp_path / "m.safetensors"))
    assert export(saved, quantize=quantize, length=40).data == path.read_bytes()
    assert saved.plan == model.plan_.to_dict()


@pytest.mark.parametrize(
    ("texts", "labels", "said"),
    [
        ("ab", ["x", "y"], "the texts are a single str"),
        (["a", "b"], ["x", "y", "z"], "2 texts but labels of 3"),
        (["a", 7], ["x", "y"], "text 1 is int, not str"),
        (["a", "b"], ["x", "x"], "one label, x"),
        (["a", "b"], ["x", None], "label 1 is missing"),
        (["a", "b"], ["x", float("nan")], "label 1 is missing"),
        (["a", "b"], [1, "1"], "two labels with the same name"),
        (["a", "b"], [{"x": 1}, "y"], "holds a dict"),
        (["a", "b"], np.array([[1, 2], [0, 1]]), "values other than 0 and 1"),
        (["a", "b"], np.zeros((2, 2)), "no labelled text"),
        (["x \x00"] * 30, ["a\nb", "c"] * 15, "control character or a line break"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_cannot_train_is_a_data_error_of_one_line(texts: Any, labels: Any, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        TextClassifier(**QUICK).fit(texts, labels)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [{"preset": "best"}, {"epochs": 0}, {"validation": 1.0}, {"teacher": "no such"}],
    ids=str,
)
def test_a_parameter_that_means_nothing_is_a_data_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=r"[;,] "):
        TextClassifier(**{**QUICK, **wrong}).fit(TEXTS, LABELS)


def test_train_is_the_command_from_python(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "a.csv", rows(60))
    output = tmp_path / "m.safetensors"
    said = list[str]()
    report = train_files(
        [source, write_csv(tmp_path / "b.csv", rows(20, seed=2))],
        output,
        request=TrainingRequest("tiny", epochs=1, validation=0.0),
        callback=said.append,
        data=DataOptions(test_share=0.1),
    )
    assert (
        report.test is not None
        and sum(report.checkpoint.training["data"]["train_texts"].values()) == 72
    )
    assert load_checkpoint(output).training == report.checkpoint.training
    made = {"m.safetensors", "m.history.json"}
    assert {path.name for path in tmp_path.glob("m.*")} == made
    assert "fitting n-grams and calibrating" in said
    with pytest.raises(DataError, match=r"no file or folder none\.csv"):
        train_files("none.csv", output)


def test_the_package_shows_its_names_and_is_cheap_to_import() -> None:
    assert {"TextClassifier", "train_files", "Plan", "make_plan"} <= set(dir(edge_lstm_export))
    with pytest.raises(AttributeError):
        edge_lstm_export.nothing  # noqa: B018
    code = "import sys, edge_lstm_export; "
    code += "print(sorted({'torch', 'sklearn', 'onnx'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
