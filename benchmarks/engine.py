"""The engine beside ONNX Runtime: how fast.

    python -m benchmarks.engine [--rounds 5] [--only "engine" --only "ONNX Runtime"]

For tiny and small (random networks of their shape, which changes no time) and base (the embedded
model): kB shipped, cold start, µs per review alone, memory. The texts are the package's reviews.
Needs gcc, and node for the engine as WebAssembly. Tools take turns, round by round, so that a
change of clock hits all; a time is the fastest of the rounds, which other work on the machine
disturbs least.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.same_bits import write_records
from benchmarks.table import markdown_table
from edge_lstm.core.modelfile import embedded_model, open_model
from edge_lstm.core.text import Tokenizer
from edge_lstm.models import example_texts

PROJECT = Path(__file__).resolve().parents[1]
ENGINE = PROJECT / "engine"
MODULE = ENGINE / "js" / "edge-lstm.mjs"
TIMED = 5  # times that a warm process answers each review
ANSWERS = PROJECT / "tests" / "engine" / "answers.c"  # which times the engine in C
C_KERNELS = ("plain", "sse2", "avx2", "avx-vnni", "avx512-vnni", "neon", "neon-dot")
# Loads a model, prints the first answer, and then the mean µs of the fastest of the rounds.
SCRIPT = """
import json, sys, time
texts, rounds = json.load(open(sys.argv[2])), int(sys.argv[3])
from edge_lstm import Classifier
classifier = Classifier.load(sys.argv[1])
answer = lambda text: classifier.predict([text])[0].label
print(answer(texts[0]), flush=True)
fastest = [float("inf")] * len(texts)
for _ in range(rounds):
    for i, text in enumerate(texts):
        start = time.perf_counter()
        answer(text)
        fastest[i] = min(fastest[i], time.perf_counter() - start)
print(sum(fastest) / len(fastest) * 1e6)
"""


@dataclass(frozen=True)
class Tool:
    """command: its process, to which the model, a file of texts and rounds are added; of C, which
    reads texts from standard input, the program with its kernel. shipped: kB beside the model file.
    """

    name: str
    command: tuple[str, ...]
    shipped: float
    in_c: bool = False


@dataclass(frozen=True)
class Row:
    """What one tool did with one model. shipped: kB; cold: ms from the start of the process to its
    first answer; micros: µs per review alone, warm; memory: MB at the peak of a process that
    answers all.
    """

    tool: str
    model: str
    shipped: float
    cold: float
    micros: float
    memory: float


def model_files(folder: Path) -> dict[str, Path]:
    """Return int8 files: tiny and small, random networks of these presets' shapes, and base
    (embedded).
    """
    for name in ("tiny", "small"):
        (folder / f"{name}.onnx").write_bytes(random_model(name))
    return {"tiny": folder / "tiny.onnx", "small": folder / "small.onnx", "base": embedded_model()}


def random_model(preset: str) -> bytes:
    """Return an int8 file of a preset's shape for long texts: the embedded model's words, random
    weights.
    """
    import torch
    from edge_lstm_export.checkpoint.checkpoint import Checkpoint
    from edge_lstm_export.network.network import Network
    from edge_lstm_export.network.pairs import table_of
    from edge_lstm_export.onnx.exporting import export
    from edge_lstm_export.onnx.size import fitted
    from edge_lstm_export.options import TrainingRequest
    from edge_lstm_export.train.plan.decisions import make_plan
    from edge_lstm_export.train.plan.stats import DatasetStats

    base = open_model()
    plan = make_plan(DatasetStats(25_000, 2, mean_length=230), TrainingRequest(preset))
    config = plan.network
    pieces = base.tokenizer.pieces[: config.num_words // 5]
    words = base.tokenizer.words[: config.num_words - 4 - len(pieces)]
    tokenizer = Tokenizer.of_subwords(words, pieces, base.tokenizer.length)
    training = {"data": "none"}
    rng = np.random.default_rng(0)
    tokenizer, config = fitted(tokenizer, base.labels, plan)
    room = config.ngram_slots
    pairs = np.unique(rng.integers(4, config.num_words, (2 * room, 2)), axis=0)
    table, own = table_of(rng.permutation(pairs), room)
    config = replace(config, ngram_slots=len(own))
    torch.manual_seed(0)
    network = Network(config.config).eval()
    assert network.ngrams is not None
    network.ngrams.choose(table)
    network.ngrams.set_vectors(
        rng.normal(size=(config.ngrams, config.ngram_dim)).astype(np.float32)
    )
    checkpoint = Checkpoint(network, tokenizer, base.labels, training)
    return export(checkpoint, quantize="int8").data


def compile_c(folder: Path, source: Path = ENGINE / "main.c") -> Path:
    """Compile a program of the C engine, its command; it finds the machine's instructions when it
    runs.
    """
    program = folder / source.stem
    if not program.exists():
        sources = [source, ENGINE / "edge_lstm.c", f"-I{ENGINE}"]
        subprocess.run(["gcc", "-std=c99", "-O3", "-s", *sources, "-o", program], check=True)
    return program


def tools(folder: Path) -> Iterator[Tool]:
    """Yield those that this machine has."""
    script = folder / "ONNX-Runtime.py"
    script.write_text(SCRIPT)
    packages = ("onnxruntime", "numpy", "edge_lstm")
    yield Tool(
        "ONNX Runtime, Python", (sys.executable, str(script)), sum(map(_installed, packages)) / 1000
    )
    program = compile_c(folder)
    for kernel in C_KERNELS:
        command = (str(program), "--kernel", kernel)
        tried = subprocess.run(
            [*command, "--check", embedded_model()], check=False, capture_output=True
        )
        if tried.returncode == 0:  # the machine has this kernel
            yield Tool(f"engine, {kernel}", command, program.stat().st_size / 1000, in_c=True)
    node = shutil.which("node")
    if node is None:
        print("left out: the row of Node; install node", file=sys.stderr)
        return
    kb = sum(file.stat().st_size for file in (MODULE, MODULE.with_suffix(".wasm"))) / 1000
    yield Tool("engine, WebAssembly, Node", (node, str(Path(__file__).with_suffix(".mjs"))), kb)


def _installed(package: str) -> int:
    """Bytes of a package's folder."""
    spec = importlib.util.find_spec(package)
    assert spec and spec.submodule_search_locations
    files = Path(spec.submodule_search_locations[0]).rglob("*")
    counted = (
        f for f in files if f.is_file() and "__pycache__" not in f.parts and f.suffix != ".onnx"
    )
    return sum(file.stat().st_size for file in counted)


def measured(tool: Tool, model: Path, folder: Path, rounds: int) -> tuple[float, float, float]:
    """Return (ms to the first answer, µs per review, MB at the peak) of a process that answers all
    reviews so many times; with 0 rounds it only answers, and is not timed warm.
    """
    texts = folder / "texts.txt"
    command = [*tool.command, str(model), str(folder / "texts.json"), str(rounds)]
    if tool.in_c and rounds:
        program = compile_c(folder, ANSWERS)
        texts = folder / "records"
        command = [str(program), str(model), tool.command[-1], "time", str(rounds)]
    elif tool.in_c:
        command = [*tool.command, str(model)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROJECT)}
    start = time.perf_counter()
    peak = 0.0
    with texts.open() as lines:
        process = subprocess.Popen(
            command,
            stdin=lines,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    output = process.stdout
    assert output
    printed = [output.readline()]
    cold = (time.perf_counter() - start) * 1000
    reader = threading.Thread(target=lambda: printed.extend(output), daemon=True)
    reader.start()
    while process.poll() is None:
        # The high-water mark of the process itself; getrusage() would count this one, of which it
        # was forked.
        with contextlib.suppress(OSError, IndexError):
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak = max(peak, int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6)
        time.sleep(0.01)
    reader.join()
    assert process.returncode == 0, tool.name
    if not rounds:
        return cold, 0.0, peak
    return cold, float(printed[2].split("\t")[1] if tool.in_c else printed[-1]), peak


def main() -> None:
    """Measure or compare everything, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="fresh processes for each tool and model"
    )
    parser.add_argument(
        "--only", action="append", help="tools whose name begins so; without it, all"
    )
    asked = parser.parse_args()
    if shutil.which("gcc") is None:
        raise SystemExit("error: no gcc, which compiles the engine; install it")
    rows: list[Row] = []
    texts = [" ".join(text.splitlines()) for text in example_texts()]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "texts.json").write_text(json.dumps(texts))
        (folder / "texts.txt").write_text("".join(f"{text}\n" for text in texts))
        write_records(folder / "records", texts)
        models = model_files(folder)
        chosen = [tool for tool in tools(folder) if tool.name.startswith(tuple(asked.only or [""]))]
        for model, path in models.items():
            figures: dict[str, list[tuple[float, float, float]]] = {
                tool.name: [] for tool in chosen
            }
            for tool in chosen * asked.rounds:
                cold, *_ = measured(tool, path, folder, 0)
                figures[tool.name].append((cold, *measured(tool, path, folder, TIMED)[1:]))
            for tool in chosen:
                fastest = map(min, zip(*figures[tool.name]))
                rows.append(Row(tool.name, model, tool.shipped, *fastest))
                print(rows[-1], file=sys.stderr, flush=True)
    heads = [
        "",
        "kB shipped",
        *(head for m in models for head in (f"{m}: cold ms", "µs per review", "MB")),
    ]
    lines: dict[str, list[str]] = {}
    for row in rows:
        cells = lines.setdefault(row.tool, [row.tool, f"{row.shipped:,.0f}"])
        cells += map(_shown, (row.cold, row.micros, row.memory))
    print(markdown_table(heads, lines.values()))


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


if __name__ == "__main__":
    main()
