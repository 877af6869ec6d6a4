"""The embedded model as a teacher of few rows: where it knows something of their labels, and only there."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edge_lstm_export import pipeline, reading, who_teaches
from edge_lstm_export.checkpoint import load_checkpoint
from edge_lstm_export.job import TrainingJob
from edge_lstm_export.reading import ReadAlone, known_words
from edge_lstm_export.teacher.embedded import sentiments, words
from train_command import run

from edge_lstm.text import split_marks

OPINIONS = """
superb awful, wonderful terrible, brilliant dreadful, delightful boring, charming tedious, touching dull,
excellent lousy, fantastic pathetic, gorgeous stupid, witty horrible, marvellous mediocre,
lovely disappointing, amazing annoying, perfect ugly, enjoyable clumsy, refreshing laughable,
hilarious unwatchable, moving worthless, clever messy, beautiful poor
"""
PRAISE, BLAME = zip(*(pair.split() for pair in OPINIONS.split(",")))
THINGS = ["soup", "chair", "waiter", "lamp", "carpet", "towel", "parcel", "driver", "battery", "screen"]


def opinions(pairs: int = 10) -> list[tuple[str, str]]:
    """Each opinion is of a word of its own, so that one row teaches a linear model nothing of another."""
    found = []
    for i, (good, bad) in enumerate(zip(PRAISE[:pairs], BLAME)):
        thing = THINGS[i % len(THINGS)]
        found += [(f"The {thing} was {good}.", "yes"), (f"The {thing} was {bad}.", "no")]
    return found


def write(path: Path, rows: list[tuple[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return path


def trained(tmp_path: Path, rows: list[tuple[str, str]], *more: str) -> tuple[dict[str, Any], str]:
    few = write(tmp_path / "few.csv", rows)
    result = run(few, "-o", tmp_path / "m.safetensors", "--preset", "tiny", "--epochs", "1", "--json", *more)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout), result.stderr


class Silent:
    """Watches a job and hears nothing."""

    def say(self, line: str) -> None:
        pass


def test_a_text_is_one_number_that_tells_praise_from_blame() -> None:
    found = sentiments(["A wonderful film.", "A terrible film.", ""])
    assert found.dtype == np.float32
    assert found.shape == (3, 1)
    assert found[0, 0] > 0.3
    assert found[1, 0] < -0.3
    assert np.isfinite(found).all()


def test_its_words_have_the_vectors_that_it_reads() -> None:
    known = words()
    place = known.words.index("terrible")
    assert known.read(["terrible"]) == [[known.pieces[place]]]
    assert len(known.read(["terribleterrible"])[0]) > 1  # pieces
    like = known.vectors(["terrible", "awful", "wonderful"])
    assert like[0] @ like[1] > like[0] @ like[2]
    assert "terrible" not in known.near(["terrible"], ["terrible"], 3)


def test_it_teaches_few_rows_whose_labels_it_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)  # an extra, which it does not need
    training, said = trained(tmp_path, opinions())
    assert "the embedded model knows these labels" in said
    taught = training["distillation"]
    assert taught["teacher"] == "embedded"
    assert taught["embedded_accuracy"] > 0.9 > taught["linear_accuracy"]
    assert taught["made_texts"] > 0

    training, said = trained(tmp_path, opinions(), "--teacher", "none")
    assert "embedded" not in said
    assert training["distillation"]["teacher"] == "svm"


def test_it_has_no_say_of_other_labels(tmp_path: Path) -> None:
    rows = [
        (f"The {thing} number {i} of {THINGS[i]}", ("odd", "even")[i % 2]) for i, thing in enumerate(THINGS)
    ]
    without, said = trained(tmp_path, rows)
    assert "embedded" not in said
    again, _ = trained(tmp_path, rows, "--teacher", "none")
    assert without["distillation"] == again["distillation"]
    # Asked for, it is heard, and weighed by the rows.
    asked, said = trained(tmp_path, rows, "--teacher", "embedded")
    assert asked["distillation"]["teacher"] == "embedded"
    assert "teacher: the embedded model" in said


@pytest.mark.parametrize(
    ("more_right", "many", "taught"), [(2, False, True), (2, True, False), (20, True, True)]
)
def test_many_rows_want_it_to_be_clearly_better(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more_right: int, many: bool, taught: bool
) -> None:
    """more_right: so many rows of 40 are right with it alone; it makes all of them surer."""

    def answers(wrong: int, sure: float) -> np.ndarray[Any, Any]:
        own = np.where(np.arange(40) < wrong, 1 - sure, sure)
        labels = np.array([label == "yes" for _, label in opinions(20)])
        return np.where(labels[:, None] == [False, True], own[:, None], 1 - own[:, None]).astype(np.float32)

    monkeypatch.setattr(who_teaches, "linear_alone", lambda *_: answers(more_right, 0.6))
    monkeypatch.setattr(who_teaches, "blended", lambda opinions, weights: answers(0, 0.8))
    monkeypatch.setattr(who_teaches, "FEW_TEXTS", 40 if many else 41)
    helped, helps = [], who_teaches.sentiment_helps

    def asked(*given: Any) -> bool:
        helped.append(helps(*given))
        raise KeyboardInterrupt  # what comes of it is not asked here

    monkeypatch.setattr(pipeline, "sentiment_helps", asked)
    job = TrainingJob(str(write(tmp_path / "rows.csv", opinions(20))), tmp_path / "m.safetensors")
    with pytest.raises(KeyboardInterrupt):
        pipeline.run_job(replace(job, data=replace(job.data, test_share=0.0)), Silent())  # type: ignore[arg-type]
    assert helped == [taught]


@pytest.mark.parametrize(
    ("most", "encoder_knows", "helps"),
    [(20, None, True), (19, None, False), (20, False, True), (20, True, False)],
)
def test_it_is_asked_of_no_more_rows_and_beside_an_encoder_only_where_it_adds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, encoder_knows: bool | None, helps: bool
) -> None:
    from edge_lstm_export.datasets import read_dataset
    from edge_lstm_export.teacher import transformer

    source = str(write(tmp_path / "rows.csv", opinions()))
    job = TrainingJob(source, tmp_path / "m.safetensors", features="ngrams", teacher=encoder_knows and "x")
    dataset = read_dataset(source, replace(job.data, test_share=0.0))
    told = 2.0 * dataset.train.labels[:, None] - 1  # what an encoder reads that knows the labels
    read = np.asarray(told if encoder_knows else told * 0 + 1, np.float32)
    monkeypatch.setattr(transformer, "vectors_of", lambda *_: read)
    monkeypatch.setattr(who_teaches, "teaches_short", lambda *_: True)
    monkeypatch.setattr(who_teaches, "MOST_TO_MAKE_OF", most)
    encoder: Any = None if encoder_knows is None else object()
    assert who_teaches.sentiment_helps(job, dataset, None, encoder, ReadAlone(), lambda _: None) == helps


def test_texts_in_another_language_get_none_of_its_words() -> None:

    assert known_words(None, [text for text, _ in opinions()]) is not None
    assert known_words(None, ["外卖很好吃", "Das Essen war wirklich köstlich"]) is None


def test_it_labels_a_log_too(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text(
        "\n".join(f"The {thing} is {word}." for thing in THINGS for word in ("splendid", "shoddy"))
    )
    training, _ = trained(tmp_path, opinions(), "--unlabelled", str(log))
    assert training["distillation"]["teacher"] == "embedded"
    assert training["distillation"]["unlabelled_texts"] == 2 * len(THINGS)
    # Its words come in beside those of the log.
    known = set(load_checkpoint(tmp_path / "m.safetensors").tokenizer.words)
    assert known - set(split_marks(log.read_text() + " ".join(text for text, _ in opinions())))


@pytest.mark.usefixtures("encoder_is_heard")
def test_it_stands_beside_an_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers")
    from transformers_made import make_transformer

    folder = make_transformer(tmp_path / "encoder", [*THINGS, *PRAISE[:3]])
    monkeypatch.setattr(reading, "variants_of", lambda rows, wanted: 2)
    training, _ = trained(tmp_path, opinions(), "--teacher", str(folder))
    taught = training["distillation"]
    assert taught["teacher"] == "encoder"
    assert taught["embedded_accuracy"] > 0.9 > taught["encoder_accuracy"]
    assert len(taught["weights"]) == 4


def test_the_curve_shows_rows_with_and_without_it(tmp_path: Path) -> None:
    trained(tmp_path, opinions(20), "--curve")
    curve = json.loads((tmp_path / "m.curve.json").read_text())
    assert curve["with_teacher"]["accuracy"][-1] > curve["alone"]["accuracy"][-1]


@pytest.mark.parametrize(
    ("more", "way"),
    [(["--set", "features=pairs"], "features=ngrams"), (["--set", "negate=yes"], "negate")],
)
def test_what_it_cannot_teach_is_one_line(tmp_path: Path, more: list[str], way: str) -> None:
    few = write(tmp_path / "few.csv", opinions())
    result = run(few, "-o", tmp_path / "m.safetensors", "--teacher", "embedded", *more)
    assert result.returncode == 1
    assert way in result.stderr.splitlines()[-1]
    assert not (tmp_path / "m.safetensors").exists()
