"""The teacher: NB-SVM and document vectors, blended and calibrated on scores that leak no label."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from edge_lstm.errors import DataError
from edge_lstm_export.teacher.linear import cross_fitted_scores, fit_linear, stratified_folds
from edge_lstm_export.teacher.nbsvm import fit_nbsvm
from edge_lstm_export.teacher.ngrams import Ints, ngram_matrix
from edge_lstm_export.teacher.vectors import VectorOptions, document_vectors

Say = Callable[[str], None]


@dataclass(frozen=True)
class TeacherOptions:
    """folds: of the cross-fitting. min_texts, vector_min_texts: an n-gram counts for NB-SVM, for the
    vectors, from so many texts on. svm_c, vector_c: inverse regularisation of the linear models."""

    folds: int = 5
    min_texts: int = 3
    svm_c: float = 0.1
    vector_min_texts: int = 5
    vector_c: float = 1.0
    vectors: VectorOptions = field(default_factory=VectorOptions)
    seed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class SoftLabels:
    """Probabilities float32 [n, labels] for the labelled texts (no text's own label was used for its
    row) and for the unlabelled ones; accuracy: of each part on the labelled texts, as a fraction."""

    labelled: npt.NDArray[np.float32]
    unlabelled: npt.NDArray[np.float32]
    accuracy: dict[str, float]


def soft_labels(
    texts: Sequence[str],
    labels: Ints,
    unlabelled: Sequence[str],
    count: int,
    options: TeacherOptions = TeacherOptions(),
    say: Say = lambda line: None,
) -> SoftLabels:
    """Learns from labelled and unlabelled texts and labels them all.

    labels: int64 [n], indices below ``count``. ``say`` is told what is being done. Raises DataError
    where a label has fewer texts than there are folds.
    """
    fewest = int(np.bincount(labels, minlength=count).min())
    if fewest < options.folds:
        raise DataError(
            f"a teacher needs at least {options.folds} training texts of each label, one label has {fewest}; "
            "train without --teacher, or collect more"
        )
    n = len(texts)
    x = ngram_matrix([*texts, *unlabelled], min_texts=options.min_texts)
    say(f"teacher: {x.shape[1]:,} n-grams of {x.shape[0]:,} texts")
    fold = stratified_folds(labels, options.folds, np.random.default_rng(options.seed))
    own = x[:n]
    svm = cross_fitted_scores(lambda rows: fit_nbsvm(own[rows], labels[rows], count, options.svm_c), x, fold)
    say(f"teacher: NB-SVM alone {_accuracy(svm[:n], labels):.2%}, cross-fitted")
    frequent = x[:, np.asarray(x.sum(axis=0)).ravel() >= options.vector_min_texts].tocsr()
    epochs = options.vectors.epochs
    vectors = document_vectors(
        frequent,
        labels,
        count,
        options.vectors,
        lambda done: say(f"teacher: vectors, epoch {done} of {epochs}"),
    )
    linear = cross_fitted_scores(
        lambda rows: fit_linear(vectors[rows], labels[rows], options.vector_c), vectors, fold
    )
    both = np.hstack([svm, linear])
    blend = LogisticRegression(C=100.0, max_iter=1000).fit(both[:n], labels)
    answers = blend.predict_proba(both).astype(np.float32)
    accuracy = {
        "nb_svm": _accuracy(svm[:n], labels),
        "document_vectors": _accuracy(linear[:n], labels),
        "blend": _accuracy(answers[:n], labels),
    }
    say(f"teacher: {accuracy['blend']:.2%}, cross-fitted")
    return SoftLabels(answers[:n], answers[n:], accuracy)


def _accuracy(scores: npt.NDArray[Any], labels: Ints) -> float:
    """Of scores [n, 1] (above 0 is label 1) or [n, labels]."""
    chosen = (scores[:, 0] > 0).astype(np.int64) if scores.shape[1] == 1 else scores.argmax(axis=1)
    return float((chosen == labels).mean())
