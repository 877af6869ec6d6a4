"""Draws the scale that stands still: ``docs/images/scale.svg``, from the embedded model.

    .venv/bin/python tools/scale_picture.py

ONNX Runtime's int8 LSTM scales its input by the smallest and the largest value of the batch: shown
for one review, in batches with others of the package's, from the embedding with and without its
sentinel columns.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "engine")]

import reference  # noqa: E402 - the port in NumPy

from edge_lstm.core.modelfile import open_model  # noqa: E402
from edge_lstm.models import example_texts  # noqa: E402

PICTURE = ROOT / "docs" / "images" / "scale.svg"
BATCHES = 40
BATCH_SIZE = 4
SEED = 0
SENTINELS = 2  # columns of the embedding


def scales() -> tuple[list[float], list[float]]:
    """The step of uint8 in each batch that holds the first review: with sentinels, and without."""
    model = open_model()
    tensors = reference.tensors(model.onnx.graph)
    table = tensors["embedding"].astype(np.float32) * tensors["embedding_scale"]
    rows = [model.tokenizer.encode_text(text).ids for text in example_texts()]
    generator = random.Random(SEED)
    held = []
    free = []
    for _ in range(BATCHES):
        batch = [rows[0], *generator.sample(rows[1:], BATCH_SIZE - 1)]
        inputs = table[np.concatenate(batch)]
        held.append(_step(inputs))
        free.append(_step(inputs[:, :-SENTINELS]))
    return held, free


def _step(values: np.ndarray) -> float:
    """As DynamicQuantizeLinear: the range holds 0."""
    return float((max(values.max(), 0) - min(values.min(), 0)) / 255)


def main() -> None:
    """Writes the picture."""
    from matplotlib import pyplot, rcParams

    rcParams.update(
        {"backend": "svg", "svg.hashsalt": "edge-lstm", "svg.fonttype": "path", "font.size": 11}
    )
    held, free = scales()
    figure, axes = pyplot.subplots(figsize=(8, 3.2), layout="constrained")
    numbers = range(1, BATCHES + 1)
    axes.plot(
        numbers,
        free,
        "o-",
        color="#d9772b",
        markersize=4,
        linewidth=1,
        label="without sentinel units",
    )
    axes.plot(
        numbers, held, "s-", color="#2563a8", markersize=4, linewidth=1, label="with sentinel units"
    )
    where = "the same review, each time in a batch with three others"
    axes.set(xlabel=where, ylabel="one step of uint8", ylim=(0.85 * min(free), 1.05 * max(held)))
    axes.legend(frameon=False, loc="lower right", ncols=2)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(PICTURE, metadata={"Date": None}, facecolor="white")
    print(f"{PICTURE}: {len(set(held))} scale with sentinel units, {len(set(free))} without")


if __name__ == "__main__":
    main()
