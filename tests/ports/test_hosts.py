"""engine/onnxruntime: the same file with ONNX Runtime in C++ and, as WebAssembly, in a browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edge_lstm import Classifier
from tests.ports.chromium import CHROMIUM, Chromium, served
from tests.ports.conftest import PROJECT, Case

FOLDER = PROJECT / "engine" / "onnxruntime"
HEADERS = [Path("/usr/include/onnxruntime"), Path("/usr/local/include/onnxruntime")]
CASES = ("embedded", "seed.int8.onnx", "low-rank.fp32.onnx")
LINES = ["A wonderful film.", "", "Never again.", "Qwxyzzy!", "İSTANBUL ΟΔΟΣ STRAẞE", "good " * 700]


def onnxruntime_web() -> Path:
    """The folder of onnxruntime-web's files: of EDGE_LSTM_NODE_MODULES, or installed beside classify.mjs."""
    for folder in (os.environ.get("EDGE_LSTM_NODE_MODULES"), FOLDER / "node_modules"):
        if folder and (dist := Path(folder) / "onnxruntime-web" / "dist").is_dir():
            return dist
    pytest.skip("no onnxruntime-web: npm install --prefix engine/onnxruntime")


def test_cpp(cases: list[Case], tmp_path: Path) -> None:
    headers = next((path for path in HEADERS if (path / "onnxruntime_cxx_api.h").is_file()), None)
    if headers is None or not shutil.which("g++"):
        pytest.skip("no g++ with onnxruntime's headers: apt-get install g++ libonnxruntime-dev")
    port = tmp_path / "edge_lstm.o"
    engine = PROJECT / "engine" / "edge_lstm.c"
    subprocess.run(["gcc", "-std=c99", "-O1", "-c", engine, "-o", port], check=True)
    program = tmp_path / "classify"
    command = ["g++", "-O1", "-std=c++17", "-Wall", "-Wextra", "-Werror", f"-I{headers}"]
    command += [str(FOLDER / "classify.cpp"), str(port), "-lonnxruntime", "-o", str(program)]
    subprocess.run(command, check=True)
    for case in cases:
        if case.name not in CASES:
            continue
        # Debian's build of ONNX Runtime 1.21 says on standard error that its schemas are there twice.
        run = subprocess.run([program, case.path], input="\n".join(LINES).encode(), capture_output=True)
        assert run.returncode == 0, run.stderr[-2000:]
        rows = [line.split("\t") for line in run.stdout.decode().split("\n")[:-1]]
        for row, answer in zip(rows, Classifier.load(case.path).predict(LINES), strict=True):
            assert row[-1] == answer.status and abs(float(row[-2]) - answer.probability) <= 1e-4
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(case.path.read_bytes()[:-1])
    run = subprocess.run([program, damaged], input=b"good", capture_output=True)
    assert run.returncode == 1 and not run.stdout


def test_onnxruntime_web_in_chromium(cases: list[Case], tmp_path: Path) -> None:
    if not CHROMIUM:
        pytest.skip("no chromium")
    dist = onnxruntime_web()
    (tmp_path / "index.html").write_text("<!doctype html><title>onnxruntime-web</title>")
    chosen = [c for c in cases if c.name in CASES]
    for i, case in enumerate(chosen):
        (tmp_path / f"{i}.onnx").write_bytes(case.path.read_bytes())
    script = (
        "(async () => { const ort = await import('/ort/ort.wasm.min.mjs'); ort.env.wasm.numThreads = 1;"
        " const { load } = await import('/engine/onnxruntime/classify.mjs');"
        " const predict = await load(ort, await (await fetch('/page/NAME.onnx')).arrayBuffer());"
        " const all = []; for (const text of TEXTS) {"
        " const answer = await predict(text);"
        " all.push({ ...answer, probabilities: [...answer.probabilities.values()] }); } return all; })()"
    )
    folders = {"page": tmp_path, "ort": dist, "engine": PROJECT / "engine"}
    with served(**folders) as address, Chromium(tmp_path / "profile") as browser:
        browser.open(f"{address}/page/index.html")
        for i, case in enumerate(chosen):
            # Without lone surrogates, which become U+FFFD on their way.
            whole = [n for n, text in enumerate(case.texts) if not re.search("[\ud800-\udfff]", text)]
            texts = json.dumps([case.texts[n] for n in whole])
            answers = browser.run(script.replace("NAME", str(i)).replace("TEXTS", texts))
            assert [a["status"] for a in answers] == [case.statuses[n] for n in whole]
            values = np.array([a["probabilities"] for a in answers])
            assert np.abs(values - case.probabilities[whole]).max() <= 1e-3, case.name
