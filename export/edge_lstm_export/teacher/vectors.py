"""Document vectors that predict which n-grams a text holds, by cosine similarity.

Thongtan & Phienthrakul (2019), "Sentiment Classification Using Document Embeddings Trained with Cosine
Similarity"; n-grams sampled by their naive-Bayes weight as in Zhang & Arefyev (2022), "The Document
Vectors Using Cosine Similarity Revisited". Unlabelled texts take part. A text's n-grams are weighed by
ratios from the labels of *other* folds: with ratios from all labels, the vectors of training texts are
unlike those of new texts, and a linear model on them loses 1 to 2 points.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.nn import functional

from edge_lstm_export.teacher.linear import Floats, one_against_rest
from edge_lstm_export.teacher.nbsvm import log_ratios
from edge_lstm_export.teacher.ngrams import Ints, Matrix

_TINY = 1e-9


@dataclass(frozen=True)
class VectorOptions:
    """dim: of the vectors. samples: n-grams drawn from a text in an epoch; negatives: noise n-grams for
    each of them; sharpness: inverse temperature of the cosine; weight_power: an n-gram is drawn in
    proportion to |log ratio| to this power; weight_folds: see the module's text."""

    dim: int = 256
    epochs: int = 8
    batch_size: int = 32
    samples: int = 64
    negatives: float = 5.0
    sharpness: float = 6.0
    rate: float = 0.3
    weight_power: float = 3.0
    weight_folds: int = 8
    seed: int = 0


def document_vectors(
    x: Matrix, labels: Ints, count: int, options: VectorOptions, progress: Callable[[int], None]
) -> Floats:
    """x: [texts, n-grams], its first ``len(labels)`` rows labelled → unit vectors float32 [texts, dim].

    ``progress`` is told the number of epochs done.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        weights = _sampling_weights(x, labels, count, options)
        documents, ngrams = _train(x, weights, options, progress)
        vectors: Floats = _infer(x, weights, documents, ngrams, options).numpy()
    return vectors


def _sampling_weights(x: Matrix, labels: Ints, count: int, options: VectorOptions) -> Floats:
    """A weight for every nonzero of ``x``, from the labels of the folds that the text is not in."""
    n = len(labels)
    rng = np.random.default_rng(options.seed)
    fold = rng.integers(0, options.weight_folds, x.shape[0])
    fold[:n] = rng.permutation(n) % options.weight_folds
    fold_of_entry = np.repeat(fold, np.diff(x.indptr))
    labelled = x[:n]
    weights: Floats = np.empty(x.nnz)
    for k in range(options.weight_folds):
        seen = np.flatnonzero(fold[:n] != k)
        ratios = [np.abs(log_ratios(labelled[seen], t[seen])) for t in one_against_rest(labels, count)]
        here = fold_of_entry == k
        weights[here] = np.max(ratios, axis=0)[x.indices[here]] ** options.weight_power + 1e-6
    return weights


def _refine(
    documents: Tensor, ngrams: Tensor, drawn: Tensor, options: VectorOptions, *, steps: int, step: float
) -> tuple[Tensor, Tensor]:
    """A few steps of a batch's document vectors [B, dim] on the sphere, its n-gram vectors [G, dim] fixed.

    drawn: [B, G], how often each text drew each n-gram; the noise is what the whole batch drew.
    → the vectors, and the gradient of the loss with respect to the cosines [B, G].
    """
    noise = drawn.sum(0, keepdim=True) * (options.negatives / len(documents))
    both = drawn + noise
    across = ngrams.T.contiguous()
    for k in range(steps):
        error = both * torch.sigmoid(options.sharpness * (documents @ across)) - drawn
        move = functional.normalize(error @ ngrams)
        documents = functional.normalize(documents - step / (1 + k) ** 0.5 * move)
    return documents, both * torch.sigmoid(options.sharpness * (documents @ across)) - drawn


def _train(
    x: Matrix, weights: Floats, options: VectorOptions, progress: Callable[[int], None]
) -> tuple[Tensor, Tensor]:
    """Unit vectors of the texts and of the n-grams; n-grams learn by AdaGrad, one rate each."""
    rng = np.random.default_rng(options.seed)
    n, m = x.shape
    documents = functional.normalize(torch.randn(n, options.dim))
    ngrams = torch.randn(m, options.dim) / options.dim**0.5
    seen = torch.full((m,), 1e-8)
    total = np.concatenate([[0.0], np.cumsum(weights)])
    low, high = total[x.indptr[:-1]], total[x.indptr[1:]]
    held = np.flatnonzero(np.diff(x.indptr))  # texts that hold any n-gram
    steps, step = options.epochs * -(-len(held) // options.batch_size), 0
    for epoch in range(options.epochs):
        order = rng.permutation(held)
        for start in range(0, len(order), options.batch_size):
            rows = order[start : start + options.batch_size]
            span = (high - low)[rows, None]
            draw = low[rows, None] + rng.random((len(rows), options.samples)) * span
            entry = np.clip(np.searchsorted(total, draw, side="right") - 1, 0, len(weights) - 1)
            grams, column = np.unique(x.indices[entry].ravel(), return_inverse=True)
            drawn = torch.zeros(len(rows), len(grams))
            cell = np.repeat(np.arange(len(rows)), options.samples) * len(grams) + column.ravel()
            drawn.view(-1).index_add_(0, torch.from_numpy(cell), torch.ones(len(cell)))
            g, b = torch.from_numpy(grams.astype(np.int64)), torch.from_numpy(rows)
            vectors = ngrams[g]
            norm = vectors.norm(dim=1, keepdim=True) + _TINY
            unit = vectors / norm
            moved, error = _refine(documents[b], unit, drawn, options, steps=2, step=0.3)
            documents[b] = moved
            gradient = error.T @ moved
            gradient = (gradient - unit * (gradient * unit).sum(1, keepdim=True)) / norm
            seen[g] += gradient.pow(2).mean(1)
            ngrams[g] = vectors - options.rate * (1 - step / steps) * gradient / seen[g].sqrt()[:, None]
            step += 1
        progress(epoch + 1)
    return documents, functional.normalize(ngrams)


def _infer(x: Matrix, weights: Floats, documents: Tensor, ngrams: Tensor, options: VectorOptions) -> Tensor:
    """The texts' vectors for fixed n-gram vectors, from all their n-grams at once: no sampling noise.

    Batches are shuffled: a batch's texts share their noise n-grams, and files often lie sorted by label,
    which the vectors would then give away.
    """
    out = documents.clone()
    order = np.random.default_rng(options.seed).permutation(np.flatnonzero(np.diff(x.indptr)))
    weighted = sparse.csr_matrix((weights, x.indices, x.indptr), shape=x.shape)
    for start in range(0, len(order), options.batch_size):
        rows = order[start : start + options.batch_size]
        part = weighted[rows]
        grams, column = np.unique(part.indices, return_inverse=True)
        row = np.repeat(np.arange(len(rows)), np.diff(part.indptr))
        share = part.data / np.bincount(row, part.data, len(rows))[row] * options.samples
        drawn = torch.zeros(len(rows), len(grams))
        drawn[torch.from_numpy(row), torch.from_numpy(column.ravel())] = torch.from_numpy(
            share.astype(np.float32)
        )
        fixed = ngrams[torch.from_numpy(grams.astype(np.int64))]
        b = torch.from_numpy(rows)
        out[b] = _refine(out[b], fixed, drawn, options, steps=8, step=0.5)[0]
    return out
