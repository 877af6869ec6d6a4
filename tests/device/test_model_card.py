"""The model card: what the file says, in the form of the hub, and nothing that a file could slip
in."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commands import command
from model_files import SMALL, compact, edited, multi_label

from edge_lstm import Classifier
from edge_lstm.describe import model_card

MODEL = Classifier.load().model
PAGE = Path(__file__).parents[2] / "docs" / "models" / "sentiment.md"


def card_with(training: object = None, **changes: Any) -> str:
    """The card of a small model with other metadata."""
    Path("mine.onnx").write_bytes(edited({"training": compact(training or {}), **changes}))
    return command("inspect", "--card", "-m", "mine.onnx").stdout


@pytest.mark.skipif(
    not PAGE.parent.parent.is_dir(), reason="the documentation is in a checkout only"
)
def test_the_page_of_the_embedded_model_is_what_the_command_prints() -> None:
    assert command("inspect", "--card").stdout == PAGE.read_text(encoding="utf-8"), (
        "edge-lstm inspect --card > docs/models/sentiment.md"
    )


def test_accuracy_stands_with_its_interval_and_the_licence_is_the_owners_to_say() -> None:
    test = MODEL.training["test"]
    card = command("inspect", "--card").stdout
    row = next(line for line in card.splitlines() if line.startswith("| accuracy |"))
    assert f"{test['accuracy']:.2%}" in row
    training = json.loads(re.findall(r"```json\n(.*?)```", card, re.DOTALL)[0])
    assert training["test"]["interval"] == test["interval"]
    assert MODEL.training["warnings"][0] in card and "license: mit" in card
    assert "license:" not in card_with().split("---\n")[1]  # another file's


@pytest.mark.parametrize(
    "training",
    """
    {}
    {"data": null, "test": [], "validation": 3, "versions": "1", "warnings": {}, "preset": 5}
    {"data": {"name": null, "train_texts": {"neg": "many"}, "sha256": 4}}
    {"test": {"accuracy": true}, "validation": {"accuracy": 10000000000000000000, "labels": [1]}}
    {"test": {"accuracy": 0.5, "interval": ["a", null], "labels": {"pos": {"f1": "x"}}}}
    {"teachers": [[[["deep"]]]], "parameters": "many"}
    """.strip().splitlines(),
)
def test_metadata_that_is_not_what_it_should_be_is_left_out(training: str) -> None:
    card = card_with(json.loads(training))
    assert card.startswith("---\n") and "## How to run it" in card
    assert not re.search("None|True", card) and "| accuracy | unknown" in card


def test_a_share_of_1_is_100_percent() -> None:
    assert "100.00% accuracy on 1 test texts" in card_with({"test": {"texts": 1, "accuracy": 1.0}})


def test_a_file_cannot_write_its_own_card() -> None:
    steers = '# <script>alert(1)</script> | `rm` [here](http://example.org) "'
    evil = f"x\n---\nlicense: mit\n\n{steers}"
    training = {
        "preset": evil,
        "data": {"name": evil, "train_texts": {evil: 3}},
        "test": {"accuracy": 0.5, "labels": {steers: {"f1": 0.5}}},
        "warnings": [evil],
    }
    card = card_with(training, labels=compact([steers, "pos"]))
    assert not re.search(r"^license:", card, re.MULTILINE)
    assert len(re.findall(r"^---$", card, re.MULTILINE)) == 2
    body = card.split("---\n", 2)[2]
    before, fenced, after = re.split(r"^```json$|^```\n\n## Limits", body, flags=re.MULTILINE)
    assert json.loads(fenced)["preset"] == evil and "```" not in before
    assert not re.search(r"(?<!\\)<script|(?<!\\)\[here", before + after)
    for row in re.findall(r"^\|.*$", before, re.MULTILINE):
        assert row.count("|") - row.count("\\|") == 3
    assert "\u202e" not in card_with(labels=compact(["\u202e", "pos"]))


def test_the_card_of_a_file_without_subwords_names_its_words() -> None:
    words = len(Classifier.load(SMALL).model.tokenizer.words)
    card = command("inspect", "--card", "-m", SMALL).stdout
    assert f"| vocabulary | {words:,} words, " in card


def test_the_card_of_several_labels_per_text_shows_their_scores_and_their_code() -> None:
    scores = {
        "texts": 1000,
        "micro_f1": 0.51,
        "macro_f1": 0.42,
        "subset_accuracy": 0.33,
        "labels": {},
    }
    one = card_with()
    several = card_with({"validation": scores}, **multi_label((0.5, 0.4)))
    assert "].label\n" in one and "].labels\n" in several
    assert "51.00% micro F1, 42.00% macro F1 on 1,000 validation texts" in several


@pytest.mark.needs("yaml")
def test_a_card_of_many_labels_stays_short_and_its_front_matter_is_yaml() -> None:
    import yaml

    card = model_card(replace(MODEL, labels=tuple(f"label {i}" for i in range(2000))))
    assert len(card) < 10_000
    assert MODEL.precision in yaml.safe_load(card.split("---\n")[1])["tags"]


@pytest.mark.parametrize("arguments", [["--json"], ["-m", "x.safetensors"]])
def test_a_card_is_of_a_model_file(arguments: list[str]) -> None:
    assert command("inspect", "--card", *arguments).error


def overview(*arguments: str) -> dict[str, str]:
    """What inspect prints, by the name of each line."""
    shown = command("inspect", *arguments).stdout
    assert max(map(len, shown.splitlines())) < 80
    return dict(re.findall(r"^([a-z0-9]+(?: with)?) +((?:.*\n)(?: .*\n)*)", shown, re.MULTILINE))


def test_inspect_begins_with_eleven_lines_for_a_person() -> None:
    lines = overview()
    names = "model,labels,accuracy,size,vocabulary,length,quantization,abstention,examples,sha256"
    assert ",".join(lines).startswith(f"{names},made with")
    test = MODEL.training["test"]
    both = f"{test['accuracy']:.2%} accuracy, {test['macro_f1']:.2%} macro F1"
    said = " ".join(lines["accuracy"].split())
    assert said == f"{both} on 25,000 test texts; measured before quantization"
    assert lines["sha256"].strip() == MODEL.sha256()
    assert f"{len(MODEL.data):,} bytes, int8" in lines["size"]
    card_with(**multi_label((0.5, 0.4)))
    several = overview("-m", "mine.onnx")
    assert "neg 0.500, pos 0.400" in several["abstention"]
    assert "edge-lstm evaluate" in several["accuracy"]
