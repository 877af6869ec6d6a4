"""A ready transformers classifier as a teacher.

It learns nothing, and may label texts without labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial

import numpy as np
from scipy.special import log_softmax, logsumexp

from edge_lstm.errors import DataError
from edge_lstm.printable import counted, listed, shorten
from edge_lstm_export.arrays import Bools, Floats, Ints, Names
from edge_lstm_export.train.teachers.base import Predict, Say, Teacher, log_chances
from edge_lstm_export.train.teachers.transformer import TextReader, classifier_labels

_reader_of = lru_cache(maxsize=1)(partial(TextReader, classifier=True))  # reads no text twice


class ClassifierTeacher(Teacher):
    """A transformers classifier.

    source: a folder, or a name on the hub. The probabilities of outputs that have one label
        (``id2label`` in its config.json) are added.

    Raise DataError if it lacks a label.
    """

    def __init__(
        self,
        source: str,
        labels: Sequence[str],
        say: Say = lambda line: None,
    ) -> None:
        self.source = source
        self._say = say
        theirs = _labels(source)
        self._columns = [np.flatnonzero([name == label for name in theirs]) for label in labels]
        for label, columns in zip(labels, self._columns):
            if not len(columns):
                raise DataError(
                    f"the teacher {source} has no label {shorten(label)}, it has "
                    f"{listed(theirs, 20)}; "
                    "rename them in its config.json (id2label)"
                )

    def fit(self, rows: Ints, labels: Bools) -> Predict:
        """Nothing is learnt.

        Raise DataError if a text has not one label.
        """
        if (labels.sum(axis=1) != 1).any():
            raise DataError(f"the teacher {self.source} gives one label per text; give an encoder")
        return lambda asked: self.logits([self.texts[row] for row in asked])

    def logits(self, texts: Sequence[str]) -> Floats:
        """Logarithms of the labels' probabilities: float32 [n, L]."""
        logits = log_softmax(_reader_of(self.source, self._say).outputs(texts), axis=1)
        sums = np.stack(
            [logsumexp(logits[:, columns], axis=1) for columns in self._columns], axis=1
        )
        return log_chances(sums, multi_label=False)


def label_texts(source: str, say: Say, texts: Sequence[str]) -> tuple[Names, Bools]:
    """Return the labels that a classifier gives to texts, and the one of each: bool [n, L].

    Raise DataError if it is an encoder, or gives all texts one label.
    """
    labels = list(dict.fromkeys(_labels(source)))
    say(
        f"teacher: {source} labels {counted(len(texts), 'text')} as "
        f"{listed([*map(shorten, labels)], 10)}"
    )
    logits = ClassifierTeacher(source, labels, say).logits(texts)
    best = logits.argmax(axis=1)
    used = np.unique(best)
    if len(used) < 2:
        raise DataError(
            f"the teacher {source} gives all texts one label; give texts of several labels"
        )
    return tuple(labels[i] for i in used), best[:, None] == used


def _labels(source: str) -> tuple[str, ...]:
    """Return the label of each output.

    Raise DataError if it has none.
    """
    labels = classifier_labels(source)
    if labels is None:
        raise DataError(
            f"the teacher {source} is an encoder, which has no labels; give a classifier"
        )
    return labels
