"""``--preset auto``: the most accurate preset that fits the budget. Times are made up: none is asserted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from edge_lstm_export import budget as module
from edge_lstm_export import pipeline
from edge_lstm_export.budget import BY_ACCURACY, Budget, Candidate, Choice, choose
from edge_lstm_export.checkpoint import load_checkpoint
from edge_lstm_export.datasets import DataOptions, read_dataset
from edge_lstm_export.export import export_fp32, quantize_int8
from edge_lstm_export.fit import VocabularyOptions, prepare
from edge_lstm_export.presets import PRESETS
from train_command import run as train

from edge_lstm.classifier import Classifier
from edge_lstm.errors import DataError
from edge_lstm.modelfile import parse_model

ROOT = Path(__file__).parents[2]
TICKETS = ROOT / "examples" / "tickets.csv"
TIMES = {"base": 400.0, "medium": 320.0, "small": 200.0, "tiny": 50.0, "seed": 300.0}


def made_up(classifiers: Sequence[Classifier], texts: Sequence[str]) -> list[float]:
    """A candidate's time by its name, which is its file's."""
    assert texts
    return [TIMES[classifier.model.path.name] for classifier in classifiers]


@pytest.fixture(scope="module")
def candidates() -> dict[str, Candidate]:
    """All presets for the tickets, each with all of their words."""
    prepared = prepare(read_dataset(str(TICKETS), DataOptions()), VocabularyOptions())
    return {name: Candidate(prepared, PRESETS[name].network, None) for name in BY_ACCURACY}


def chosen(candidates: dict[str, Candidate], **limits: float) -> Choice:
    return choose(candidates, Budget(**limits), lambda line: None, made_up)


def test_every_preset_is_looked_at() -> None:
    assert sorted(BY_ACCURACY) == sorted(PRESETS)


@pytest.mark.parametrize(
    ("limits", "preset"),
    [
        ({"us": 1000}, "base"),
        ({"us": 400}, "base"),
        ({"us": 399}, "medium"),
        ({"us": 319}, "small"),
        ({"us": 199}, "tiny"),
        ({"kb": 1e6}, "base"),
        ({"kb": 400}, "small"),
        ({"kb": 400, "us": 60}, "tiny"),
    ],
)
def test_the_most_accurate_preset_within_both_limits_is_taken(
    candidates: dict[str, Candidate], limits: dict[str, float], preset: str
) -> None:
    assert chosen(candidates, **limits).preset == preset


def test_where_none_fits_the_smallest_and_the_fastest_are_named(candidates: dict[str, Candidate]) -> None:
    with pytest.raises(DataError, match=r"no preset fits 90 kB and 10 µs a text here: .*fastest is tiny"):
        chosen(candidates, kb=90, us=10)


def test_one_line_says_what_each_one_costs_and_which_was_taken(candidates: dict[str, Candidate]) -> None:
    said: list[str] = []
    choose(candidates, Budget(us=250), said.append, made_up)
    assert len(said) == 1
    assert said[0].startswith("preset small fits 250 µs a text (measured here: base ")
    assert all(f"{name} " in said[0] and f"{us:.0f} µs" in said[0] for name, us in TIMES.items())


@pytest.mark.parametrize("limit", [0, -1, float("nan")])
def test_a_budget_of_nothing_is_refused(limit: float) -> None:
    with pytest.raises(DataError, match="--budget-us must be above 0"):
        Budget(us=limit)


def test_an_untrained_file_weighs_what_a_trained_one_does(tmp_path: Path) -> None:
    output = tmp_path / "m.safetensors"
    arguments = [TICKETS, "-o", output, "--preset", "tiny", "--epochs", "1", "--features", "pairs"]
    assert train(*arguments).returncode == 0
    checkpoint = load_checkpoint(output)
    trained = quantize_int8(parse_model(export_fp32(checkpoint).data, output), max_drop=100).data
    dataset = read_dataset(str(TICKETS), DataOptions())
    words = VocabularyOptions(2400, drop_unknown=True, choice="telling")
    candidate = Candidate(prepare(dataset, words), PRESETS["tiny"].network, None)
    cost = choose({"tiny": candidate}, Budget(kb=1000), lambda line: None, made_up).costs["tiny"]
    assert len(trained) <= 1000 * cost.kb <= len(trained) + 3000


def test_every_candidate_is_timed(candidates: dict[str, Candidate]) -> None:
    few = {name: candidates[name] for name in ("tiny", "small")}
    costs = choose(few, Budget(kb=1e6), lambda line: None).costs
    assert list(costs) == ["tiny", "small"]
    assert all(cost.us > 0 for cost in costs.values())


class TestTheCommand:
    """``edge-lstm train examples/tickets.csv --preset auto``."""

    @pytest.fixture(autouse=True)
    def made_up_times(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "median_micros", made_up)

    def test_the_choice_is_trained_and_told(self, tmp_path: Path) -> None:
        output = tmp_path / "m.safetensors"
        arguments = ["--preset", "auto", "--budget-kb", "300", "--budget-us", "100", "--epochs", "2"]
        result = train(TICKETS, "-o", output, *arguments)
        assert result.returncode == 0, result.stderr
        assert "preset tiny fits 300 kB and 100 µs a text (measured here: base" in result.stderr
        checkpoint = load_checkpoint(output)
        short = PRESETS["tiny"].short  # tickets are short texts
        assert short is not None
        assert checkpoint.network.config.hidden == short.network.hidden
        provenance = checkpoint.training
        assert provenance["preset"] == provenance["budget"]["preset"] == "tiny"
        assert (provenance["budget"]["kb"], provenance["budget"]["us"]) == (300, 100)

    @pytest.mark.parametrize(
        "arguments", [["--preset", "auto"], ["--budget-kb", "300"], ["--preset", "tiny", "--budget-us", "9"]]
    )
    def test_auto_and_a_budget_go_together(self, tmp_path: Path, arguments: list[str]) -> None:
        result = train(TICKETS, "-o", tmp_path / "m.safetensors", *arguments)
        assert result.returncode == 2
        assert "--budget" in result.stderr

    def test_where_none_fits_nothing_is_written(self, tmp_path: Path) -> None:
        arguments = ["--preset", "auto", "--budget-us", "1"]
        result = train(TICKETS, "-o", tmp_path / "m.safetensors", *arguments)
        assert result.returncode == 1
        assert result.stderr.splitlines()[-1].startswith("error: no preset fits 1 µs a text here")
        assert list(tmp_path.iterdir()) == []

    def test_too_few_texts_for_a_teacher_do_without_one(self, tmp_path: Path) -> None:
        data = tmp_path / "few.csv"
        rows = [f"word{i} about {label},{label}" for i in range(4) for label in ("no", "yes")]
        data.write_text("\n".join(["text,label", *rows]) + "\n")
        output = tmp_path / "m.safetensors"
        arguments = ["--preset", "auto", "--budget-us", "250", "--epochs", "1"]
        result = train(data, "-o", output, *arguments)
        assert result.returncode == 0, result.stderr
        provenance = load_checkpoint(output).training
        assert provenance["preset"] == "small"
        assert provenance["distillation"] is None
        assert load_checkpoint(output).network.config.pair_buckets == 0

    def test_a_resumed_training_measures_nothing_and_keeps_the_choice(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        output = tmp_path / "m.safetensors"
        arguments = [TICKETS, "-o", output, "--preset", "auto", "--epochs", "4"]
        interrupt_after_an_epoch(monkeypatch)
        assert train(*arguments, "--budget-us", "250").returncode != 0
        monkeypatch.undo()
        monkeypatch.setattr(module, "median_micros", lambda classifiers, texts: 1 / 0)
        other = train(*arguments, "--budget-us", "100", "--resume")
        assert other.returncode == 1
        assert "begun with another budget (250 µs a text, now 100 µs a text)" in other.stderr
        resumed = train(*arguments, "--budget-us", "250", "--resume", "--json")
        assert resumed.returncode == 0, resumed.stderr
        provenance: dict[str, Any] = json.loads(resumed.stdout)
        assert provenance["preset"] == "small"


def interrupt_after_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C as soon as an epoch is kept."""
    kept = pipeline.save_progress

    def save_and_stop(*arguments: Any) -> None:
        kept(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "save_progress", save_and_stop)
