"""``score`` by the native engine: the rows that ONNX Runtime gives, and the engine's decisions."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kills import kill_at_random_moments
from table_files import zstd

from edge_lstm import Classifier, ModelFileError, Policy, ScoreOptions, score_files
from edge_lstm.core.decide import decide
from edge_lstm.core.modelfile import open_model
from edge_lstm.core.native import NativeSession
from edge_lstm.tables import ReadOptions, open_inputs
from tests.engine.conftest import PROJECT, finished, importable

# EDGE_LSTM_KILLS=50 ends a run as often.
KILLS = int(os.environ.get("EDGE_LSTM_KILLS", "2"))
TEXTS = ["A wonderful film.", "Dull, and far too long!", "", "xqzzy wvvx", "漢字 é"]
LONG = "never " * 700
ROWS = {
    "jsonl": [
        *(json.dumps({"id": i, "text": text}) for i, text in enumerate([*TEXTS, LONG])),
        '{"id":1.50,"text":"good","n":{"a":[1e999,"]"]}',
        ' {"text" : "bad\\ud83c\\udf89 \\ud800" , "id" : null} \r',
        '{"text": "a", "id": 1, "text": "never good", "id": 2}',
        '{"text": 5}',
        '{"text": null, "id": 7}',
        '{"id": 8, "label": "mine"}',
        "{}",
        "",
        "[1]",
        '{"text": "cut',
        "\udcff",
        '{"text": "deep", "id": ' + "[" * 300 + "]" * 300 + "}",
        '{"text": "long", "id": ' + "9" * 5_000 + "}",
    ],
    "csv": [
        *(f'{i},"{text}",x' for i, text in enumerate([*TEXTS, LONG])),
        '7,"two\nlines, ""quoted""",',
        '8,a "b" c,"d"e',
        "9,good\rbad\0,x\r",
        "10,good",
        "11,good,x,y",
        "",
        "12,\udcff,x",
        "\udcff,good,x",
        '13,"never closed',
    ],
    "txt": [*TEXTS, LONG, "a\tb\r", "\0\udcff", "\ufeff"],
}
OPTIONS = """
{}
{"threshold": 0.6}
{"all_probabilities": true, "top": 2}
{"only_columns": ["id", "label"]}
{"only_columns": ["text"]}
{"windows": true}
"""


@pytest.fixture(scope="module")
def classifier(installed: Path, tiny: Path) -> Iterator[Classifier]:
    with importable(installed):
        yield Classifier.load(tiny, engine="native")


@pytest.fixture(scope="module")
def session(installed: Path, tiny: Path) -> Iterator[NativeSession]:
    """The engine by itself, with two labels."""
    with importable(installed):
        yield NativeSession(open_model(tiny))


def rows_of(path: Path) -> list[Any]:
    rows = [
        list(row.values.values())
        for row in open_inputs([path], options=ReadOptions(text_column="1")).rows()
    ]
    if path.suffix == ".txt":
        rows = [line.split("\t") for (line,) in rows]
    return [[*map(number_or_text, row)] for row in rows]


def number_or_text(value: Any) -> Any:
    try:
        return pytest.approx(float(value), rel=1e-5)
    except (ValueError, TypeError):
        return value


@pytest.mark.parametrize("target", ["jsonl", "csv", "txt", "parquet"])
@pytest.mark.parametrize("suffix", ROWS)
def test_both_engines_write_the_same_rows(
    classifier: Classifier, tiny: Path, tmp_path: Path, suffix: str, target: str
) -> None:
    if target == "parquet":
        pytest.importorskip("pyarrow")
    header = {"csv": ["id,text,n"]}.get(suffix, [])
    path = tmp_path / f"in.{suffix}"
    path.write_bytes("\n".join([*header, *ROWS[suffix]]).encode("utf-8", "surrogateescape"))
    runtime = Classifier.load(tiny)
    for line in OPTIONS.strip().splitlines():
        options = ScoreOptions(**json.loads(line))
        if suffix == "txt" and options.only_columns:
            continue
        seen = []
        for name, model in (("native", classifier), ("runtime", runtime)):
            output = tmp_path / f"{name}.{target}"
            summary = score_files(path, output, model=model, options=options)
            counts = summary.to_dict()
            assert summary.rows == len([row for row in ROWS[suffix] if row or suffix == "txt"])
            for measured in ("output", "seconds", "rows_per_second", "first_errors"):
                counts.pop(measured)
            seen.append((counts, rows_of(output)))
        assert seen[0] == seen[1], line


def write_table(path: Path, texts: list[str]) -> None:
    """Numbered texts, as programs write them."""
    if path.suffix == ".parquet":
        arrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(arrow.table({"id": range(len(texts)), "text": texts}), path)
    elif path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("id", "text"), *enumerate(texts)])
    elif path.suffix == ".txt":
        path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    else:
        lines = [json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(texts)]
        data = "".join(lines).encode()
        path.write_bytes(zstd(data) if path.suffix == ".zst" else data)


@pytest.mark.parametrize(
    "suffix",
    [
        ".csv",
        ".parquet",
        *(pytest.param(s, marks=pytest.mark.slow) for s in (".jsonl.zst", ".txt")),
    ],
)
def test_kills_at_random_moments_and_resumes_give_the_same_bytes(
    installed: Path, tmp_path: Path, suffix: str
) -> None:
    if suffix.endswith(".zst"):
        pytest.importorskip("zstandard")
    path = tmp_path / f"in{suffix}"
    write_table(path, [f"{TEXTS[i % len(TEXTS)]} {i}" for i in range(6_000)])
    environ = {**os.environ, "PYTHONPATH": f"{installed}{os.pathsep}{PROJECT}"}
    target = suffix.removeprefix(".")
    kill_at_random_moments(path, KILLS, target, seed=3, engine="native", environ=environ)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".txt"])
def test_tables_are_scored_without_numpy_and_onnx_runtime(
    installed: Path, tmp_path: Path, suffix: str
) -> None:
    """They take longer to import than a small file takes to be scored."""
    write_table(tmp_path / f"in{suffix}", TEXTS)
    code = f"""
import sys
from edge_lstm.cli import run
run(["score", "in{suffix}", "-o", "out{suffix}", "--engine", "native", "-w", "1"])
assert "edge_lstm_native" in sys.modules and not {{"numpy", "onnxruntime"}} & {{*sys.modules}}
"""
    environ = {**os.environ, "PYTHONPATH": f"{installed}{os.pathsep}{PROJECT}"}
    finished([sys.executable, "-c", code], cwd=tmp_path, env=environ, check=True)


@pytest.mark.parametrize("top", [1, 2])
def test_both_engines_decide_alike_also_on_equal_labels_and_missing_texts(
    session: NativeSession, tiny: Path, top: int
) -> None:
    rows = np.array([[0.5, 0.5], [0.25, 0.75], [0.7, 0.3], [np.nan] * 2, [0.6, 0.4]], np.float32)
    asked = (Classifier.load(tiny).model, Policy(top=top, threshold=0.7), rows.tobytes())
    read = bytes([0, 1, 3, 4, 6])
    assert decide(*asked, read, session) == decide(*asked, read)
    with pytest.raises(ModelFileError, match="not probabilities"):
        decide(*asked, bytes(5), session)  # NaN of a text
