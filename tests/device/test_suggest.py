"""Which texts to label next: unsure ones, different ones, and no labelled one."""

import csv
import errno
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from edge_lstm import suggest as module
from edge_lstm.classifier import Classifier
from edge_lstm.cli import run
from edge_lstm.errors import DataError, OutputError
from edge_lstm.modelfile import embedded_model
from edge_lstm.suggest import suggest, write_suggestions


def model(sure: dict[str, float]) -> Classifier:
    """Answers a text with the probability of yes that is given for its first word, else 0.99."""

    def probabilities(texts: Sequence[str]) -> Any:
        yes = np.array([sure.get(text.split()[0], 0.99) for text in texts], np.float32)
        return np.stack([1 - yes, yes], axis=1)

    return cast(Classifier, SimpleNamespace(labels=("no", "yes"), probabilities=probabilities))


def test_the_least_sure_texts_come_first_with_the_models_guess() -> None:
    texts = ["clear as day", "doubtful case", "maybe tomorrow", "obvious thing"]
    found = suggest(model({"doubtful": 0.5, "maybe": 0.3}), texts, 2)
    assert [(row.text, row.label) for row in found.rows] == [
        ("doubtful case", "no"),
        ("maybe tomorrow", "no"),
    ]
    assert (found.texts, found.judged) == (4, 4)


def test_no_two_say_the_same_and_none_is_labelled() -> None:
    texts = [f"doubtful whether the parcel number {i} has arrived" for i in range(30)]
    texts += ["doubtful about the invoice", "clear", "Doubtful about the invoice!", "labelled one already"]
    answers = model({"doubtful": 0.5, "labelled": 0.5})
    found = suggest(answers, texts, 20, labelled=["Labelled one, already"])
    chosen = [row.text for row in found.rows]
    assert sum("parcel" in text for text in chosen) == 1
    assert sum("invoice" in text for text in chosen) == 1
    assert not any("already" in text for text in chosen)
    assert len(chosen) == 3


def test_each_kind_of_unsure_text_is_asked_for_once_before_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    places = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "haven", "inlet", "jetty"]
    texts = [f"doubtful parcel lost on its way to {place}" for place in places]
    texts += [f"doubtful invoice charged twice by {place}" for place in places]
    monkeypatch.setattr(module, "NEAR_COPY", 0.99)
    two = [row.text.split()[1] for row in suggest(model({"doubtful": 0.5}), texts, 2).rows]
    assert sorted(two) == ["invoice", "parcel"]
    monkeypatch.setattr(module, "MOST_CLUSTERS", 2)
    all_of_them = [row.text for row in suggest(model({"doubtful": 0.5}), texts, 100).rows]
    assert sorted(all_of_them) == sorted(texts)


def test_neither_the_order_nor_the_number_of_texts_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POOL", 10)
    texts = [f"{chr(97 + i) * 5} {i}" for i in range(26)]
    answers = model({})
    one, other = suggest(answers, texts, 5), suggest(answers, texts[::-1], 5)
    assert one == other
    assert (one.texts, one.judged) == (26, 10)


@pytest.mark.parametrize(
    ("texts", "said"),
    [([], "no text to choose from"), ([" ", ""], "no text"), (["seen"], "labelled already")],
)
def test_nothing_to_choose_from_is_one_line(texts: list[str], said: str) -> None:
    with pytest.raises(DataError, match=said):
        suggest(model({}), texts, 3, labelled=["seen"])


def test_texts_of_any_script_are_written_whole(tmp_path: Path) -> None:
    texts = ["好吃", 'a "quoted", text\nof two lines', "half \ud800 a character"]
    write_suggestions(suggest(model({}), texts, 3), tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["text"] for row in rows} == {*texts[:2], "half ? a character"}


def test_labels_that_a_person_corrected_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = suggest(model({"doubtful": 0.5}), ["doubtful case", "clear"], 2)
    output = tmp_path / "out.csv"
    assert write_suggestions(found, output) is None
    assert write_suggestions(found, output) is None  # the same again: nobody has touched it
    guesses = output.read_text()
    for number, corrected in enumerate(("text,label\ndoubtful case,yes\n", "text,label\n"), 1):
        output.write_text(corrected)
        assert write_suggestions(found, output) == tmp_path / f"out.{number}.csv"
        assert output.read_text() == guesses
        assert (tmp_path / f"out.{number}.csv").read_text() == corrected
    assert {path.name for path in tmp_path.iterdir()} == {"out.csv", "out.1.csv", "out.2.csv"}

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    output.write_text("mine")
    monkeypatch.setattr(module.shutil, "copyfileobj", full)
    with pytest.raises(OutputError, match=r"no space left for .*out\.3\.csv"):
        write_suggestions(found, output)
    assert output.read_text() == "mine" and not (tmp_path / "out.3.csv").exists()


def test_runs_at_the_same_moment_keep_a_copy_each(tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    output.write_text("mine")
    with ThreadPoolExecutor(8) as pool:
        kept = [*pool.map(lambda _: module._keep_earlier(output, b"guesses"), range(24))]
    assert len(set(kept)) == 24
    assert all(copy is not None and copy.read_text() == "mine" for copy in kept)
    assert len([*tmp_path.iterdir()]) == 25


def test_the_command_says_where_the_earlier_file_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, output = tmp_path / "log.txt", tmp_path / "to_label.csv"
    log.write_text("It might be good.\nIt might be bad, too.\n")
    output.write_text("text,label\nmine,neg\n")
    command = ["suggest", str(embedded_model()), str(log), "-n", "1", "-o", str(output)]
    assert run(command) == 0
    assert "may hold labels of yours: kept as to_label.1.csv" in capsys.readouterr().out
    assert (tmp_path / "to_label.1.csv").read_text() == "text,label\nmine,neg\n"
    assert run(command) == 0
    assert "kept as" not in capsys.readouterr().out


def test_the_command_reads_a_log_and_writes_what_train_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, out = tmp_path / "log.txt", tmp_path / "to_label.csv"
    log.write_text("a wonderful film\nthe worst of all\nneither good nor bad\nA wonderful film.\n\n")
    run(["suggest", str(embedded_model()), str(log), "-n", "2", "-o", str(out)])
    assert "2 of 3 different texts" in capsys.readouterr().out
    rows = list(csv.DictReader(out.open(encoding="utf-8")))
    assert len(rows) == 2
    assert {row["label"] for row in rows} <= {"pos", "neg"}
