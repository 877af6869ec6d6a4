"""fastText: another kind of model (a bag of words and bigrams), from text to probability in one call."""

from __future__ import annotations

from pathlib import Path

import fasttext
import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.protocol import Documents, Json, serve


class FastText:
    """A supervised model, full (.bin) or quantized (.ftz). It runs on the calling thread only."""

    distribution = "fasttext"

    def load(self, model: Path, threads: int, options: dict[str, str]) -> Json:
        self._model = fasttext.load_model(str(model))
        return {}

    def prepare(self, documents: Documents, rows: list[int]) -> list[str]:
        assert isinstance(documents, list)
        return [documents[row] for row in rows]

    def predict(self, batch: list[str]) -> NDArray[np.float32]:
        # The list form: the form for one text calls np.array(copy=False), which numpy 2 refuses.
        labels, probabilities = self._model.predict(batch)
        best = zip((label[0] for label in labels), (row[0] for row in probabilities), strict=True)
        return np.array([p if label == "__label__pos" else 1.0 - p for label, p in best], np.float32)


if __name__ == "__main__":
    serve(FastText())
