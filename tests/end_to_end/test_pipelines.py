"""The Python of three how-tos, for the libraries that are installed."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import sqlite3
import sys
from pathlib import Path

import pytest
from commands import finished

from edge_lstm import Classifier, ScoreOptions, score_files

PROJECT = Path(__file__).parents[2]
PAGES = [PROJECT / "docs" / "how-to" / name for name in ("pipelines.md", "sql.md", "tables.md")]
EXAMPLES = {
    section.partition("\n")[0]: code[1]
    for page in PAGES
    for section in page.read_text(encoding="utf-8").split("\n## ")
    if (code := re.search(r"```python\n(.*?)```", section, re.DOTALL))
}
NEEDED = {
    "Polars": ("polars",),
    "DuckDB": ("duckdb", "pyarrow"),
    "Hugging Face datasets": ("datasets",),
    "datatrove": ("datatrove", "orjson", "regex"),
    "dolma": (),
    "Spark": ("pyspark", "pandas", "pyarrow"),
    "Python": (),
}


def test_each_example_is_tested() -> None:
    assert EXAMPLES.keys() == NEEDED.keys()


@pytest.mark.parametrize("name", NEEDED)
def test_an_example_runs_as_it_stands(tmp_path: Path, name: str) -> None:
    for package in (*NEEDED[name], *(() if name == "Python" else ("edge_lstm_native",))):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"no {package}")
    if name == "Spark" and not shutil.which("java"):
        pytest.skip("no java")
    classifier = Classifier.load()
    (tmp_path / "tickets.onnx").write_bytes(classifier.model.data)
    texts = ["A wonderful film.", "Dull, far too long.", "漢字 é"] * 20
    rows = [{"id": str(i), "text": text} for i, text in enumerate(texts)]
    (tmp_path / "docs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with sqlite3.connect(tmp_path / "tickets.db") as database:
        database.execute("CREATE TABLE tickets (body TEXT)")
        database.executemany("INSERT INTO tickets VALUES (?)", [(text,) for text in texts])
    if name == "dolma":
        columns = ScoreOptions(
            all_probabilities=True, only_columns=("id", "text", "probability_pos")
        )
        score_files(tmp_path / "docs.jsonl", tmp_path / "scored.jsonl", options=columns)
    run = finished(
        [sys.executable, "-c", EXAMPLES[name].replace("billing", "pos")],
        cwd=tmp_path,
        env={**os.environ, "PYSPARK_PYTHON": sys.executable, "HF_HOME": str(tmp_path)},
    )
    assert run.returncode == 0, run.stderr[-3000:]
    if name == "datatrove":
        positive = [p.label for p in classifier.predict(texts)].count("pos")
        assert f"forwarded: {positive}" in run.stderr
    elif name == "dolma":
        lines = (tmp_path / "attributes.jsonl").read_text().splitlines()
        spans = [json.loads(line)["attributes"]["edge_lstm__pos"] for line in lines]
        expected = [p.probabilities["pos"] for p in classifier.predict(texts)]
        assert [[[0, len(text)]] for text in texts] == [[span[0][:2]] for span in spans]
        assert [span[0][2] for span in spans] == pytest.approx(expected)
    elif name == "Hugging Face datasets":
        assert "'label': 'pos'" in run.stdout
    else:
        assert "pos" in run.stdout and "neg" in run.stdout
