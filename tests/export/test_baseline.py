"""A training says what a linear model has on the rows that judge the network."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from commands import train
from edge_lstm_export import Plan
from edge_lstm_export.options import Validation
from edge_lstm_export.train.data.rows import LabelledRows, hold_out_rows
from edge_lstm_export.train.sources.dataset import Dataset
from edge_lstm_export.train.sparse import linear
from edge_lstm_export.train.sparse.linear import TOKEN, fit_baseline
from made import dataset, rows, write_csv
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline, make_union
from sklearn.svm import LinearSVC

pytestmark = pytest.mark.filterwarnings("ignore:Liblinear")  # as a training has it

LABELS = ("sea", "shop", "zoo")


def noisy(count: int, seed: int) -> Dataset:
    """Rows of which a quarter has a label at random."""
    rng = random.Random(seed)
    made = [
        (text, rng.choice(LABELS) if rng.random() < 0.25 else label)
        for text, label in rows(count, LABELS, seed)
    ]
    return dataset(made, LABELS)


def judged(data: Dataset, **validation: float) -> LabelledRows:
    """The rows of a training whose validation is this."""
    plan = Plan(validation=Validation(**{"share": 0.0, **validation}))  # type: ignore[arg-type]
    return hold_out_rows(data, plan)


def test_it_is_scikit_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "PASSES", 500)
    data = replace(noisy(120, 1), test=noisy(80, 2).train)
    learnt = data.train
    words = TfidfVectorizer(ngram_range=(1, 2), token_pattern=TOKEN, sublinear_tf=True)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
    svm = make_pipeline(make_union(words, characters), LinearSVC(C=0.5))
    svm.fit(learnt.texts, learnt.labels.argmax(axis=1))
    right = svm.predict(data.test.texts) == data.test.labels.argmax(axis=1)
    assert fit_baseline(data, judged(data)).scores.exact == right.sum()


def test_with_several_labels_it_has_an_svm_for_each() -> None:
    texts = ["red cat", "red dog", "blue cat", "blue dog", "a stone"] * 3
    table = [
        (text, "|".join(word for word in ("cat", "red") if word in text))
        for text in [*texts, "stone"]
    ]
    data = dataset(table[:-1], ("cat", "red"), multi_label=True)
    test = dataset(table, ("cat", "red"), multi_label=True).train
    found = fit_baseline(replace(data, test=test), judged(data))
    assert found.scores.exact == len(table)


@pytest.mark.parametrize(
    ("validation", "texts"), [({"share": 0.2}, 18), ({"folds": 3}, 90)], ids=["part", "folds"]
)
def test_the_rows_that_judge_the_network_judge_it(validation: dict[str, float], texts: int) -> None:
    data = noisy(90, 0)
    found = fit_baseline(data, judged(data, **validation))
    assert found.scores.texts == texts
    assert 0.5 < found.scores.subset_accuracy < 0.95, "it has not seen their labels"


def test_blank_texts_have_no_linear_model() -> None:
    data = dataset([*((" " * i, "sea") for i in range(9)), (" ", "shop")])
    assert fit_baseline(data, judged(data, folds=2)) is None


def test_a_label_that_a_fold_lacks_is_not_given_there() -> None:
    data = dataset([*rows(12, ["sea"]), ("a till", "shop")])
    found = fit_baseline(data, judged(data, folds=3))
    assert found.scores.exact == 12


@pytest.mark.parametrize("bound", ["MOST_LABELS", "MOST_WORK"])
def test_a_fit_that_would_take_long_is_left_out(
    bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear, bound, 2)
    data = noisy(90, 0)
    assert fit_baseline(data, judged(data, share=0.2)) is None


def test_train_says_it_after_its_own_accuracy() -> None:
    source = write_csv("d.csv", rows(60))
    test = write_csv("t.csv", rows(40, seed=1))
    output = Path("m.safetensors")
    options = ("--test", test, "--preset", "tiny", "--epochs", "1", "--teacher", "none")
    said = " ".join(train(source, "-o", output, *options).stdout.split())
    assert "40 texts, rows of another file) linear SVM on TF-IDF: accuracy 100.00%, macro" in said
    assert said.endswith("kB; ours +0.00, +0.00 points, at most 60 kB")
    written = json.loads(output.with_name("m.history.json").read_text())["linear_model"]
    assert (written["name"], written["texts"]) == ("linear SVM on TF-IDF", 40)
