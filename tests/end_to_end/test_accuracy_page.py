"""The presets' curve: figures → page and picture; the order of ``--preset auto`` is the measured one."""

from __future__ import annotations

import copy
import json
import math
import re
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("edge_lstm_export")

from edge_lstm_export.budget import BY_ACCURACY
from edge_lstm_export.presets import PRESETS

from benchmarks import accuracy, accuracy_page, picture

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "accuracy.json"


def made_file(preset: str, accuracy: float, seed: int = 0) -> dict[str, Any]:
    base = PRESETS[preset]
    training = {
        "preset": preset,
        "seed": seed,
        "parameters": 1000,
        "best_epoch": 2,
        "epochs": 3,
        "data": {"name": "imdb", "train_texts": {"neg": 45, "pos": 45}, "validation_texts": 10},
        "options": {**base.options.to_dict(), "seed": seed},
        "vocabulary": {"num_words": base.network.num_words, "length": 600, **base.vocabulary},
        "distillation": None,
        "validation": {"accuracy": accuracy + 0.01},
    }
    if base.teacher != "none":
        training["distillation"] = {
            "teacher": base.teacher,
            "unlabelled": "imdb",
            "unlabelled_texts": 5,
            "cross_fitted_accuracy": 0.9,
            "own_labels": base.own_labels,
        }
    return {
        "file": "m.onnx",
        "sha256": "0" * 64,
        "bytes": 300_000,
        "accuracy": accuracy,
        "interval": [accuracy - 0.004, accuracy + 0.004],
        "log_loss": 0.25,
        "calibration_error": 0.01,
        "other_texts": {"SST-2": accuracy - 0.1, "edited": 0.6},
        "certainty": {"questions": 0.61},
        "network": base.network.to_dict(),
        "training": training,
    }


@pytest.fixture
def report() -> dict[str, Any]:
    times = {"words": 30.0, "alone": 120.0, "batches": 60.0}
    now = {
        "cpu": "a CPU",
        "cpus": 2,
        "features": [],
        "python": "3",
        "time": "now",
        "load_average": 1,
        "busy": False,
    }
    seeds = [made_file("small", accuracy, seed) for seed, accuracy in enumerate((0.91, 0.92, 0.915))]
    return {
        "conditions": {"before": now, "after": now},
        "data": {"name": "the test split", "texts": 25_000},
        "timed_texts": 480,
        "rounds": 5,
        "recipes": [
            {"name": "small", "files": seeds, "times": times, "batch_size": 16},
            {"name": "seed", "files": [made_file("seed", 0.8917)], "times": times, "batch_size": 8},
        ],
    }


def test_seeds_are_told_by_mean_and_spread(report: dict[str, Any]) -> None:
    page = accuracy_page.page(report)
    assert "| small | 0, 1, 2 | 91.50 % ± 0.50 (91.00 to 92.00) | 92.50 % ± 0.50 (92.00 to 93.00) |" in page
    assert "| seed | 300 kB | **89.17 %** | 88.77 to 89.57 | 90.17 % |" in page
    assert "One seed only: seed." in page
    assert "| preset | SST-2 | edited |" in page
    assert "| small | 81.5 | 60.0 |" in page
    assert "| seed | 61.0 |" in page


def test_what_is_not_measured_again_keeps_its_figures_and_says_so(report: dict[str, Any]) -> None:
    later = copy.deepcopy(report)
    later["conditions"]["before"]["time"] = "later"
    later["recipes"] = [{**later["recipes"][0], "batch_size": 8}]
    later["recipes"] = accuracy.joined(later, report)
    assert [recipe["name"] for recipe in later["recipes"]] == ["small", "seed"]
    assert later["recipes"][0]["batch_size"] == 8
    page = accuracy_page.page(later)
    assert "Not made anew: `seed`. Their figures are of now, a CPU" in page


def test_the_command_is_the_preset_and_what_differs_from_it(report: dict[str, Any]) -> None:
    training, network = (report["recipes"][0]["files"][2][key] for key in ("training", "network"))
    assert accuracy_page.command(training, network) == (
        "edge-lstm train imdb -o model.safetensors --preset small --unlabelled imdb --seed 2"
    )
    other = copy.deepcopy(training)
    other["vocabulary"]["num_words"] = 6000
    other["options"]["bfloat16"] = False
    other["data"]["validation_texts"] = 30
    other["distillation"]["models_sha256"] = ["1" * 64, "2" * 64]
    shape = {**network, "hidden": 100, "bidirectional": True}
    asked = accuracy_page.command(other, shape)
    assert "--teacher-model TEACHER1.onnx --teacher-model TEACHER2.onnx --validation 0.25" in asked
    assert asked.endswith("--float32 --seed 2 --num-words 6000 --hidden 100 --bidirectional")
    plain = report["recipes"][1]["files"][0]
    assert (
        accuracy_page.command(plain["training"], plain["network"])
        == "edge-lstm train imdb -o model.safetensors --preset seed"
    )


def test_every_recipe_has_a_dot_inside_the_picture_and_a_name(report: dict[str, Any]) -> None:
    fasttext = {
        "name": "fastText",
        "accuracy": {"accuracy": 0.897},
        "model_bytes": 85_000_000,
        "latency": {"p50_ms": 0.03},
    }
    drawn = picture.presets(report, {"contenders": [fasttext]})
    width, height = (float(size) for size in re.search(r'viewBox="0 0 (\d+) (\d+)"', drawn).groups())
    dots = re.findall(
        r'<use xlink:href="#\w+" x="([\d.]+)" y="([\d.]+)" style="fill: #(?:2563a8|3c8a5b)', drawn
    )
    assert len(dots) >= 3
    assert all(0 < float(x) < width and 0 < float(y) < height for x, y in dots)
    assert "small: 91.50 %, 300 kB, 120 µs" in drawn
    assert "fastText: 89.70 %, 85.0 MB, 30 µs" in drawn


@pytest.mark.skipif(not RESULTS.is_file(), reason="the presets were not measured")
def test_auto_prefers_what_was_measured_to_be_more_accurate() -> None:
    recipes = json.loads(RESULTS.read_text(encoding="utf-8"))["recipes"]
    measured = {r["name"]: statistics.mean(f["accuracy"] for f in r["files"]) for r in recipes}
    presets = [name for name in BY_ACCURACY if name in measured]
    assert presets == sorted(presets, key=measured.__getitem__, reverse=True)


def test_every_task_is_timed_where_one_classifier_has_more_of_them() -> None:
    counts = [0, 0, 0]

    def task(k: int) -> Callable[[], None]:
        def run() -> None:
            counts[k] += 1

        return run

    found = accuracy._fastest([[task(0)] * 2, [task(1)] * 5, [task(2)] * 3])
    assert [len(times) for times in found] == [2, 5, 3]
    assert all(math.isfinite(time) for times in found for time in times)
    assert counts == [2 * 2 * accuracy.ROUNDS, 5 * 2 * accuracy.ROUNDS, 3 * 2 * accuracy.ROUNDS]
