"""The tools that are compared, each in a process of its own: ``python -m benchmarks.peers NAME``.

A process hears and answers one JSON object a line:

    {"cmd": "load", "model": PATH, "documents": PATH, "threads": 1, "options": {}}
        → {"version": "…"}, after the first answer
    {"cmd": "run", "batch": 8, "rows": [3, 1, …]}
        → {"ns": [one for each call]}
    {"cmd": "probabilities", "batch": 1, "rows": [0, …], "output": PATH}
        → {"rows": n}, and float32 [n] in the .npy
    {"cmd": "memory"}
        → {"peak_kib": …}

It ends when its input does. A tool is a function that opens its model and returns (prepare, predict): prepare
gives documents, int32 [n, 600] or one text per row, the form that the tool takes, and is not timed, since a
tokenizer would give that form; predict returns the probability of the positive label, float32 [batch], and is
timed. A tool is imported by its own function, so that the cold start and the memory of a peer are its own.
"""

from __future__ import annotations

import gc
import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Json = dict[str, Any]
Floats = NDArray[np.float32]
Calls = tuple[Callable[[Sequence[Any]], Any], Callable[[Any], Floats]]
Peer = Callable[[Path, int, dict[str, str]], Calls]


def edge_lstm(model: Path, threads: int, options: dict[str, str]) -> Calls:
    """edge-lstm itself. Its rows come as text, since a model file brings its own vocabulary."""
    from edge_lstm import Classifier

    classifier = Classifier.load(model, threads=threads)
    encode, positive = classifier.model.tokenizer.encode_text, classifier.labels.index("pos")
    return (
        lambda texts: [encode(text).ids for text in texts],
        lambda batch: classifier.probabilities_of(batch, batch_size=len(batch))[:, positive],
    )


def pytorch(model: Path, threads: int, options: dict[str, str]) -> Calls:
    """Eager, compiled (``compile``), or with its own dynamic int8 (``int8``)."""
    import torch

    from benchmarks.convert import seed_network

    torch.set_num_threads(threads)
    torch.set_num_interop_threads(threads)
    network = seed_network()
    network.load_state_dict(torch.load(model, weights_only=True))
    network.eval()
    if options.get("mode") == "int8":
        quantize: Any = torch.ao.quantization.quantize_dynamic
        network = quantize(network, {torch.nn.LSTM, torch.nn.Linear}, dtype=torch.qint8)
    if options.get("mode") == "compile":
        # Dynamo skips modules that hold an nn.LSTM (its `allow_rnn` is off): nothing may be compiled.
        network = torch.compile(network)

    def predict(batch: Any) -> Floats:
        with torch.inference_mode():
            answer: Floats = network(batch).numpy()[:, 0]
        return answer

    return lambda ids: torch.from_numpy(_int64(ids)), predict


def onnxruntime(model: Path, threads: int, options: dict[str, str]) -> Calls:
    """A file that `torch.onnx.export` or `quantize_dynamic` wrote with their defaults, on the CPU."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads, settings.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(str(model), settings, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return _int64, lambda batch: session.run(None, {name: batch})[0][:, 0]


def litert(model: Path, threads: int, options: dict[str, str]) -> Calls:
    """The interpreter with its default delegate (XNNPACK). The converter fixes the batch in the file and
    resizing fails in the delegate, so there is a file for each batch size beside that for batch 1."""
    from ai_edge_litert.interpreter import Interpreter

    opened: dict[int, Any] = {}

    def prepare(ids: Any) -> Any:
        if (size := len(ids)) not in opened:
            path = model.with_name(model.name.replace(".b1.", f".b{size}."))
            interpreter = Interpreter(str(path), num_threads=threads)
            interpreter.allocate_tensors()
            details = interpreter.get_input_details(), interpreter.get_output_details()
            opened[size] = interpreter, *(detail[0]["index"] for detail in details)
        return ids

    def predict(batch: Any) -> Floats:
        interpreter, into, out = opened[len(batch)]
        interpreter.set_tensor(into, batch)
        interpreter.invoke()
        answer: Floats = interpreter.get_tensor(out)[:, 0]
        return answer

    return prepare, predict


def openvino(model: Path, threads: int, options: dict[str, str]) -> Calls:
    """The ONNX file in fp32, or in OpenVINO's own default precision (bf16 where the CPU has it)."""
    import openvino

    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": options["precision"],
    }
    request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()
    return _int64, lambda batch: request.infer([batch])[0][:, 0].copy()  # the next call writes there too


def ncnn(model: Path, threads: int, options: dict[str, str]) -> Calls:
    """The files that pnnx wrote. There is no batch dimension: a batch is a loop, an extractor for each text,
    as its examples do."""
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = threads
    if options["precision"] == "fp32":
        # By default it stores and computes in fp16 where the CPU can, whatever the file holds.
        net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    for path, load in ((model, net.load_param), (model.with_suffix(".bin"), net.load_model)):
        if load(str(path)) != 0:
            raise OSError(f"ncnn cannot load {path}")

    def answer(ids: Any) -> float:
        extractor = net.create_extractor()
        extractor.input("in0", ncnn.Mat(ids))
        return float(np.array(extractor.extract("out0")[1])[0])

    return list, lambda batch: np.array([answer(ids) for ids in batch], np.float32)


def fasttext(model: Path, threads: int, options: dict[str, str]) -> Calls:
    """Another kind of model (a bag of words and word pairs), from text to probability in one call, full
    (.bin) or quantized (.ftz). It runs on the calling thread only."""
    import fasttext

    opened = fasttext.load_model(str(model))

    def predict(batch: list[str]) -> Floats:
        # The list form: the form for one text calls np.array(copy=False), which numpy 2 refuses.
        labels, probabilities = opened.predict(batch)
        best = zip((label[0] for label in labels), (row[0] for row in probabilities), strict=True)
        return np.array([p if label == "__label__pos" else 1.0 - p for label, p in best], np.float32)

    return list, predict


def _int64(ids: Any) -> NDArray[np.int64]:
    return np.asarray(ids, np.int64)


# Tool → its name on the package index, where that is another one.
DISTRIBUTIONS = {"edge_lstm": "edge-lstm", "pytorch": "torch", "litert": "ai-edge-litert"}


def serve(peer: Peer, distribution: str) -> None:
    """Answer commands until standard input closes."""
    # A tool that prints must not break the protocol: its standard output becomes standard error.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    session = _Session(peer, distribution)
    for line in sys.stdin:
        try:
            command = json.loads(line)
            answer = getattr(session, command.pop("cmd"))(**command)
        except Exception as error:  # whatever a tool throws, the parent decides what becomes of the peer
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


class _Session:
    """A peer and the documents that it is asked about. Its methods are the commands."""

    def __init__(self, peer: Peer, distribution: str) -> None:
        self._peer, self._distribution = peer, distribution
        self._documents: Any = None

    def load(self, model: str, documents: str, threads: int, options: dict[str, str]) -> Json:
        path = Path(documents)
        # Not splitlines, which cuts at characters within a text.
        self._documents = np.load(path) if path.suffix == ".npy" else path.read_text("utf-8").split("\n")[:-1]
        self._prepare, self._predict = self._peer(Path(model), threads, options)
        self._predict(self._prepare(self._documents[:1]))
        try:
            return {"version": importlib.metadata.version(self._distribution)}
        except importlib.metadata.PackageNotFoundError:
            return {"version": "from source"}  # importable without being installed, as in a checkout

    def run(self, batch: int, rows: list[int]) -> Json:
        batches, samples = list(self._batches(batch, rows)), []
        gc.disable()  # as timeit does: a collection belongs to no call
        for prepared in batches:
            started = time.perf_counter_ns()
            self._predict(prepared)
            samples.append(time.perf_counter_ns() - started)
        gc.enable()
        return {"ns": samples}

    def probabilities(self, batch: int, rows: list[int], output: str) -> Json:
        answers = np.concatenate([self._predict(prepared) for prepared in self._batches(batch, rows)])
        np.save(output, answers.astype(np.float32))
        return {"rows": len(answers)}

    def memory(self) -> Json:
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        return {"peak_kib": int(status["VmHWM"].split()[0])}

    def _batches(self, size: int, rows: list[int]) -> Iterator[Any]:
        for start in range(0, len(rows), size):
            picked = rows[start : start + size]
            texts = isinstance(self._documents, list)
            yield self._prepare([self._documents[i] for i in picked] if texts else self._documents[picked])


if __name__ == "__main__":
    serve(globals()[sys.argv[1]], DISTRIBUTIONS.get(sys.argv[1], sys.argv[1]))
