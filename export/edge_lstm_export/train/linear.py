"""The n-gram part of the network: three ways to fit its vectors, all linear in what a text holds.

A text is few words, so which words they are decides most, and a linear model on words, word pairs and
characters decides it best. It is fitted here in a form that the network can hold: where labels are few an
n-gram's vector is its part of each logit, where they are many a vector of a lower rank.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import expit, log_softmax
from torch.nn import functional

from edge_lstm_export.train.features import FEWEST_TEXTS, Features, Floats, Ints, Matrix

Doubles = npt.NDArray[np.float64]

C = 0.5  # inverse regularisation of the SVMs
BAYES_SMOOTHING = 0.3
RIDGE, RIDGE_OF_RESIDUAL, LOGISTIC_STEPS = 1e-4, 1e-6, 50
# Of vectors of a lower rank: texts per step, peak learning rate, share of a text's n-grams that a step leaves
# out, and how much of a target goes to all labels.
BATCH, RATE, DROPOUT, SMOOTHING = 64, 0.01, 0.5, 0.05


@dataclass(frozen=True)
class SparseWeights:
    """Logits of an n-gram part: (sum of a text's vectors / sqrt(length)) @ head.T + bias. vectors: float32
    [n, width]; head: float32 [logits, width]; bias: float32 [logits]."""

    vectors: Floats
    head: Floats
    bias: Floats

    def logits(self, held: Matrix, lengths: Ints) -> Floats:
        """held: float32 [texts, n], what each text holds → float32 [texts, logits]."""
        total = np.asarray(held @ self.vectors)
        return np.asarray(total / np.sqrt(lengths)[:, None] @ self.head.T + self.bias, np.float32)


@dataclass(frozen=True)
class SparseData:
    """What the n-gram part is fitted to. held: float32 [texts, n]; lengths: int64 [texts], in tokens;
    targets: float32 [texts, L]; several: a text may have several labels; embeddings: the length of a text's
    meaning beside its n-grams, which have length 1, and its characters, which have too."""

    features: Features
    held: Matrix
    lengths: Ints
    targets: Floats
    several: bool = False
    embeddings: float = 0.0

    @property
    def labels(self) -> npt.NDArray[np.bool_]:
        """bool [texts, L]: the labels by the targets: the largest, of several those above one half."""
        if self.several:
            return np.asarray(self.targets > 0.5)
        return np.asarray(np.eye(self.targets.shape[1], dtype=np.bool_)[self.targets.argmax(axis=1)])

    @property
    def outputs(self) -> int:
        """Columns of logits: one for two labels of which a text has one."""
        return 1 if self.targets.shape[1] == 2 and not self.several else self.targets.shape[1]

    def weighted(self) -> tuple[Matrix, Floats]:
        """(float32 [texts, columns] CSR, float32 [columns]): the columns times inverse document frequency
        over the root of the text's length, and those weights.

        Each block of columns is scaled so that a mean text has length 1 in it, else the many characters would
        drown the n-grams.
        """
        x = self.features.matrix(self.held)
        n = len(self.features.keys)
        width = 0 if self.features.embeddings is None else self.features.embeddings.shape[1]
        dense = x.shape[1] - width
        texts = np.bincount(x.indices, minlength=x.shape[1])
        weights = np.log(x.shape[0] / np.maximum(1, texts)) + 1
        weights[texts == 0] = 0
        weights[n:][texts[n:] < FEWEST_TEXTS] = 0
        weights[dense:] = 1
        by_length = sparse.diags((1 / np.sqrt(self.lengths)).astype(np.float32))
        scaled = (by_length @ x @ sparse.diags(weights)).tocsr()
        squares = np.asarray(scaled.multiply(scaled).sum(axis=0)).ravel() / max(1, x.shape[0])
        for block, size in ((slice(n), 1.0), (slice(n, dense), 1.0), (slice(dense, None), self.embeddings)):
            weights[block] *= size / max(float(squares[block].sum()), 1e-9) ** 0.5
        return (by_length @ x @ sparse.diags(weights)).tocsr().astype(np.float32), weights.astype(np.float32)


def fit_svm(data: SparseData, bayes: float) -> SparseWeights:
    """A linear SVM for each label against the rest and, ``bayes`` times as strong, complement naive Bayes
    (Rennie et al., 2003), which needs fewer texts: one column per logit."""
    x, weights = data.weighted()
    counts = x if data.features.embeddings is None else x[:, : -data.features.embeddings.shape[1]]
    bayes = 0.0 if data.several else bayes
    coefficients, bias = svm_and_bayes(x, counts, data.labels, data.several, C, bayes)
    folded = data.features.folded(np.asarray(coefficients * weights[:, None], np.float32))
    return SparseWeights(folded, np.eye(data.outputs, dtype=np.float32), np.asarray(bias, np.float32))


def fit_logistic(data: SparseData, beside: Floats | None = None, ridge: float = RIDGE) -> SparseWeights:
    """A logistic regression on soft targets: one column per logit. It learns from what teachers are unsure of
    too, where an SVM would take a text wholly for its likeliest label. beside: float32 [texts, outputs],
    logits that its own are added to."""
    x, weights = data.weighted()
    transposed = sparse.csr_matrix(x.T)
    texts, outputs = len(data.targets), data.outputs
    # One logit stands for two that are each half of it.
    ridge = ridge / 2 if outputs == 1 else ridge
    fixed = np.zeros((texts, outputs), np.float32) if beside is None else beside

    def loss(flat: Doubles) -> tuple[float, Doubles]:
        w = flat.reshape(-1, outputs).astype(np.float32)
        nats, slope = cross_entropy(x @ w[:-1] + w[-1] + fixed, data.targets, several=data.several)
        slope = slope.astype(np.float32)
        gradient = np.concatenate([transposed @ slope, slope.sum(axis=0, keepdims=True)]) / texts
        gradient[:-1] += ridge * w[:-1]
        return nats / texts + 0.5 * ridge * float((w[:-1] ** 2).sum()), gradient.astype(np.float64).ravel()

    begin = np.zeros((x.shape[1] + 1) * outputs)
    best = minimize(loss, begin, jac=True, method="L-BFGS-B", options={"maxiter": LOGISTIC_STEPS}).x
    w = best.reshape(-1, outputs).astype(np.float32)
    return SparseWeights(
        data.features.folded(w[:-1] * weights[:, None]), np.eye(outputs, dtype=np.float32), w[-1].copy()
    )


def fit_low_rank(data: SparseData, width: int, epochs: int, seed: int) -> SparseWeights:
    """Vectors of ``width`` and a head for many labels, by AdamW on the targets. Steps drop half of a text's
    n-grams."""
    x, rng = data.features.matrix(data.held), np.random.default_rng([seed, 0x3A])
    root = torch.from_numpy(np.sqrt(data.lengths).astype(np.float32)).unsqueeze(1)
    targets = torch.from_numpy(data.targets)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vectors = torch.nn.Parameter(0.1 * torch.randn(x.shape[1], width))
        head = torch.nn.Linear(width, targets.shape[1])
    groups: list[dict[str, Any]] = [
        {"params": [vectors], "weight_decay": 0.0},
        {"params": list(head.parameters())},
    ]
    optimizer = torch.optim.AdamW(groups, RATE, fused=True)
    steps = epochs * -(-len(targets) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=max(20, steps), pct_start=0.1)
    table = vectors.detach().numpy()  # the same memory
    for _ in range(epochs):
        order = rng.permutation(len(targets))
        shuffled = x[order]
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            batch = _dropped(shuffled, start, len(rows), rng)
            # PyTorch's embedding_bag takes several times as long for its gradient.
            total = torch.from_numpy(batch @ table).requires_grad_()
            logits = head(total / root[rows])
            if data.several:
                loss = functional.binary_cross_entropy_with_logits(logits, targets[rows], reduction="sum")
                loss = loss / len(rows)
            else:
                loss = functional.cross_entropy(logits, targets[rows], label_smoothing=SMOOTHING)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            assert total.grad is not None
            vectors.grad = torch.from_numpy(batch.T @ total.grad.numpy())
            optimizer.step()
            schedule.step()
    table[np.bincount(x.indices, minlength=len(table)) == 0] = 0  # in no text, never trained
    weight, bias = (value.detach().numpy().copy() for value in (head.weight, head.bias))
    return SparseWeights(data.features.folded(table), weight, bias)


def merged(first: SparseWeights, second: SparseWeights, data: SparseData) -> SparseWeights:
    """Vectors as wide as the first's for the mean of both's logits, the second's made as large as the
    first's.

    Kept are the directions in which the logits of the texts differ most (singular value decomposition).
    """
    count, width = first.head.shape
    by_length = np.sqrt(data.lengths)[:, None]
    total, bias = np.zeros((len(data.features.keys), count), np.float32), np.zeros(count, np.float32)
    scale = None
    for weights in (first, second):
        vectors = weights.vectors @ weights.head.T
        vectors = vectors if data.several else vectors - vectors.mean(axis=1, keepdims=True)
        spread = max(1e-6, float(np.std((data.held @ vectors) / by_length)))
        scale = scale or spread
        total += np.float32(0.5 * scale / spread) * vectors
        bias += np.float32(0.5 * scale / spread) * weights.bias
    _, _, axes = np.linalg.svd((data.held @ total) / by_length, full_matrices=False)
    head = np.zeros((count, width), np.float32)
    head[:, : len(axes)] = axes[:width].T
    return SparseWeights(np.asarray(total @ head, np.float32), head, bias)


def svm_and_bayes(
    x: Matrix, counts: Matrix, labels: npt.NDArray[np.bool_], several: bool, c: float, bayes: float
) -> tuple[Floats, Floats]:
    """(weights float32 [columns, outputs], bias [outputs]) of an SVM and ``bayes`` times naive Bayes, each
    scaled by the spread of its scores. counts: the first columns of x, which naive Bayes counts."""
    outputs = 1 if labels.shape[1] == 2 and not several else labels.shape[1]
    weights, bias = svm_weights(x, labels, outputs, c)
    if bayes:
        naive = bayes_weights(counts, labels, outputs)
        naive = np.pad(naive, ((0, x.shape[1] - len(naive)), (0, 0)))
        spreads = [max(1e-6, float(_centred(x @ part).std())) for part in (weights, naive)]
        weights, bias = weights / spreads[0] + bayes * naive / spreads[1], bias / spreads[0]
    return np.asarray(weights, np.float32), np.asarray(bias, np.float32)


def svm_weights(x: Matrix, labels: npt.NDArray[np.bool_], outputs: int, c: float) -> tuple[Floats, Floats]:
    """(weights float32 [columns, outputs], bias [outputs]) of a linear SVM for each label against the rest. A
    label that all texts have, or none, gets a constant score."""
    from sklearn.svm import LinearSVC

    x = x.astype(np.float64)
    x.sum_duplicates()  # as liblinear wants it: else each label does both again
    weights, bias = np.zeros((x.shape[1], outputs), np.float32), np.zeros(outputs, np.float32)
    for column, target in enumerate(labels.T[-outputs:]):
        if target.all() or not target.any():
            bias[column] = 1.0 if target.any() else -1.0
            continue
        model = LinearSVC(C=c, tol=1e-2, random_state=0, max_iter=500).fit(x, target)
        weights[:, column], bias[column] = model.coef_[0], model.intercept_[0]
    return weights, bias


def bayes_weights(x: Matrix, labels: npt.NDArray[np.bool_], outputs: int) -> Floats:
    """Complement naive Bayes (Rennie et al., 2003): float32 [columns, outputs]. A label's score is how
    little a text's n-grams occur in the texts of all others."""
    in_label = labels.astype(np.float32).T @ x
    rest = np.asarray(x.sum(axis=0)) - np.asarray(in_label) + BAYES_SMOOTHING
    weights = -np.log(rest / rest.sum(axis=1, keepdims=True)).T
    weights -= weights.mean(axis=1, keepdims=True)
    return np.asarray(weights[:, 1:] - weights[:, :1] if outputs == 1 else weights, np.float32)


def cross_entropy(logits: Floats, targets: Floats, *, several: bool) -> tuple[float, Floats]:
    """(the sum over the texts, in nats, its gradient with respect to the logits [n, outputs]).

    logits: [n, outputs], one column for two labels of which a text has one; targets: [n, L].
    """
    if several:
        return float((np.logaddexp(0, logits) - targets * logits).sum()), expit(logits) - targets
    both = two_columns(logits)
    logs = log_softmax(both, axis=1)
    slope = np.exp(logs) * targets.sum(axis=1, keepdims=True) - targets
    return -float((targets * logs).sum()), slope[:, -logits.shape[1] :]


def two_columns(logits: Floats) -> Floats:
    """[n, 1 or labels] → [n, labels]: one column is the second of two, beside 0."""
    return np.concatenate([np.zeros_like(logits), logits], axis=1) if logits.shape[1] == 1 else logits


def _centred(scores: Floats) -> Floats:
    return scores if scores.shape[1] == 1 else scores - scores.mean(axis=1, keepdims=True)


def _dropped(x: Matrix, start: int, rows: int, rng: np.random.Generator) -> Matrix:
    """Rows of a CSR matrix with a random share of their entries left out, the others scaled up."""
    ends = x.indptr[start : start + rows + 1]
    inside = slice(ends[0], ends[-1])
    stays = rng.random(inside.stop - inside.start) >= DROPOUT
    counts = np.concatenate([[0], np.cumsum(stays)])
    parts = x.data[inside][stays] / np.float32(1 - DROPOUT), x.indices[inside][stays], counts[ends - ends[0]]
    return sparse.csr_matrix(parts, (rows, x.shape[1]))
