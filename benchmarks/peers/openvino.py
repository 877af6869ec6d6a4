"""OpenVINO reading the ONNX file, in fp32 or in its own default precision (bf16 where the CPU has it)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino
from numpy.typing import NDArray

from benchmarks.peers.protocol import Documents, Json, serve


class OpenVino:
    """One compiled model and one request, under the latency hint."""

    distribution = "openvino"

    def load(self, model: Path, threads: int, options: dict[str, str]) -> Json:
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": options["precision"],
        }
        compiled = openvino.Core().compile_model(model, "CPU", settings)
        self._request = compiled.create_infer_request()
        return {"precision": compiled.get_property("INFERENCE_PRECISION_HINT").to_string()}

    def prepare(self, documents: Documents, rows: list[int]) -> NDArray[np.int64]:
        assert isinstance(documents, np.ndarray)
        return documents[rows].astype(np.int64)

    def predict(self, batch: NDArray[np.int64]) -> NDArray[np.float32]:
        answer: NDArray[np.float32] = self._request.infer([batch])[0][:, 0].copy()
        return answer  # a copy, since the next call writes to the same memory


if __name__ == "__main__":
    serve(OpenVino())
