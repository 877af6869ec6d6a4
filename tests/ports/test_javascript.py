"""engine/js: the engine as WebAssembly, in Node."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_lstm import Classifier
from edge_lstm.printable import well_formed
from tests.commands import finished
from tests.engine.conftest import Compile, answers, compiled, program, strange, zig  # noqa: F401
from tests.model_files import EMBEDDED, compact, edited
from tests.ports.conftest import PROJECT, Case

FOLDER = PROJECT / "engine" / "js"
MODULE = FOLDER / "edge-lstm.mjs"
NODE = shutil.which("node") or shutil.which("nodejs") or ""
needs_node = pytest.mark.skipif(not NODE, reason="no node")


def in_node(models: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What answers.mjs says of each {path, texts}."""
    request = json.dumps({"module": str(MODULE), "models": models})
    script = Path(__file__).with_name("answers.mjs")
    run = finished([NODE, str(script)], input=request, timeout=300)
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.split("\n") if line]


@needs_node
def test_every_kind_of_model_gives_the_bits_of_the_engine(
    cases: list[Case],
    program: list[str],  # noqa: F811
) -> None:
    texts = cases[0].texts  # also as strings of UTF-16 that are not well-formed
    results = in_node([{"path": str(case.path), "texts": texts} for case in cases])
    for case, result in zip(cases, results, strict=True):
        statuses, _, bits = answers(
            program, case.path, texts=[well_formed(text).encode() for text in texts]
        )
        assert result["labels"] == list(case.labels), case.name
        assert all(row["ok"] for row in result["check"]), case.name
        assert [answer["status"] for answer in result["answers"]] == statuses
        told = [[p for _, p in answer["probabilities"]] for answer in result["answers"]]
        assert (np.array(told, np.float32).view(np.uint32) == bits).all(), case.name
        for text, answer, expected in zip(texts, result["answers"], case.answers):
            assert "|".join(answer["labels"]) == expected, (case.name, text[:80])


@needs_node
def test_the_same_texts_are_unfamiliar(
    strange: tuple[Path, list[str], list[str]],  # noqa: F811
) -> None:
    path, texts, expected = strange
    asked = {"path": str(path), "texts": texts}
    found, *refused = in_node([{**asked, "options": {"unfamiliar": n}} for n in (0.05, 0.001, 5)])
    assert [answer["status"] for answer in found["answers"]] == expected
    assert [result["error"] for result in refused] == [
        "no threshold for 0.001 in the file; export it with more texts",
        "a share is between 0 and 1, not 5",
    ]


@needs_node
@pytest.mark.parametrize("labels", [["1", "0"], ["__proto__", "a"]])
def test_probabilities_keep_the_order_of_the_labels(labels: list[str], tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(edited({"labels": compact(labels)}))
    (result,) = in_node([{"path": str(path), "texts": ["A wonderful film."]}])
    told = result["answers"][0]["probabilities"]
    expected = Classifier.load(path).predict(["A wonderful film."])[0].probabilities
    assert [name for name, _ in told] == labels == [*expected]
    assert [p for _, p in told] == pytest.approx([*expected.values()], abs=1e-6)


@needs_node
def test_what_is_no_model_is_refused_in_one_line(
    damaged: list[tuple[str, bytes]], tmp_path: Path
) -> None:
    for what, data in damaged:
        (tmp_path / what.replace("/", " ")).write_bytes(data)
    paths = sorted(tmp_path.iterdir())
    assert len(paths) == len(damaged)
    results = in_node([{"path": str(path), "texts": ["good"]} for path in paths])
    for path, result in zip(paths, results, strict=True):
        assert result.get("refused"), (path.name, result)
        assert "\n" not in result["error"] and len(result["error"]) < 300, path.name


@needs_node
def test_the_readme_shows_the_answer_of_the_embedded_model() -> None:
    (told,) = re.findall(
        r'"neg" => ([\d.]+), "pos" => ([\d.]+)', (FOLDER / "README.md").read_text()
    )
    (result,) = in_node([{"path": str(EMBEDDED), "texts": ["A wonderful film."]}])
    answer = result["answers"][0]["probabilities"]
    assert [f"{probability:.3f}" for _, probability in answer] == [*told]


def test_the_engine_is_small_and_made_of_this_source(tmp_path: Path) -> None:
    kept = MODULE.with_suffix(".wasm").read_bytes()
    assert len(kept) <= 70_000
    if not zig():
        pytest.skip("no zig")
    for name in ("edge_lstm.c", "edge_lstm.h", "Makefile"):
        shutil.copy(PROJECT / "engine" / name, tmp_path)
    shutil.copytree(PROJECT / "engine" / "src", tmp_path / "src")
    (tmp_path / "js").mkdir()
    command = ["make", "-C", str(tmp_path), f"ZIG={' '.join(zig())}", "js/edge-lstm.wasm"]
    subprocess.run(command, check=True, capture_output=True)
    assert (tmp_path / "js" / "edge-lstm.wasm").read_bytes() == kept, (
        "run: make -C engine js/edge-lstm.wasm"
    )


def test_the_package_has_types() -> None:
    text = MODULE.read_text()
    typed = (FOLDER / "edge-lstm.d.ts").read_text()
    assert not re.search(r"^\s*import\b|\brequire\(|\beval\(|new Function", text, re.MULTILINE)
    names = r"^export (?:async )?(?:class|function) (\w+)"
    assert set(re.findall(names, text, re.MULTILINE)) == set(re.findall(names, typed, re.MULTILINE))
    package = json.loads((FOLDER / "package.json").read_text())
    assert package["type"] == "module"
    assert "dependencies" not in package
    entry = package["exports"]["."]
    for path in (entry["types"], entry["default"], package["main"], *package["files"]):
        assert (FOLDER / path).is_file()
