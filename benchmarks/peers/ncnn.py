"""ncnn on the files that pnnx wrote. It has no batch dimension: a batch is a loop."""

from __future__ import annotations

from pathlib import Path

import ncnn
import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.protocol import Documents, Json, serve


class Ncnn:
    """One network; an extractor a text, as its examples do."""

    distribution = "ncnn"

    def load(self, model: Path, threads: int, options: dict[str, str]) -> Json:
        self._net = ncnn.Net()
        self._net.opt.num_threads = threads
        if options["precision"] == "fp32":
            # By default it stores and computes in fp16 where the CPU can, whatever the file holds.
            self._net.opt.use_fp16_packed = False
            self._net.opt.use_fp16_storage = False
            self._net.opt.use_fp16_arithmetic = False
        for path, load in ((model, self._net.load_param), (model.with_suffix(".bin"), self._net.load_model)):
            if load(str(path)) != 0:
                raise OSError(f"ncnn cannot load {path}")
        return {}

    def prepare(self, documents: Documents, rows: list[int]) -> list[NDArray[np.int32]]:
        assert isinstance(documents, np.ndarray)
        return [documents[row] for row in rows]

    def predict(self, batch: list[NDArray[np.int32]]) -> NDArray[np.float32]:
        return np.array([self._one(ids) for ids in batch], np.float32)

    def _one(self, ids: NDArray[np.int32]) -> float:
        extractor = self._net.create_extractor()
        extractor.input("in0", ncnn.Mat(ids))
        _, answer = extractor.extract("out0")
        return float(np.array(answer)[0])


if __name__ == "__main__":
    serve(Ncnn())
