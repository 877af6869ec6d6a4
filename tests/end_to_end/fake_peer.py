"""A peer of the benchmark that needs no tool: it answers from the ids, or fails as its options say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.protocol import Documents, Json, serve


class Fake:
    """Answers 1 / (1 + ids that are no padding); with `noisy`, the batch's size is added."""

    distribution = "numpy"

    def load(self, model: Path, threads: int, options: dict[str, str]) -> Json:
        if options.get("load") == "fails":
            raise OSError(f"{model.name} cannot be read")
        print("a tool that prints")  # must not break the protocol
        self._noisy = "noisy" in options
        return {}

    def prepare(self, documents: Documents, rows: list[int]) -> NDArray[np.int32]:
        assert isinstance(documents, np.ndarray)
        return documents[rows]

    def predict(self, batch: NDArray[np.int32]) -> NDArray[np.float32]:
        answer = 1.0 / (1.0 + np.count_nonzero(batch, axis=1))
        return (answer + (0.001 * (len(batch) - 1) if self._noisy else 0.0)).astype(np.float32)


if __name__ == "__main__":
    serve(Fake())
