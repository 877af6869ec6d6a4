"""PyTorch: eager, compiled (`compile`), or with its own dynamic int8 (`int8`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.peers.protocol import Documents, Json, serve
from benchmarks.seed_torch import SeedNetwork


class PyTorch:
    """The seed network in `torch.inference_mode`, loaded from a state dict."""

    distribution = "torch"

    def load(self, model: Path, threads: int, options: dict[str, str]) -> Json:
        torch.set_num_threads(threads)
        torch.set_num_interop_threads(threads)
        network: torch.nn.Module = SeedNetwork()
        network.load_state_dict(torch.load(model, weights_only=True))
        network.eval()
        facts: Json = {}
        if options.get("mode") == "int8":
            kinds = {torch.nn.LSTM, torch.nn.Linear}
            quantize: Any = torch.ao.quantization.quantize_dynamic
            network = quantize(network, kinds, dtype=torch.qint8)
            facts = {"engine": torch.backends.quantized.engine, "lstm": type(network.lstm).__module__}
        self._network: Callable[[torch.Tensor], torch.Tensor] = network
        if options.get("mode") == "compile":
            # Dynamo skips modules that hold an nn.LSTM (its `allow_rnn` is off): nothing may be compiled.
            report = torch._dynamo.explain(network)(torch.zeros(1, 600, dtype=torch.int64))
            facts = {"compiled_graphs": report.graph_count}
            torch._dynamo.reset()
            self._network = torch.compile(network)
        return facts

    def prepare(self, documents: Documents, rows: list[int]) -> torch.Tensor:
        assert isinstance(documents, np.ndarray)
        return torch.from_numpy(documents[rows].astype(np.int64))

    def predict(self, batch: torch.Tensor) -> NDArray[np.float32]:
        with torch.inference_mode():
            answer: NDArray[np.float32] = self._network(batch).numpy()[:, 0]
        return answer


if __name__ == "__main__":
    serve(PyTorch())
