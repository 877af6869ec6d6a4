"""data/decisions.json: whoever decides, in whatever language, decides the same."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from edge_lstm.core.decide import STATUSES
from edge_lstm.core.modelfile import ModelFile, open_model
from edge_lstm.core.native import NativeSession
from tests import decisions
from tests.engine.conftest import ENGINE, HERE, NO_COMPILER, STRICT, Compile, finished, importable
from tests.ports.test_javascript import MODULE, NODE, needs_node

CASES = decisions.cases()
TOLD = str(HERE / "told.h")  # instead of the engine's own answers
each_case = pytest.mark.parametrize("case", CASES)


@pytest.fixture
def path(case: str, tmp_path: Path) -> Path:
    """The model file of a case."""
    path = tmp_path / "m.onnx"
    path.write_bytes(decisions.file_of(CASES[case]))
    return path


@pytest.fixture
def model(path: Path) -> ModelFile:
    return open_model(path)


def said(text: dict[str, Any]) -> str:
    """A text that says its answer, as told.h reads it."""
    values = ("nan" if value is None else repr(value) for value in text["probabilities"])
    return " ".join([text["read"], repr(text["unfamiliarity"]), *values])


def as_near(score: list[float] | None) -> Any:
    """A score's value is a sum, whose order may differ; the ends are labels."""
    return score and [pytest.approx(score[0], abs=1e-9), *score[1:]]


def test_the_file_is_what_decide_py_decides(tmp_path: Path) -> None:
    made = json.loads(decisions.written(decisions.made(tmp_path)))
    kept = {
        name: {**case, "texts": [{**text, "answer": expected(text)} for text in case["texts"]]}
        for name, case in CASES.items()
    }
    assert made == kept, "run: python -m tests.decisions"


def test_every_status_and_both_kinds_of_refusal_are_among_them() -> None:
    texts = [text for case in CASES.values() for text in case["texts"]]
    assert {text["answer"]["status"] for text in texts if text["answer"]} == {*STATUSES}
    assert {None in text["probabilities"] for text in texts if not text["answer"]} == {True, False}


@each_case
def test_the_native_engine_decides_so(case: str, model: ModelFile, installed: Path) -> None:
    with importable(installed):
        session = NativeSession(model)
    for text in CASES[case]["texts"]:
        assert decisions.decided(model, text, session) == expected(text), text


@each_case
def test_the_module_by_itself_predicts_so(case: str, path: Path, installed: Path) -> None:
    """It takes no threshold, and leaves a text that a file would abstain from its label."""
    with importable(installed):
        import edge_lstm_native

        opened = edge_lstm_native.Model(path)
    for text in CASES[case]["texts"]:
        answer = text["answer"]
        if (text["unfamiliarity"] and opened.thresholds is None) or CASES[case]["lowest"]:
            continue
        code = bytes([STATUSES.index(text["read"])])
        found = opened._predictions(decisions.rows_of(text).tobytes(), code)
        if answer is None:
            assert found is None
            continue
        ((label, probability, status),) = found
        labels = label if isinstance(label, tuple) else () if label is None else (label,)
        assert list(labels) == answer["labels"] and status == answer["status"], text
        assert decisions.number(probability) == answer["probability"]


@each_case
def test_the_command_in_c_prints_so(case: str, path: Path, compiled: Compile) -> None:
    if CASES[case]["lowest"]:
        pytest.skip("it takes no threshold")
    # The engine itself is compiled without it.
    main = path.with_name("told_main.c")
    code = (ENGINE / "main.c").read_text(encoding="utf-8")
    main.write_text(f"#include {json.dumps(TOLD)}\n{code}", encoding="utf-8")
    program = compiled("gcc", *STRICT, "-O1", sources=[str(main), str(ENGINE / "edge_lstm.c")])
    share = ["--unfamiliar", str(decisions.SHARE)] if "above" in CASES[case] else []
    for text in CASES[case]["texts"]:
        run = finished([program, *share, path, said(text)])
        answer = text["answer"]
        if text["read"] == "error" or answer is None:
            assert run.returncode == 1 and "error: " in run.stderr
        else:
            labels = "|".join(answer["labels"])
            line = f"{labels}\t{answer['probability']:.6f}\t{answer['status']}\n"
            assert run.stdout == line, text


@pytest.fixture(scope="module")
def extension(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The extension of SQLite, whose texts say their answers."""
    if not shutil.which("gcc") or not shutil.which("sqlite3"):
        pytest.skip(NO_COMPILER if shutil.which("sqlite3") else "no sqlite3")
    folder = tmp_path_factory.mktemp("told") / "engine"
    shutil.copytree(ENGINE, folder, ignore=shutil.ignore_patterns("*.so", "python", "js"))
    source = folder / "sqlite" / "edge_lstm_sqlite.c"
    code = source.read_text(encoding="utf-8")
    parts = code.split('#include "answer.h"\n')  # behind the engine, which stays as it is
    source.write_text(f'#include {json.dumps(TOLD)}\n#include "answer.h"\n'.join(parts), "utf-8")
    path = folder / "told.so"
    run = finished(
        ["gcc", *STRICT, "-O1", "-fPIC", "-shared", f"-I{folder}", "-o", path, source, "-lm"]
    )
    if "sqlite3ext.h: No such file" in run.stderr:
        pytest.skip("there is no sqlite3ext.h")
    assert run.returncode == 0 and len(parts) == 2, run.stderr
    return path


@each_case
def test_sql_answers_so(case: str, path: Path, extension: Path) -> None:
    def ask(*texts: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        """What the shell prints: an array of (label, JSON) for each text."""
        lines = [f".load {extension} sqlite3_edgelstmsqlite_init"]
        lines.append(f"SELECT allow_model('{path}') IS NULL;")
        for text in texts:
            call = f"('{said(text)}', '{path}')"
            lines.append(f"SELECT json_array(classify{call}, classify_json{call});")
        return finished(["sqlite3", "-batch"], input="\n".join(lines))

    texts = [text for text in CASES[case]["texts"] if not text["unfamiliarity"]]
    answered = [text for text in texts if text["answer"] and text["read"] != "error"]
    for text in texts:
        if text not in answered:
            assert re.search("not probabilities|not the JSON object", ask(text).stderr)
    rows = ask(*answered).stdout.splitlines()[1:]
    for text, row in zip(answered, rows, strict=True):
        answer = text["answer"]
        label, whole = json.loads(row)
        found = json.loads(whole)
        is_abstained = answer["status"] == "abstained"
        assert label == (None if is_abstained else "|".join(answer["labels"])), text
        assert found["status"] == answer["status"], text
        if "thresholds" in CASES[case]:
            assert found["labels"] == answer["labels"], text
            continue
        assert (found["label"], found["probability"]) == (answer["label"], answer["probability"])
        if "question" in CASES[case]:
            score = [found["score"], found["low"], found["high"]]
            assert score == (as_near(answer["score"]) or [None] * 3), text


@needs_node
def test_javascript_decides_so(tmp_path: Path) -> None:
    module = tmp_path / MODULE.name
    module.write_text(MODULE.read_text(encoding="utf-8") + "\nexport { decide };\n", "utf-8")
    shutil.copy(MODULE.with_suffix(".wasm"), tmp_path)
    asked = []
    for number, case in enumerate(CASES.values()):
        path = tmp_path / f"{number}.onnx"
        path.write_bytes(decisions.file_of(case))
        asked.append({"path": str(path), "above": case.get("above"), "texts": case["texts"]})
    request = json.dumps({"module": str(module), "cases": asked})
    run = finished([NODE, HERE / "decisions.mjs"], input=request, timeout=120)
    assert run.returncode == 0, run.stderr
    for case, line in zip(CASES.values(), run.stdout.splitlines(), strict=True):
        for text, found in zip(case["texts"], json.loads(line), strict=True):
            answer = expected(text)
            if answer:
                del answer["ranks"]
            assert found == answer, text


def expected(text: dict[str, Any]) -> dict[str, Any] | None:
    """The answer of a text, with a score that may be summed in another order."""
    answer = text["answer"]
    return answer and {**answer, "score": as_near(answer["score"])}
