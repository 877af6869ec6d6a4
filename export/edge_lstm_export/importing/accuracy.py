"""How well an imported network answers labelled texts, by its own forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_lstm.errors import DataError
from edge_lstm.tables.labelled import LabelledTexts
from edge_lstm_export.importing.forward import cut_to, probabilities
from edge_lstm_export.importing.reading import Imported

# Points above the share of the largest label below which something is wrong with the texts.
NEAR_CHANCE = 0.05
CAUSES = (
    "texts may reach the network otherwise than in its training. The usual causes: labels in "
    "another order, stop words removed or words stemmed before the tokenizer, another tokenizer, "
    "padding on the other side"
)
THRESHOLD = 0.5  # of a label, if a text may have several


@dataclass(frozen=True)
class Accuracy:
    """The accuracy of an imported network.

    texts: number of labelled texts.
    correct: number of them with all labels right.
    largest: share of the most frequent label.
    unknown: share of the words that the tokenizer does not have.
    tokens: median number of ids that the network reads of a text, without padding.
    """

    texts: int
    correct: int
    largest: float
    unknown: float
    tokens: float

    @property
    def accuracy(self) -> float:
        """From 0 to 1."""
        return self.correct / self.texts

    @property
    def is_near_chance(self) -> bool:
        """Whether the network is hardly better than always giving the most frequent label."""
        return self.accuracy < self.largest + NEAR_CHANCE


def accuracy_on(imported: Imported, labelled: LabelledTexts) -> Accuracy:
    """Return the accuracy on labelled texts.

    Raises DataError for labels that the network does not have.
    """
    imported.require_complete()
    labels = imported.labels or ()
    known = set(labels)
    for names in labelled.labels:
        if not known.issuperset(names):
            other = next(name for name in names if name not in known)
            raise DataError(f"the data has the label {other!r:.60}; --labels gives {labels}")
    rows = imported.rows(labelled.texts)
    answers = probabilities(imported.model, rows)
    correct = sum(
        set(given) == set(names)
        for given, names in zip(_labels_of(imported, labels, answers), labelled.labels)
    )
    counts = [sum(name in names for names in labelled.labels) for name in labels]
    words = [word for text in labelled.texts for word in imported.rule.words_of(text)]
    unknown = sum(word not in imported.rule.known for word in words)
    return Accuracy(
        texts=len(rows),
        correct=correct,
        largest=max(counts) / len(rows),
        unknown=unknown / max(1, len(words)),
        tokens=float(np.median([len(cut_to(row, imported.model.reading)) for row in rows])),
    )


def _labels_of(
    imported: Imported, labels: Sequence[str], answers: np.ndarray
) -> list[tuple[str, ...]]:
    """Return the labels of each text."""
    if answers.shape[1] == 1:
        return [(labels[int(p > THRESHOLD)],) for p in answers[:, 0]]
    if imported.model.head.answer == "softmax":
        return [(labels[i],) for i in answers.argmax(axis=1)]
    return [tuple(name for name, p in zip(labels, row) if p >= THRESHOLD) for row in answers]
