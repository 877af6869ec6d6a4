"""benchmarks.text_to_ids: a row for each set, both readings beside whole words."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

pytest.importorskip("edge_lstm_export")

from benchmarks import text_to_ids
from benchmarks.text_to_ids import micros, tokenizers

TEXTS = ["How far is it?", "so near!"] * 40


def test_a_row_for_each_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_to_ids, "ROUNDS", 1)
    (tmp_path / "plain").mkdir()
    for part in ("train", "test"):
        with (tmp_path / "plain" / f"{part}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("text", "label"), *zip(TEXTS, "ab" * 40)])
    monkeypatch.setattr("sys.argv", ["text_to_ids", "plain", "--data", str(tmp_path)])
    text_to_ids.main()
    (row,) = capsys.readouterr().out.splitlines()[2:]
    number = r"\d+\.\d\d"
    beside = rf"{number} \({number}\)"
    assert re.fullmatch(rf"\| plain \| {number} \| {beside} \| {beside} \|", row)


def test_every_reading_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_to_ids, "ROUNDS", 2)
    assert [len(times) for times in micros(tokenizers((TEXTS, ["a", "b"] * 40)), TEXTS)] == [2, 2]
