"""The model card: what the file says, in the form of the hub, and nothing that a file could slip in."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_lstm.cli import run
from edge_lstm.errors import DataError
from edge_lstm.model_card import model_card
from edge_lstm.modelfile import ModelFile, open_model

MODEL = open_model()
PAGE = Path(__file__).parents[2] / "docs" / "models" / "sentiment.md"


def card_with(**changes: Any) -> str:
    """The card of the embedded model under another name, with other metadata."""
    return model_card(replace(MODEL, path=Path("mine.onnx"), **changes))


@pytest.mark.skipif(not PAGE.parent.parent.is_dir(), reason="the documentation is in a checkout only")
def test_the_page_of_the_embedded_model_is_what_the_command_prints(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(["inspect", "--card"])
    assert capsys.readouterr().out == PAGE.read_text(encoding="utf-8"), (
        "edge-lstm inspect --card > docs/models/sentiment.md"
    )


def test_the_front_matter_says_what_the_metadata_says() -> None:
    yaml = pytest.importorskip("yaml")
    front = yaml.safe_load(model_card(MODEL).split("---\n")[1])
    assert front["license"] == "mit" and front["pipeline_tag"] == "text-classification"
    (result,) = front["model-index"][0]["results"]
    assert result["dataset"]["name"] == MODEL.training["data"]["name"]
    assert {m["type"]: m["value"] for m in result["metrics"]} == {
        "accuracy": MODEL.training["test"]["accuracy"],
        "f1": MODEL.training["test"]["macro_f1"],
    }


def test_accuracy_stands_with_its_interval_and_its_calibration() -> None:
    test = MODEL.training["test"]
    low, high = test["interval"]
    assert (
        f"| test | 25,000 | {test['accuracy']:.2%} | {low:.2%} to {high:.2%} | {test['macro_f1']:.2%} | "
        f"{test['log_loss']:.4f} | {test['calibration_error']:.2%} |"
    ) in model_card(MODEL)
    assert "before the network was quantized" in model_card(MODEL)
    assert "before the network was quantized" not in card_with(quantization=None)


def test_another_file_has_no_licence_but_what_its_owner_writes() -> None:
    card = card_with()
    assert "license: mit" not in card and "The file does not say" in card
    assert "film reviews" not in card
    assert "film reviews" in model_card(MODEL)


def test_what_is_odd_about_the_data_is_a_limit() -> None:
    assert MODEL.training["warnings"][0] in model_card(MODEL)


@pytest.mark.parametrize(
    "training",
    [
        {},
        {"data": None, "test": [], "validation": 3, "versions": "1", "warnings": {}, "preset": 5},
        {"data": {"name": None, "train_texts": {"neg": "many"}, "sha256": 4}, "test": {"accuracy": "high"}},
        {"test": {"accuracy": True}, "validation": {"accuracy": 0.5, "interval": [0.1], "labels": [1]}},
        {"test": {"accuracy": 0.5, "interval": ["a", None], "labels": {"neg": 3, "pos": {"f1": "x"}}}},
        {"distillation": {"teacher": "t", "unlabelled_texts": "x"}, "temperature": [], "parameters": 1.5},
    ],
)
def test_metadata_that_is_not_what_it_should_be_is_left_out(training: dict[str, Any]) -> None:
    card = card_with(training=training)
    assert card.startswith("---\n") and "## How to run it" in card
    assert "None" not in card and "True" not in card


def test_a_file_cannot_write_its_own_card() -> None:
    evil = 'x\n---\nlicense: mit\n\n# <script>alert(1)</script> | `rm` [here](http://example.org) "'
    labels = (evil, "pos")
    training = {
        "preset": evil,
        "data": {"name": evil, "train_texts": {evil: 3}},
        "test": {"accuracy": 0.5, "labels": {evil: {"f1": 0.5}}},
        "warnings": [evil],
    }
    card = card_with(labels=labels, training=training)
    assert not re.search(r"^license:", card, re.MULTILINE)
    assert len(re.findall(r"^---$", card, re.MULTILINE)) == 2
    body = card.split("---\n", 2)[2]
    assert not re.search(r"(?<!\\)<script|(?<!\\)\[here", re.sub("`[^`]*`", "", body.replace("\\`", "")))
    (row,) = (line for line in card.splitlines() if line.endswith("| 50.00% | – |"))
    assert row.count("|") - row.count("\\|") == 6


def test_the_card_of_several_labels_a_text_says_what_runs_it_and_what_it_answers() -> None:
    one, several = card_with(), card_with(thresholds=(0.5, 0.4))
    for card, code in ((one, "].label\n"), (several, "].labels\n")):
        assert "edge-lstm page" in card and "ports/js" in card and "ports/c" in card and code in card
        assert f'predict("A text."){code[1:-1]};' in card
    assert "every label that reaches the threshold" in several and "threshold" not in one
    assert "gets one of them" in one and "gets one of them" not in several
    assert "may get none of them" in several


def test_the_scores_of_several_labels_a_text_are_in_its_card() -> None:
    scores = {"texts": 1000, "micro_f1": 0.51, "macro_f1": 0.42, "subset_accuracy": 0.33, "labels": {}}
    card = card_with(thresholds=(0.5, 0.4), training={"validation": scores, "temperature": 1.0})
    assert "| texts | number | micro F1 | macro F1 | all labels right |" in card
    assert "| validation | 1,000 | 51.00% | 42.00% | 33.00% |" in card
    assert "calibration error" not in card


def test_the_ngrams_are_in_the_card() -> None:
    network = {"hidden": 64, "ngrams": 20_000, "ngram_dim": 48}
    assert "vectors of 48 dimensions for 20,000 words and pairs of words" in card_with(network=network)
    assert "pairs of words" not in card_with(network={"hidden": 64})


def test_a_word_outside_the_vocabulary_is_read_in_pieces_where_the_file_has_pieces() -> None:
    assert "read in pieces" in card_with()
    keras = replace(MODEL.tokenizer, pieces=None)
    assert "read in pieces" not in card_with(tokenizer=keras)
    assert "Words outside its vocabulary tell it nothing" in card_with(tokenizer=keras)


def test_a_card_of_many_labels_stays_a_card() -> None:
    labels = tuple(f"label {i}" for i in range(2000))
    assert len(card_with(labels=labels)) < 10_000


@pytest.mark.parametrize("arguments", [["--json"], ["x.safetensors"]])
def test_a_card_is_markdown_and_of_a_model_file(arguments: list[str]) -> None:
    with pytest.raises(DataError):
        run(["inspect", "--card", *arguments])


def test_model_files_without_names_of_their_own_are_no_special_case(tmp_path: Path) -> None:
    path = tmp_path / "strange `name` | of \u202e a file.onnx"
    path.write_bytes(MODEL.data)
    model: ModelFile = open_model(path)
    assert "\u202e" not in model_card(model)
