"""ports/js: the ES module, in Node."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_lstm import Classifier, __version__
from tests.model_files import edited
from tests.ports.conftest import PROJECT, TOLERANCE, Case

FOLDER = PROJECT / "ports" / "js"
MODULE = FOLDER / "edge-lstm.mjs"
NODE = shutil.which("node") or shutil.which("nodejs") or ""
needs_node = pytest.mark.skipif(not NODE, reason="no node")


def in_node(models: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What answers.mjs says of each {path, texts}."""
    request = json.dumps({"module": str(MODULE), "models": models})
    script = Path(__file__).with_name("answers.mjs")
    run = subprocess.run([NODE, str(script)], input=request, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.split("\n") if line]


@needs_node
def test_every_kind_of_model_gives_onnx_runtimes_answers(cases: list[Case]) -> None:
    results = in_node([{"path": str(case.path), "texts": case.texts} for case in cases])
    for case, result in zip(cases, results, strict=True):
        assert result["labels"] == list(case.labels), case.name
        assert all(row["ok"] for row in result["check"]), case.name
        assert [answer["status"] for answer in result["answers"]] == case.statuses
        assert ["|".join(answer["labels"]) for answer in result["answers"]] == case.answers
        answers = np.array([[p for _, p in answer["probabilities"]] for answer in result["answers"]])
        apart = np.abs(answers - case.probabilities).max(axis=1)
        # A unit that is rounded to another side than ONNX Runtime rounds it costs 5e-5 here.
        assert apart.max() <= TOLERANCE, (case.name, case.texts[int(apart.argmax())][:80])


@needs_node
@pytest.mark.parametrize("labels", [["1", "0"], ["1", "0.0"], ["__proto__", "a"]])
def test_probabilities_keep_the_order_of_the_labels(labels: list[str], tmp_path: Path) -> None:
    path, text = tmp_path / "m.onnx", "A wonderful film."
    path.write_bytes(edited({"labels": json.dumps(labels)}))
    told, numbers = zip(*in_node([{"path": str(path), "texts": [text]}])[0]["answers"][0]["probabilities"])
    expected = Classifier.load(path).predict([text])[0].probabilities
    assert [*told] == labels == [*expected]
    assert numbers == pytest.approx([*expected.values()], abs=1e-6)


@needs_node
def test_what_is_no_model_is_refused_in_one_line(damaged: list[tuple[str, bytes]], tmp_path: Path) -> None:
    models = []
    for i, (_, data) in enumerate(damaged):
        path = tmp_path / f"{i}.onnx"
        path.write_bytes(data)
        models.append({"path": str(path), "texts": ["good"]})
    for (what, _), result in zip(damaged, in_node(models), strict=True):
        assert result.get("refused"), (what, result)
        assert "\n" not in result["error"] and len(result["error"]) < 300, what


def test_the_package_is_one_small_module_of_this_version_with_its_types() -> None:
    text, typed = MODULE.read_text(), (FOLDER / "edge-lstm.d.ts").read_text()
    assert len(text.encode()) <= 29_000
    assert not re.search(r"^\s*import\b|\brequire\(|\beval\(|new Function|WebAssembly\.", text, re.MULTILINE)
    names = r"^export (?:async )?(?:class|function) (\w+)"
    assert set(re.findall(names, text, re.MULTILINE)) == set(re.findall(names, typed, re.MULTILINE))
    package = json.loads((FOLDER / "package.json").read_text())
    entry = package["exports"]["."]
    assert (package["version"], package["type"]) == (__version__, "module") and "dependencies" not in package
    for path in (entry["types"], entry["default"], package["main"], *package["files"]):
        assert (FOLDER / path).is_file()
