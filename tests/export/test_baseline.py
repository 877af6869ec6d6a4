"""A training says what a linear model has on the rows that judge the network."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from commands import train
from edge_lstm_export import TextClassifier
from edge_lstm_export.options import LinearOptions, Validation
from edge_lstm_export.train import baseline
from edge_lstm_export.train.baseline import fit_baseline
from edge_lstm_export.train.data import Dataset
from edge_lstm_export.train.plan import Plan
from edge_lstm_export.train.rows import LabelledRows, hold_out_rows
from made import dataset, rows, write_csv

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


@pytest.mark.parametrize(
    ("validation", "texts"), [({"share": 0.2}, 18), ({"folds": 3}, 90)], ids=["part", "folds"]
)
def test_the_rows_that_judge_the_network_judge_it(validation: dict[str, float], texts: int) -> None:
    data = noisy(90, 0)
    found = fit_baseline(data, judged(data, **validation), LinearOptions())
    assert found.scores.texts == texts
    assert 0.5 < found.scores.subset_accuracy < 0.95, "it has not seen their labels"


def test_blank_texts_have_no_linear_model() -> None:
    data = dataset([*((" " * i, "sea") for i in range(9)), (" ", "shop")])
    assert fit_baseline(data, judged(data, folds=2), LinearOptions()) is None


def test_a_label_that_a_fold_lacks_is_not_given_there() -> None:
    data = dataset([*rows(12, ["sea"]), ("a till", "shop")])
    found = fit_baseline(data, judged(data, folds=3), LinearOptions())
    assert found.scores.exact == 12


@pytest.mark.parametrize("bound", ["MOST_LABELS", "MOST_WORK"])
def test_a_fit_that_would_take_long_is_left_out(
    bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baseline, bound, 2)
    data = noisy(90, 0)
    assert fit_baseline(data, judged(data, share=0.2), LinearOptions()) is None


def test_train_says_it_after_its_own_accuracy(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "d.csv", rows(60))
    test = write_csv(tmp_path / "t.csv", rows(40, seed=1))
    output = tmp_path / "m.safetensors"
    options = ("--test", test, "--preset", "tiny", "--epochs", "1", "--teacher", "none")
    said = " ".join(train(source, "-o", output, *options).stdout.split())
    assert "40 texts, rows of another file) linear SVM on TF-IDF: accuracy 100.00%, macro" in said
    assert said.endswith("kB; ours +0.00, +0.00 points, at most 60 kB")
    written = json.loads(output.with_name("m.history.json").read_text())["linear_model"]
    assert (written["name"], written["texts"]) == ("linear SVM on TF-IDF", 40)


def test_an_n_gram_part_of_svms_is_the_linear_model_itself() -> None:
    texts, labels = zip(*rows(45, LABELS))
    model = TextClassifier("tiny", teacher="none", epochs=1)
    model.fit([f"{text} " * 14 for text in texts], labels)
    assert model.plan_.kind == "topics" and model.plan_.sparse.fit == "svm"
    found = model.result_.baseline
    assert found.name == "linear model on the n-grams alone"
    assert found.size > 4 * 3 * model.result_.checkpoint.network.config.ngrams
    assert found.scores.texts == 45 and np.isclose(found.scores.micro_f1, 1.0)
