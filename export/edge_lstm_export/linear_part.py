"""The table of the network's linear part: a weight for every word and every hashed word pair.

It is fitted before the LSTM, in seconds, by least squares on a teacher's soft labels, and then stays as
it is: the LSTM learns what it leaves over. Fitted together by gradient steps, it swings (a text adds up
hundreds of weights); fitted on the training texts' own labels, it knows those texts by heart and leaves
the LSTM nothing to learn.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from sklearn.linear_model import Ridge

from edge_lstm_export.examples import Examples
from edge_lstm_export.network import Network, NetworkConfig, pair_bucket
from edge_lstm_export.teacher.nbsvm import log_ratios

Floats = npt.NDArray[np.float32]

RIDGE = 100.0  # 10 does as well
SURE = 0.01  # a soft label counts as at least so far from 0 and 1, or its logit would be all that counts
# What the linear part gives of the logits that it was fitted to. With all of them the LSTM is left with
# noise; with half of them the sum is better than either (IMDB, a tenth of the training split held out).
SHARE = 0.5


def fit_linear_part(network: Network, examples: Examples) -> None:
    """Fits the table to the examples' soft targets and adds its intercept to the head's bias.

    The columns are scaled by their naive-Bayes log ratios first, as in NB-SVM (see teacher/nbsvm.py), so
    that the regularisation spares those that tell labels apart.
    """
    if network.pairs is None:
        return
    counts = count_matrix(examples, network.config)
    present = counts.copy()
    present.data[:] = 1
    targets = examples.targets[:, 1:] if network.config.labels == 2 else examples.targets
    table = np.zeros((counts.shape[1], targets.shape[1]), np.float32)
    intercepts = np.zeros(targets.shape[1], np.float32)
    for k, target in enumerate(targets.T):
        scale = sparse.diags(log_ratios(present, target).astype(np.float32))
        sure = np.clip(target, SURE, 1 - SURE)
        model = Ridge(alpha=RIDGE, solver="lsqr", max_iter=60, tol=1e-4)
        model.fit(counts @ scale, np.log(sure / (1 - sure)))
        table[:, k] = SHARE * (scale @ model.coef_)
        intercepts[k] = SHARE * model.intercept_
    table[0] = 0  # padding
    with torch.no_grad():
        network.pairs.weight.copy_(torch.from_numpy(table))
        network.head.bias.add_(torch.from_numpy(intercepts))


def count_matrix(examples: Examples, config: NetworkConfig) -> sparse.csr_matrix:
    """float32 [texts, rows of the table]: how often a text holds each word and each bucket of pairs."""
    owner = np.repeat(np.arange(len(examples)), examples.lengths)
    ids = examples.ids.astype(np.int64)
    bucket = pair_bucket(torch.from_numpy(ids[:-1]), torch.from_numpy(ids[1:]), config.pair_buckets).numpy()
    same = owner[:-1] == owner[1:]
    rows = np.concatenate([owner, owner[:-1][same]])
    columns = np.concatenate([ids, config.pair_start + bucket[same]])
    width = config.pair_start + config.pair_buckets
    ones = np.ones(len(rows), np.float32)
    # From coordinates to rows, equal places are added up.
    return sparse.coo_matrix((ones, (rows, columns)), shape=(len(examples), width)).tocsr()
