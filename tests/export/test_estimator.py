"""Training from Python: scikit-learn's habits, texts and labels of any form, the way to a file."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import edge_lstm_export
import numpy as np
import pytest
import sklearn
import torch
from cases import rows as cases
from commands import command, inspected
from edge_lstm_export import TextClassifier, TrainingRequest, train_files
from edge_lstm_export.options import DataOptions
from edge_lstm_export.train.sources.memory import dataset_from
from made import multi_label_rows, rows, write_csv
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from edge_lstm import Classifier
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
    assert model.score(TEXTS, ["sea"] * 60, [1.0, 0.0] * 30) > 0.9  # every second one is of the sea
    assert len(model.predict([])) == 0 and model.predict_proba([]).shape == (0, 2)


@pytest.mark.parametrize("call", ["predict", "predict_proba", "score", "export", "save", "report"])
def test_before_fit_it_says_so(call: str) -> None:
    arguments = {"score": ([], [])}.get(call, (["x"],))
    with pytest.raises(NotFittedError):
        getattr(TextClassifier(), call)(*arguments)


def series_from_9(values: Any) -> Any:
    pd = pytest.importorskip("pandas")
    return pd.Series(values, index=range(9, 69))


@pytest.mark.parametrize("form", [tuple, np.array, series_from_9])
def test_texts_and_labels_come_in_any_form(model: TextClassifier, form: Any) -> None:
    data = dataset_from(form(TEXTS), form(LABELS), unlabelled=form(TEXTS))
    assert data.digest == model.report["data"]["sha256"]
    assert data.unlabelled == data.train.texts
    assert np.array_equal(model.predict(form(TEXTS)), model.predict(TEXTS))


@pytest.mark.parametrize(
    ("pair", "form"), [((False, True), list), ((9, 10), series_from_9), ((1.0, 10.0), np.array)]
)
def test_labels_keep_their_type_and_numbers_are_in_order(pair: tuple[Any, Any], form: Any) -> None:
    truth = form([pair[label == "shop"] for label in LABELS])
    model = TextClassifier(**QUICK).fit(TEXTS, truth)
    assert model.classes_.tolist() == [*pair]  # and not "10" before "9"
    assert model.predict(TEXTS).dtype == np.array(truth).dtype
    assert model.score(TEXTS, truth) > 0.9


def test_several_labels_are_sets(multi_label: TextClassifier) -> None:
    assert multi_label.classes_.tolist() == ["anger", "fear", "joy"]
    answers = multi_label.predict(MULTI_LABEL)
    assert all(isinstance(found, set) and found <= {*multi_label.classes_} for found in answers)
    score = multi_label.score(MULTI_LABEL, SETS)
    assert score == np.mean([a == b for a, b in zip(answers, SETS)]) > 0.5
    assert multi_label.score(MULTI_LABEL, [sorted(labels) for labels in SETS]) == score
    assert multi_label.predict([]) == []
    # sets have another order in each process
    turned = [sorted(labels, reverse=True) for labels in SETS]
    assert dataset_from(MULTI_LABEL, turned).digest == multi_label.report["data"]["sha256"]


NAMES = ["anger", "fear", "joy"]


def named(matrix: Any) -> Any:
    pd = pytest.importorskip("pandas")
    return pd.DataFrame(matrix, columns=NAMES)


@pytest.mark.parametrize(
    ("form", "names"),
    [(np.array, ["0", "1", "2"]), (sparse.csr_matrix, ["0", "1", "2"]), (named, NAMES)],
)
def test_several_labels_are_an_indicator_matrix(
    multi_label: TextClassifier, form: Any, names: list[str]
) -> None:
    matrix = np.array([[label in own for label in NAMES] for own in SETS]).astype(int)
    model = TextClassifier(**QUICK).fit(MULTI_LABEL, form(matrix))
    assert model.classes_.tolist() == names
    found = model.predict(MULTI_LABEL)
    assert found.shape == matrix.shape and found.dtype == np.int64
    assert model.score(MULTI_LABEL, form(matrix)) == (found == matrix).all(axis=1).mean()
    assert np.array_equal(model.predict_proba(MULTI_LABEL), multi_label.predict_proba(MULTI_LABEL))


def test_a_copy_and_a_pickle_answer_with_the_same_bits(model: TextClassifier) -> None:
    expected = model.predict_proba(TEXTS)
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert np.array_equal(other.predict_proba(TEXTS), expected)
        assert other.report == model.report and other.plan_ == model.plan_


def test_cross_validation_a_grid_and_a_pipeline_run_on_it() -> None:
    before = torch.manual_seed(1).get_state()
    scores = cross_val_score(TextClassifier(**QUICK), np.array(TEXTS), np.array(LABELS), cv=2)
    assert scores.min() > 0.7
    assert torch.equal(torch.get_rng_state(), before), "a program's random numbers are its own"
    lower = FunctionTransformer(lambda texts: [text.lower() for text in texts])
    pipeline = Pipeline([("lower", lower), ("classify", TextClassifier(**QUICK))])
    grid = GridSearchCV(pipeline, {"classify__epochs": [1, 2]}, cv=2)
    grid.fit([text.upper() for text in TEXTS], LABELS)
    assert grid.best_estimator_["classify"].plan_.loop.epochs in (1, 2)
    assert grid.score(TEXTS, LABELS) > 0.9


def test_a_rare_label_is_raised_unasked() -> None:
    labels = ["sea", "sea", "sea", "sea", "shop"] * 24
    words = {"sea": "wave harbour", "shop": "basket till"}
    texts = [f"{i} {words[label]}" for i, label in enumerate(labels)]
    model = TextClassifier("tiny", teacher="none", epochs=2).fit(texts, labels)
    # The words tell the labels, so that no shift at all is the best one.
    best = TextClassifier(plan=replace(model.plan_, balance=True)).fit(texts, labels)
    usual, unshifted = (np.diff(np.log(m.predict_proba(texts)), axis=1) for m in (model, best))
    assert usual - unshifted == pytest.approx(0.15 * np.log(97 / 25), abs=1e-3)


def test_without_a_teacher_no_text_can_be_unlabelled() -> None:
    with pytest.raises(DataError, match="teacher='none' labels no text"):
        TextClassifier("tiny", teacher="none").fit(TEXTS, LABELS, unlabelled=["a text"])


def test_texts_without_a_label_teach() -> None:
    log = [text for text, _ in rows(20, seed=8)]
    alone = TextClassifier(**QUICK).fit(TEXTS, LABELS).report
    assert (alone["data"]["unlabelled_texts"], alone["teachers"]) == (0, [])
    taught = TextClassifier("tiny", epochs=1, validation=0.0).fit(TEXTS, LABELS, unlabelled=log)
    assert taught.report["data"]["unlabelled_texts"] == len({*log} - {*TEXTS})
    assert "linear" in [teacher["name"] for teacher in taught.report["teachers"]]


# A parameter, its value, and the field of the plan that has another value then.
PARAMETERS = """
preset | "small" | preset
balance | true | balance
question | "choice" | question
epochs | 3 | loop.epochs
validation | 0.3 | validation.share
random_state | 7 | seed
teacher | "sentiment" | teachers
start | "sentiment-small" | start
"""


@pytest.mark.parametrize(("name", "value", "field"), cases(PARAMETERS))
def test_a_parameter_is_asked_of_the_plan(name: str, value: str, field: str) -> None:
    def planned(**given: Any) -> Any:
        found: Any = TextClassifier(**{**QUICK, **given}).fit(TEXTS, [0, 1] * 30).plan_
        for each in field.split("."):
            found = getattr(found, each)
        return found

    usual, other = planned(), planned(**{name: json.loads(value)})
    assert usual != other
    if name not in ("teacher", "start"):
        assert other == json.loads(value)


def test_stages_are_told_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    TextClassifier(**{**QUICK, "validation": None}, verbose=True).fit(TEXTS, LABELS)
    shown = capsys.readouterr()
    assert shown.out == "" and max(map(len, shown.err.splitlines())) < 80
    said = shown.err.splitlines()
    assert said[0] == "cross-validation 1 of 3" and "cross-validation 3 of 3" in said
    assert shown.err.count("training ") == 1
    TextClassifier(**QUICK).fit(TEXTS, LABELS)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("multi_label", [False, True], ids=["one label", "several labels"])
def test_many_topics_are_learnt_without_an_lstm(multi_label: bool) -> None:
    labels = [f"topic{number}" for number in range(17)]
    long = [(f"{text} " * 15, label) for text, label in rows(17 * 12, labels)]
    texts, answers = (list(column) for column in zip(*long))
    own = [{label} for label in answers] if multi_label else answers
    model = TextClassifier("tiny", teacher="none").fit(texts, own)
    assert model.plan_.kind == "topics"
    assert (model.report["epochs"], model.report["parts"]["lstm"]) == (0, 0)
    path = model.export(Path("topics.onnx"), quantize="int8")
    file = Classifier.load(path)
    assert file.model.network.layers == () and "embedding" not in file.model.quantization
    found = file.predict(texts[:17])
    assert [each.labels if multi_label else each.label for each in found] == [
        (label,) if multi_label else label for label in answers[:17]
    ]


@pytest.mark.parametrize("quantize", [None, "int8"])
def test_an_exported_file_gives_the_same_labels(model: TextClassifier, quantize: Any) -> None:
    path = model.export(Path("new") / "m.onnx", quantize=quantize)
    classifier = Classifier.load(path)
    assert [answer.label for answer in classifier.predict(TEXTS)] == model.predict(TEXTS).tolist()
    difference = np.abs(classifier.probabilities(TEXTS) - model.predict_proba(TEXTS)).max()
    assert difference < (1e-4 if quantize is None else 0.1)
    saved = model.save(Path("m.safetensors"))
    options = ("--quantize", quantize) if quantize else ()
    command("export", saved, "-o", "n.onnx", *options)
    assert Path("n.onnx").read_bytes() == path.read_bytes()
    assert inspected(saved)["plan"] == model.plan_.to_dict()


UNFIT = r"""
"ab" | ["x", "y"] | the texts are a single str
["a", "b"] | ["x", "y", "z"] | 2 texts but labels of 3
["a", 7] | ["x", "y"] | text 1 is int, not str
["a", "b"] | ["x", NaN] | label 1 is missing
["a", "b"] | [1, "1"] | two labels with the same name
["a", "b"] | [{"x": 1}, "y"] | holds a dict
["a", "b", "c"] | ["a\\nb", "c", "c"] | control character or a line break
"""


@pytest.mark.parametrize(("texts", "labels", "said"), cases(UNFIT))
def test_what_cannot_train_is_a_data_error_of_one_line(texts: str, labels: str, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        TextClassifier(**QUICK).fit(json.loads(texts), json.loads(labels))
    assert "\n" not in str(caught.value)


def test_train_is_the_command_from_python() -> None:
    sources = [
        write_csv("a.csv", rows(60)),
        write_csv("b.csv", rows(20, seed=2)),
    ]
    output = Path("m.safetensors")
    said = list[str]()
    report = train_files(
        sources,
        output,
        request=TrainingRequest("tiny", "none", epochs=1, validation=0.0),
        callback=said.append,
        data=DataOptions(by_digest=True),
    )
    training = inspected(output)["training"]
    assert training == report.checkpoint.training
    assert report.test is not None
    assert sum(training["data"]["train_texts"].values()) + report.test.texts == 80
    assert {path.name for path in Path().glob("m.*")} == {"m.safetensors", "m.history.json"}
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
