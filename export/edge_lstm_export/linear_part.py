"""The table of the network's linear part: a weight for every word and every hashed word pair.

Gradient steps do not suit it (a text adds up hundreds of weights, and the sum swings), least squares do,
in seconds, twice. Before the LSTM is trained the table is fitted to a teacher's soft labels, which leave
the LSTM something to learn, where a table fitted to the texts' own labels knows them by heart. When the
LSTM is done, it is fitted to the labels themselves, and the validation part weighs the two against each
other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import optimize, sparse
from scipy.special import log_softmax
from sklearn.linear_model import Ridge

from edge_lstm_export.evaluation import predict_logits
from edge_lstm_export.examples import Examples
from edge_lstm_export.network import Network, NetworkConfig, pair_bucket
from edge_lstm_export.teacher.nbsvm import log_ratios

Floats = npt.NDArray[np.float32]

# Of 100, 300 and 500, and of targets cut at 0.01 and 0.05, on film-disjoint parts of IMDB's training split.
# It is meant for so many texts and grows with them: 300 would leave a hundred texts next to nothing.
RIDGE, RIDGE_TEXTS = 300.0, 73_705
SURE = 0.05  # a target counts as at least so far from 0 and 1: its logit is what is fitted
SHARE = 0.5  # what the LSTM is trained beside, of the fitted logits
MOST_TEXTS = 200_000  # a random part of more: the fit holds their counts in memory, 6 kB for a review
# How far the weights of the two parts are trusted before there is a validation text, in nats: ten texts
# cannot move them, a thousand decide.
PRIOR = 10.0


@dataclass(frozen=True)
class Table:
    """Logits = counts @ weights + intercept. weights: float32 [rows, logits]; intercept: float32 [logits]."""

    weights: Floats
    intercept: Floats


def begin_linear_part(network: Network, examples: Examples) -> None:
    """Sets the table that the LSTM is trained beside: half of what fits the examples' soft targets best."""
    if network.pairs is not None:
        table = fit_table(examples, network.config)
        _set(network, table, 1.0, SHARE, np.zeros(1, np.float32))


def finish_linear_part(network: Network, examples: Examples, validation: Examples) -> dict[str, float]:
    """Fits the table to the examples' targets and weighs both parts by the validation part.

    Returns the weights, for the account of the training.
    """
    table = fit_table(examples, network.config)
    _set_table(network, np.zeros_like(table.weights))
    lstm = predict_logits(network, validation).numpy()
    linear = count_matrix(validation, network.config) @ table.weights + table.intercept
    share, linear_share, bias = _weigh(lstm, linear, validation.targets)
    _set(network, table, share, linear_share, bias)
    return {"lstm": round(share, 4), "linear": round(linear_share, 4)}


def fit_table(examples: Examples, config: NetworkConfig) -> Table:
    """Least squares on the logits of the targets, one column for two labels, else one a label.

    The columns are scaled by their naive-Bayes log ratios first, as in NB-SVM (see teacher/nbsvm.py), so
    that the regularisation spares those that tell labels apart.
    """
    rows = np.arange(len(examples))
    if len(rows) > MOST_TEXTS:
        rows = np.sort(np.random.default_rng(0).choice(rows, MOST_TEXTS, replace=False))
    counts = count_matrix(examples, config)[rows]
    present = counts.copy()
    present.data[:] = 1
    targets = examples.targets[rows, 1:] if config.labels == 2 else examples.targets[rows]
    weights, intercepts = [], []
    for target in targets.T:
        scale = sparse.diags(log_ratios(present, target).astype(np.float32))
        sure = np.clip(target, SURE, 1 - SURE)
        model = Ridge(alpha=RIDGE * len(rows) / RIDGE_TEXTS, solver="lsqr", max_iter=60, tol=1e-4)
        model.fit(counts @ scale, np.log(sure / (1 - sure)))
        weights.append(scale @ model.coef_)
        intercepts.append(model.intercept_)
    table = np.stack(weights, axis=1).astype(np.float32)
    table[0] = 0  # padding
    return Table(table, np.array(intercepts, np.float32))


def count_matrix(examples: Examples, config: NetworkConfig) -> Any:
    """float32 [texts, rows of the table], CSR: how often a text holds each word and each bucket of pairs."""
    owner = np.repeat(np.arange(len(examples)), examples.lengths)
    ids = examples.ids.astype(np.int64)
    bucket = pair_bucket(torch.from_numpy(ids[:-1]), torch.from_numpy(ids[1:]), config.pair_buckets).numpy()
    same = owner[:-1] == owner[1:]
    rows = np.concatenate([owner, owner[:-1][same]])
    columns = np.concatenate([ids, config.pair_start + bucket[same]])
    ones = np.ones(len(rows), np.float32)
    shape = (len(examples), config.pair_start + config.pair_buckets)
    return sparse.coo_matrix((ones, (rows, columns)), shape=shape).tocsr()  # equal places are added up


def _weigh(lstm: Floats, linear: Floats, targets: Floats) -> tuple[float, float, Floats]:
    """lstm, linear: [n, logits]; targets: [n, labels] → the two weights and a bias [logits] of least loss."""
    outputs = lstm.shape[1]

    def loss(weights: npt.NDArray[Any]) -> float:
        z = weights[0] * lstm + weights[1] * linear + weights[2:]
        z = np.concatenate([np.zeros_like(z), z], axis=1) if outputs == 1 else z
        nats = -float((targets * log_softmax(z, axis=1)).sum())
        return nats + PRIOR * float(((weights[:2] - (1.0, SHARE)) ** 2).sum() + (weights[2:] ** 2).sum())

    best = optimize.minimize(loss, np.array([1.0, SHARE, *np.zeros(outputs)]), method="L-BFGS-B").x
    return float(best[0]), float(best[1]), best[2:].astype(np.float32)


def _set(network: Network, table: Table, lstm: float, linear: float, bias: Floats) -> None:
    """Logits become ``lstm`` times those of the LSTM's head, ``linear`` times the table's, and the bias."""
    _set_table(network, linear * table.weights)
    with torch.no_grad():
        network.head.weight.mul_(lstm)
        network.head.bias.mul_(lstm).add_(torch.from_numpy(linear * table.intercept + bias))


def _set_table(network: Network, weights: Floats) -> None:
    assert network.pairs is not None
    with torch.no_grad():
        network.pairs.weight.copy_(torch.from_numpy(weights))
