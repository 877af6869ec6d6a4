"""The peaks of this CPU on one thread: int8 and fp32 products, reading from the caches and from memory.

OPENBLAS_NUM_THREADS=1 python -m benchmarks.roofline    (numpy, onnx and onnxruntime are needed)
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from benchmarks.peaks import Peaks

_SIZE = 512  # of the square products: large enough for the peak, over before the scheduler steps in
_KIB, _MIB = 2**10, 2**20


def measure() -> Peaks:
    """All peaks, each the best of many tries: a peak is what the CPU can do, not what it does on average."""
    first, second = _cache_size(1) or 32 * _KIB, _cache_size(2) or 512 * _KIB
    return Peaks(
        int8_multiply_adds=_SIZE**3 / _best(_onnx_product(np.uint8, np.int8)),
        fp32_multiply_adds=_SIZE**3
        / min(_best(_onnx_product(np.float32, np.float32)), _best(_numpy_product())),
        cache_bandwidth=_read_bandwidth(3 * first, second * 6 // 10),
        memory_bandwidth=_read_bandwidth(256 * _MIB, 512 * _MIB),
        first_cache=first,
    )


def _cache_size(level: int) -> int | None:
    """Bytes of this core's data cache of that level as the kernel tells it, None where it does not."""
    for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        told = {name: (index / name).read_text().strip() for name in ("level", "type", "size")}
        if told["level"] == str(level) and told["type"] != "Instruction":
            return int(told["size"].removesuffix("K")) * _KIB
    return None


def _best(run: Callable[[], object], seconds: float = 2.0) -> float:
    """The shortest time of one call, in seconds, among as many as fit."""
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - started)
    return best


def _onnx_product(left: type, right: type) -> Callable[[], object]:
    """A square product in ONNX Runtime: MatMulInteger for uint8 × int8 (weights of 7 bits), else MatMul."""
    generator = np.random.default_rng(7)
    a: NDArray[np.generic] = generator.integers(0, 255, (_SIZE, _SIZE)).astype(left)
    b: NDArray[np.generic] = generator.integers(-64, 63, (_SIZE, _SIZE)).astype(right)
    operator, output = (
        ("MatMulInteger", TensorProto.INT32) if left is np.uint8 else ("MatMul", TensorProto.FLOAT)
    )
    graph = helper.make_graph(
        [helper.make_node(operator, ["a", "b"], ["c"])],
        "product",
        [helper.make_tensor_value_info("a", helper.np_dtype_to_tensor_dtype(np.dtype(left)), [_SIZE, _SIZE])],
        [helper.make_tensor_value_info("c", output, [_SIZE, _SIZE])],
        [numpy_helper.from_array(b, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda: session.run(None, {"a": a})


def _numpy_product() -> Callable[[], object]:
    generator = np.random.default_rng(7)
    a, b = generator.random((2, _SIZE, _SIZE), dtype=np.float32)
    result = np.empty_like(a)
    return lambda: np.matmul(a, b, out=result)


def _read_bandwidth(small: int, large: int) -> float:
    """Bytes a second of a dot product, from two sizes: their difference has no fixed cost of a call in it."""
    times = []
    for size in (small, large):
        x, y = np.ones((2, size // 8), np.float32)  # two vectors of four-byte numbers: `size` bytes together
        times.append(_best(_dot(x, y), seconds=1.0))
    return (large - small) / (times[1] - times[0])


def _dot(x: NDArray[np.float32], y: NDArray[np.float32]) -> Callable[[], object]:
    return lambda: np.dot(x, y)


if __name__ == "__main__":
    json.dump(asdict(measure()), sys.stdout, indent=2)
