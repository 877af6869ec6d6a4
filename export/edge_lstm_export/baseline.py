"""The linear SVM that a model is compared with: scikit-learn, on TF-IDF."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_lstm.errors import DataError
from edge_lstm_export.train.data import Bools
from edge_lstm_export.train.linear import svm_weights

NAME = "linear SVM on TF-IDF"
REGULARIZATION = 0.5  # C
FLOAT32 = 4  # bytes


class LinearSVM:
    """A linear SVM for each label, on TF-IDF of words, word pairs and characters within words."""

    def __init__(self, texts: Sequence[str], labels: Bools, *, multi_label: bool) -> None:
        """Fit it.

        texts: n of them.
        labels: bool [n, L].
        multi_label: whether a text may have any number of labels; else each has one.

        Raises DataError if no text has a letter.
        """
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.pipeline import make_union

        self._multi_label = multi_label
        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
        characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
        self._features: Any = make_union(words, characters)
        try:
            columns = self._features.fit_transform(texts)
        except ValueError:
            raise DataError(
                "--baseline: the training texts hold no words; give texts with words"
            ) from None
        self._weights, self._bias = svm_weights(columns, labels, multi_label, REGULARIZATION)
        inverse_frequencies = self._weights.shape[0]
        numbers = self._weights.size + self._bias.size + inverse_frequencies
        ngrams = [name.partition("__")[2] for name in self._features.get_feature_names_out()]
        # Each n-gram as UTF-8, with a byte that ends it.
        self.bytes = FLOAT32 * numbers + sum(len(ngram.encode()) + 1 for ngram in ngrams)

    def predict(self, texts: Sequence[str]) -> Bools:
        """Return bool [n, L], the labels of each text."""
        scores = self._features.transform(texts) @ self._weights + self._bias
        if self._multi_label:
            return np.asarray(scores > 0)
        if scores.shape[1] == 1:
            # One SVM tells two labels apart: above 0 it is the second.
            scores = np.hstack([np.zeros_like(scores), scores])
        return np.asarray(scores.argmax(axis=1)[:, None] == np.arange(scores.shape[1]))
