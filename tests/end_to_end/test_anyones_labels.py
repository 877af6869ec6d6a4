"""The benchmark of other people's sets: its scores, its page, and one small set from end to end."""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.anyones_labels import LINEAR, Run, page, scores
from benchmarks.misspelt import misspelt


def test_scores_are_accuracy_and_the_mean_f1_of_the_labels() -> None:
    accuracy, f1 = scores(["a", "a", "b", "c"], ["a", "b", "b", "a"])
    assert accuracy == 0.5
    assert f1 == pytest.approx((0.5 + 2 / 3 + 0) / 3)


def test_misspelt_texts_have_other_letters_and_all_else_as_it_was() -> None:
    texts = ["Wo ist meine Karte, Nr. 7?", "好吃 so good"] * 200
    edited = misspelt(texts, 0.05, 0)
    assert edited == misspelt(texts, 0.05, 0) != misspelt(texts, 0.05, 1)
    pairs = [(a, b) for before, after in zip(texts, edited) for a, b in zip(before, after, strict=True)]
    assert all(a == b for a, b in pairs if not a.isalpha())
    changed = sum(a != b for a, b in pairs) / sum(a.isalpha() for a, _ in pairs)
    assert 0.03 < changed <= 0.06
    assert misspelt(texts, 0.0, 0) == texts


def test_the_page_gives_means_of_seeds_with_their_spread() -> None:
    runs = [Run("set", "edge-lstm small", seed, 100, 0.9 + seed / 50, 0.8, 271.4, 20, 50) for seed in (0, 1)]
    row = page(runs).splitlines()[-1]
    assert row.startswith("| set | edge-lstm small | 2 | 91.00 ± 1.00 | ")
    assert row.endswith("| 80.00 | 271 | 20 | 50 |")


def test_a_folder_of_sets_becomes_a_page_and_a_picture(tmp_path: Path) -> None:
    folder, rng = tmp_path / "sets" / "made", random.Random(0)
    folder.mkdir(parents=True)
    for name, count in (("train", 120), ("test", 30)):
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            rows = [(f"{word} thing {rng.randrange(9)}", word) for word in rng.choices("abc", k=count)]
            csv.writer(file).writerows([("text", "label"), *rows])
    out = tmp_path / "page"
    command = [sys.executable, "-m", "benchmarks.anyones_labels", tmp_path / "sets", "--out", out]
    command += ["--only", "TF-IDF", "--fasttext-python", sys.executable]
    for _ in range(2):  # the second makes no run again
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert {run["column"] for run in json.loads(out.with_suffix(".json").read_text())} == set(LINEAR)
    assert "| made |" in out.with_suffix(".md").read_text()
    assert "<svg" in out.with_suffix(".svg").read_text()


def test_a_column_that_cannot_be_made_is_said_and_the_next_one_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "sets" / "made"
    folder.mkdir(parents=True)
    for part in ("train", "test"):
        (folder / f"{part}.csv").write_text("text,label\n" + "good,a\nbad,b\n" * 12, encoding="utf-8")
    out = tmp_path / "page"
    command = [sys.executable, "-m", "benchmarks.anyones_labels", tmp_path / "sets", "--out", out]
    # A Python without packages, so without fastText.
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    command += ["--only", "fastText, autotune", "TF-IDF words + LR"]
    command += ["--fasttext-python", tmp_path / "venv" / "bin" / "python"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    assert "fastText, autotune             0  not made: ModuleNotFoundError" in done.stdout
    assert [run["column"] for run in json.loads(out.with_suffix(".json").read_text())] == [LINEAR[0]]
