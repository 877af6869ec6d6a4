"""The linear teacher: scikit-learn's n-grams and a linear SVM, which pass a small LSTM on most sets.

Short texts are read as words, word pairs and characters (TF-IDF), and by what their words mean, with
complement naive Bayes beside the SVM; long texts as word 1- to 3-grams weighted by their naive-Bayes log
ratios (Wang & Manning, 2012).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from edge_lstm_export.train.data import Bools, Floats, Ints
from edge_lstm_export.train.linear import Matrix, svm_and_bayes
from edge_lstm_export.train.logits import two_columns
from edge_lstm_export.train.options import LinearOptions
from edge_lstm_export.train.pretrained import PretrainedWords
from edge_lstm_export.train.teachers.base import Predict, Teacher

# Words, and every punctuation mark by itself: "!" and "?" say something, and the teacher is not bound to the
# text rule of the model file.
TOKEN = r"[^\W_]+(?:'[^\W_]+)?|[^\w\s]"
COLUMNS = 1 << 22  # of hashed n-grams: few collide
FEWEST_TEXTS = 3  # that an n-gram of long texts must occur in
SMOOTHING = 1.0


class LinearTeacher(Teacher):
    """A linear model of n-grams; see the module. The texts are read once, whatever is learnt from.

    words: whose embeddings are read where the options say so.
    """

    name = "linear (words and characters)"

    def __init__(self, options: LinearOptions, several: bool, words: PretrainedWords | None = None) -> None:
        self.options, self.several, self.words = options, several, words
        self._blocks: list[Matrix] = []  # float32 [texts, columns], CSR, one of words and one of characters
        self._embeddings: Floats | None = None  # [texts, width]

    def read(self, texts: Sequence[str]) -> None:
        """See base.Teacher."""
        from sklearn.feature_extraction.text import HashingVectorizer

        plain = {"n_features": COLUMNS, "alternate_sign": False, "norm": None, "dtype": np.float32}
        if self.options.short:
            words = HashingVectorizer(token_pattern=TOKEN, ngram_range=(1, 2), **plain)
            characters = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 5), **plain)
            self._blocks = [vectorizer.transform(texts).tocsr() for vectorizer in (words, characters)]
            if self.words is not None and self.options.embeddings:
                self._embeddings = self.options.embeddings * self.words.text_vectors(texts)
        else:
            words = HashingVectorizer(token_pattern=TOKEN, ngram_range=(1, 3), binary=True, **plain)
            x = words.transform(text.lower().replace("<br />", " ") for text in texts).tocsr()
            self._blocks = [x[:, np.flatnonzero(np.bincount(x.indices) >= FEWEST_TEXTS)]]

    def fit(self, rows: Ints, labels: Bools) -> Predict:
        """See base.Teacher."""
        from sklearn.feature_extraction.text import TfidfTransformer

        if not self.options.short:
            return self._fit_ratios(rows, labels)
        blocks = [block[:, np.unique(block[rows].indices)] for block in self._blocks]
        tf_idf = [TfidfTransformer(sublinear_tf=True).fit(block[rows]) for block in blocks]

        def features(rows: Ints) -> Matrix:
            parts = [weighting.transform(block[rows]) for weighting, block in zip(tf_idf, blocks)]
            parts += [] if self._embeddings is None else [self._embeddings[rows]]
            return sparse.hstack(parts).tocsr()

        x = features(rows)
        counts = x[:, : sum(block.shape[1] for block in blocks)]
        bayes = 0.0 if self.several else self.options.bayes
        weights, bias = svm_and_bayes(x, counts, labels, self.several, self.options.c, bayes)
        return lambda asked: two_columns(np.asarray(features(asked) @ weights + bias, np.float32))

    def _fit_ratios(self, rows: Ints, labels: Bools) -> Predict:
        """NB-SVM with a logistic loss: one model per label against the rest, one for two labels."""
        from sklearn.linear_model import LogisticRegression

        (block,) = self._blocks
        block = block[:, np.unique(block[rows].indices)]
        x = block[rows]
        outputs = labels[:, 1:] if labels.shape[1] == 2 and not self.several else labels
        weights = np.zeros((x.shape[1], outputs.shape[1]), np.float32)
        bias = np.zeros(outputs.shape[1], np.float32)
        for column, target in enumerate(outputs.T.astype(np.float32)):
            if target.min() == target.max():  # a label that none of these texts has, or all
                bias[column] = np.log((target.sum() + 0.5) / ((1 - target).sum() + 0.5))
                continue
            inside, outside = x.T @ target + SMOOTHING, x.T @ (1 - target) + SMOOTHING
            ratios = np.log(inside / inside.sum() * (outside.sum() / outside)).astype(np.float32)
            # Its own optimum needs hundreds of steps more and labels no better.
            scaled = (x @ sparse.diags(ratios)).astype(np.float32)
            model = LogisticRegression(C=0.1, max_iter=60, tol=1e-3).fit(scaled, target)
            weights[:, column], bias[column] = model.coef_[0] * ratios, model.intercept_[0]
        return lambda asked: two_columns(np.asarray(block[asked] @ weights + bias, np.float32))
