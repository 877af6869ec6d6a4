"""Learning from a teacher: honest soft labels, kept and reused; words that tell labels apart."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from edge_lstm_export import distillation
from edge_lstm_export.teacher import TeacherOptions, blend_weights, blended, soft_labels
from edge_lstm_export.teacher.nbsvm import cross_fitted_scores, ngram_matrix, stratified_folds
from edge_lstm_export.vocabulary import most_informative
from safetensors import safe_open
from safetensors.numpy import save_file

from edge_lstm.cli import run
from edge_lstm.errors import DataError

QUICK = TeacherOptions(min_texts=1)


def made_texts(count: int, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Texts of three labels: one telling word among common ones."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    common = [f"filler{i}" for i in range(20)]
    telling = (["apple", "pear"], ["iron", "steel"], ["river", "lake"])
    texts = []
    for label in labels:
        words = [*rng.choice(common, 8), str(rng.choice(telling[label])), str(rng.choice(telling[label]))]
        texts.append(" ".join(rng.permutation(words)))
    return texts, labels


def write_texts(folder: Path) -> tuple[Path, Path]:
    """120 labelled texts, and 30 without a label."""
    data, further = folder / "data.txt", folder / "more.txt"
    data.write_text("".join(f"__label__{'abc'[y]} {t}\n" for t, y in zip(*made_texts(120))))
    further.write_text("\n".join(made_texts(30, seed=1)[0]))
    return data, further


def test_the_matrix_holds_each_ngram_once_and_no_ngram_across_texts() -> None:
    x = ngram_matrix(["a b a b", "b", ""], min_texts=1)
    # a, b; a b, b a; a b a, b a b
    assert x.shape == (3, 6)
    assert x.sum(axis=1).ravel().tolist() == [[6, 1, 0]]
    assert set(x.data.tolist()) == {1.0}
    assert ngram_matrix(["a b", "a c"], min_texts=2).shape == (2, 1)
    assert ngram_matrix([""], min_texts=1).shape == (1, 0)


def test_a_text_is_never_scored_by_a_model_that_saw_it() -> None:
    fold = stratified_folds(np.array([0, 1] * 10), 5, np.random.default_rng(0))
    x = np.eye(23, dtype=np.float32)  # row i has a feature of its own: a model that saw it gives it 1

    class Saw:
        def __init__(self, rows: np.ndarray) -> None:
            self.rows = rows

        def scores(self, x: np.ndarray) -> np.ndarray:
            return x[:, self.rows].sum(axis=1, keepdims=True)

    scores = cross_fitted_scores(Saw, x, fold)  # type: ignore[arg-type]
    assert not scores.any()


def test_a_teacher_labels_texts_it_has_not_seen() -> None:
    texts, labels = made_texts(120)
    further, wanted = made_texts(30, seed=1)
    found = soft_labels(texts, labels, further, 3, QUICK)
    assert found.labelled.shape == (120, 3)
    assert np.allclose(found.unlabelled.sum(axis=1), 1, atol=1e-5)
    assert (found.unlabelled.argmax(axis=1) == wanted).mean() > 0.9
    assert found.report["cross_fitted_accuracy"] > 0.9
    again = soft_labels(texts, labels, further, 3, QUICK)
    assert np.array_equal(again.unlabelled, found.unlabelled)


@pytest.mark.parametrize("in_order", [False, True])
def test_random_labels_do_not_leak_into_their_own_soft_labels(in_order: bool) -> None:
    texts, _ = made_texts(600)
    labels = np.random.default_rng(5).integers(0, 2, 600)
    if in_order:  # as files of one label lie side by side
        labels = np.sort(labels)
    found = soft_labels(texts, labels, [], 2, QUICK)
    # A teacher fitted without folds gets 100 %.
    assert (found.labelled.argmax(axis=1) == labels).mean() < 0.6


def test_too_few_texts_are_a_clear_error() -> None:
    with pytest.raises(DataError, match="at least 10 training texts, and one of each label"):
        soft_labels(["a", "b", "c"], np.array([0, 0, 1]), [], 2, QUICK)


def test_a_label_of_one_text_does_not_keep_the_teacher_from_the_others() -> None:
    texts, labels = made_texts(120)
    kept = [i for i in range(120) if labels[i] != 2] + [2]
    found = soft_labels([texts[i] for i in kept], labels[kept], [], 3, QUICK)
    assert np.isfinite(found.labelled).all()
    assert found.report["cross_fitted_accuracy"] > 0.9


def test_telling_words_come_before_frequent_ones() -> None:
    texts, labels = made_texts(90)
    assert set(most_informative(texts, labels.tolist(), 3, 4 + 6)) == {
        "apple",
        "pear",
        "iron",
        "steel",
        "river",
        "lake",
    }


def test_a_frequent_word_that_tells_little_comes_after_a_rare_one_that_tells_much() -> None:
    """By its certainty alone (2.2 and 1.7 standard errors) "often" would come first."""
    texts = ["often rare"] * 6 + ["often"] * 1094 + ["-"] * 900 + ["often"] * 1000 + ["-"] * 1000
    labels = [1] * 2000 + [0] * 2000
    assert most_informative(texts, labels, 2, 4 + 2) == ("rare", "often")


def test_train_with_a_teacher_keeps_its_labels_for_the_next_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, further = write_texts(tmp_path)
    output = tmp_path / "model.safetensors"
    command = ["train", str(data), "-o", str(output), "--teacher", "nb-svm", "--unlabelled", str(further)]
    command += ["--hidden", "6", "--embedding", "4", "--epochs", "1", "--threads", "1", "--json"]
    run(command)
    provenance = json.loads(capsys.readouterr().out)
    assert provenance["distillation"]["unlabelled_texts"] == 30
    kept = tmp_path / "model.soft-labels.safetensors"
    assert kept.is_file()
    run(command)
    assert "soft labels from" in capsys.readouterr().err
    with pytest.raises(DataError, match="add --teacher nb-svm"):
        run(["train", str(data), "-o", str(output), "--preset", "seed", "--unlabelled", str(further)])
    with pytest.raises(DataError, match="no teacher 'oracle'"):
        run(["train", str(data), "-o", str(output), "--teacher", "oracle"])


def test_kept_labels_of_another_teacher_or_damaged_ones_are_made_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, _ = write_texts(tmp_path)
    output, kept = tmp_path / "model.safetensors", tmp_path / "model.soft-labels.safetensors"
    command = ["train", str(data), "-o", str(output), "--teacher", "nb-svm", "--epochs", "1"]

    def reused() -> bool:
        run(command)
        return "soft labels from" in capsys.readouterr().err

    assert [reused(), reused()] == [False, True]
    monkeypatch.setattr(distillation, "TEACHER_VERSION", -1)
    assert [reused(), reused()] == [False, True]
    with safe_open(kept, framework="np") as file:
        metadata = file.metadata()
        labels = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    save_file({name: np.full_like(part, 65_535) for name, part in labels.items()}, kept, metadata)
    assert [reused(), reused()] == [False, True]  # of three labels two have all of the probability
    save_file({name: part.astype(np.float32) for name, part in labels.items()}, kept, metadata)
    assert [reused(), reused()] == [False, True]
    save_file({name: part[1:] for name, part in labels.items()}, kept, metadata)
    assert not reused()


def test_a_model_file_helps_to_label_unlabelled_texts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, further = write_texts(tmp_path)
    first, model, second = (tmp_path / name for name in ("a.safetensors", "a.onnx", "b.safetensors"))
    train = ["train", str(data), "--preset", "tiny", "--unlabelled", str(further), "--epochs", "1", "--json"]
    run([*train, "-o", str(first)])
    assert json.loads(capsys.readouterr().out)["distillation"]["models_sha256"] == []
    run(["export", str(first), "-o", str(model)])
    capsys.readouterr()
    run([*train, "-o", str(second), "--teacher-model", str(model)])
    provenance = json.loads(capsys.readouterr().out)
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    assert provenance["distillation"]["models_sha256"] == [digest]
    assert second.read_bytes() != first.read_bytes()
    taught_once = second.read_bytes()
    run([*train, "-o", str(second), "--teacher-model", str(model), "--teacher-model", str(model)])
    provenance = json.loads(capsys.readouterr().out)
    assert provenance["distillation"]["models_sha256"] == [digest, digest]
    assert second.read_bytes() != taught_once

    alone = ["train", str(data), "-o", str(second), "--preset", "tiny", "--teacher-model", str(model)]
    with pytest.raises(DataError, match="add --unlabelled"):
        run(alone)
    two = tmp_path / "two.txt"
    two.write_text("".join(f"__label__{'ab'[y % 2]} {t}\n" for t, y in zip(*made_texts(120))))
    with pytest.raises(DataError, match="the data have a, b; give a --teacher-model with these labels"):
        run(["train", str(two), *train[2:], "-o", str(second), "--teacher-model", str(model)])


def test_teachers_meet_in_the_middle_of_their_logits() -> None:
    some = np.array([[0.9, 0.1], [1.0, 0.0]], np.float32)
    others = np.array([[0.1, 0.9], [0.5, 0.5]], np.float32)
    both = blended([some, others], [0.5, 0.5])
    np.testing.assert_allclose(both[0], 0.5, atol=1e-6)
    assert 0.9 < both[1, 0] < 1
    np.testing.assert_allclose(both.sum(axis=1), 1, rtol=1e-6)
    thirds = blended([some, others, others], [1 / 3] * 3)
    assert thirds[0, 0] == pytest.approx(1 / (1 + 9 ** (1 / 3)))


def test_a_teacher_that_knows_nothing_counts_for_nothing() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    right = np.where(rng.random(400) < 0.9, labels, 1 - labels)
    good = np.eye(2, dtype=np.float32)[right] * 0.8 + 0.1
    chance = np.eye(2, dtype=np.float32)[rng.integers(0, 2, 400)] * 0.8 + 0.1
    much, little = blend_weights([good, chance], labels)
    assert much == pytest.approx(1, abs=0.15)
    assert little < 0.1
    assert blend_weights([good, chance], labels[:0]) == [0.5, 0.5]


def test_a_few_texts_are_trained_without_the_presets_teacher(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, output = tmp_path / "data.txt", tmp_path / "model.safetensors"
    data.write_text("".join(f"__label__{'abc'[y]} {t}\n" for t, y in zip(*made_texts(9))))
    train = ["train", str(data), "-o", str(output), "--preset", "tiny", "--epochs", "1"]
    train += ["--features", "pairs"]
    run([*train, "--json"])
    said = capsys.readouterr()
    assert json.loads(said.out)["distillation"] is None
    assert "too few texts for the preset's teacher" in said.err
    with pytest.raises(DataError, match="a teacher needs at least 10 training texts"):
        run([*train, "--teacher", "nb-svm"])
