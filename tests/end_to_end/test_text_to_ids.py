"""benchmarks.text_to_ids: a row for each set that it can compare, both readings beside whole words."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

pytest.importorskip("edge_lstm_export")

from benchmarks import text_to_ids
from benchmarks.text_to_ids import micros, tokenizers


def write(path: Path, rows: list[tuple[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *rows])


def test_a_row_for_each_set_with_spaces(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_to_ids, "ROUNDS", 1)
    for name, texts in (("plain", ["How far?", "so near!"]), ("without", ["外卖很好吃", "送餐太慢了"])):
        for part in ("train", "test"):
            write(tmp_path / name / f"{part}.csv", list(zip(texts * 5, "ab" * 5)))
    (tmp_path / "several").mkdir()
    (tmp_path / "several" / "train.csv").write_text("text,a,b\nx,0,1\n", encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["text_to_ids", str(tmp_path)])
    text_to_ids.main()
    rows = capsys.readouterr().out.splitlines()[2:]
    assert len(rows) == 1
    number = r"\d+\.\d\d"
    beside = rf"{number} \({number}\)"
    assert re.fullmatch(rf"\| plain \| {number} \| {beside} \| {beside} \|", rows[0])


def test_every_reading_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_to_ids, "ROUNDS", 2)
    texts = ["How far is it?", "so near!"] * 40
    found = micros(tokenizers((texts, ["a", "b"] * 40)), texts)
    assert [len(times) for times in found] == [2, 2]
    assert all(time > 0 for times in found for time in times)
