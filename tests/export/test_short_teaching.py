"""Few labelled rows and many texts without a label: both teachers label them, and no labelled row is lost."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edge_lstm_export import pipeline, reading, short_teaching, who_teaches
from edge_lstm_export.checkpoint import load_checkpoint

from edge_lstm.cli import run
from edge_lstm.errors import DataError

WORDS = {"shop": ["basket", "till", "receipt"], "sea": ["wave", "harbour", "tide"]}
COMMON = [f"filler{i}" for i in range(15)]


def rows(count: int, seed: int) -> list[tuple[str, str]]:
    rng = np.random.default_rng(seed)
    found = []
    for i in range(count):
        label = ("sea", "shop")[i % 2]
        found.append((" ".join([*rng.choice(COMMON, 5), str(rng.choice(WORDS[label]))]), label))
    return found


def write(path: Path, table: list[tuple[str, str]], columns: tuple[str, ...] = ("text", "label")) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(row[: len(columns)] for row in table)
    return path


def trained(tmp_path: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[dict[str, Any], str]:
    few = write(tmp_path / "few.csv", rows(24, 0))
    test = write(tmp_path / "test.csv", rows(100, 2))
    run(["train", str(few), "--test", str(test), "-o", str(tmp_path / "m.safetensors"), "--preset", "tiny",
         "--epochs", "2", "--json", *more])  # fmt: skip
    shown = capsys.readouterr()
    return json.loads(shown.out), shown.err


def what_is_learnt(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Filled with what the next training gives to ``fit`` by name."""
    learnt: dict[str, Any] = {}
    whole = pipeline.fit

    def fit(*parts: Any, **options: Any) -> Any:
        learnt.update(options)
        return whole(*parts, **options)

    monkeypatch.setattr(pipeline, "fit", fit)
    return learnt


def test_a_log_of_blank_lines_has_no_text(tmp_path: Path) -> None:
    few, log = write(tmp_path / "few.csv", rows(24, 0)), tmp_path / "log.txt"
    log.write_text("\n \n\t\n")
    with pytest.raises(DataError, match="no unlabelled text"):
        run(["train", str(few), "-o", str(tmp_path / "m.safetensors"), "--unlabelled", str(log)])
    assert {path.name for path in tmp_path.iterdir()} == {"few.csv", "log.txt"}


def test_texts_without_a_label_are_labelled_and_learnt_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = write(tmp_path / "log.csv", [*rows(200, 1), *rows(100, 2)[:5]], ("text",))
    training, said = trained(tmp_path, capsys, "--unlabelled", str(log))
    taught = training["distillation"]
    different = len({text for text, _ in rows(200, 1)} - {text for text, _ in rows(100, 2)})
    assert taught["unlabelled_texts"] <= different  # none of the test split
    assert sum(training["data"]["train_texts"].values()) == 24
    assert training["data"]["validation_texts"] == 0
    assert training["cross_validated"]
    assert training["validation"]["texts"] == 24
    assert training["test"]["accuracy"] > 0.9
    assert "words and characters" in said


@pytest.mark.parametrize("with_log", [False, True])
def test_an_encoder_that_knows_nothing_here_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, with_log: bool
) -> None:
    pytest.importorskip("transformers")
    from transformers_made import make_transformer

    folder = make_transformer(tmp_path / "encoder", ["other", "words"])
    monkeypatch.setattr(reading, "variants_of", lambda rows, wanted: 3)
    log = write(tmp_path / "log.csv", rows(200, 1), ("text",))
    more = ["--unlabelled", str(log)] if with_log else []
    without, _ = trained(tmp_path, capsys, *more)
    training, said = trained(tmp_path, capsys, "--teacher", str(folder), *more)
    assert "note: the encoder adds nothing to words and characters here (" in said
    assert training["distillation"] == without["distillation"]
    assert training["test"] == without["test"]
    assert training["test"]["accuracy"] > 0.9
    assert not list(tmp_path.glob("*.partial"))


def test_a_curve_that_is_interrupted_keeps_no_answers_of_an_encoder_that_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("transformers")
    from edge_lstm_export.more_rows import CurveInterrupted
    from transformers_made import make_transformer

    def interrupted(*_: Any) -> None:
        assert list(tmp_path.glob("*.partial"))
        raise CurveInterrupted

    folder = make_transformer(tmp_path / "encoder", ["other", "words"])
    monkeypatch.setattr(reading, "variants_of", lambda rows, wanted: 1)
    monkeypatch.setattr(pipeline, "measure_curve", interrupted)
    few = write(tmp_path / "few.csv", rows(48, 0))
    run(["train", str(few), "-o", str(tmp_path / "m.safetensors"), "--preset", "tiny", "--epochs", "1",
         "--curve", "--teacher", str(folder)])  # fmt: skip
    assert "left out" in capsys.readouterr().err
    assert (tmp_path / "m.safetensors").exists()
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.usefixtures("encoder_is_heard")
def test_a_teacher_of_no_weight_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("transformers")
    from transformers_made import make_transformer

    folder = make_transformer(tmp_path / "encoder", ["other", "words"])
    monkeypatch.setattr(short_teaching, "blend_weights", lambda opinions, labels: [1.0, 0.0])
    # With a part that is held out, as of many rows, texts are made too.
    training, said = trained(tmp_path, capsys, "--teacher", str(folder), "--validation", "0.2")
    assert training["distillation"]["made_texts"] > 0
    assert training["data"]["validation_texts"] > 0
    assert "adds nothing to words and characters here: its weight is 0" in said


@pytest.mark.usefixtures("encoder_is_heard")
def test_the_linear_teacher_reads_what_the_labelled_texts_know(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A log holds words of the rows once more, and many others: that teaches it nothing of their labels."""
    log = write(
        tmp_path / "log.csv",
        [(f"{text} more{i % 9}", "") for i, (text, _) in enumerate(rows(90, 0))],
        ("text",),
    )
    pytest.importorskip("transformers")
    from transformers_made import make_transformer

    folder = make_transformer(tmp_path / "encoder", ["other", "words"])
    taught = [
        trained(tmp_path, capsys, "--teacher", str(folder), *more)[0]["distillation"]
        for more in ([], ["--unlabelled", str(log)])
    ]
    assert taught[1]["unlabelled_texts"] > 0
    assert taught[0]["linear_accuracy"] == taught[1]["linear_accuracy"]


@pytest.mark.parametrize(("better", "can_tell"), [(True, True), (False, True), (False, False)])
def test_words_that_occur_once_are_known_where_that_answers_better(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    better: bool,
    can_tell: bool,
) -> None:
    """can_tell: whether there are enough rows to ask; else they are known."""
    import dataclasses

    cross_fitted = reading.cross_fit

    def cross_fit(examples: Any, *arguments: Any, as_new: Any, **named: Any) -> Any:
        found = cross_fitted(examples, *arguments, as_new=as_new, **named)
        with_rare = as_new is not examples and as_new.ids.tolist() != examples.ids.tolist()
        return dataclasses.replace(found, accuracy=0.6 if with_rare == better else 0.5)

    monkeypatch.setattr(reading, "cross_fit", cross_fit)
    monkeypatch.setattr(reading, "FEWEST_TO_TELL", 24 if can_tell else 25)
    known = better or not can_tell
    few = write(
        tmp_path / "few.csv",
        [
            (f"{text} {'abcdefghijklmnopqrstuvwx'[i] * 4}", label)
            for i, (text, label) in enumerate(rows(24, 0))
        ],
    )
    options = ["--preset", "tiny", "--epochs", "1", "--set", "pretrained=no"]
    run(["train", str(few), "-o", str(tmp_path / "m.safetensors"), *options])
    assert ("24, known" in capsys.readouterr().err) == known
    checkpoint = load_checkpoint(tmp_path / "m.safetensors")
    assert ("aaaa" in checkpoint.tokenizer.words) == known
    assert checkpoint.training["vocabulary"]["rare"] == known
    assert checkpoint.training["data"]["unknown_words"] > 0


@pytest.mark.parametrize("with_log", [False, True])
def test_the_encoder_is_loaded_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, with_log: bool
) -> None:
    pytest.importorskip("transformers")
    from edge_lstm_export.teacher import hub
    from transformers_made import make_transformer

    folder = make_transformer(tmp_path / "encoder", ["other", "words"])
    monkeypatch.setattr(reading, "variants_of", lambda rows, wanted: 1)
    loaded, load_encoder = [], hub.load_encoder

    def counted(source: str, labels: int) -> hub.Encoder:
        loaded.append(source)
        return load_encoder(source, labels)

    monkeypatch.setattr(hub, "load_encoder", counted)
    log = write(tmp_path / "log.csv", rows(50, 1), ("text",))
    trained(tmp_path, capsys, "--teacher", str(folder), *(["--unlabelled", str(log)] if with_log else []))
    assert loaded == [str(folder)]


@pytest.mark.usefixtures("encoder_is_heard")
@pytest.mark.parametrize("with_log", [False, True])
def test_an_encoders_words_take_the_place_of_a_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, with_log: bool
) -> None:
    pytest.importorskip("transformers")
    from edge_lstm_export.pretrained import PretrainedWords
    from transformers_made import make_transformer

    folder = make_transformer(tmp_path / "encoder", ["basket", "wave", "till", "harbour"])
    monkeypatch.setattr(reading, "variants_of", lambda rows, wanted: 1)
    monkeypatch.setattr(
        PretrainedWords, "beside", lambda self, words: dict.fromkeys(words, ("harbour", "till"))
    )
    learnt = what_is_learnt(monkeypatch)
    # Whether made texts help is not asked here.
    monkeypatch.setattr(pipeline, "with_made", lambda *_: (None, True))
    log = write(tmp_path / "log.csv", rows(50, 1), ("text",))
    more = ["--unlabelled", str(log)] if with_log else []
    training, _ = trained(tmp_path, capsys, "--preset", "small", "--teacher", str(folder), *more)
    lstm = load_checkpoint(tmp_path / "m.safetensors").network.config
    made, further = training["distillation"]["made_texts"], training["distillation"]["unlabelled_texts"]
    assert made == len(learnt["lesson"].examples) - 24 - further
    if with_log:
        assert (lstm.embedding_dim, lstm.hidden) == (30, 46)
        assert learnt["lesson"].vectors is None
    else:
        assert (lstm.embedding_dim, lstm.hidden) == (14, 30)
        assert made > 24  # of each of the rows more than one: with near words too
        assert learnt["lesson"].vectors is not None


@pytest.mark.parametrize("most", [10, 1000])
def test_many_rows_have_their_lstm_learn_texts_made_of_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    learnt = what_is_learnt(monkeypatch)
    for module in (pipeline, reading, who_teaches):
        monkeypatch.setattr(module, "FEW_TEXTS", 10)
    for module in (pipeline, reading):
        monkeypatch.setattr(module, "MOST_TO_MAKE_OF", most)
    training, said = trained(tmp_path, capsys)
    if most < sum(training["data"]["train_texts"].values()):
        assert "made_texts" not in training["distillation"] and "made from" not in said
        assert learnt["lesson"].linear is learnt["lesson"].examples
        return
    made = training["distillation"]["made_texts"]
    assert made > 0 and f"{made:,} texts made from" in said
    assert (
        len(learnt["lesson"].examples) == len(learnt["lesson"].linear) + made
    )  # the n-grams learn the rows alone


@pytest.mark.usefixtures("encoder_is_heard")
@pytest.mark.parametrize("each", [0, 2])
def test_so_many_texts_are_made_as_are_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], each: int
) -> None:
    pytest.importorskip("transformers")
    from transformers_made import make_transformer

    folder = make_transformer(tmp_path / "encoder", [*COMMON, "basket", "wave"])
    training, said = trained(tmp_path, capsys, "--teacher", str(folder), "--set", f"made-texts={each}")
    made = training["distillation"]["made_texts"]
    assert 24 * each / 2 < made <= 2 * 24 * each or made == each == 0
    assert "texts made from the rows" not in said  # nobody asked whether they help
    assert "no texts were made" not in said


def test_texts_that_nobody_would_label_are_not_made_and_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    training, said = trained(tmp_path, capsys, "--set", "made-texts=2")
    assert "made_texts" not in training["distillation"]
    assert "note: no texts were made: they are for --teacher, or for 2,000 to 20,000 rows" in said


@pytest.mark.parametrize("each", [0, 1])
def test_many_rows_have_so_many_made_as_are_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, each: int
) -> None:
    for module in (pipeline, reading, who_teaches):
        monkeypatch.setattr(module, "FEW_TEXTS", 10)
    training, _ = trained(tmp_path, capsys, "--set", f"made-texts={each}")
    rows_learnt = sum(training["data"]["train_texts"].values())
    made = training["distillation"]["made_texts"]
    assert rows_learnt / 2 < made <= rows_learnt if each else made == 0


@pytest.mark.usefixtures("encoder_is_heard")
@pytest.mark.parametrize(("harm", "learnt"), [(0, True), (3, True), (12, False)])
def test_made_texts_are_left_out_only_where_they_clearly_harm(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    harm: int,
    learnt: bool,
) -> None:
    """harm: so many rows of 24 are right without the made texts alone."""
    pytest.importorskip("transformers")
    from transformers_made import make_transformer

    truth = np.array([label == "shop" for _, label in rows(24, 0)])
    calls: list[int] = []

    def answers_of(found: Any, texts: int) -> Any:
        calls.append(texts)
        wrong = (np.arange(24) < harm) & (len(calls) == 2)  # the second time, with them
        return np.where(truth != wrong, 1.0, -1.0)[:, None].astype(np.float32)

    monkeypatch.setattr(who_teaches, "answers_of", answers_of)
    monkeypatch.setattr(reading, "variants_of", lambda rows, wanted: 1)
    folder = make_transformer(tmp_path / "encoder", ["basket", "wave"])
    training, said = trained(tmp_path, capsys, "--teacher", str(folder))
    assert len(calls) == 2 and calls[1] > calls[0]
    assert (training["distillation"]["made_texts"] > 0) == learnt
    assert ("the made texts are learnt from too" in said) == learnt
