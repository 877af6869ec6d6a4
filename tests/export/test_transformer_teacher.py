"""A transformer as teacher: a classifier as it is, an encoder that learns first; kept, resumed, refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("transformers")

import torch
from edge_lstm_export import distillation, negation, pipeline
from edge_lstm_export.spans import random_spans, sentences
from edge_lstm_export.teacher import answers, fine_tuning
from edge_lstm_export.teacher.fine_tuning import fine_tune
from edge_lstm_export.teacher.hub import load_classifier, load_encoder
from edge_lstm_export.teacher.transformer import TransformerOptions, logits_of
from safetensors import safe_open
from transformers_made import make_transformer

from edge_lstm.cli import run
from edge_lstm.errors import DataError, MissingPackageError

QUICK = TransformerOptions(fewest_steps=12, batch=16)
ANSWERS = {"good": ("fine", "lovely"), "bad": ("dull", "awful")}


def made_rows(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """(text, label): two sentences, one telling word in each."""
    rng = np.random.default_rng(seed)
    common = [f"filler{i}" for i in range(12)]
    rows = []
    for i in range(count):
        label = ("bad", "good")[i % 2]
        parts = [" ".join([*rng.choice(common, 4), str(rng.choice(ANSWERS[label]))]) for _ in range(2)]
        rows.append((". ".join(parts) + ".", label))
    return rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder, a classifier, labelled rows and bare texts."""
    made = tmp_path_factory.mktemp("teacher")
    words = [f"filler{i}" for i in range(12)] + [word for pair in ANSWERS.values() for word in pair]
    make_transformer(made / "encoder", words)
    make_transformer(made / "classifier", words, ["NEG", "POS"])
    with (made / "rows.jsonl").open("w") as file:
        file.writelines(json.dumps({"text": t, "label": y}) + "\n" for t, y in made_rows(60))
    (made / "texts.txt").write_text("\n".join(text for text, _ in made_rows(80, seed=1)))
    return made


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distillation.Distillation, "transformer", QUICK)


def train(folder: Path, output: Path, *more: str, source: str = "rows.jsonl") -> None:
    run(["train", str(folder / source), "-o", str(output), "--preset", "tiny", "--epochs", "1",
         "--set", "features=pairs", "--json", *more])  # fmt: skip


def said(capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], str]:
    shown = capsys.readouterr()
    return json.loads(shown.out), shown.err


def test_sentences_and_spans_are_parts_of_their_texts() -> None:
    text = 'It ran late. "Too late!" he said.<br /><br />Why? 不错。很好！'
    assert sentences(text) == ["It ran late.", '"Too late!', "he said.", "Why?", "不错。", "很好！"]
    texts = [" ".join(f"Sentence {i} of {j}." for i in range(6)) for j in range(20)]
    spans = random_spans(texts, 2, seed=3)
    assert len(spans) == len(set(spans)) >= 20
    assert all(any(span in text for text in texts) for span in spans)
    assert spans == random_spans(texts, 2, seed=3) != random_spans(texts, 2, seed=4)
    assert random_spans(["One sentence only."], 5, seed=0) == []
    clauses = set(random_spans(["Slow, but what an ending (the sea)! Go."], 99, seed=0, lengths=(0,)))
    assert clauses <= {"Slow,", "but what an ending", "the sea", "Go."}


def test_an_encoder_learns_the_labels_and_teaches_spans(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "m.safetensors"
    train(folder, output, "--teacher", str(folder / "encoder"), "--unlabelled", str(folder / "texts.txt"))
    training, lines = said(capsys)
    taught = training["distillation"]
    assert taught["teacher"] == "encoder"
    assert taught["unlabelled_texts"] == 80
    assert taught["spans"] > 100
    assert taught["validation_accuracy"]["blended"] >= taught["validation_accuracy"]["transformer"]
    assert "NB-SVM" in lines and "transformer" in lines
    assert "takes about" not in lines  # seconds need no announcement

    assert taught["negated"] == 0

    # The labels are kept: without the transformer another student has the same ones.
    kept = tmp_path / "m.soft-labels.safetensors"
    again = tmp_path / "again.safetensors"
    more = ("--unlabelled", str(folder / "texts.txt"), "--set", f"soft-labels={kept}")
    train(folder, again, "--teacher", "kept", *more)
    _, lines = said(capsys)
    assert f"soft labels from {kept}" in lines
    with safe_open(output, "np") as one, safe_open(again, "np") as other:
        assert all(np.array_equal(one.get_tensor(name), other.get_tensor(name)) for name in one.keys())  # noqa: SIM118
    # Another seed makes another network of the same labels, on the same split.
    train(folder, again, "--teacher", "kept", *more, "--seed", "1")
    other_seed, _ = said(capsys)
    assert other_seed["seed"] == 1
    assert other_seed["data"]["train_texts"] == training["data"]["train_texts"]
    with safe_open(output, "np") as one, safe_open(again, "np") as other:
        assert not np.array_equal(
            one.get_tensor("network.head.weight"), other.get_tensor("network.head.weight")
        )
    with pytest.raises(DataError, match="holds labels of other texts"):
        train(folder, again, "--teacher", "kept", "--set", f"soft-labels={kept}")


def test_few_words_around_others_are_labelled_and_turned(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(negation, "SURE", 0.5)  # the little teacher never is
    output, again = tmp_path / "m.safetensors", tmp_path / "again.safetensors"
    more = ("--unlabelled", str(folder / "texts.txt"))
    train(folder, output, "--teacher", str(folder / "encoder"), *more, "--set", "around=*ly, filler7",
          "--set", "negate=yes")  # fmt: skip
    training, lines = said(capsys)
    assert training["distillation"]["negated"] > 0
    assert f"{training['distillation']['negated']} clauses are learnt with a negation too" in lines
    with_them = training["distillation"]["spans"]

    # Of kept labels the words are known.
    kept = tmp_path / "m.soft-labels.safetensors"
    train(folder, again, "--teacher", "kept", *more, "--set", f"soft-labels={kept}", "--set", "negate=yes")
    assert said(capsys)[0]["distillation"]["spans"] == with_them
    with safe_open(output, "np") as one, safe_open(again, "np") as other:
        assert all(np.array_equal(one.get_tensor(name), other.get_tensor(name)) for name in one.keys())  # noqa: SIM118
    train(folder, again, "--teacher", str(folder / "encoder"), *more)
    assert said(capsys)[0]["distillation"]["spans"] < with_them


def test_what_cannot_be_turned_is_refused_before_the_teacher_learns(folder: Path, tmp_path: Path) -> None:
    names = ("bad", "good", "so-so")
    rows = [{"text": text, "label": names[i % 3]} for i, (text, _) in enumerate(made_rows(60))]
    (tmp_path / "three.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(DataError, match="turns one of two labels into the other, and there are 3"):
        options = ("--teacher", str(folder / "encoder"), "--set", "negate=yes")
        train(tmp_path, tmp_path / "m.safetensors", *options, source="three.jsonl")
    assert not list(tmp_path.glob("*teacher*")) and not list(tmp_path.glob("*soft-labels*"))


def test_a_classifier_labels_texts_that_have_no_label(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = answers.Taught.probabilities

    def known_words(self: Any, texts: Any, what: str, say: Any) -> Any:
        """As a classifier that has learnt something would answer."""
        found = real(self, texts, what, say)
        good = np.array([any(word in text for word in ANSWERS["good"]) for text in texts])
        return np.where(good[:, None], [[0.1, 0.9]], [[0.8, 0.2]]).astype(found.dtype)

    monkeypatch.setattr(answers.Taught, "probabilities", known_words)
    output = tmp_path / "m.safetensors"
    labels = ("--teacher-labels", "NEG=bad,POS=good")
    train(folder, output, "--teacher", str(folder / "classifier"), *labels, source="texts.txt")
    training, lines = said(capsys)
    assert set(training["data"]["train_texts"]) == {"bad", "good"}
    assert training["test"]["accuracy"] > 0.9
    assert "labels 80 texts as bad, good" in lines


def test_the_time_that_a_teacher_takes_is_said_beforehand(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "SAY_EVERY", 0)
    train(folder, tmp_path / "m.safetensors", "--teacher", str(folder / "encoder"))
    _, lines = said(capsys)
    first, *_ = [line for line in lines.splitlines() if line.startswith("teacher:")]
    assert re.fullmatch(
        r"teacher: fine-tuning on \d+ texts and labelling \d+ takes about \d+ (s|min) on this machine", first
    )


def test_an_interrupted_fine_tuning_goes_on_to_the_same_weights(folder: Path, tmp_path: Path) -> None:
    texts, names = zip(*made_rows(40))
    labels = np.array([name == "good" for name in names]).astype(np.int64)

    def encoder() -> Any:
        torch.manual_seed(0)
        return load_encoder(str(folder / "encoder"), 2)

    whole = encoder()
    fine_tune(whole, texts, labels, QUICK)
    state, steps = tmp_path / "state.safetensors", 0
    interrupted = encoder()
    forward = interrupted.forward

    def until_the_fifth(*batch: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == 5:
            raise KeyboardInterrupt
        return forward(*batch)

    interrupted.forward = until_the_fifth
    with pytest.raises(KeyboardInterrupt):
        fine_tune(interrupted, texts, labels, QUICK, state=state, key="k")
    assert state.is_file()
    resumed = encoder()
    fine_tune(resumed, texts, labels, QUICK, state=state, key="k")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_an_interrupted_labelling_does_nothing_twice(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    real = answers.logits_of

    def until_the_spans(model: Any, texts: Any, options: Any) -> Any:
        read.append(len(texts))
        if len(read) == 2:
            raise KeyboardInterrupt
        return real(model, texts, options)

    monkeypatch.setattr(answers, "logits_of", until_the_spans)
    output = tmp_path / "m.safetensors"
    more = ("--teacher", str(folder / "encoder"), "--unlabelled", str(folder / "texts.txt"))
    train(folder, output, *more)
    assert not output.exists()
    assert len(list(tmp_path.glob("*.partial"))) == 1
    train(folder, output, *more)
    whole, spans, *again = read
    assert again == [spans] and whole != spans
    assert not list(tmp_path.glob("*.partial"))


def test_a_classifier_reads_nothing_twice_where_the_training_is_interrupted(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    real = answers.logits_of

    def counting(model: Any, texts: Any, options: Any) -> Any:
        read.append(len(texts))
        good = np.array([any(word in text for word in ANSWERS["good"]) for text in texts])
        return np.where(good[:, None], [[0.0, 2.0]], [[2.0, 0.0]]) + 0 * real(model, texts, options)

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(answers, "logits_of", counting)
    output = tmp_path / "m.safetensors"
    more = ("--teacher", str(folder / "classifier"), "--teacher-labels", "NEG=bad,POS=good")
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "_fit", interrupted)
        train(folder, output, *more, source="texts.txt")
    assert read and not output.exists()
    read.clear()
    train(folder, output, *more, source="texts.txt")
    assert output.exists() and not read
    assert not list(tmp_path.glob("*.partial"))


def test_a_second_teacher_labels_the_short_spans_anew(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, output = tmp_path / "first.safetensors", tmp_path / "m.safetensors"
    more = ("--unlabelled", str(folder / "texts.txt"))
    train(folder, first, "--teacher", str(folder / "encoder"), *more)
    earlier = tmp_path / "first.soft-labels.safetensors"
    short = replace(QUICK, span=8, seed=3)  # a sentence is of five words, two are of ten
    monkeypatch.setattr(distillation.Distillation, "transformer", short)
    more = (*more, "--set", f"earlier-labels={earlier}")
    capsys.readouterr()
    train(folder, output, "--teacher", str(folder / "encoder"), *more)
    training, _ = said(capsys)
    report = training["distillation"]["spans_anew"]
    assert 0 < report["spans"] < training["distillation"]["spans"]
    assert 0 <= report["validation_accuracy"] <= 1
    kept = tmp_path / "m.soft-labels.safetensors"
    with safe_open(earlier, "np") as one, safe_open(kept, "np") as other:
        for whole in ("labelled", "unlabelled"):
            assert np.array_equal(one.get_tensor(whole), other.get_tensor(whole))
        changed = (one.get_tensor("spans") != other.get_tensor("spans")).any(axis=1)
    assert 0 < changed.sum() <= report["spans"] < len(changed)
    # They are kept as any others: a student of them needs no transformer.
    train(folder, tmp_path / "again.safetensors", "--teacher", "kept", *more[:2],
          "--set", f"soft-labels={kept}")  # fmt: skip
    with pytest.raises(DataError, match="is one of the inputs"):
        train(folder, tmp_path / "x.safetensors", "--teacher", str(folder / "encoder"), *more,
              "--set", f"soft-labels={earlier}")  # fmt: skip
    with pytest.raises(DataError, match=r"first\.soft-labels\.safetensors holds labels of other texts"):
        train(folder, tmp_path / "x.safetensors", "--teacher", str(folder / "encoder"), *more[2:])


def test_only_the_last_layers_learn_and_a_limit_of_steps_is_kept(folder: Path) -> None:
    texts = [text for text, _ in made_rows(60)]
    labels = np.array([label == "good" for _, label in made_rows(60)], np.int64)
    model, before = (load_encoder(str(folder / "encoder"), 2) for _ in range(2))
    lines: list[str] = []
    fine_tune(model, texts, labels, replace(QUICK, layers=1, most_steps=3), say=lines.append)
    assert lines[-1].startswith("teacher: step 3 of 3,")
    learnt = {
        name
        for (name, one), other in zip(model.encoder.named_parameters(), before.encoder.parameters())
        if not torch.equal(one, other)
    }
    assert learnt and all(name.startswith("encoder.layer.1.") for name in learnt)
    with pytest.raises(DataError, match="teacher-layers must be from 1 to the teacher's 2, not 3"):
        fine_tune(model, texts, labels, replace(QUICK, layers=3))
    for wrong in ({"most_steps": 0}, {"layers": 0}, {"span": 7}):
        with pytest.raises(DataError, match=r"teacher-.* must be"):
            replace(QUICK, **wrong)


def test_spans_of_like_length_are_read_together() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 60, 1000)
    batches = fine_tuning.alike(rng.permutation(1000), lengths, 32)
    assert sorted(np.concatenate(batches).tolist()) == list(range(1000))
    assert max(map(len, batches)) == 32
    padded = sum(len(rows) * lengths[rows].max() for rows in batches)
    assert padded < 1.2 * lengths.sum() < 1000 * 59


def test_a_classifier_may_have_nothing_more_to_read(folder: Path, tmp_path: Path) -> None:
    model = load_classifier(str(folder / "classifier"), ("NEG", "POS"), {})
    answers.say_cost(model, (), (), QUICK, pytest.fail)


def test_answers_do_not_depend_on_the_other_texts_and_long_ones_are_read_in_windows(folder: Path) -> None:
    model = load_encoder(str(folder / "encoder"), 2)
    texts = [text for text, _ in made_rows(30)]
    together = logits_of(model, texts, QUICK)
    alone = np.concatenate([logits_of(model, [text], QUICK) for text in texts])
    assert np.allclose(together, alone, atol=0.02)  # bfloat16
    long = " ".join(texts * 10)
    three = TransformerOptions(window=20, windows=3)
    one = TransformerOptions(window=20, windows=1)
    assert not np.allclose(logits_of(model, [long], three), logits_of(model, [long], one), atol=1e-4)
    assert np.isfinite(logits_of(model, ["", long], TransformerOptions(window=10_000))).all()


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        ("no weights", "has no weights; give a folder with model.safetensors"),
        ("pickled", "weights in pytorch_model.bin, which can hold code"),
        ("no tokenizer", "has no tokenizer"),
        ("no config", "cannot use the teacher in"),
        ("cut", "cannot use the teacher in"),
        ("config of nonsense", "cannot use the teacher in"),
    ],
)
def test_a_folder_that_is_no_teacher(folder: Path, tmp_path: Path, damage: str, error: str) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in (folder / "encoder").iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    weights = broken / "model.safetensors"
    if damage in ("no weights", "pickled"):
        weights.unlink()
        if damage == "pickled":
            (broken / "pytorch_model.bin").write_bytes(b"x")
    elif damage == "no tokenizer":
        (broken / "tokenizer.json").unlink()
    elif damage == "no config":
        (broken / "config.json").unlink()
    elif damage == "cut":
        weights.write_bytes(weights.read_bytes()[:1000])
    else:
        (broken / "config.json").write_text('{"model_type": "bert", "hidden_size": "many"}')
    with pytest.raises(DataError, match=error):
        train(folder, tmp_path / "m.safetensors", "--teacher", str(broken))
    assert not (tmp_path / "m.safetensors").exists()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--teacher", "{classifier}"], "does not know the label bad, its labels are NEG, POS"),
        (["--teacher", "{classifier}", "--teacher-labels", "NO=bad"], "has no label 'NO'"),
        (["--teacher", "no such folder"], "no folder, and no name on the Hugging Face hub"),
        (["--teacher", "kept"], "no soft labels in"),
        (["--teacher", "nb-svm", "--teacher-labels", "NEG=bad"], "are a transformer's; add --teacher FOLDER"),
        (["--set", "teacher-windows=1"], "are a transformer's; add --teacher FOLDER"),
        (["--teacher", "{encoder}", "--set", "spans=-1"], "spans must be from 0"),
        (["--set", "spans=3"], "are a transformer's; add --teacher FOLDER"),
        (["--set", "around=not"], "are a transformer's; add --teacher FOLDER"),
        (["--set", "earlier-labels=x"], "earlier-labels are a transformer's; add --teacher FOLDER"),
        (
            ["--teacher", "{encoder}", "--set", "earlier-labels=x", "--set", "spans=2"],
            "spans and around are those of earlier-labels; leave them out",
        ),
        (["--teacher", "{encoder}", "--set", "earlier-labels=x"], "no soft labels in x"),
        (
            ["--teacher", "{classifier}", "--teacher-labels", "NEG=bad,POS=good", "--set", "teacher-steps=9"],
            "teacher-steps and teacher-layers fine-tune an encoder",
        ),
        (
            ["--teacher", "{encoder}", "--set", "features=ngrams", "--set", "teacher-steps=9"],
            "teacher-steps: for long texts",
        ),
        (
            ["--set", "negate=yes"],
            "negate=yes is of clauses that a transformer labelled; add --teacher FOLDER",
        ),
    ],
)
def test_what_does_not_go_together(folder: Path, tmp_path: Path, options: list[str], error: str) -> None:
    given = [o.format(classifier=folder / "classifier", encoder=folder / "encoder") for o in options]
    with pytest.raises(DataError, match=error):
        train(folder, tmp_path / "m.safetensors", *given)


def test_texts_without_labels_need_a_classifier(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the texts have no labels, and the teacher"):
        train(folder, tmp_path / "m.safetensors", "--teacher", str(folder / "encoder"), source="texts.txt")


def test_without_transformers_the_extra_is_named(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(MissingPackageError, match=r"edge-lstm\[transformers\]"):
        train(folder, tmp_path / "m.safetensors", "--teacher", str(folder / "encoder"))
