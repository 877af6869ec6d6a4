"""train --curve: the accuracy over the number of labelled rows, and what twice as many are worth."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from edge_lstm_export.cross_validation import part_of
from edge_lstm_export.datasets import Split
from edge_lstm_export.more_rows import ALONE, TAUGHT, Curve, rows_of
from train_command import run

TOTAL = 400
WORDS = {"sea": ["wave", "harbour", "tide"], "shop": ["basket", "till", "receipt"]}


def falling(errors: list[float]) -> np.ndarray:
    """bool [points, TOTAL]: so many wrong answers at each point, the same rows first."""
    return np.stack([np.arange(TOTAL) >= round(error * TOTAL) for error in errors])


def write_rows(path: Path, count: int) -> Path:
    rng = np.random.default_rng(0)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for i in range(count):
            label = sorted(WORDS)[i % 2]
            common = [f"filler{j}" for j in rng.integers(0, 20, 4)]
            writer.writerow([" ".join([*common, str(rng.choice(WORDS[label]))]), label])
    return path


def test_an_error_that_halves_with_twice_the_rows_halves_once_more() -> None:
    curve = Curve((50, 100, 200, 400), TOTAL, {ALONE: falling([0.8, 0.4, 0.2, 0.1])})
    gain = curve.gain(ALONE)
    assert gain.points == pytest.approx(0.05, abs=1e-6)
    assert gain.interval.low < 0.05 < gain.interval.high
    assert curve.sentence().startswith("doubling your 400 rows is worth about 5 points (")


def test_the_gain_counts_from_all_rows_where_cross_validation_leaves_fewer() -> None:
    whole = Curve((50, 100, 200, 400), TOTAL, {ALONE: falling([0.8, 0.4, 0.2, 0.1])})
    part = Curve((50, 100, 200), TOTAL, {ALONE: falling([0.8, 0.4, 0.2])})
    assert part.gain(ALONE).points == pytest.approx(whole.gain(ALONE).points, abs=1e-6)


@pytest.mark.parametrize("errors", [[0.2, 0.2, 0.2], [0.2, 0.25, 0.3]], ids=["level", "rising"])
def test_where_rows_add_nothing_no_gain_is_promised(errors: list[float]) -> None:
    curve = Curve((50, 100, 200), TOTAL, {ALONE: falling(errors)})
    assert curve.gain(ALONE).points == pytest.approx(0, abs=1e-9)
    assert curve.sentence() == "doubling your 400 rows is worth less than half a point"


def test_a_teacher_has_a_gain_of_its_own() -> None:
    right = {ALONE: falling([0.8, 0.4, 0.2]), TAUGHT: falling([0.2, 0.2, 0.2])}
    assert ", with the teacher less than half a point" in Curve((50, 100, 200), TOTAL, right).sentence()


def test_a_row_that_is_always_right_does_not_end_in_a_logarithm_of_nothing() -> None:
    curve = Curve((50, 100), TOTAL, {ALONE: falling([0.0, 0.0])})
    assert curve.gain(ALONE).points == pytest.approx(0, abs=1e-9)
    assert curve.to_dict()["alone"]["accuracy"] == [1.0, 1.0]


def test_the_points_are_an_eighth_a_quarter_a_half_and_what_cross_validation_leaves() -> None:
    assert rows_of(400, 3) == (50, 100, 200, 266)
    assert rows_of(40, 3) == (10, 20, 26)


def test_a_smaller_part_is_within_a_larger_one_and_has_each_label_in_proportion() -> None:
    labels = np.array([0] * 60 + [1] * 30)
    split = Split(tuple(f"text {i}" for i in range(90)), labels)
    rows = np.arange(0, 90)
    small, large = part_of(split, rows, 30, seed=0), part_of(split, rows, 60, seed=0)
    assert set(small) < set(large)
    assert abs((labels[small] == 1).sum() - 10) <= 1
    assert (np.diff(small) > 0).all()


def test_the_curve_is_shown_drawn_and_kept(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "rows.csv", 60)
    output = tmp_path / "m.safetensors"
    result = run(data, "-o", output, "--preset", "tiny", "--epochs", "2", "--curve")
    assert result.returncode == 0, result.stderr
    assert "doubling your 60 rows is worth" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80 or str(tmp_path) in result.stdout
    kept = json.loads((tmp_path / "m.curve.json").read_text())
    assert kept["learnt_from"] == [15, 30, 40]
    assert len(kept["alone"]["accuracy"]) == 3
    assert "with_teacher" not in kept
    assert (tmp_path / "m.curve.png").read_bytes().startswith(b"\x89PNG")
    assert output.exists()


@pytest.mark.parametrize(
    ("count", "options", "said"),
    [
        (30, (), "30 training texts are too few for a curve of them; give 40, or leave out --curve"),
        (60, ("--set", "features=pairs"), "--curve is for n-grams and one label a text"),
        (60, ("--preset", "auto", "--budget-kb", "300"), "--curve and --preset auto do not go together"),
    ],
    ids=["too few", "pairs", "auto"],
)
def test_what_has_no_curve_is_refused_before_the_training(
    tmp_path: Path, count: int, options: tuple[str, ...], said: str
) -> None:
    data = write_rows(tmp_path / "rows.csv", count)
    result = run(data, "-o", tmp_path / "m.safetensors", "--curve", *options)
    assert result.returncode != 0
    assert said in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


def test_an_interrupted_curve_leaves_the_model_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_lstm_export import curve

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt(2)

    monkeypatch.setattr(curve, "rows_of", lambda *_: (20,))
    monkeypatch.setattr(curve, "answers_of", interrupted)
    data = write_rows(tmp_path / "rows.csv", 60)
    result = run(data, "-o", tmp_path / "m.safetensors", "--preset", "tiny", "--epochs", "1", "--curve")
    assert result.returncode == 130
    assert "m.safetensors is complete, the curve is not" in result.stderr
    assert (tmp_path / "m.safetensors").exists()
    assert not (tmp_path / "m.curve.png").exists()
