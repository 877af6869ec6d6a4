"""How well an imported network answers labelled texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge_lstm.tables.labelled import LabelledTexts, label_matrix
from edge_lstm_export.importing.reading import Imported

if TYPE_CHECKING:
    from edge_lstm_export.checkpoint import Checkpoint

CAUSES = (
    "texts may reach the network otherwise than in its training. The usual causes: labels in "
    "another order, stop words removed or words stemmed before the tokenizer, another tokenizer, "
    "padding on the other side"
)


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
        return self.accuracy < self.largest + 0.05


def accuracy_on(imported: Imported, checkpoint: Checkpoint, labelled: LabelledTexts) -> Accuracy:
    """Return the accuracy on labelled texts.

    checkpoint: of the network. Raises DataError for labels that it does not have.
    """
    from edge_lstm_export.network import predict_probabilities, text_rows

    truth = label_matrix(labelled.labels, checkpoint.labels, "the data")
    rows = text_rows(checkpoint.tokenizer, labelled.texts)
    answers = predict_probabilities(checkpoint.network, rows)
    given = answers >= 0.5
    if not imported.model.is_multi_label:
        given = answers.argmax(axis=1)[:, None] == np.arange(truth.shape[1])
    words = [word for text in labelled.texts for word in imported.rule.words_of(text)]
    unknown = sum(word not in imported.rule.known for word in words)
    return Accuracy(
        texts=len(rows),
        correct=int((given == truth).all(axis=1).sum()),
        largest=float(truth.mean(axis=0).max()),
        unknown=unknown / max(1, len(words)),
        tokens=float(np.median([len(row) for row in rows])),
    )
