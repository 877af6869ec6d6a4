"""The engine beside ONNX Runtime: how fast.

    python -m benchmarks.engine [--rounds 5] [--only "engine" --only "ONNX Runtime"] [--json FILE]
    python -m benchmarks.engine --fasttext PYTHON    # of an environment with fasttext-community

For tiny and small (random networks of their shape, which changes no time) and base (the embedded
model): kB shipped, cold start, µs per review alone, memory. The texts are the package's reviews.
Needs gcc and node; Chromium, and onnxruntime-web in the folder EDGE_LSTM_NODE_MODULES, add their
rows. Tools take turns, round by round, so that a change of clock hits all; a time is the fastest of
the rounds, which other work on the machine disturbs least.

fastText learns words and word pairs of IMDB's training split (EDGE_LSTM_DATA), and is timed in the
same rounds, with and without the splitting of words that its tutorial asks for. Learning rate,
passes and width were chosen on a fifth of the training split, held out; its quantized file is made
as its tutorial does.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.comparison_tools import words
from benchmarks.same_bits import write_records
from benchmarks.sets import imdb
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
WEB_FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
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

# The same for a model of fastText, which takes words that are split: by each answer, or before.
FASTTEXT = (
    SCRIPT.replace(
        "edge_lstm import Classifier", "benchmarks.comparison_tools import words\nimport fasttext"
    )
    .replace(
        "classifier = Classifier.load(sys.argv[1])", "model = fasttext.load_model(sys.argv[1])"
    )
    .replace(
        "answer =",
        "texts, words = (list(map(words, texts)), str) if sys.argv[4:] else (texts, "
        "words)\nanswer =",
    )
    .replace("classifier.predict([text])[0].label", "model.predict(words(text))[0][0]")
)
# Writes model.bin and model.ftz, and prints the accuracy of each.
FASTTEXT_TRAINING = """
import fasttext
options = {"lr": 0.5, "epoch": 10, "dim": 16, "wordNgrams": 2, "thread": 1, "seed": 1, "verbose": 0}
model = fasttext.train_supervised("train.txt", **options)
model.save_model("model.bin")
print(model.test("test.txt")[1])
model.quantize("train.txt", qnorm=True, retrain=True, cutoff=100_000, thread=1, verbose=0)
model.save_model("model.ftz")
print(model.test("test.txt")[1])
"""


@dataclass(frozen=True)
class Tool:
    """command: its process, to which the model, a file of texts, rounds and ``more`` are added; of
    C, which
    reads texts from standard input, the program. shipped: kB beside the model file. own: its
        model.
    """

    name: str
    command: tuple[str, ...]
    shipped: float
    more: tuple[str, ...] = ()
    own: Path | None = None


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
    memory: float | None = None


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


def onnxruntime_web() -> Path | None:
    """Return the folder of onnxruntime-web's files, where it is installed."""
    dist = (
        Path(os.environ.get("EDGE_LSTM_NODE_MODULES", "node_modules")) / "onnxruntime-web" / "dist"
    )
    return dist.absolute() if dist.is_dir() else None


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
            yield Tool(f"engine, {kernel}", command, program.stat().st_size / 1000)
    node = shutil.which("node")
    script = Path(__file__).with_suffix(".mjs")
    for name, urls, shipped in _javascript(f"file://{ENGINE}", f"file://{onnxruntime_web()}"):
        if node:
            yield Tool(f"{name}, Node", (node, str(script)), shipped, (json.dumps(urls),))


def fasttext(python: Path, folder: Path) -> Iterator[Tool]:
    """Train fastText with an environment's Python, print the accuracy, and yield the tools of both
    files.
    """
    if not python.exists():
        raise SystemExit(
            f"error: no {python}; --fasttext names the Python of an environment with it"
        )
    dataset = imdb()
    assert dataset.test is not None
    for name, split in (("train", dataset.train), ("test", dataset.test)):
        labels = [dataset.labels[row.argmax()] for row in split.labels]
        lines = [f"__label__{label} {words(text)}\n" for label, text in zip(labels, split.texts)]
        random.Random(0).shuffle(lines)  # the labels lie one after the other
        (folder / f"{name}.txt").write_text("".join(lines), encoding="utf-8")
    training = [python.absolute(), "-c", FASTTEXT_TRAINING]
    run = subprocess.run(training, check=True, cwd=folder, capture_output=True, text=True)
    (script := folder / "fastText.py").write_text(FASTTEXT)
    packages = [
        f
        for name in ("fasttext*", "numpy*")
        for f in python.parents[1].glob(f"lib/*/site-packages/{name}")
    ]
    shipped = sum(f.stat().st_size for p in packages for f in (p, *p.rglob("*")) if f.is_file())
    for end, accuracy in zip(("bin", "ftz"), run.stdout.split()):
        own = folder / f"model.{end}"
        name = f"fastText .{end}, {own.stat().st_size / 1000:,.0f} kB, {float(accuracy):.1%}"
        command = (str(python.absolute()), str(script))
        yield Tool(name, command, shipped / 1000, own=own)
        yield Tool(f"{name}, words split before", command, shipped / 1000, ("split",), own)


def _javascript(engine: str, web: str) -> Iterator[tuple[str, Mapping[str, str], float]]:
    """Yield (name, where its modules are, kB) of the module and, where it is installed,
    onnxruntime-web.
    """
    kb = sum(file.stat().st_size for file in (MODULE, MODULE.with_suffix(".wasm"))) / 1000
    urls = {"engine": f"{engine}/js/edge-lstm.mjs"}
    yield "engine, WebAssembly", urls, kb
    if dist := onnxruntime_web():
        shipped = sum((dist / name).stat().st_size for name in WEB_FILES) / 1000
        yield "onnxruntime-web", {**urls, "ort": f"{web}/{WEB_FILES[0]}"}, kb + shipped


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
    in_c = tool.name.startswith("engine") and not tool.more
    texts = "texts.txt"
    command = [
        *tool.command,
        str(tool.own or model),
        str(folder / "texts.json"),
        str(rounds),
        *tool.more,
    ]
    if in_c and rounds:
        program = compile_c(folder, ANSWERS)
        texts = "records"
        command = [str(program), str(model), tool.command[-1], "time", str(rounds)]
    elif in_c:
        command = [*tool.command, str(model)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROJECT)}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    start = time.perf_counter()
    peak = 0.0
    with (folder / texts).open() as lines:
        process = subprocess.Popen(command, stdin=lines, env=environment, **pipes)
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
    micros = printed[2].split("\t")[1] if in_c and rounds else printed[-1]
    return cold, float(micros) if rounds else 0.0, peak


def in_chromium(
    folder: Path, models: dict[str, Path], rounds: int, only: Sequence[str]
) -> Iterator[Row]:
    """Yield the rows of the module and of onnxruntime-web, which take turns in pages of their own;
    cold is from an open page to the first answer.
    """
    from tests.ports.chromium import CHROMIUM, Chromium, served

    texts = (folder / "texts.json").read_text()
    (folder / "index.html").write_text("<!doctype html><title>engine</title>")
    for model, path in models.items():
        (folder / model).symlink_to(path)
    folders = {
        "page": folder,
        "engine": ENGINE,
        "benchmarks": Path(__file__).parent,
        "ort": onnxruntime_web() or folder,
    }
    chosen = [(f"{name}, Chromium", *more) for name, *more in _javascript("/engine", "/ort")]
    chosen = [each for each in chosen if CHROMIUM and each[0].startswith(tuple(only))]
    for model in models if chosen else ():
        figures: dict[str, list[tuple[float, float]]] = {name: [] for name, *_ in chosen}
        for name, urls, _ in chosen * rounds:
            bytes_of = f"async () => (await fetch('/page/{model}')).arrayBuffer()"
            call = f"measure({json.dumps(urls)}, {bytes_of}, {texts}, {TIMED})"
            # its children end later
            temporary = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
            with temporary as profile, served(**folders) as url, Chromium(Path(profile)) as browser:
                browser.open(f"{url}/page/index.html")
                measured = f"(async () => (await import('/benchmarks/engine.mjs')).{call})()"
                figures[name].append(browser.run(measured))
        for name, _, shipped in chosen:
            yield Row(name, model, shipped, *map(min, zip(*figures[name])))


def main() -> None:
    """Measure or compare everything, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="fresh processes for each tool and model"
    )
    parser.add_argument("--json", type=Path, help="where the figures go as data")
    parser.add_argument("--fasttext", type=Path, help="Python with fasttext-community")
    parser.add_argument(
        "--only", action="append", help="tools whose name begins so; without it, all"
    )
    asked = parser.parse_args()
    if shutil.which("gcc") is None:
        raise SystemExit("error: no gcc, which compiles the engine; install it")
    _say_left_out()
    rows: list[Row] = []
    texts = [" ".join(text.splitlines()) for text in example_texts()]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "texts.json").write_text(json.dumps(texts))
        (folder / "texts.txt").write_text("".join(f"{text}\n" for text in texts))
        write_records(folder / "records", texts)
        models = model_files(folder)
        chosen = [tool for tool in tools(folder) if tool.name.startswith(tuple(asked.only or [""]))]
        chosen += fasttext(asked.fasttext, folder) if asked.fasttext else ()
        for model, path in models.items():
            figures: dict[str, list[tuple[float, float, float]]] = {
                tool.name: [] for tool in chosen
            }
            for tool in chosen * asked.rounds:
                cold, *_ = measured(tool, path, folder, 0)
                figures[tool.name].append((cold, *measured(tool, path, folder, TIMED)[1:]))
            for tool in chosen:
                rows.append(
                    Row(tool.name, model, tool.shipped, *map(min, zip(*figures[tool.name])))
                )
                print(rows[-1], file=sys.stderr, flush=True)
        rows += in_chromium(folder, models, asked.rounds, asked.only or [""])
    if asked.json:
        asked.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
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


def _say_left_out() -> None:
    """Say on standard error which rows need what this machine does not have."""
    from tests.ports.chromium import CHROMIUM

    if not shutil.which("node"):
        print("left out: rows of Node; install node", file=sys.stderr)
    if not CHROMIUM:
        print("left out: rows of Chromium; install chromium", file=sys.stderr)
    if onnxruntime_web() is None:
        how = "npm install onnxruntime-web, and name its node_modules in EDGE_LSTM_NODE_MODULES"
        print(f"left out: rows of onnxruntime-web; {how}", file=sys.stderr)


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


if __name__ == "__main__":
    main()
