"""LiteRT: the interpreter with its default delegate (XNNPACK).

The converter fixes the batch in the file and resizing fails in the delegate, so there is one file a batch
size; `model` names the file for batch 1 and the others lie beside it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from benchmarks.peers.protocol import Documents, Json, serve


class LiteRT:
    """One interpreter a batch size, opened when first asked for."""

    distribution = "ai-edge-litert"

    def load(self, model: Path, threads: int, options: dict[str, str]) -> Json:
        self._model, self._threads = model, threads
        self._interpreters: dict[int, Interpreter] = {}
        self._open(1)
        return {}

    def prepare(self, documents: Documents, rows: list[int]) -> NDArray[np.int32]:
        assert isinstance(documents, np.ndarray)
        self._open(len(rows))
        return documents[rows]

    def predict(self, batch: NDArray[np.int32]) -> NDArray[np.float32]:
        interpreter = self._interpreters[len(batch)]
        interpreter.set_tensor(self._input, batch)
        interpreter.invoke()
        answer: NDArray[np.float32] = interpreter.get_tensor(self._output)[:, 0]
        return answer

    def _open(self, batch: int) -> None:
        if batch in self._interpreters:
            return
        path = self._model.with_name(self._model.name.replace(".b1.", f".b{batch}."))
        interpreter = Interpreter(str(path), num_threads=self._threads)
        interpreter.allocate_tensors()
        self._input = interpreter.get_input_details()[0]["index"]
        self._output = interpreter.get_output_details()[0]["index"]
        self._interpreters[batch] = interpreter


if __name__ == "__main__":
    serve(LiteRT())
