"""edge-lstm itself, through its public API, from token ids to probabilities like every other peer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.protocol import Documents, Json, serve
from edge_lstm import Classifier


class EdgeLstm:
    """A Classifier. Its rows come as text, since a model file brings its own vocabulary."""

    distribution = "edge-lstm"

    def load(self, model: Path, threads: int, options: dict[str, str]) -> Json:
        self._classifier = Classifier.load(model, threads=threads)
        self._positive = self._classifier.labels.index("pos")
        return {"network": self._classifier.model.network}

    def prepare(self, documents: Documents, rows: list[int]) -> list[list[int]]:
        assert isinstance(documents, list)
        return [self._classifier.model.tokenizer.encode_text(documents[row]).ids for row in rows]

    def predict(self, batch: list[list[int]]) -> NDArray[np.float32]:
        answer: NDArray[np.float32] = self._classifier.probabilities_of(batch, batch_size=len(batch))
        return answer[:, self._positive]


if __name__ == "__main__":
    serve(EdgeLstm())
