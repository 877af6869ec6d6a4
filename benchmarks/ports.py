"""The ports side by side: the same files in C, JavaScript, NumPy, onnxruntime-web and ONNX Runtime.

    python -m benchmarks.ports [--rounds 5] [--only "C, " --only "ONNX Runtime"] [--json FILE]

For tiny, small and base: kB shipped, cold start, µs a review alone, memory. The texts are the package's
reviews, which are real in length. Needs gcc and node; Chromium, and onnxruntime-web in EDGE_LSTM_NODE_MODULES
or in ports/onnxruntime/node_modules, add their rows. Tools take turns, round by round, so that a change of
clock hits all; a time is the fastest of the rounds, which other work on the machine disturbs least.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import http.server
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
C = PROJECT / "ports" / "c"
CHECKPOINT = PROJECT / "examples" / "tiny.safetensors"


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one tool did with one model.

    shipped: kB beside the model file; cold: ms from the start of the process to its first answer; micros: µs
    a review alone, warm; memory: MB at the peak of a process that answers all reviews.
    """

    tool: str
    model: str
    shipped: float | None
    cold: float | None
    micros: float | None
    memory: float | None


def model_files(folder: Path) -> dict[str, Path]:
    """int8 files: tiny (examples/tiny.safetensors), small (its shape, random weights) and base (embedded)."""
    import torch
    from edge_lstm_export.checkpoint import Checkpoint, load_checkpoint
    from edge_lstm_export.export import untried_int8
    from edge_lstm_export.network import Network
    from edge_lstm_export.presets import PRESETS

    from edge_lstm.modelfile import embedded_model, open_model

    base = open_model()
    network = PRESETS["small"].network
    torch.manual_seed(0)
    untrained = Network(network).eval()
    pieces = base.tokenizer.pieces or ()
    words = base.tokenizer.words[: network.num_words - 4 - len(pieces)]
    small = Checkpoint(untrained, replace(base.tokenizer, words=words), base.labels, {"data": "none"})
    made = {"tiny": untried_int8(load_checkpoint(CHECKPOINT)), "small": untried_int8(small)}
    for name, data in made.items():
        (folder / f"{name}.onnx").write_bytes(data)
    return {**{name: folder / f"{name}.onnx" for name in made}, "base": embedded_model()}


def compile_c(folder: Path, compiler: str, *flags: str) -> Path:
    """The C port's command, built with these flags."""
    program = folder / "-".join(
        ["edge-lstm-c", compiler, *(flag.strip("-").replace("=", "") for flag in flags)]
    )
    if not program.exists():
        sources = [C / "main.c", C / "edge_lstm.c"]
        subprocess.run([compiler, "-std=c99", "-O3", *flags, *sources, "-o", program, "-lm"], check=True)
    return program


def reference_module() -> ModuleType:
    """ports/reference.py, which is in no package."""
    spec = importlib.util.spec_from_file_location("reference", PROJECT / "ports" / "reference.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def onnxruntime_web() -> Path | None:
    """The folder of onnxruntime-web's files, where it is installed."""
    for folder in (
        os.environ.get("EDGE_LSTM_NODE_MODULES"),
        PROJECT / "ports" / "onnxruntime" / "node_modules",
    ):
        if folder and (dist := Path(folder) / "onnxruntime-web" / "dist").is_dir():
            return dist
    return None


def reviews() -> list[str]:
    """The package's 92 reviews, each on one line."""
    from edge_lstm.models import embedded_reviews

    return [" ".join(text.splitlines()) for text in embedded_reviews()]


# --- Each tool: a command that answers the first review, or times all of them ------------------------------

ONNX_RUNTIME = """
import json, sys, time
from edge_lstm import Classifier
texts = json.load(open(sys.argv[2]))
classifier = Classifier.load(sys.argv[1])
print(classifier.predict(texts[:1])[0].label, flush=True)
if len(sys.argv) > 3:
    fastest = [1e9] * len(texts)
    for _ in range(int(sys.argv[3])):
        for i, text in enumerate(texts):
            start = time.perf_counter()
            classifier.predict([text])
            fastest[i] = min(fastest[i], time.perf_counter() - start)
    print(sum(fastest) / len(fastest) * 1e6)
"""

REFERENCE = """
import importlib.util, json, sys, time
sys.path.insert(0, PORTS)
import reference
texts = json.load(open(sys.argv[2]))
model = reference.read(open(sys.argv[1], "rb").read())
answer = lambda text: reference.probabilities(model, reference.encode(model, text)[0])
print(answer(texts[0]), flush=True)
if len(sys.argv) > 3:
    start = time.perf_counter()
    for text in texts[:20]:
        answer(text)
    print((time.perf_counter() - start) / 20 * 1e6)
""".replace("PORTS", repr(str(PROJECT / "ports")))

# In Node and in Chromium: mean over texts of the fastest of so many rounds, in µs.
TIMED = """
async function timed(predict, texts, rounds) {
  const fastest = texts.map(() => Infinity);
  for (let round = 0; round < rounds; round++)
    for (const [i, text] of texts.entries()) {
      const start = performance.now();
      await predict(text);
      fastest[i] = Math.min(fastest[i], performance.now() - start);
    }
  return (1000 * fastest.reduce((a, b) => a + b)) / texts.length;
}
"""

NODE = """
import { readFileSync } from "node:fs";
import { Classifier } from "MODULE";
const [model, texts, rounds] = process.argv.slice(2);
const all = JSON.parse(readFileSync(texts, "utf-8"));
const classifier = await Classifier.load(model);
console.log(classifier.predict(all[0]).label);
if (rounds) console.log(await timed((text) => classifier.predict(text), all, Number(rounds)));
""".replace("MODULE", str(PROJECT / "ports" / "js" / "edge-lstm.mjs"))

NODE_WEB = """
import { readFileSync } from "node:fs";
import * as ort from "DIST/ort.wasm.min.mjs";
import { load } from "PORTS/onnxruntime/classify.mjs";
ort.env.wasm.numThreads = 1;
const [model, texts, rounds] = process.argv.slice(2);
const all = JSON.parse(readFileSync(texts, "utf-8"));
const predict = await load(ort, new Uint8Array(readFileSync(model)));
console.log((await predict(all[0])).label);
if (rounds) console.log(await timed(predict, all, Number(rounds)));
process.exit(0);
"""


@dataclass(frozen=True)
class Tool:
    """command: a model file, and rounds (None: one answer) → what to run. shipped: bytes beside the model."""

    name: str
    command: Callable[[Path, int | None], list[str]]
    shipped: int
    source: str = ""  # of texts on standard input, where the command does not read them itself


def tools(folder: Path, texts: list[str]) -> list[Tool]:
    """Those that this machine has."""
    (folder / "texts.json").write_text(json.dumps(texts))
    lines = "".join(f"{text}\n" for text in texts)
    found = [
        _python("ONNX Runtime, Python", ONNX_RUNTIME, folder, _installed("onnxruntime", "numpy", "edge_lstm"))
    ]
    found.append(_python("reference, NumPy", REFERENCE, folder, _installed("numpy")))
    cpu = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    builds = [("C, x86-64", [])]
    builds += [("C, AVX2", ["-march=haswell"])] if " avx2" in cpu else []
    builds += [("C, native", ["-march=native"])]
    for name, flags in builds:
        program = compile_c(folder, "gcc", *flags)

        def command(model: Path, rounds: int | None, program: Path = program) -> list[str]:
            return [str(program), *(["--time", str(rounds)] if rounds else []), str(model)]

        stripped = folder / f"{program.name}.stripped"
        subprocess.run(["strip", "-o", stripped, program], check=True)
        found.append(Tool(name, command, stripped.stat().st_size, lines))
    node = shutil.which("node")
    if node:
        module = PROJECT / "ports" / "js" / "edge-lstm.mjs"
        found.append(_node("JavaScript, Node", node, TIMED + NODE, folder, module.stat().st_size))
        dist = onnxruntime_web()
        if dist:
            shipped = sum((dist / name).stat().st_size for name in WEB_FILES)
            script = (TIMED + NODE_WEB).replace("DIST", str(dist)).replace("PORTS", str(PROJECT / "ports"))
            found.append(
                _node("onnxruntime-web, Node", node, script, folder, shipped + module.stat().st_size)
            )
    return found


WEB_FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")


def _python(name: str, source: str, folder: Path, shipped: int) -> Tool:
    script = folder / f"{name.split(',')[0].replace(' ', '-')}.py"
    script.write_text(source)

    def command(model: Path, rounds: int | None) -> list[str]:
        told = [sys.executable, str(script), str(model), str(folder / "texts.json")]
        return [*told, *([str(rounds)] if rounds else [])]

    return Tool(name, command, shipped)


def _node(name: str, node: str, source: str, folder: Path, shipped: int) -> Tool:
    script = folder / f"{name.split(',')[0]}.mjs"
    script.write_text(source)

    def command(model: Path, rounds: int | None) -> list[str]:
        told = [node, str(script), str(model), str(folder / "texts.json")]
        return [*told, *([str(rounds)] if rounds else [])]

    return Tool(name, command, shipped)


def _installed(*packages: str) -> int:
    """Bytes of the packages' folders."""
    total = 0
    for name in packages:
        spec = importlib.util.find_spec(name)
        if spec and spec.submodule_search_locations:
            for path in Path(spec.submodule_search_locations[0]).rglob("*"):
                if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".onnx":
                    total += path.stat().st_size
    return total


# --- Measuring ---------------------------------------------------------------------------------------------


def cold_start(tool: Tool, model: Path) -> float:
    """ms from the start of a process to its first answer."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROJECT)}
    start = time.perf_counter()
    process = subprocess.Popen(
        tool.command(model, None),
        stdin=subprocess.PIPE if tool.source else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    if tool.source:
        assert process.stdin
        process.stdin.write(tool.source.split("\n", 1)[0].encode() + b"\n")
        process.stdin.close()
    assert process.stdout
    first = process.stdout.readline()
    taken = (time.perf_counter() - start) * 1000
    process.kill()  # onnxruntime-web in Node does not always end
    process.wait()
    assert first, f"{tool.name} said nothing"
    return taken


def warm(tool: Tool, model: Path, rounds: int) -> tuple[float, float]:
    """(µs a review, MB at the peak) of a process that answers all reviews so many times."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROJECT)}
    with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as out:
        told.write(tool.source.encode())
        told.seek(0)
        process = subprocess.Popen(
            tool.command(model, rounds), stdin=told, stdout=out, stderr=subprocess.DEVNULL, env=environment
        )
        # The high-water mark of the process itself; getrusage() would count this one, of which it was forked.
        peak = 0.0
        while process.poll() is None:
            with contextlib.suppress(OSError, IndexError):
                status = Path(f"/proc/{process.pid}/status").read_text()
                peak = max(peak, int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6)
            time.sleep(0.01)
        assert process.returncode == 0, tool.name
        out.seek(0)
        rows = out.read().decode().split("\n")[:-1]
    micros = statistics.mean(float(row.split("\t")[-1]) for row in rows) if tool.source else float(rows[-1])
    return micros, peak


class _Folders(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *arguments: Any, folders: dict[str, Path], **more: Any) -> None:
        self.folders = folders
        super().__init__(*arguments, **more)

    def translate_path(self, path: str) -> str:
        name, _, rest = path.lstrip("/").partition("/")
        return str(self.folders[name] / rest) if name in self.folders else "/nonexistent"

    def guess_type(self, path: Any) -> str:
        types = {".mjs": "text/javascript", ".html": "text/html", ".wasm": "application/wasm"}
        return types.get(Path(str(path)).suffix, "application/octet-stream")

    def log_message(self, *_: Any) -> None:
        pass


def _profile() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(ignore_cleanup_errors=True)  # Chromium's children end a little later


CHROMIUM_OWN = """(async () => { TIMED const start = performance.now();
const { Classifier } = await import("/ports/js/edge-lstm.mjs");
const classifier = await Classifier.load("/models/MODEL.onnx");
classifier.predict(TEXTS[0]); const cold = performance.now() - start;
return [cold, await timed((text) => classifier.predict(text), TEXTS, ROUNDS)]; })()"""

CHROMIUM_WEB = """(async () => { TIMED const start = performance.now();
const ort = await import("/ort/ort.wasm.min.mjs"); ort.env.wasm.numThreads = 1;
const { load } = await import("/ports/onnxruntime/classify.mjs");
const predict = await load(ort, await (await fetch("/models/MODEL.onnx")).arrayBuffer());
await predict(TEXTS[0]); const cold = performance.now() - start;
return [cold, await timed(predict, TEXTS, ROUNDS)]; })()"""


def in_chromium(folder: Path, models: dict[str, Path], texts: list[str], rounds: int) -> list[Row]:
    """The module and onnxruntime-web in one page each; cold is from an open page to the first answer."""
    from tests.ports.chromium import CHROMIUM, Chromium

    if not CHROMIUM:
        return []
    served = folder / "models"
    served.mkdir()
    (served / "index.html").write_text("<!doctype html><title>ports</title>")
    for name, path in models.items():
        shutil.copy(path, served / f"{name}.onnx")
    dist = onnxruntime_web()
    folders = {"models": served, "ports": PROJECT / "ports", **({"ort": dist} if dist else {})}
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Folders, folders=folders))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/models/index.html"
    module = (PROJECT / "ports" / "js" / "edge-lstm.mjs").stat().st_size
    scripts = [("JavaScript, Chromium", CHROMIUM_OWN, module)]
    if dist:
        web = sum((dist / name).stat().st_size for name in WEB_FILES)
        scripts.append(("onnxruntime-web, Chromium", CHROMIUM_WEB, web + module))
    rows = []
    for model in models:
        for name, script, shipped in scripts:
            with _profile() as profile, Chromium(Path(profile)) as browser:
                browser.open(address)
                told = script.replace("TIMED", TIMED).replace("MODEL", model).replace("ROUNDS", str(rounds))
                cold, micros = browser.run(told.replace("TEXTS", json.dumps(texts)))
            rows.append(
                Row(tool=name, model=model, shipped=shipped / 1000, cold=cold, micros=micros, memory=None)
            )
    server.shutdown()
    return rows


def main() -> None:
    """Measures everything and prints the table."""
    parser = argparse.ArgumentParser(description="The ports side by side.")
    parser.add_argument("--rounds", type=int, default=5, help="fresh processes for each tool and model")
    parser.add_argument("--json", type=Path, help="where the figures go as data")
    parser.add_argument(
        "--only", action="append", help="tools whose name begins so; all where it is left out"
    )
    options = parser.parse_args()
    wanted = tuple(options.only or [""])
    texts = reviews()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        models = model_files(folder)
        everyone = [tool for tool in tools(folder, texts) if tool.name.startswith(wanted)]
        for name, model in models.items():
            cold: dict[str, list[float]] = {tool.name: [] for tool in everyone}
            hot: dict[str, list[tuple[float, float]]] = {tool.name: [] for tool in everyone}
            for round_ in range(options.rounds):
                for tool in everyone:
                    cold[tool.name].append(cold_start(tool, model))
                    if round_ == 0 or "reference" not in tool.name:
                        hot[tool.name].append(warm(tool, model, 5))
            for tool in everyone:
                micros, memory = min(m for m, _ in hot[tool.name]), min(p for _, p in hot[tool.name])
                row = Row(
                    tool=tool.name,
                    model=name,
                    shipped=tool.shipped / 1000,
                    cold=min(cold[tool.name]),
                    micros=micros,
                    memory=memory,
                )
                rows.append(row)
                print(f"{row}", file=sys.stderr, flush=True)
        if not options.only:
            rows += in_chromium(folder, models, texts, 3 * options.rounds)
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    print(table(rows))


def table(rows: list[Row]) -> str:
    """Markdown: a block of columns for each model."""
    models = list(dict.fromkeys(row.model for row in rows))
    lines = ["| | kB shipped | " + " | ".join(f"{m}: cold ms | µs a review | MB" for m in models) + " |"]
    lines.append("|---" * (2 + 3 * len(models)) + "|")
    for tool in dict.fromkeys(row.tool for row in rows):
        own = {row.model: row for row in rows if row.tool == tool}
        shipped = next(iter(own.values())).shipped
        cells = [f"{shipped:,.0f}"]
        for model in models:
            row = own[model]
            cells += [_shown(row.cold), _shown(row.micros), _shown(row.memory)]
        lines.append(f"| {tool} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _shown(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


if __name__ == "__main__":
    main()
