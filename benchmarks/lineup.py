"""Who takes part: every contender with its environment, model file and options; the converters; and what each
environment holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

TOKENS = "tokens.txt"  # the texts' words, for what brings its own vocabulary

# ours: a model file of edge-lstm; seed: a tool that runs the seed network; other: another kind of model.
Group = Literal["ours", "seed", "other"]


@dataclass(frozen=True)
class Contender:
    """One row of the benchmark.

    runner: the module, as arguments of Python. model: a file in the folder of converted models, or an
    absolute path; files: what belongs to it besides. documents: Keras pads on the left, and the seed runs
    over the padding. exact: fp32, must give PyTorch's probabilities to 1e-5. accuracy_texts: where a tool is
    too slow for the whole test split, how many of its texts are answered.
    """

    name: str
    environment: str
    runner: tuple[str, ...]
    model: str
    files: tuple[str, ...] = ()
    documents: str = "left.npy"
    options: Mapping[str, str] = field(default_factory=dict)
    group: Group = "seed"
    exact: bool = False
    accuracy_texts: int | None = None


@dataclass(frozen=True)
class Conversion:
    """A converter: what convert.py does, where it runs, and from what: "weights" (of the seed network), or a
    file in the folder of the texts."""

    name: str
    environment: str
    source: str = "weights"


CONVERSIONS = (
    Conversion("pytorch", "convert-pytorch"),
    Conversion("keras", "convert-keras"),
    Conversion("fasttext", "fasttext", "fasttext-train.txt"),
)


def _tool(name: str, tool: str, model: str, **more: Any) -> Contender:
    return Contender(name, tool, ("benchmarks.peers", tool.replace("-", "_")), model, **more)


_DEFAULT, _DATA = "default.fp32.onnx", ("default.fp32.onnx.data",)
_FP32, _FP16 = ({"precision": precision} for precision in ("fp32", "fp16"))
PEERS = (
    _tool("PyTorch", "pytorch", "seed.pt"),
    _tool("PyTorch, torch.compile", "pytorch", "seed.pt", options={"mode": "compile"}, exact=True),
    _tool("PyTorch, dynamic int8", "pytorch", "seed.pt", options={"mode": "int8"}, accuracy_texts=4000),
    _tool("ONNX Runtime fp32, default export", "onnxruntime", _DEFAULT, files=_DATA, exact=True),
    # What the documentation's two steps give: the file is called int8, its LSTM is not.
    _tool("ONNX Runtime, quantize_dynamic (LSTM stays fp32)", "onnxruntime", "default.int8.onnx"),
    _tool("ONNX Runtime int8 (pre-processed, then quantize_dynamic)", "onnxruntime", "folded.int8.onnx"),
    _tool("LiteRT fp32", "litert", "seed.fp32.b1.tflite", exact=True),
    _tool("LiteRT int8", "litert", "seed.int8.b1.tflite"),
    _tool("OpenVINO fp32", "openvino", _DEFAULT, files=_DATA, options={"precision": "f32"}, exact=True),
    _tool("OpenVINO bf16", "openvino", _DEFAULT, files=_DATA, options={"precision": "bf16"}),
    _tool("ncnn fp32", "ncnn", "ncnn.fp32.param", files=("ncnn.fp32.bin",), options=_FP32, exact=True),
    _tool("ncnn fp16", "ncnn", "ncnn.fp16.param", files=("ncnn.fp16.bin",), options=_FP16),
    _tool("fastText", "fasttext", "fasttext.bin", documents=TOKENS, group="other"),
    _tool("fastText, quantized", "fasttext", "fasttext.ftz", documents=TOKENS, group="other"),
)

# Environment → what pip installs there. A device environment holds what a device needs to run a tool's model
# and nothing else; its size is a result.
_NUMPY, _TORCH, _ORT = "numpy>=1.26,<3", "torch>=2.6,<3", "onnxruntime>=1.20,<2"
REQUIREMENTS: dict[str, tuple[str, ...]] = {
    # device side; the checkout's own code is then run from the checkout, where peers are started
    "edge-lstm": (".",),
    "pytorch": (_TORCH, _NUMPY),
    "onnxruntime": (_ORT, _NUMPY),
    "litert": ("ai-edge-litert>=2.0,<3", _NUMPY),
    "openvino": ("openvino>=2025.0,<2027", _NUMPY),
    "ncnn": ("ncnn>=1.0.20250101", _NUMPY),
    "fasttext": ("fasttext>=0.9.3,<0.10", _NUMPY),  # builds from source: needs a C++ compiler
    # workstation side
    "convert-pytorch": (_TORCH, _NUMPY, "onnx>=1.18,<2", "onnxscript>=0.5,<1", _ORT, "pnnx>=20250101"),
    "convert-keras": ("tensorflow>=2.19,<3", "keras>=3.9,<4"),
}


def own_files(models: Sequence[Path]) -> tuple[Contender, ...]:
    """Return model files of edge-lstm as contenders."""
    own: Mapping[str, Any] = {"documents": TOKENS, "group": "ours"}
    return tuple(_tool(f"edge-lstm {p.name}", "edge-lstm", str(p.absolute()), **own) for p in models)
