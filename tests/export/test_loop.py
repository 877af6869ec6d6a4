"""The training loop: what it learns, what it keeps, and that a run is decided by its inputs
alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from edge_lstm_export.network.examples import Examples
from edge_lstm_export.network.logits import fit_temperature, log_probabilities, soft_cross_entropy
from edge_lstm_export.network.network import Network
from edge_lstm_export.network.predict import predict_logits
from edge_lstm_export.options import LoopOptions, NetworkOptions
from edge_lstm_export.train.calibrate import (
    ComponentLogits,
    expected_stack,
    fit_stack,
)
from edge_lstm_export.train.lstm.history import best_of
from edge_lstm_export.train.lstm.loop import fit_network

from edge_lstm.core.text import Tokenizer
from edge_lstm.errors import DataError

OPTIONS = LoopOptions(3, 8, 0.02)
WORDS = ("good", "bad", "film", "the", "plot")


def one_hot(labels: Any, count: int) -> Any:
    return np.eye(count, dtype=np.float32)[np.asarray(labels)]


def examples(count: int = 36, labels: int = 2, seed: int = 0, longest: int = 9) -> Examples:
    """Texts of filler words with one word that tells the label."""
    rng = np.random.default_rng(seed)
    truth = np.arange(count) % labels
    texts = [
        " ".join(
            rng.permutation([WORDS[label], *rng.choice(WORDS[labels:], rng.integers(1, longest))])
        )
        for label in truth
    ]
    return Examples.from_texts(Tokenizer(WORDS), texts, one_hot(truth, labels))


def network(seed: int = 0, **settings: Any) -> Network:
    torch.manual_seed(seed)
    shape = {"num_words": 9, "embedding_dim": 4, "hidden": 8, "dropout": 0.2, **settings}
    options = NetworkOptions(**shape)
    return Network(options.config, dropout=options.dropout)


def test_the_best_epoch_is_kept_and_a_run_without_gain_stops_early() -> None:
    contrary = examples(seed=1)  # contradicts what is learnt: the first epoch is the best one
    contrary = replace(contrary, targets=contrary.targets[:, ::-1].copy())
    net = network()
    result = fit_network(net, examples(), LoopOptions(30, 8, 0.02, patience=2), 0, contrary)
    best = best_of(result.history)
    assert result.outcome == "stopped early" and best is not None
    assert len(result.history) == best.epoch + 2
    assert best.calibrated_loss == min(r.calibrated_loss or 0 for r in result.history)
    loss = soft_cross_entropy(predict_logits(net, contrary), torch.from_numpy(contrary.targets))
    assert float(loss) == pytest.approx(best.validation_loss)


def test_what_cannot_be_learnt_is_refused() -> None:
    net = network()
    with torch.no_grad():
        net.head.weight.fill_(float("nan"))
    with pytest.raises(DataError, match=r"lower .*learning_rate"):
        fit_network(net, examples(), OPTIONS, 0)
    with pytest.raises(DataError, match="no training texts"):
        fit_network(network(), examples().subset(np.array([], np.int64)), OPTIONS, 0)


# --- What its answers are worth -------------------------------------------------------------------


@pytest.mark.parametrize(("labels", "temperature"), [(2, 0.5), (3, 3.0)])
def test_the_temperature_that_the_logits_were_multiplied_by_is_found(
    labels: int, temperature: float
) -> None:
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(0, 2, (5000, 1 if labels == 2 else labels)))
    chances = log_probabilities(logits).exp().numpy()
    truth = (chances.cumsum(axis=1) < rng.random((len(logits), 1))).sum(axis=1).clip(max=labels - 1)
    targets = torch.from_numpy(one_hot(truth, labels))
    found = fit_temperature(logits.float() * temperature, targets)
    assert found == pytest.approx(temperature, rel=0.1)


@pytest.mark.parametrize("multi_label", [True, False])
def test_two_parts_are_weighed_by_what_they_know(multi_label: bool) -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((400, 3)) < 0.3 if multi_label else one_hot(rng.integers(0, 3, 400), 3) > 0
    right = (np.where(truth, 2, -2) + rng.normal(0, 1, (400, 3))).astype(np.float32)
    noise = rng.normal(0, 1, (400, 3)).astype(np.float32)
    targets = truth.astype(np.float32)
    prior = expected_stack(9000, 3)
    of_lstm = fit_stack(ComponentLogits(right, noise, targets), prior, multi_label=multi_label)
    assert of_lstm.lstm > 0.5 > 4 * abs(of_lstm.sparse)
    of_sparse = fit_stack(ComponentLogits(noise, right, targets), prior, multi_label=multi_label)
    assert of_sparse.sparse > 0.5 > 4 * abs(of_sparse.lstm)
