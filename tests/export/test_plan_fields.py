"""Every field of a plan is obeyed: another value makes another model."""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cases import rows as cases
from edge_lstm_export import DatasetStats, Plan, TrainingRequest, make_plan
from edge_lstm_export.checkpoint.checkpoint import Checkpoint
from edge_lstm_export.network.predict import predict_probabilities
from edge_lstm_export.train.fit import fit
from made import dataset, rows

LINEAR = [{"source": "", "sha256": "", "kind": "linear"}]


def noisy() -> Any:
    """50 rows of two labels, a third as many of the second, some wrong; and a log."""
    rng = random.Random(0)
    table = [row for i, row in enumerate(rows(80)) if i % 2 == 0 or i % 6 == 1]
    table = [(text, "no" if label == "sea" or rng.random() < 0.1 else "yes")
             for text, label in table]  # fmt: skip
    return replace(dataset(table), unlabelled=tuple(text for text, _ in rows(12, seed=4)))


DATA = noisy()
# The plan that each case changes: its parts are small, and each is there.
BASE: dict[str, Any] = {
    "network.num_words": 50,
    "network.embedding_dim": 4,
    "network.hidden": 4,
    "network.ngram_words": 48,
    "network.ngram_slots": 12,
    "teachers": LINEAR,
    "hard_label_weight": 0.75,
    "unlabelled": 12,
    "augmentation.texts_per_row": 1,
    "validation.folds": 0,
    "validation.share": 0.2,
    "loop.learning_rate": 0.02,
}


def plan_of(changes: Mapping[str, Any]) -> Plan:
    values = make_plan(DatasetStats(54, 2), TrainingRequest("tiny", "none", epochs=1)).to_dict()
    for path, value in changes.items():
        part, _, name = path.rpartition(".")
        (values[part] if part else values)[name] = value
    return Plan.from_dict(values)


@functools.cache
def made(changes: str) -> Checkpoint:
    """What the plan with these changes, in JSON, makes."""
    plan = plan_of({**BASE, **json.loads(changes)})
    return fit(DATA if plan.teachers else replace(DATA, unlabelled=()), plan).checkpoint


def contents(checkpoint: Checkpoint) -> dict[str, Any]:
    """What a checkpoint answers by, and not what it says of itself."""
    weights = checkpoint.network.state_dict()
    return {
        "weights": {name: value.numpy().tobytes() for name, value in weights.items()},
        "network": checkpoint.network.config,
        "tokenizer": checkpoint.tokenizer,
        "question": checkpoint.question,
    }


# A field, another value, and what else both plans have.
FIELDS = """
text.rule | "keras" |
text.length | 4 |
vocabulary.subword_share | 0.8 | "network.num_words": 30
vocabulary.expansion | true | "word_table": "english", "network.num_words": 400
network.num_words | 40 |
network.embedding_dim | 6 |
network.hidden | 6 |
network.bidirectional | false |
network.pooling | "last" |
network.dropout | 0.0 |
network.ngram_words | 20 |
network.ngram_slots | 6 |
network.ngram_counts | [1, 2] |
question | "yes_no" |
word_table | "english" | "sparse.embeddings": 1.5
teachers | [] | "augmentation.texts_per_row": 0, "unlabelled": 0
hard_label_weight | 0.25 |
unlabelled | 5 |
augmentation.texts_per_row | 2 |
augmentation.typos | 0.3 |
validation.share | 0.3 |
validation.folds | 3 | "validation.share": 0.0
loop.epochs | 2 |
loop.batch_size | 4 |
loop.learning_rate | 0.01 |
loop.embedding_rate | 0.5 |
sparse.fit | "logistic" |
sparse.selection | "telling" |
sparse.characters | false |
sparse.shortest | 4 |
sparse.embeddings | 1.5 | "word_table": "english"
sparse.regularization | 0.1 |
balance | true |
seed | 1 |
"""


@pytest.mark.parametrize(("field", "value", "beside"), cases(FIELDS))
def test_another_value_of_a_field_makes_another_model(field: str, value: str, beside: str) -> None:
    both = json.loads(f"{{{beside}}}")
    other = made(json.dumps({**both, field: json.loads(value)}))
    assert contents(made(json.dumps(both))) != contents(other)


def test_the_answers_are_divided_by_the_temperature(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = made("{}")
    assert usual.training["temperature"] != 1
    monkeypatch.setattr("edge_lstm_export.train.fit.fit_temperature", lambda *_, **__: 1e6)
    flat = made.__wrapped__("{}")
    rows = [flat.tokenizer.encode_text(text).ids for text in DATA.train.texts]
    assert np.ptp(predict_probabilities(usual.network, rows)[:, 0]) > 0.5
    assert np.ptp(predict_probabilities(flat.network, rows)[:, 0]) < 1e-3
    # What is left is the shift of the rare label.
    assert flat.training["validation"]["log_loss"] == pytest.approx(np.log(2), abs=0.1)


def test_the_same_plan_makes_the_same_model() -> None:
    assert contents(made("{}")) == contents(made.__wrapped__("{}"))
