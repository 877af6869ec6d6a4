"""train --from: new rows and new labels, and the old ones not forgotten."""

from __future__ import annotations

import csv
import json
import re
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import MakeCheckpoint
from edge_lstm_export import kept as kept_module
from edge_lstm_export import ngram_part
from edge_lstm_export.checkpoint import load_checkpoint, save_checkpoint
from edge_lstm_export.datasets import DataOptions, Split
from edge_lstm_export.evaluation import favouring, predict_logits
from edge_lstm_export.fit import VocabularyOptions, new_network, prepare
from edge_lstm_export.going_on import (
    OWN_LABELS,
    begin,
    carry_over,
    prepare_from,
    read_texts,
    taught_by_checkpoint,
)
from edge_lstm_export.kept import TEST, TRAIN, VALIDATION, Kept
from edge_lstm_export.ngram_part import silence
from edge_lstm_export.ngram_svm import Vectors
from test_ngrams import dataset, made_texts, untrained
from train_command import run

from edge_lstm.errors import DataError

SMALL = ("--preset", "tiny", "--epochs", "3", "--set", "embedding=6", "--set", "hidden=6")


def write(path: Path, rows: list[tuple[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return path


def rows_of(labels: set[int], each: int, seed: int) -> list[tuple[str, str]]:
    texts, numbers = made_texts(4, each, seed)
    return [(text, f"kind {y}") for text, y in zip(texts, numbers) if y in labels]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """old.csv with three labels, a checkpoint that keeps its rows and one that does not; new.csv."""
    folder = tmp_path_factory.mktemp("going_on")
    write(folder / "old.csv", rows_of({0, 1, 2}, 60, seed=0))
    write(folder / "new.csv", rows_of({3}, 60, seed=1))
    for name, keep in (("with", "yes"), ("without", "no")):
        output = folder / f"{name}.safetensors"
        held_out = ("--set", "validation=0.1", "--set", "test-share=0.1")
        done = run(folder / "old.csv", "-o", output, *SMALL, *held_out, "--set", f"keep-rows={keep}")
        assert done.returncode == 0, done.stderr
    return folder


def test_a_new_label_is_learnt_and_the_old_ones_stay(folder: Path, tmp_path: Path) -> None:
    output, of_before = tmp_path / "m.safetensors", tmp_path / "m.history.png"
    of_before.write_bytes(b"of an earlier training")
    done = run(folder / "new.csv", "--from", folder / "with.safetensors", "-o", output, "--epochs", "3")
    assert done.returncode == 0, done.stderr
    assert not of_before.exists() and "history.json\n" in done.stdout  # few epochs are not drawn
    old, new = load_checkpoint(folder / "with.safetensors"), load_checkpoint(output)
    assert new.labels == (*old.labels, "kind 3") == ("kind 0", "kind 1", "kind 2", "kind 3")
    assert new.tokenizer == old.tokenizer
    assert new.network.config.hidden == old.network.config.hidden == 6
    went_on = new.training["going_on"]
    assert (went_on["labels"], went_on["new_labels"]) == (3, ["kind 3"])
    assert went_on["old_test"]["texts"] == old.training["data"]["test_texts"]
    assert went_on["old_test"]["before"] == pytest.approx(old.training["test"]["accuracy"], abs=1e-6)
    assert went_on["old_test"]["after"] >= went_on["old_test"]["before"] - 0.1
    assert new.training["test"]["labels"]["kind 3"]["recall"] >= 0.8
    assert "before," in done.stdout and "McNemar" in done.stdout
    assert "new labels: kind 3 " in done.stderr
    # What judged or tested the first training was not learnt from, and the next one can go on from here.
    assert old.kept is not None and new.kept is not None and new.kept.rows is not None
    assert set(old.kept.validation) <= set(new.kept.validation)
    assert set(old.kept.test) <= set(new.kept.test)
    assert len(new.kept.rows) == len(old.kept.rows or ()) + 60


def test_the_old_file_does_as_well_as_rows_that_were_kept(folder: Path, tmp_path: Path) -> None:
    outputs = [tmp_path / "kept.safetensors", tmp_path / "replayed.safetensors"]
    common = ("--epochs", "1", "--no-test")
    forgetting = ("--from", folder / "with.safetensors", "--set", "keep-rows=no")
    done = run(folder / "new.csv", *forgetting, "-o", outputs[0], *common)
    assert done.returncode == 0, done.stderr
    replayed = ("--from", folder / "without.safetensors", "--replay", folder / "old.csv")
    done = run(folder / "new.csv", *replayed, "-o", outputs[1], *common)
    assert done.returncode == 0, done.stderr
    kept, again = map(load_checkpoint, outputs)
    assert kept.kept is not None and again.kept is not None
    for part in ("validation", "test"):
        assert set(getattr(kept.kept, part)) == set(getattr(again.kept, part))
    assert kept.kept.rows is None and again.kept.rows is None  # texts are kept only where that was asked for
    assert kept.training["data"]["train_texts"] == again.training["data"]["train_texts"]


def test_a_corrected_row_takes_the_place_of_the_old_one(folder: Path, tmp_path: Path) -> None:
    old = load_checkpoint(folder / "with.safetensors")
    assert old.kept is not None and old.kept.rows is not None
    _, label, text = next(row for row in old.kept.rows if row[0] == TEST)
    corrected = write(tmp_path / "fixed.csv", [(text.upper(), "kind 1" if label != (1,) else "kind 2")])
    output = tmp_path / "m.safetensors"
    done = run(corrected, "--from", folder / "with.safetensors", "-o", output, "--epochs", "1")
    assert done.returncode == 0, done.stderr
    new = load_checkpoint(output)
    assert new.labels == old.labels and new.kept is not None and new.kept.rows is not None
    found = [row for row in new.kept.rows if row[2].lower() == text.lower()]
    assert {(row[0], row[2]) for row in found} == {(TRAIN, text.upper())}


def test_the_head_knows_the_new_label_before_the_lstm_learns(folder: Path) -> None:
    beginning = begin(folder / "with.safetensors", None)
    prepared = prepare_from(beginning, str(folder / "new.csv"), DataOptions(), 0.1)
    shape = replace(beginning.checkpoint.network.config, labels=4)
    network = new_network(prepared, shape, seed=0)
    assert network.ngrams is not None
    silence(network)
    examples = prepared.examples(prepared.train)
    carry_over(network, beginning, examples, 0, read_texts(beginning, examples))
    for name in ("embedding.weight", "lstm.layer0_forward.weight_ih_l0"):
        assert torch.equal(network.state_dict()[name], beginning.checkpoint.network.state_dict()[name])
    right = (predict_logits(network, examples).numpy().argmax(axis=1) == prepared.train.labels).astype(float)
    new = prepared.train.labels == 3
    assert right[new].mean() > 0.7 and right[~new].mean() > 0.7


def test_rows_that_come_back_are_learnt_as_the_checkpoint_sees_them_and_corrections_as_they_are(
    folder: Path, tmp_path: Path
) -> None:
    beginning = begin(folder / "with.safetensors", None)
    assert beginning.kept.rows is not None
    _, label, text = next(row for row in beginning.kept.rows if row[0] == TRAIN)
    fixed = (text, "kind 1" if label != (1,) else "kind 2")
    rows = [*rows_of({3}, 60, seed=1), fixed]
    prepared = prepare_from(beginning, str(write(tmp_path / "new.csv", rows)), DataOptions(), 0.1)
    own = prepared.train_examples
    taught = taught_by_checkpoint(beginning, prepared, read_texts(beginning, own))
    old = sum(part == TRAIN for part, _, _ in beginning.kept.rows) - 1
    assert prepared.replayed == old and text in prepared.train.texts[old:]
    assert np.array_equal(taught.ids, own.ids) and np.array_equal(taught.targets[old:], own.targets[old:])
    assert taught.targets.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert (taught.targets[:old, 3] == 0).all()
    assert (taught.targets[np.arange(old), prepared.train.labels[:old]] >= OWN_LABELS).all()
    assert (taught.targets[:old, :3] > 0).all()


def test_old_labels_are_favoured_as_far_as_their_texts_count_for_more() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 4000)
    logits = torch.from_numpy(rng.normal(size=(4000, 4)) + 1.5 * np.eye(4)[labels])
    logits[:, 3] += 0.7  # the new label is given too often
    fair = favouring(logits, labels, 3, 1.0)
    assert fair == pytest.approx(0.7, abs=0.15)
    assert favouring(logits, labels, 3, 1.5) == pytest.approx(fair + np.log(1.5), abs=0.05)
    few, often = np.arange(8), np.tile(np.arange(8), 100)
    shown = favouring(logits[often], labels[often], 3, 1.0)
    assert abs(favouring(logits[few], labels[few], 3, 1.0)) < abs(shown) / 1.2  # eight texts show little
    assert favouring(logits[labels < 3], labels[labels < 3], 3, 1.5) == 0


def test_the_ngrams_of_many_labels_begin_with_what_did_not_see_the_validation_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, numbers = made_texts(18, 20)
    rows = [(text, f"kind {y}") for text, y in zip(texts, numbers)]
    first = write(tmp_path / "old.csv", [row for row in rows if row[1] != "kind 17"])
    second = write(tmp_path / "new.csv", [row for row in rows if row[1] == "kind 17"])
    begun: list[Vectors | None] = []
    fit_narrow = ngram_part.fit_narrow

    def seen(*arguments: Any, begin: Vectors | None = None, **named: Any) -> Vectors:
        begun.append(begin)
        return fit_narrow(*arguments, begin=begin, **named)

    monkeypatch.setattr(ngram_part, "fit_narrow", seen)
    common = ("--epochs", "1", "--set", "validation=0.1", "--set", "test-share=0", "--set", "keep-rows=yes")
    done = run(first, "-o", tmp_path / "a.safetensors", "--preset", "tiny", *common)
    assert done.returncode == 0, done.stderr
    assert begun == [None, None]  # of the training part, then with the validation part
    old = load_checkpoint(tmp_path / "a.safetensors")
    assert old.kept is not None and old.kept.ngrams is not None and old.network.ngrams is not None
    final = old.network.ngrams.vectors.weight.detach()[1:].numpy()
    assert old.kept.ngrams.vectors.shape == final.shape
    assert not np.allclose(old.kept.ngrams.vectors, final, atol=1e-2)
    done = run(second, "--from", tmp_path / "a.safetensors", "-o", tmp_path / "b.safetensors", *common)
    assert done.returncode == 0, done.stderr
    assert len(begun) == 4
    for begin_with in begun[2:]:
        assert begin_with is not None and begin_with.head.shape[0] == 18
        assert np.array_equal(begin_with.head[:17], old.kept.ngrams.head)
    damaged = replace(old.kept.ngrams, vectors=old.kept.ngrams.vectors[1:])
    save_checkpoint(replace(old, kept=replace(old.kept, ngrams=damaged)), tmp_path / "c.safetensors")
    with pytest.raises(DataError, match="kept vectors for"):
        load_checkpoint(tmp_path / "c.safetensors")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--from", "without.safetensors"], "keeps no rows, .*; add --replay FILE"),
        (["--from", "without.safetensors", "--replay", "new.csv"], "holds 0 of .* texts that"),
        (["--from", "unjudged.safetensors", "--replay", "new.csv"], "holds 0 of .* texts that"),
        (
            ["--from", "keyless.safetensors", "--replay", "new.csv"],
            "no text of kind 0, kind 1, kind 2, which",
        ),
        (["--from", "with.safetensors", "--suspects", "s.csv"], "--suspects is for a training from nothing"),
        (
            ["--from", "with.safetensors", "--set", "made-texts=2"],
            "made-texts is for a training from nothing",
        ),
        (["--from", "with.safetensors", "--label-separator", "|"], "several labels a text, .* gives one"),
        (["--from", "with.safetensors", "--set", "precision=0.9"], "precision is for several"),
        (
            ["--from", "several.safetensors", "--abstain", "0.02"],
            "a threshold of its own; leave --abstain out",
        ),
        (["--from", "several.safetensors", "--label-column", "mood"], "mood"),
        (["--from", "none.safetensors"], "no checkpoint at"),
        (["--from", "m.onnx"], "is a model file, which cannot learn; give its checkpoint"),
        (["--from", "with.safetensors", "--set", "hidden=20"], "keeps the network .* leave out hidden"),
        (["--from", "with.safetensors", "--set", "length=20"], "keeps the vocabulary .* leave out length"),
        (["--from", "with.safetensors", "--preset", "base"], "has preset tiny, which --from keeps"),
        (["--from", "with.safetensors", "--set", "features=pairs"], "keeps the features"),
        (["--from", "old.safetensors"], "made before 0.3; train it again"),
        (["--from", "pairs.safetensors"], "has a table of word pairs"),
    ],
    ids=str,
)
def test_what_cannot_be_gone_on_from_is_one_line(
    folder: Path,
    tmp_path: Path,
    arguments: list[str],
    says: str,
    make_checkpoint: MakeCheckpoint,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folder)
    old = load_checkpoint(folder / "with.safetensors")
    save_checkpoint(replace(old, kept=None), folder / "old.safetensors")
    table = make_checkpoint(pair_buckets=30, labels=3)
    save_checkpoint(replace(table, kept=old.kept), folder / "pairs.safetensors")
    assert old.kept is not None
    none = np.zeros(0, np.uint64)
    unjudged = replace(old.kept, validation=none, test=none, rows=None)
    save_checkpoint(replace(old, kept=unjudged), folder / "unjudged.safetensors")
    save_checkpoint(replace(old, kept=replace(unjudged, train=none)), folder / "keyless.safetensors")
    several = make_checkpoint(labels=3, several=True)
    kept = replace(old.kept, rows=((TRAIN, (0, 1), "one text"), (TRAIN, (), "another")))
    save_checkpoint(replace(several, kept=kept), folder / "several.safetensors")
    done = run("new.csv", *arguments, "-o", tmp_path / "m.safetensors")
    assert done.returncode == 1, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ") and re.search(says, last), last
    assert not (tmp_path / "m.safetensors").exists()


def test_what_is_kept_comes_back_from_its_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    data = dataset(*made_texts(3, 20))
    data = replace(data, test=Split(("one text", "another \ud83d"), np.array([0, 2])))
    prepared = prepare(data, VocabularyOptions(300, pieces=True), validation_share=0.2)
    for rows in (False, True):
        kept = Kept.of(data, prepared.train, prepared.validation, rows=rows)
        back = Kept.from_tensors(kept.to_tensors(), 3)
        assert back is not None and back.rows == kept.rows
        assert (back.validation == prepared.validation.keys).all()
        assert set(back.train) == set(prepared.train.keys)
    assert kept.rows is not None and len(kept.rows) == 62
    assert {part for part, _, _ in kept.rows} == {TRAIN, VALIDATION, TEST}
    assert Kept.from_tensors({}, 3) is None
    monkeypatch.setattr(kept_module, "MOST_CHARACTERS", 200)
    sample = Kept.of(data, prepared.train, prepared.validation, rows=True).rows
    assert sample is not None and 0 < sum(len(text) for _, _, text in sample) <= 200


@pytest.mark.parametrize(
    "rows",
    [
        [[0, 3, "x"]],
        [[9, 0, "x"]],
        [[0, 0, 1]],
        [[0, True, "x"]],
        [[0, [0, 0], "x"]],
        [[0, [0, 3], "x"]],
        [[0, 0]],
        "x",
        {"a": 1},
    ],
    ids=str,
)
def test_rows_that_are_none_are_a_damaged_checkpoint(rows: object, tmp_path: Path) -> None:
    checkpoint = untrained(3)
    empty = Kept(np.zeros(0, np.uint64), np.zeros(0, np.uint64))
    save_checkpoint(replace(checkpoint, kept=empty), tmp_path / "c.safetensors")
    packed = np.frombuffer(zlib.compress(json.dumps(rows).encode()), np.uint8).copy()

    class Damaged(Kept):
        def to_tensors(self) -> dict[str, torch.Tensor]:
            return {**super().to_tensors(), "rows": torch.from_numpy(packed)}

    save_checkpoint(replace(checkpoint, kept=Damaged(*vars(empty).values())), tmp_path / "c.safetensors")
    with pytest.raises(DataError, match="does not fit its weights"):
        load_checkpoint(tmp_path / "c.safetensors")
