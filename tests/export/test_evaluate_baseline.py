"""evaluate --baseline: the linear SVM that a model is compared with."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import table, unescaped
from edge_lstm_export.options import LinearOptions
from edge_lstm_export.train.baseline import TOKEN, linear_svm
from scipy.stats import binomtest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline, make_union
from sklearn.svm import LinearSVC

from edge_lstm import Classifier, DataError
from edge_lstm.cli import run
from edge_lstm.errors import MissingPackageError
from edge_lstm.evaluation import files
from edge_lstm.extras import EXTRAS

GOOD = ["wonderful", "excellent", "superb", "a joy", "great fun", "moving"]
BAD = ["dull", "awful", "boring", "a waste of time", "terrible", "too long"]


def rows(seed: int, n: int) -> list[tuple[str, str]]:
    """Short reviews; a fifth of the labels is wrong."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(n):
        good = bool(rng.integers(2))
        words = rng.choice(GOOD if good else BAD, 2)
        label = good if rng.random() < 0.8 else not good
        made.append((f"It was {words[0]} and {words[1]}.", "pos" if label else "neg"))
    return made


def write(
    path: str, data: list[tuple[str, str]], header: tuple[str, ...] = ("text", "label")
) -> None:
    with Path(path).open("w", newline="") as file:
        csv.writer(file).writerows([header, *data])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write("train.csv", rows(1, 120))
    write("test.csv", rows(2, 80))


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    run(["evaluate", *arguments, "--json"])
    return json.loads(capsys.readouterr().out)


def test_the_baseline_is_scikit_learns_on_the_same_rows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    baseline = as_json(capsys, "test.csv", "--baseline", "train.csv")["baseline"]
    words = TfidfVectorizer(ngram_range=(1, 2), token_pattern=TOKEN, sublinear_tf=True)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
    svm = make_pipeline(make_union(words, characters), LinearSVC(C=0.5))
    texts, truth = map(list, zip(*rows(2, 80)))
    svm.fit(*map(list, zip(*rows(1, 120))))
    right = svm.predict(texts) == np.array(truth)
    assert baseline["accuracy"] == right.mean()
    own = np.array([answer.label for answer in Classifier.load().predict(texts)])
    ours = own == np.array(truth)
    (test,) = baseline["tests"]
    only_svm = (right & ~ours).sum()
    only_model = (ours & ~right).sum()
    assert (test["only_first_right"], test["only_second_right"]) == (only_svm, only_model)
    expected = binomtest(only_svm, only_svm + only_model).pvalue
    assert test["exact_p"] == pytest.approx(expected)


def test_its_size_is_that_of_its_ngrams_and_its_numbers() -> None:
    texts = ["ab ab", "cd"]
    labels = np.array([[True, False], [False, True]])
    _, size = linear_svm(texts, labels, texts, False, LinearOptions())
    ngrams = ["ab", "cd", "ab ab"]
    for word in (" ab ", " cd "):  # within words, with a space on either side
        for n in (2, 3, 4, 5):
            ngrams += {word[i : i + n] for i in range(len(word) - n + 1)}
    assert size == sum(len(n) + 1 for n in ngrams) + 4 * (len(ngrams) + 1)


def test_with_several_labels_it_has_an_svm_for_each() -> None:
    texts = ["red cat", "red dog", "blue cat", "blue dog", "a stone"] * 3
    labels = np.array([["red" in text, "cat" in text] for text in texts])
    given, _ = linear_svm(texts, labels, [*texts, "stone"], True, LinearOptions())
    assert given.tolist() == [*labels.tolist(), [False, False]]


def test_the_page_and_the_text_show_both_and_the_p_value(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(["evaluate", "test.csv", "--baseline", "train.csv", "--report", "r.html"])
    out = capsys.readouterr().out
    assert any(line.startswith("linear SVM on TF-IDF") for line in out.splitlines())
    said = "McNemar's exact test against it"
    assert (
        said in " ".join(out.split()) and "McNemar&#x27;s exact test" in Path("r.html").read_text()
    )


def test_texts_in_both_files_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    write("train.csv", [("Seen before!", "pos"), ("Bad film", "neg")])
    write("test.csv", [("seen BEFORE", "pos"), ("", "neg"), ("new", "pos")])
    assert as_json(capsys, "test.csv", "--baseline", "train.csv")["baseline"]["shared"] == 1


def test_each_question_has_its_own_baseline(capsys: pytest.CaptureFixture[str]) -> None:
    write("train.csv", [(t, y) for t, y in rows(1, 60)], ("text", "team"))
    write("test.csv", [(t, y) for t, y in rows(2, 20)], ("text", "team"))
    model = ["-m", f"team={Classifier.load().model.path}"]
    values = as_json(capsys, *model, "test.csv", "--baseline", "train.csv")
    assert values["team"]["baseline"]["training_texts"] == 60


def test_a_folder_with_splits_gives_its_training_split(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for split, word in (("train", "seen"), ("test", "unseen")):
        for label in ("neg", "pos"):
            place = Path("folder") / split / label
            place.mkdir(parents=True)
            (place / "1.txt").write_text(f"{word} {label}")
    baseline = as_json(capsys, "folder", "--baseline", "folder")["baseline"]
    assert (baseline["training_texts"], baseline["shared"]) == (2, 0)


UNFIT = r"""
text,label\na,good\nb,bad\n | train.csv has the labels bad, good, the model has
text,label\n | train.csv
text,label\n ,pos\n  ,neg\n | blank texts only
"""


@pytest.mark.parametrize(("content", "said"), table(UNFIT))
def test_training_texts_that_do_not_fit_are_one_line(content: str, said: str) -> None:
    Path("train.csv").write_bytes(unescaped(content))
    with pytest.raises(DataError, match=said):
        run(["evaluate", "test.csv", "--baseline", "train.csv"])


def test_training_texts_that_are_not_there_are_one_line() -> None:
    with pytest.raises(DataError, match=r"no such file: none\.csv"):
        run(["evaluate", "test.csv", "--baseline", "none.csv"])


def test_the_report_may_not_replace_the_training_texts() -> None:
    with pytest.raises(DataError, match=r"train\.csv"):
        run(["evaluate", "test.csv", "--baseline", "train.csv", "--report", "train.csv"])


def test_a_label_of_one_side_only_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    write("train.csv", [("a film", "pos"), ("b film", "pos")])
    baseline = as_json(capsys, "test.csv", "--baseline", "train.csv")["baseline"]
    assert baseline["accuracy"] == np.mean([label == "pos" for _, label in rows(2, 80)])


def test_without_its_extra_the_option_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(EXTRAS, "train", ("no_such_package",))
    monkeypatch.setattr(files, "Classifier", None)  # refused before the work
    with pytest.raises(MissingPackageError, match="--baseline needs no_such_package; run: "):
        run(["evaluate", "test.csv", "--baseline", "train.csv"])
