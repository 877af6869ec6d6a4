"""Labelled and unlabelled texts → the teacher's calibrated probabilities for them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from edge_lstm.errors import DataError
from edge_lstm_export.teacher.linear import cross_fitted_scores, stratified_folds
from edge_lstm_export.teacher.nbsvm import fit_nbsvm
from edge_lstm_export.teacher.ngrams import Ints, ngram_matrix

Say = Callable[[str], None]


@dataclass(frozen=True)
class TeacherOptions:
    """folds: of the cross-fitting. min_texts: an n-gram counts from so many texts on. svm_c: inverse
    regularisation."""

    folds: int = 5
    min_texts: int = 3
    svm_c: float = 0.1
    seed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class SoftLabels:
    """Probabilities float32 [n, labels] for the labelled texts (no text's own label was used for its
    row) and for the unlabelled ones; accuracy: on the labelled texts, as a fraction."""

    labelled: npt.NDArray[np.float32]
    unlabelled: npt.NDArray[np.float32]
    accuracy: float


def can_learn(counts: Sequence[int], options: TeacherOptions) -> bool:
    """Whether a teacher learns from so many texts of each label."""
    return min(counts) >= 1 and sum(counts) >= 2 * options.folds


def soft_labels(
    texts: Sequence[str],
    labels: Ints,
    unlabelled: Sequence[str],
    count: int,
    options: TeacherOptions = TeacherOptions(),
    say: Say = lambda line: None,
) -> SoftLabels:
    """Learns from labelled and unlabelled texts and labels them all.

    labels: int64 [n], indices below ``count``. ``say`` is told what is being done. A label with fewer texts
    than there are folds is unknown to some of the models. Raises DataError where there are too few texts.
    """
    n = len(texts)
    if not can_learn(np.bincount(labels, minlength=count).tolist(), options):
        raise DataError(
            f"a teacher needs at least {2 * options.folds} training texts, and one of each label; "
            "train without --teacher, or collect more"
        )
    x = ngram_matrix([*texts, *unlabelled], min_texts=options.min_texts)
    say(f"teacher: {x.shape[1]:,} n-grams of {x.shape[0]:,} texts")
    fold = stratified_folds(labels, options.folds, np.random.default_rng(options.seed))
    own = x[:n]
    svm = cross_fitted_scores(lambda rows: fit_nbsvm(own[rows], labels[rows], count, options.svm_c), x, fold)
    # Scores → probabilities (Platt, 1999), fitted on scores that leak no label.
    scaling = LogisticRegression(C=100.0, max_iter=1000).fit(svm[:n], labels)
    answers = scaling.predict_proba(svm).astype(np.float32)
    accuracy = float((answers[:n].argmax(axis=1) == labels).mean())
    say(f"teacher: {accuracy:.2%}, cross-fitted")
    return SoftLabels(answers[:n], answers[n:], accuracy)
