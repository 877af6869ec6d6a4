"""A peer of the benchmark that needs no tool: it answers from the ids, or fails as its options say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import Calls, serve


def fake(model: Path, threads: int, options: dict[str, str]) -> Calls:
    """Answer 1 / (1 + ids that are no padding); with ``noisy`` the batch's size is added, with ``wrong`` the
    answer is another one."""
    if "fails" in options:
        raise OSError(f"{model.name} cannot be read")
    print("a tool that prints")  # must not break the protocol

    def predict(batch: Any) -> NDArray[np.float32]:
        answer = 1.0 / (1.0 + np.count_nonzero(batch, axis=1))
        answer += 0.001 * (len(batch) - 1) if "noisy" in options else 0.0
        return (answer + 0.1 * ("wrong" in options)).astype(np.float32)

    return np.asarray, predict


if __name__ == "__main__":
    serve(fake, "numpy")
