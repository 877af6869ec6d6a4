"""Vectors of a fixed width for many labels, and a head, fitted to soft labels.

Half of a text's n-grams are dropped at each step, which is as good as an SVM for each label (banking77, 32
wide: 91.6, the SVM: 90.6).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch.nn import functional

from edge_lstm_export.evaluation import soft_cross_entropy
from edge_lstm_export.examples import Examples
from edge_lstm_export.ngram_features import Features, Ints
from edge_lstm_export.ngram_svm import MEANT_OF_FEW, Recipe, Vectors, exact, fit_exact
from edge_lstm_export.optimizer import AdamW, one_cycle, set_rate

# Of the vectors of many labels: epochs, texts a step, learning rate, what is dropped in a step, and how much
# of a target goes to all labels.
EPOCHS, BATCH, RATE, DROPPED, SMOOTHING = 20, 64, 0.01, 0.5, 0.05
# Passes over the labelled texts and what a teacher said of three times as many: no better than EPOCHS.
EPOCHS_OF_ALL = 12
# Where they begin with those of a checkpoint (benchmarks/going_on.md): passes, most texts a step, and as many
# steps a pass as there are at least before a step has more texts.
EPOCHS_FROM, BATCH_FROM, STEPS_FROM = 6, 128, 30
# C of the SVM beside vectors of many labels, where texts are few, and the most labels (of more, SVMs would
# take minutes). On parts of banking77's training split, 10 rows a label, three draws: the vectors 70.6 %, the
# SVM 70.9, both in vectors of the same width 73.4.
SVM_BESIDE, MOST_SVMS = 0.5, 300


def fit_narrow(
    examples: Examples,
    features: Features,
    width: int,
    seed: int,
    *,
    several: bool = False,
    begin: Vectors | None = None,
    passes: int = EPOCHS,
) -> Vectors:
    """Vectors and head for many labels, by AdamW on the targets; steps drop half of a text's n-grams.

    passes: over the texts, where nothing is begun with. begin: vectors of the features' n-grams, and a head,
    that were fitted to some of these texts before: a few passes from there are better than many from nothing.
    What the parts of words say is in a word's vector.
    """
    x, rng = features.matrix(examples), np.random.default_rng([seed, 0x3A, 0])
    root = torch.from_numpy(np.sqrt(examples.lengths).astype(np.float32)).unsqueeze(1)
    targets = torch.from_numpy(examples.targets)
    batch, rate = BATCH, RATE
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vectors = torch.nn.Parameter(0.1 * torch.randn(x.shape[1], width))
        head = torch.nn.Linear(width, targets.shape[1])
    if begin is not None:
        passes, batch = EPOCHS_FROM, min(BATCH_FROM, max(BATCH, len(targets) // STEPS_FROM))
        rate = RATE * (batch / BATCH) ** 0.5
        with torch.no_grad():
            vectors.zero_()[: len(begin.vectors)] = torch.from_numpy(begin.vectors)
            head.weight.copy_(torch.from_numpy(begin.head))
            head.bias.copy_(torch.from_numpy(begin.bias))
    groups: list[dict[str, Any]] = [
        {"params": [vectors], "weight_decay": 0.0},
        {"params": list(head.parameters())},
    ]
    optimizer, step = AdamW(groups, rate, fused=True), 0
    steps = passes * -(-len(targets) // batch)
    table = vectors.detach().numpy()  # the same memory
    for _ in range(passes):
        order = rng.permutation(len(targets))
        mixed = x[order]
        for start in range(0, len(order), batch):
            set_rate(optimizer, *one_cycle(step, steps, rate))
            rows = order[start : start + batch]
            ends = mixed.indptr[start : start + len(rows) + 1]
            inside = slice(ends[0], ends[-1])
            kept = rng.random(inside.stop - inside.start) >= DROPPED
            data = mixed.data[inside][kept] / np.float32(1 - DROPPED)
            counts = np.concatenate([[0], np.cumsum(kept)])
            parts = data, mixed.indices[inside][kept], counts[ends - ends[0]]
            held = sparse.csr_matrix(parts, (len(rows), len(table)))
            # PyTorch's embedding_bag takes several times as long for its gradient.
            total = torch.from_numpy(held @ table).requires_grad_()
            logits = head(total / root[rows])
            if several:
                loss = soft_cross_entropy(logits, targets[rows], several=True)
            else:
                loss = functional.cross_entropy(logits, targets[rows], label_smoothing=SMOOTHING)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            assert total.grad is not None
            vectors.grad = torch.from_numpy(held.T @ total.grad.numpy())
            optimizer.step()
            step += 1
    table[np.bincount(x.indices, minlength=len(table)) == 0] = 0  # in no text, never trained
    return Vectors(
        features.folded(table), head.weight.detach().numpy().copy(), head.bias.detach().numpy().copy()
    )


def with_svm(narrow: Vectors, examples: Examples, features: Features, labels: Ints) -> Vectors:
    """The narrow vectors and an SVM's, see :func:`merged`."""
    recipe = Recipe(SVM_BESIDE, 1.0, meanings=MEANT_OF_FEW)
    svm = fit_exact(examples, features, labels, len(narrow.head), recipe)
    return merged(narrow, svm, examples, features)


def merged(narrow: Vectors, other: Vectors, examples: Examples, features: Features) -> Vectors:
    """Vectors as wide as the narrow ones for the mean of both's logits, the other's as large as theirs: those
    directions are kept in which the logits of the texts differ most (singular value decomposition)."""
    count, width = narrow.head.shape
    held = features.held(examples)
    by_length = np.sqrt(examples.lengths)[:, None]
    total = np.zeros((len(features.keys), count), np.float32)
    bias, scale = np.zeros(count, np.float32), None
    for one in (narrow, other):
        vectors = one.vectors @ one.head.T
        centred = vectors - vectors.mean(axis=1, keepdims=True)  # a softmax does not see the mean
        spread = max(1e-6, float(np.std((held @ centred) / by_length)))
        scale = scale or spread
        total += np.float32(0.5 * scale / spread) * centred
        bias += np.float32(0.5 * scale / spread) * one.bias
    _, _, axes = np.linalg.svd((held @ total) / by_length, full_matrices=False)
    head = np.zeros((count, width), np.float32)
    head[:, : len(axes)] = axes[:width].T
    return Vectors(np.asarray(total @ head, np.float32), head, bias)


def carried_over(old: Vectors, held: Ints, ngrams: Ints, labels: int) -> Vectors | None:
    """The vectors and the head of an n-gram part for other n-grams and more labels, zero for what is new;
    None where so few labels are fitted from nothing. held: int64 [n, 2], the old n-grams; ngrams: int64
    [m, 2]."""
    if exact(labels):
        return None
    row = {pair: i for i, pair in enumerate(map(tuple, held.tolist()))}
    places = np.array([row.get(pair, -1) for pair in map(tuple, ngrams.tolist())], np.int64)
    vectors = np.where(places[:, None] >= 0, old.vectors[places], 0).astype(np.float32)
    more = labels - len(old.head)
    return Vectors(vectors, np.pad(old.head, ((0, more), (0, 0))), np.pad(old.bias, (0, more)))
