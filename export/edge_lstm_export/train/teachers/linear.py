"""The linear teacher: SVMs on TF-IDF of words, pairs and characters, and on word embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from edge_lstm_export.arrays import Bools, Floats, Ints, Matrix
from edge_lstm_export.network import two_columns
from edge_lstm_export.train.data import PretrainedWords
from edge_lstm_export.train.sparse import SVM_C, counters, svm_weights
from edge_lstm_export.train.teachers.base import Predict, Teacher

# Words, and every punctuation mark by itself: "!" and "?" say something, and the teacher is not
# bound to the text rule of the model file.
TOKEN = r"[^\W_]+(?:'[^\W_]+)?|[^\w\s]"
COLUMNS = 1 << 22  # of hashed n-grams; few collide


@dataclass
class LinearTeacher(Teacher):
    """A linear SVM for each label.

    See the module.

    multi_label: a text may have several labels.
    characters: see linear.counters.
    words: pretrained word embeddings, if there are any.
    """

    multi_label: bool
    characters: bool = True
    words: PretrainedWords | None = None

    def read(self, texts: Sequence[str]) -> None:
        """See Teacher."""
        from sklearn.feature_extraction.text import HashingVectorizer

        plain = {"n_features": COLUMNS, "alternate_sign": False, "norm": None}
        made = counters(HashingVectorizer, TOKEN, characters=self.characters, **plain)
        # They are float32 [texts, COLUMNS], CSR.
        self._counts = [counter.transform(texts) for counter in made]
        self._embedded: list[Floats] = []
        if self.words:
            # In lengths of a text's n-grams.
            self._embedded.append(np.float32(1.5) * self.words.text_vectors(texts))

    def fit(self, rows: Ints, labels: Bools) -> Predict:
        """See Teacher."""
        from sklearn.feature_extraction.text import TfidfTransformer

        blocks = [counts[:, _columns(counts[rows])] for counts in self._counts]
        tf_idf = [TfidfTransformer(sublinear_tf=True).fit(block[rows]) for block in blocks]

        def features(rows: Ints) -> Matrix:
            weighted = [
                weighting.transform(block[rows]) for weighting, block in zip(tf_idf, blocks)
            ]
            return sparse.hstack(
                [*weighted, *(vectors[rows] for vectors in self._embedded)]
            ).tocsr()

        weights, bias = svm_weights(features(rows), labels, self.multi_label, SVM_C)
        return lambda asked: two_columns(np.asarray(features(asked) @ weights + bias, np.float32))


def _columns(counts: Matrix) -> Ints:
    """Return the columns that texts have anything in.

    Blank texts have one empty column, since scikit-learn takes no matrix without columns.
    """
    used = np.unique(counts.indices).astype(np.int64)
    return used if len(used) else np.zeros(1, np.int64)
