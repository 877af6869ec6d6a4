"""The linear teacher: scikit-learn's n-grams and a linear SVM, which pass a small LSTM on most sets.

Short texts are read as words, word pairs and characters (TF-IDF), and by what their words mean, with
complement naive Bayes beside the SVM; long texts as word 1- to 3-grams weighted by their naive-Bayes log
ratios (Wang & Manning, 2012).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from edge_lstm_export.train.data import Bools, Floats, Ints
from edge_lstm_export.train.linear import bayes_weights, svm_weights, two_columns
from edge_lstm_export.train.options import LinearOptions
from edge_lstm_export.train.pretrained import PretrainedWords

Matrix = Any  # scipy.sparse.csr_matrix, float32

# Words, and every punctuation mark by itself: "!" and "?" say something, and the teacher is not bound to the
# text rule of the model file.
TOKEN = r"[^\W_]+(?:'[^\W_]+)?|[^\w\s]"
COLUMNS = 1 << 22  # of hashed n-grams: few collide
FEWEST_TEXTS = 3  # that an n-gram of long texts must occur in
SMOOTHING = 1.0


class LinearTeacher:
    """A linear model of n-grams; see the module. The texts are read once, whatever is learnt from.

    words: whose embeddings are read where the options say so.
    """

    name, asked = "linear (words and characters)", True

    def __init__(self, options: LinearOptions, several: bool, words: PretrainedWords | None = None) -> None:
        self.options, self.several, self.words = options, several, words
        self._blocks: list[Matrix] = []
        self._meanings: Floats | None = None  # [texts, width]

    def read(self, texts: Sequence[str]) -> None:
        from sklearn.feature_extraction.text import HashingVectorizer

        plain = {"n_features": COLUMNS, "alternate_sign": False, "norm": None, "dtype": np.float32}
        if self.options.short:
            words = HashingVectorizer(token_pattern=TOKEN, ngram_range=(1, 2), **plain)
            characters = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 5), **plain)
            self._blocks = [vectorizer.transform(texts).tocsr() for vectorizer in (words, characters)]
            for block in self._blocks:
                block.data = 1 + np.log(block.data)
            if self.words is not None and self.options.embeddings:
                self._meanings = self.options.embeddings * self.words.text_vectors(texts)
        else:
            words = HashingVectorizer(token_pattern=TOKEN, ngram_range=(1, 3), binary=True, **plain)
            x = words.transform(text.lower().replace("<br />", " ") for text in texts).tocsr()
            self._blocks = [x[:, np.flatnonzero(np.bincount(x.indices) >= FEWEST_TEXTS)]]

    def fit(self, rows: Ints, labels: Bools) -> LinearModel:
        blocks = [_WeightedBlock.of(block, rows, tf_idf=self.options.short) for block in self._blocks]
        if not self.options.short:
            return _fit_ratios(blocks[0], rows, labels, self.several)
        counts = sparse.hstack([block.apply(rows) for block in blocks]).tocsr()
        x = _with_meanings(counts, self._meanings, rows)
        outputs = 1 if labels.shape[1] == 2 and not self.several else labels.shape[1]
        weights, bias = svm_weights(x, labels, outputs, self.options.c)
        if self.options.bayes and not self.several:
            naive = bayes_weights(counts, labels, outputs)
            naive = np.pad(naive, ((0, x.shape[1] - len(naive)), (0, 0)))
            spreads = [max(1e-6, float(np.std(x @ part))) for part in (weights, naive)]
            weights = weights / spreads[0] + self.options.bayes * naive / spreads[1]
            bias = bias / spreads[0]
        fitted = np.asarray(weights, np.float32), np.asarray(bias, np.float32)
        return LinearModel(blocks, *fitted, self._meanings)


def _with_meanings(counts: Matrix, meanings: Floats | None, rows: Ints) -> Matrix:
    return counts if meanings is None else sparse.hstack([counts, meanings[rows]]).tocsr()


@dataclass(frozen=True)
class LinearModel:
    """A fitted linear model: weights float32 [columns of all blocks, outputs], bias float32 [outputs]."""

    blocks: Sequence[_WeightedBlock]
    weights: Floats
    bias: Floats
    meanings: Floats | None = None

    def predict_logits(self, rows: Ints) -> Floats:
        x = sparse.hstack([block.apply(rows) for block in self.blocks]).tocsr()
        x = _with_meanings(x, self.meanings, rows)
        return two_columns(np.asarray(x @ self.weights + self.bias, np.float32))


@dataclass(frozen=True)
class _WeightedBlock:
    """Some columns of all texts, each with a weight. x: float32 [texts, columns], CSR; weights: float32
    [columns]; normalised: rows have length 1."""

    x: Matrix
    weights: Floats
    normalised: bool

    @classmethod
    def of(cls, x: Matrix, rows: Ints, *, tf_idf: bool) -> _WeightedBlock:
        """The columns that these rows have, weighted by inverse document frequency among them."""
        counts = np.bincount(x[rows].indices, minlength=x.shape[1])
        columns = np.flatnonzero(counts)
        weights = np.ones(len(columns), np.float32)
        if tf_idf:
            weights = (np.log((1 + len(rows)) / (1 + counts[columns])) + 1).astype(np.float32)
        return cls(x[:, columns], weights, tf_idf)

    def apply(self, rows: Ints) -> Matrix:
        """float32 [rows, columns], CSR."""
        x = (self.x[rows] @ sparse.diags(self.weights)).tocsr()
        if self.normalised:
            lengths = np.sqrt(np.asarray(x.multiply(x).sum(axis=1)).ravel())
            x = sparse.diags((1 / np.maximum(lengths, 1e-9)).astype(np.float32)) @ x
        return x.tocsr().astype(np.float32)


def _fit_ratios(block: _WeightedBlock, rows: Ints, labels: Bools, several: bool) -> LinearModel:
    """NB-SVM with a logistic loss: one model per label against the rest, one for two labels."""
    from sklearn.linear_model import LogisticRegression

    x = block.apply(rows)
    outputs = labels[:, 1:] if labels.shape[1] == 2 and not several else labels
    weights = np.zeros((x.shape[1], outputs.shape[1]), np.float32)
    bias = np.zeros(outputs.shape[1], np.float32)
    for column, target in enumerate(outputs.T.astype(np.float32)):
        if target.min() == target.max():  # a label that none of these texts has, or all
            bias[column] = np.log((target.sum() + 0.5) / ((1 - target).sum() + 0.5))
            continue
        inside, outside = x.T @ target + SMOOTHING, x.T @ (1 - target) + SMOOTHING
        ratios = np.log(inside / inside.sum() * (outside.sum() / outside)).astype(np.float32)
        scaled = replace(block, weights=ratios).apply(rows)
        # Its own optimum needs hundreds of steps more and labels no better.
        model = LogisticRegression(C=0.1, max_iter=60, tol=1e-3).fit(scaled, target)
        weights[:, column], bias[column] = model.coef_[0] * ratios, model.intercept_[0]
    return LinearModel([block], weights, bias)
