"""Times of tools that take turns, so that whatever slows the machine slows all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def fastest(
    tools: Mapping[str, Callable[[Any], object]], questions: Sequence[Any], rounds: int
) -> dict[str, npt.NDArray[np.float64]]:
    """Return by tool the µs of each question, float64 [questions]: the fastest of the rounds.

    It is the CPU time of this thread, in which each tool must run: other programs do not count.
    """
    found = {name: np.full(len(questions), np.inf) for name in tools}
    for _ in range(rounds):
        for i, question in enumerate(questions):
            for name, answer in tools.items():
                start = time.thread_time()
                answer(question)
                taken = (time.thread_time() - start) * 1e6
                found[name][i] = min(found[name][i], taken)
    return found
