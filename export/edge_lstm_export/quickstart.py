"""The whole road on the embedded checkpoint: which commands, in which order, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_lstm.models import REVIEWS


@dataclass(frozen=True)
class Step:
    """One stage of the road: what it shows, and the arguments of ``edge-lstm`` that do it alone."""

    title: str
    arguments: tuple[str, ...]


def embedded_checkpoint() -> Path:
    """Path of the fp32 checkpoint that is installed with the package."""
    return Path(__file__).parent / "checkpoints" / "sentiment.safetensors"


def steps(folder: Path) -> Iterator[Step]:
    """The road from the embedded checkpoint to a measured int8 file, its files in ``folder``."""
    checkpoint, reviews = str(embedded_checkpoint()), str(REVIEWS)
    fp32, int8 = str(folder / "sentiment.onnx"), str(folder / "sentiment.int8.onnx")
    scored = str(folder / "scored.csv")
    yield Step("The network, as PyTorch trained it", ("inspect", checkpoint))
    yield Step("PyTorch → one ONNX file, checked against PyTorch", ("export", checkpoint, "-o", fp32))
    # Of so few reviews one is 1.1 points, and one near the border may change its label.
    gate = ("--data", reviews, "--max-drop", "2.2")
    yield Step("fp32 → int8, through the gates", ("quantize", fp32, "-o", int8, *gate))
    yield Step(
        "Classify",
        ("predict", "-m", int8, "A slow start, but what an ending!", "Two hours I will never get back."),
    )
    yield Step("Score a file", ("score", reviews, "-o", scored, "-m", int8))
    yield Step("Is it right, on these reviews?", ("evaluate", fp32, int8, "--data", reviews))
    yield Step("How fast is it here?", ("latency", fp32, int8, "--runs", "200"))
