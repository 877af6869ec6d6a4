"""Weights → everything that starts from the PyTorch module: a state dict, ONNX files and ncnn files.

python -m benchmarks.convert.pytorch WEIGHTS.npz FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import onnx
import pnnx
import torch
from onnxruntime.quantization import quantize_dynamic
from onnxruntime.quantization.shape_inference import quant_pre_process

from benchmarks.seed_torch import SeedNetwork, from_weights


def main(weights: Path, folder: Path) -> None:
    """Write all files, and `onnx-operators.json`: the LSTM operators that every ONNX file holds."""
    network = from_weights(weights)
    torch.save(network.state_dict(), folder / "seed.pt")
    to_onnx(network, folder)
    to_ncnn(network, folder)


def to_onnx(network: SeedNetwork, folder: Path) -> None:
    """The default export, its default int8, and int8 after the pre-processing that ONNX Runtime recommends.

    The exporter leaves the reordering of the gates in the graph, where `quantize_dynamic` finds no constant
    weights and silently keeps the LSTM in fp32. Only the pre-processing step folds them. Both files are
    benchmarked, and the count tells which of them is quantized.
    """
    fp32, folded = folder / "default.fp32.onnx", folder / "folded.fp32.onnx"
    example = torch.ones(2, 600, dtype=torch.int64)  # the exporter takes a batch of 1 for a constant
    torch.onnx.export(network, (example,), fp32, dynamic_shapes={"ids": {0: "batch"}})
    quant_pre_process(fp32, folded)
    quantize_dynamic(fp32, folder / "default.int8.onnx")
    quantize_dynamic(folded, folder / "folded.int8.onnx")
    counts = {path.name: _lstm_operators(path) for path in sorted(folder.glob("*.onnx"))}
    (folder / "onnx-operators.json").write_text(json.dumps(counts, indent=2) + "\n")


def to_ncnn(network: SeedNetwork, folder: Path) -> None:
    """ncnn's pair of files, traced and written by pnnx: with fp16 weights (its default) and with fp32."""
    example = torch.zeros(1, 600, dtype=torch.int64)
    for precision in ("fp16", "fp32"):
        traced = folder / f"pnnx-{precision}" / "seed.pt"  # pnnx leaves seven files beside this one
        traced.parent.mkdir(exist_ok=True)
        pnnx.export(network, str(traced), (example,), fp16=precision == "fp16")
        for suffix in ("param", "bin"):
            traced.with_name(f"seed.ncnn.{suffix}").rename(folder / f"ncnn.{precision}.{suffix}")


def _lstm_operators(path: Path) -> dict[str, int]:
    names = [node.op_type for node in onnx.load(path, load_external_data=False).graph.node]
    return {name: names.count(name) for name in ("LSTM", "DynamicQuantizeLSTM")}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
