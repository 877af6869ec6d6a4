"""Pretrained word vectors: the table of the package, what a linear model reads of it, a training with it."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edge_lstm_export import reading
from edge_lstm_export.checkpoint import load_checkpoint
from edge_lstm_export.datasets import Dataset, Split
from edge_lstm_export.examples import Examples
from edge_lstm_export.fit import VocabularyOptions, prepare
from edge_lstm_export.job import TrainingJob
from edge_lstm_export.ngram_features import choose_ngrams, learn_features
from edge_lstm_export.ngram_svm import Recipe, Weighting, fit_exact, fit_linear
from edge_lstm_export.pretrained import Meanings, english, packed, read_vectors, unpacked
from typer.testing import CliRunner

from edge_lstm.cli import app
from edge_lstm.errors import DataError
from edge_lstm.text import FIRST_WORD_ID, OOV_ID, Tokenizer


def listed(line: str) -> list[str]:
    return line.split()


FOOD = listed(
    "apple banana lemon cherry peach mango grape melon berry plum olive coconut potato tomato carrot onion "
    "cabbage bean corn rice bread butter cheese honey sugar pepper salt soup salad sauce cake pie"
)
CITY = listed(
    "paris london berlin madrid rome vienna moscow tokyo delhi cairo boston chicago dublin prague warsaw "
    "lisbon athens budapest seoul beijing shanghai sydney melbourne toronto montreal denver seattle houston "
    "dallas atlanta munich hamburg"
)


def test_the_table_knows_which_words_are_alike() -> None:
    known = english()
    assert len(set(known.words)) == len(known.words) > 20_000
    assert all(word.isalpha() and word.isascii() and word[1:] for word in known.words)
    meanings = known.meanings(["terrible", "horrible", "paris", "xyzzy"])
    assert np.linalg.norm(meanings, axis=1) == pytest.approx([1, 1, 1, 0], abs=1e-5)
    alike = meanings @ meanings.T
    assert alike[0, 1] > 0.6 > 0.2 > alike[0, 2]
    assert known.near(FOOD[:6], FOOD[:6], 20) != known.near(CITY[:6], CITY[:6], 20)
    assert {"horrible", "awful"} < {*known.beside(["terrible"])["terrible"]}


def test_a_frequent_word_means_little() -> None:
    weights = english().weights(["the", "movie", "salamanca", "xyzzy"])
    assert (np.diff(weights) >= 0).all()
    assert weights[0] < 0.05 < 0.3 < weights[1] < 0.9
    assert weights[3] == 1


def test_three_bits_of_a_value_are_left() -> None:
    values = np.random.default_rng(0).normal(size=(50, 96)).astype(np.float32) * np.linspace(0.1, 3, 96)
    codes, scales = packed(values.astype(np.float32))
    assert codes.dtype == np.uint8 and codes.shape == (50, 36)
    found = unpacked(codes, scales)
    inside = np.abs(values) <= 3.5 * scales
    assert (np.abs(found - values)[inside] <= scales.repeat(50).reshape(96, 50).T[inside] / 2 + 1e-6).all()
    assert len(np.unique(found[:, 0])) == 8


def a_vocabulary() -> tuple[Tokenizer, Tokenizer, Meanings]:
    """With the words "harbour" and "till", which the texts do not teach, without them, and their meanings."""
    taught = Tokenizer(("wave", "basket", "the"), 20, OOV_ID, ("har", "bour", "till", "t"))
    full = replace(taught, words=(*taught.words, "harbour", "till"))
    rng = np.random.default_rng(1)
    meanings = Meanings(np.zeros((full.num_ids, 5), np.float32), np.zeros(full.num_ids, np.float32))
    own = slice(FIRST_WORD_ID, FIRST_WORD_ID + 5)
    meanings.vectors[own], meanings.weights[own] = rng.normal(size=(5, 5)), [1, 0.5, 0.1, 1, 1]
    return full, taught, meanings


def test_the_vectors_say_what_the_linear_model_says() -> None:
    full, taught, meanings = a_vocabulary()
    texts = ["the wave", "harbour wave the wave", "till basket", "the basket till", "harbour", "basket"] * 3
    labels = np.array([0, 0, 1, 1, 0, 1] * 3)
    examples = Examples.from_texts(full, texts, np.zeros((18, 2), np.float32))
    ngrams = choose_ngrams(examples, 60, full.num_ids)
    features = learn_features(ngrams, full, meanings, taught).with_meanings(1.5)
    assert features.width == 5
    x, lengths = features.matrix(examples), examples.lengths
    for bayes in (0.0, 1.0):
        recipe = Recipe(0.5, 2.0, bayes, meanings=1.5)
        weighting = Weighting.of(x, lengths, features)
        weights, bias = fit_linear(weighting.apply(x, lengths), labels, 2, recipe, features.width)
        expected = 2.0 * (weighting.apply(x, lengths) @ weights + bias)
        found = fit_exact(examples, features, labels, 2, recipe).logits(features.held(examples), lengths)
        assert found == pytest.approx(expected, abs=1e-4)
        assert ((found[:, 0] > 0) == labels).all()


def test_a_meaning_has_its_length_beside_the_ngrams() -> None:
    full, taught, meanings = a_vocabulary()
    texts = ["the wave", "harbour wave the wave", "till basket", "the basket till"] * 2
    examples = Examples.from_texts(full, texts, np.zeros((8, 2), np.float32))
    features = learn_features(choose_ngrams(examples, 60, full.num_ids), full, meanings, taught)
    for length in (0.5, 1.5):
        read = features.with_meanings(length)
        x, lengths = read.matrix(examples), examples.lengths
        squares = Weighting.of(x, lengths, read).apply(x, lengths).power(2).sum(axis=1)
        assert float(np.mean(squares)) == pytest.approx(1 + 1 + length**2, rel=1e-4)
    assert features.with_meanings(0) is features
    assert learn_features(choose_ngrams(examples, 60, full.num_ids), full).with_meanings(1.5).width == 0


def test_naive_bayes_does_not_count_meanings() -> None:
    full, taught, meanings = a_vocabulary()
    texts, labels = ["the wave", "wave harbour", "till basket", "the basket"] * 2, np.array([0, 0, 1, 1] * 2)
    examples = Examples.from_texts(full, texts, np.zeros((8, 2), np.float32))
    features = learn_features(choose_ngrams(examples, 60, full.num_ids), full, meanings, taught)
    x = features.with_meanings(1.5).matrix(examples)
    weights, _ = fit_linear(x, labels, 2, Recipe(0.5, 1.0, bayes=1e9, meanings=1.5), 5)
    assert np.isfinite(weights).all()
    assert np.abs(weights[-5:]).max() < 1e-6 * np.abs(weights).max()


def test_a_word_that_no_text_teaches_is_its_pieces() -> None:
    full, taught, _ = a_vocabulary()
    texts, labels = ["the wave", "har wave", "till basket", "the till"] * 3, np.array([0, 0, 1, 1] * 3)
    examples = Examples.from_texts(full, texts, np.zeros((12, 2), np.float32))
    ngrams = choose_ngrams(examples, 60, full.num_ids)
    features = learn_features(ngrams, full, None, taught)
    vectors = fit_exact(examples, features, labels, 2, Recipe(0.5, 1.0)).vectors
    row = {int(i): n for n, (i, right) in enumerate(ngrams) if right == 0}
    har, bour, t = (row[FIRST_WORD_ID + 5 + i] for i in (0, 1, 3))
    word = row[FIRST_WORD_ID + 3]
    assert vectors[word] == pytest.approx(vectors[har] + vectors[bour], abs=1e-6)
    assert np.abs(vectors[word]).sum() > 0
    assert t != word  # a piece of one letter says nothing of a word


def csv(path: Path, words: list[list[str]]) -> Path:
    lines = [
        f'"number {7 * i % 10} was {word} again",{"food" if kind == 0 else "city"}'
        for kind, own in enumerate(words)
        for i, word in enumerate(own)
    ]
    path.write_text("\n".join(["text,label", *lines]) + "\n")
    return path


def trained(tmp_path: Path, *more: str) -> tuple[dict[str, object], str]:
    few = csv(tmp_path / "few.csv", [FOOD[:24], CITY[:24]])
    test = csv(tmp_path / "test.csv", [FOOD[24:], CITY[24:]])
    arguments = [str(few), "--test", str(test), "-o", str(tmp_path / "m.safetensors")]
    found = CliRunner().invoke(app, ["train", *arguments, *more])
    assert found.exit_code == 0, found.output
    return load_checkpoint(tmp_path / "m.safetensors").training, found.output


def test_words_that_no_row_holds_are_known_by_what_they_mean(tmp_path: Path) -> None:
    training, said = trained(tmp_path)
    assert "pretrained word vectors: learnt from too" in said
    assert training["test"]["accuracy"] > 0.8  # type: ignore[index]
    assert training["parts"]["meanings"] == 1.5  # type: ignore[index]
    assert training["data"]["taught_words"] < 80  # type: ignore[index,operator]
    alone, said = trained(tmp_path, "--set", "pretrained=no")
    assert "pretrained" not in said
    assert "meanings" not in alone["parts"]  # type: ignore[operator]
    assert alone["test"]["accuracy"] < 0.8  # type: ignore[index,operator]


@pytest.mark.parametrize("more", [("--set", "features=pairs", "--teacher", "none"), ("--preset", "seed")])
def test_pieces_without_ngrams_ask_no_linear_model(tmp_path: Path, more: tuple[str, ...]) -> None:
    training, said = trained(tmp_path, "--set", "pieces=yes", "--epochs", "2", *more)
    assert "pretrained" not in said and "words that occur once" not in said
    assert training["parts"] is None and training["vocabulary"]["pieces"]  # type: ignore[index]


def test_a_training_that_goes_on_knows_what_words_mean(tmp_path: Path) -> None:
    trained(tmp_path)
    more = csv(tmp_path / "more.csv", [["strawberry"], ["geneva"]])
    options = ["--from", str(tmp_path / "m.safetensors"), "--replay", str(tmp_path / "few.csv")]
    arguments = [str(more), *options, "-o", str(tmp_path / "n.safetensors")]
    found = CliRunner().invoke(app, ["train", *arguments])
    assert found.exit_code == 0, found.output
    training = load_checkpoint(tmp_path / "n.safetensors").training
    assert training["parts"]["meanings"] == 1.5
    before = load_checkpoint(tmp_path / "m.safetensors").training
    assert training["data"]["taught_words"] == before["data"]["taught_words"]


def test_of_another_language_nothing_is_known(tmp_path: Path) -> None:
    german = ["der hafen ist schön", "ein boot fährt", "die welle rollt", "das meer rauscht", "an der kasse"]
    job = TrainingJob("x.csv", tmp_path / "m.safetensors", features="ngrams")
    assert reading._pretrained_words(job, job.base, german) is None
    assert reading._pretrained_words(job, job.base, ["the boat is in the harbour"]) is english()
    without = replace(job, vocabulary={"pretrained": False})
    assert reading._pretrained_words(without, job.base, ["the boat is in the harbour"]) is None


def test_rows_are_read_alone_once_and_what_is_said_of_it_is_said_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = Split(("a plum", "a pear", "a harbour", "a bridge"), np.array([0, 0, 1, 1]))
    dataset = Dataset("x", ("food", "city"), split, None, "0")
    job = TrainingJob("x.csv", tmp_path / "m.safetensors", features="ngrams", labels=2)
    asked: list[TrainingJob] = []

    def best(job: TrainingJob, base: object, dataset: Dataset, prepared: Any, few: bool, say: Any) -> Any:
        asked.append(job)
        say("so")
        return reading.Reading(job, prepared)

    monkeypatch.setattr(reading, "best_reading", best)
    alone, said = reading.ReadAlone(), list[str]()
    first = alone.read(job, dataset, said.append)
    assert alone.read(replace(job, teacher="nb-svm"), replace(dataset), said.append) is first
    assert len(asked) == 1 and said == ["so", "so"]
    other = replace(dataset, train=split.subset(np.arange(3)))
    assert alone.read(job, other, said.append) is not first
    assert alone.read(replace(job, options={"seed": 1}), dataset, said.append) is not first
    assert len(asked) == 3


@pytest.mark.parametrize(
    "labels, limit, more, asked",
    [
        (2, "MOST_TO_MAKE_OF", 0, True),
        (2, "MOST_TO_MAKE_OF", -1, False),
        (20, "FEW_TEXTS", 1, True),
        (20, "FEW_TEXTS", 0, False),
    ],
)
def test_of_many_rows_they_are_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, labels: int, limit: str, more: int, asked: bool
) -> None:
    rows = 6 * labels
    texts = tuple(f"a {FOOD[i % 12]} of the {CITY[i // 12 % 12]} {i % labels}" for i in range(rows))
    split = Split(texts, np.arange(rows) % labels)
    dataset = Dataset("x", tuple(map(str, range(labels))), split, None, "0")
    (tmp_path / "w.vec").write_text("apple 1 2\npear 1 3\n")
    job = TrainingJob("x.csv", tmp_path / "m.safetensors", features="ngrams", labels=labels)
    job = replace(job, validation_share=0.0, vocabulary={"pretrained_vectors": tmp_path / "w.vec"})
    prepared = prepare(dataset, VocabularyOptions(900, pieces=True), validation_share=0)
    monkeypatch.setattr(reading, limit, rows + more)
    knowing: list[bool] = []
    said: list[str] = []

    def known(*_: object) -> reading.Reading:
        knowing.append(True)
        return reading.Reading(job, prepared)

    monkeypatch.setattr(reading, "_knowing", known)
    reading.best_reading(job, job.base, dataset, prepared, True, said.append)
    assert bool(knowing) == asked
    assert any("learn without pretrained-vectors" in line for line in said) == (not asked)


VECTORS = """5 3
Hafen 1 0.5 -2
der 0.1 0.1 0.1
hafen 9 9 9
外卖 1 2 3
x7 1 2 3
"""


@pytest.mark.parametrize("name", ["w.vec", "w.vec.gz", "glove.txt"])
def test_a_file_of_vectors(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = VECTORS if name != "glove.txt" else VECTORS.partition("\n")[2]
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    known = read_vectors(path)
    assert known.words == ("hafen", "der")
    assert known.table[0] == pytest.approx([1, 0.5, -2])
    assert known.read(["der", "boot"]) == [[1], []]
    monkeypatch.setattr("edge_lstm_export.pretrained.MOST_WORDS", 1)
    assert read_vectors(path).words == ("hafen",)


@pytest.mark.parametrize(
    "content, said",
    [
        (b"", "has no vector of a word"),
        (b"2 3\n", "has no vector of a word"),
        (b"7 1 2 3\n", "has no vector of a word"),
        (b"2 3\nhafen 1 2 3\nboot 1 2\n", "line 3, is not a word and 3 numbers"),
        (b"hafen 1 2 3\nboot 1 2 3 4 x\n", "line 2, is not a word and its numbers"),
        (b"hafen\n", "line 1, is not a word and its numbers"),
        (b"text,label\nhello,pos\n", "line 1, is not a word and its numbers"),
        (b"hafen 1 nan 3\n", "line 1: a number is not finite"),
        (b"hafen 1 1e99 3\n", "line 1: a number is not finite"),
        (b"\xff\xfe\x00bin", "line 1, is not UTF-8 text"),
        (b"\x1f\x8b\x08cut", "line 1, is not UTF-8 text"),
    ],
)
def test_another_file_is_refused_in_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "w.vec"
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        read_vectors(path)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_vectors_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    cut = gzip.compress(b"x 1 2" * 99)[:-9]
    for path, content in ((tmp_path / "a.gz", b"no gzip"), (tmp_path / "b.gz", cut)):
        path.write_bytes(content)
        with pytest.raises(DataError, match="cannot be read"):
            read_vectors(path)
    with pytest.raises(DataError, match="no word vectors at"):
        read_vectors(tmp_path / "none.vec")


def nonsense(word: str) -> str:
    """In letters of no language."""
    return word.translate(str.maketrans("abcdefghijklmnopqrstuvwxyz", "бвгджзклмнпрстфхцчшщъыьэюя"))


def test_a_file_of_vectors_teaches_another_language(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = [
        f"{nonsense(word)} {' '.join(f'{x:.3f}' for x in (side + 0.3 * rng.normal(size=8)))}"
        for side, words in ((np.eye(8)[0], FOOD), (np.eye(8)[1], CITY))
        for word in words
    ]
    (tmp_path / "w.vec").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name, words in (("few", slice(24)), ("test", slice(24, None))):
        csv(tmp_path / f"{name}.csv", [[*map(nonsense, FOOD[words])], [*map(nonsense, CITY[words])]])
    arguments = [str(tmp_path / "few.csv"), "--test", str(tmp_path / "test.csv")]
    given = ["--set", f"pretrained-vectors={tmp_path / 'w.vec'}", "-o", str(tmp_path / "m.safetensors")]
    found = CliRunner().invoke(app, ["train", *arguments, *given])
    assert found.exit_code == 0, found.output
    assert "pretrained word vectors: learnt from too" in found.output
    training = load_checkpoint(tmp_path / "m.safetensors").training
    assert training["test"]["accuracy"] > 0.8
    assert len(training["vocabulary"]["pretrained_vectors_sha256"]) == 64
    more = csv(tmp_path / "more.csv", [[nonsense("strawberry")], [nonsense("geneva")]])
    gone_on = ["--from", str(tmp_path / "m.safetensors"), "--replay", str(tmp_path / "few.csv")]
    found = CliRunner().invoke(app, ["train", str(more), *gone_on, "-o", str(tmp_path / "n.safetensors")])
    assert found.exit_code == 0, found.output
    assert (
        "note: what the first training learnt from its pretrained-vectors is not learnt again" in found.output
    )


@pytest.mark.parametrize(
    "more, said",
    [
        (["--teacher", "nb-svm"], "leave them out, or --teacher nb-svm"),
        (["--set", "pretrained=no"], "leave out one of the two"),
        (["--set", "features=pairs"], "are for n-grams"),
        (["--set", "pieces=no"], "leave them out, or pieces=no"),
        (["--preset", "auto", "--budget-kb", "300"], "name a preset"),
    ],
)
def test_vectors_that_nothing_would_read_are_refused(tmp_path: Path, more: list[str], said: str) -> None:
    few = csv(tmp_path / "few.csv", [FOOD, CITY])
    (tmp_path / "w.vec").write_text("apple 1 2\n")
    given = ["--set", f"pretrained-vectors={tmp_path / 'w.vec'}", "-o", str(tmp_path / "m.safetensors")]
    found = CliRunner().invoke(app, ["train", str(few), *given, *more])
    assert isinstance(found.exception, DataError) and said in str(found.exception)
    assert not (tmp_path / "m.safetensors").exists()
    lost = ["--set", f"pretrained-vectors={tmp_path / 'lost.vec'}", "-o", str(tmp_path / "m.safetensors")]
    found = CliRunner().invoke(app, ["train", str(few), *lost])
    assert isinstance(found.exception, DataError) and "no word vectors at" in str(found.exception)


def test_a_budget_that_a_preset_was_chosen_by_is_kept(tmp_path: Path) -> None:
    few = csv(tmp_path / "few.csv", [FOOD, CITY])
    arguments = ["train", str(few), "-o", str(tmp_path / "m.safetensors"), "--preset", "auto"]
    found = CliRunner().invoke(app, [*arguments, "--budget-kb", "80"])
    assert found.exit_code == 0, found.output
    assert "pretrained word vectors" not in found.output
    said = ["export", str(tmp_path / "m.safetensors"), "-o", str(tmp_path / "m.onnx"), "--quantize", "int8"]
    assert CliRunner().invoke(app, said).exit_code == 0
    assert (tmp_path / "m.onnx").stat().st_size < 80_000


def test_a_linear_teacher_of_a_log_knows_what_words_mean(tmp_path: Path) -> None:
    few = csv(tmp_path / "few.csv", [FOOD[:24], CITY[:24]])
    (tmp_path / "log.txt").write_text("".join(f"it was {word} once more\n" for word in [*FOOD, *CITY]))
    arguments = ["train", str(few), "--unlabelled", str(tmp_path / "log.txt")]
    accuracies = []
    for more in ([], ["--set", "pretrained=no"]):
        found = CliRunner().invoke(app, [*arguments, "-o", str(tmp_path / "m.safetensors"), *more])
        assert found.exit_code == 0, found.output
        assert ("pretrained word vectors: learnt from too" in found.output) == (not more)
        training = load_checkpoint(tmp_path / "m.safetensors").training
        accuracies.append(training["distillation"]["linear_accuracy"])
    assert accuracies[0] > accuracies[1] + 0.1


def test_some_of_the_ngrams_are_read_as_they_were() -> None:
    full, taught, meanings = a_vocabulary()
    texts = ["the wave", "harbour wave the wave", "till basket", "the basket till"] * 2
    examples = Examples.from_texts(full, texts, np.zeros((8, 2), np.float32))
    features = learn_features(choose_ngrams(examples, 60, full.num_ids), full, meanings, taught)
    every = np.arange(len(features.keys))
    same = features.subset(every).with_meanings(1.0).matrix(examples)
    assert (same != features.with_meanings(1.0).matrix(examples)).nnz == 0
    assert features.subset(every[:-1]).matrix(examples).shape[1] == features.matrix(examples).shape[1] - 1


def test_what_does_not_help_is_left_out(tmp_path: Path) -> None:
    mixed = [[*FOOD[::2], *CITY[::2]], [*FOOD[1::2], *CITY[1::2]]]
    few = csv(tmp_path / "few.csv", mixed)
    files = []
    for more in ([], ["--set", "pretrained=no"]):
        found = CliRunner().invoke(app, ["train", str(few), "-o", str(tmp_path / "m.safetensors"), *more])
        assert found.exit_code == 0, found.output
        assert ("pretrained word vectors: left out, no surer of the labels" in found.output) == (not more)
        files.append(load_checkpoint(tmp_path / "m.safetensors"))
    assert files[0].tokenizer == files[1].tokenizer
    assert all(
        (files[0].network.state_dict()[k] == v).all() for k, v in files[1].network.state_dict().items()
    )
