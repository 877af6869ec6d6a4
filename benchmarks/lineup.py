"""Who takes part: every contender with its environment, runner, model file and options; the converters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

BATCH_SIZES = (1, 8, 16, 32)
TOKENS = "tokens.txt"  # the texts' words, for what brings its own vocabulary

# ours: a model file of edge-lstm; seed: a tool that runs the seed network; other: another kind of model;
# promises: files that differ in one thing, timed against each other only.
Group = Literal["ours", "seed", "other", "promises"]


@dataclass(frozen=True)
class Contender:
    """One row of the benchmark.

    runner: its module. model: a file in the folder of converted models, or an absolute path; files: what
    belongs to it besides. documents: Keras pads on the left, and the seed runs over the padding.
    exact: fp32, must give the seed network's probabilities to 1e-5.
    accuracy_texts: where a tool is too slow for the whole test split, how many of its texts are answered.
    """

    name: str
    environment: str
    runner: str
    model: str
    files: tuple[str, ...] = ()
    documents: str = "left.npy"
    options: dict[str, str] = field(default_factory=dict)
    group: Group = "seed"
    exact: bool = False
    accuracy_texts: int | None = None


@dataclass(frozen=True)
class Conversion:
    """A converter: where it runs, and from what.

    environment: None for the Python that runs the benchmark. source: "weights" (of the seed network),
    "checkpoint" (of edge-lstm), or a file in the folder of the texts.
    """

    environment: str | None
    module: str
    source: str
    arguments: tuple[str, ...] = ()


CONVERSIONS = (
    Conversion("convert-pytorch", "benchmarks.convert.pytorch", "weights"),
    Conversion("convert-keras", "benchmarks.convert.keras", "weights", tuple(map(str, BATCH_SIZES))),
    Conversion("fasttext", "benchmarks.convert.fasttext", "fasttext-train.txt"),
    Conversion(None, "benchmarks.convert.promises", "checkpoint"),
)

_ONNX_DATA = ("default.fp32.onnx.data",)

PEERS = (
    Contender("PyTorch", "pytorch", "benchmarks.peers.pytorch", "seed.pt", exact=True),
    Contender(
        "PyTorch, torch.compile", "pytorch", "benchmarks.peers.pytorch", "seed.pt",
        options={"mode": "compile"}, exact=True,
    ),
    Contender(
        "PyTorch, dynamic int8", "pytorch", "benchmarks.peers.pytorch", "seed.pt",
        options={"mode": "int8"}, accuracy_texts=4000,
    ),
    Contender(
        "ONNX Runtime fp32, default export", "onnxruntime", "benchmarks.peers.onnxruntime",
        "default.fp32.onnx", files=_ONNX_DATA, exact=True,
    ),
    # What the documentation's two steps give: the file is called int8, its LSTM is not.
    Contender(
        "ONNX Runtime, quantize_dynamic (LSTM stays fp32)", "onnxruntime", "benchmarks.peers.onnxruntime",
        "default.int8.onnx",
    ),
    Contender(
        "ONNX Runtime int8 (pre-processed, then quantize_dynamic)", "onnxruntime",
        "benchmarks.peers.onnxruntime", "folded.int8.onnx",
    ),
    Contender("LiteRT fp32", "litert", "benchmarks.peers.litert", "seed.fp32.b1.tflite", exact=True),
    Contender("LiteRT int8", "litert", "benchmarks.peers.litert", "seed.int8.b1.tflite"),
    Contender(
        "OpenVINO fp32", "openvino", "benchmarks.peers.openvino", "default.fp32.onnx",
        files=_ONNX_DATA, options={"precision": "f32"}, exact=True,
    ),
    Contender(
        "OpenVINO bf16", "openvino", "benchmarks.peers.openvino", "default.fp32.onnx",
        files=_ONNX_DATA, options={"precision": "bf16"},
    ),
    Contender(
        "ncnn fp32", "ncnn", "benchmarks.peers.ncnn", "ncnn.fp32.param",
        files=("ncnn.fp32.bin",), options={"precision": "fp32"}, exact=True,
    ),
    Contender(
        "ncnn fp16", "ncnn", "benchmarks.peers.ncnn", "ncnn.fp16.param",
        files=("ncnn.fp16.bin",), options={"precision": "fp16"},
    ),
    Contender(
        "fastText", "fasttext", "benchmarks.peers.fasttext", "fasttext.bin", documents=TOKENS, group="other"
    ),
    Contender(
        "fastText, quantized", "fasttext", "benchmarks.peers.fasttext", "fasttext.ftz",
        documents=TOKENS, group="other",
    ),
)  # fmt: skip

# Kept or dropped, by the units and embedding columns that the network has and the operator then runs.
KEPT, DROPPED = "promises kept", "promises dropped"
KEPT_NARROW, DROPPED_WIDE = "promises kept, two units fewer", "promises dropped, two units more"


def own_files(models: Sequence[Path]) -> tuple[Contender, ...]:
    """Model files of edge-lstm as contenders."""
    return tuple(
        Contender(
            f"edge-lstm {path.name}", "edge-lstm", "benchmarks.peers.edge_lstm", str(path.absolute()),
            documents=TOKENS, group="ours",
        )
        for path in models
    )  # fmt: skip


PROMISES = tuple(
    Contender(
        name, "edge-lstm", "benchmarks.peers.edge_lstm", f"promises.{file}.onnx",
        documents=TOKENS, group="promises",
    )
    for name, file in (
        (KEPT, "kept"),
        (DROPPED, "dropped"),
        (KEPT_NARROW, "kept-narrow"),
        (DROPPED_WIDE, "dropped-wide"),
    )
)  # fmt: skip
