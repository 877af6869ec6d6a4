"""ONNX Runtime on a file that `torch.onnx.export` or `quantize_dynamic` wrote with their defaults."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from benchmarks.peers.protocol import Documents, Json, serve


class OnnxRuntime:
    """One session on the CPU provider."""

    distribution = "onnxruntime"

    def load(self, model: Path, threads: int, options: dict[str, str]) -> Json:
        settings = ort.SessionOptions()
        settings.intra_op_num_threads = threads
        settings.inter_op_num_threads = 1
        self._session = ort.InferenceSession(str(model), settings, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        return {}

    def prepare(self, documents: Documents, rows: list[int]) -> NDArray[np.int64]:
        assert isinstance(documents, np.ndarray)
        return documents[rows].astype(np.int64)

    def predict(self, batch: NDArray[np.int64]) -> NDArray[np.float32]:
        answer: NDArray[np.float32] = self._session.run(None, {self._input: batch})[0][:, 0]
        return answer


if __name__ == "__main__":
    serve(OnnxRuntime())
