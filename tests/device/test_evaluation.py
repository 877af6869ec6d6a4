"""evaluate: models × labelled texts → figures that are right, comparisons, and errors that help."""

from __future__ import annotations

import io
import json
import math
import subprocess
import sys
import tarfile
from dataclasses import replace
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_lstm import Classifier, DataError, MissingPackageError, OutputError
from edge_lstm.charts import confusion_chart, coverage, coverage_chart, reliability_chart
from edge_lstm.evaluation.evaluate import ModelResult, compare, evaluate, parse_label_map
from edge_lstm.evaluation.report import length_bins, report, write_report
from edge_lstm.evaluation.sources import load_labelled
from edge_lstm.modelfile import open_model

DRAWS = pytest.mark.skipif(find_spec("matplotlib") is None, reason="drawing needs edge-lstm[report]")
MODEL = open_model()
TEXTS = ["A wonderful film.", "Dull, dull, dull.", "", "好", "bad " * 700, "<b>great</b> & odd"]
LABELS = ["pos", "neg", "pos", "neg", "neg", "pos"]


def result(right: list[bool], name: str = "m.onnx") -> ModelResult:
    """Answers to texts whose true label is 0, right or wrong as given."""
    probabilities = np.array([[0.9, 0.1] if r else [0.2, 0.8] for r in right], dtype=np.float32)
    return ModelResult(
        name=name,
        path=name,
        sha256="0" * 64,
        precision="fp32",
        bytes=1000,
        labels=("a", "b"),
        truth=np.zeros(len(right), np.int64),
        probabilities=probabilities,
    )


def test_the_figures_are_those_of_the_answers_of_the_classifier() -> None:
    found = evaluate([MODEL], TEXTS, LABELS, data="x.csv")
    (model,) = found.models
    answers = Classifier.load().predict(TEXTS)
    assert model.accuracy == sum(a.label == label for a, label in zip(answers, LABELS)) / len(TEXTS)
    assert model.log_loss == pytest.approx(
        -np.mean([math.log(a.probabilities[label]) for a, label in zip(answers, LABELS)]), rel=1e-5
    )
    assert model.confusion.sum() == len(TEXTS)
    assert found.statuses == {"ok": 3, "empty": 1, "unknown_words": 1, "truncated": 1}


def test_models_are_compared_with_the_first_text_by_text() -> None:
    first, second = result([True] * 7 + [False] * 3), result([True] * 6 + [False, True, True, True])
    comparison = compare(first, second)
    assert (comparison.test.only_first_right, comparison.test.only_second_right) == (1, 3)
    assert comparison.difference == pytest.approx(0.2)
    assert comparison.interval.low < 0.2 < comparison.interval.high
    assert comparison.other_label == 4
    assert comparison.largest_change == pytest.approx(0.7)


def test_a_model_against_itself_differs_in_nothing() -> None:
    found = evaluate([MODEL, MODEL], TEXTS, LABELS)
    (comparison,) = found.comparisons
    assert (comparison.difference, comparison.other_label, comparison.largest_change) == (0, 0, 0)
    assert comparison.test.mid_p == 1


def test_columns_follow_the_labels_whatever_their_order_in_the_file() -> None:
    turned = replace(MODEL, labels=MODEL.labels[::-1])  # as if the file named its columns the other way
    straight, other = evaluate([MODEL, turned], TEXTS, LABELS).models
    assert other.labels == straight.labels
    assert (other.probabilities == straight.probabilities[:, ::-1]).all()


def test_progress_reports_every_text_of_every_model() -> None:
    seen: list[int] = []
    evaluate([MODEL, MODEL], ["good"] * 1500, ["pos"] * 1500, progress=seen.append)
    assert sum(seen) == 3000 and len(seen) == 4


def test_labels_that_the_model_does_not_know_are_listed_with_the_models_own() -> None:
    with pytest.raises(DataError, match=r"labels 0, 1, the model has neg, pos.*--label-map 0=LABEL,1=LABEL"):
        evaluate([MODEL], ["a", "b"], ["0", "1"], data="x.csv")


def test_a_label_map_says_what_the_datas_labels_mean() -> None:
    mapped = evaluate(
        [MODEL],
        TEXTS,
        ["1" if x == "pos" else "0" for x in LABELS],
        label_map=parse_label_map("0=neg, 1=pos"),
    )
    assert mapped.models[0].accuracy == evaluate([MODEL], TEXTS, LABELS).models[0].accuracy


@pytest.mark.parametrize("text", ["", "0", "0=", "=neg", "0=neg,0=pos", "0=neg,,"])
def test_a_label_map_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="0=neg,1=pos"):
        parse_label_map(text)


@pytest.mark.parametrize(("label_map", "names"), [({"0": "good"}, "neg, pos"), ({"2": "neg"}, "0, 1")])
def test_a_label_map_of_labels_that_do_not_exist_is_refused(label_map: dict[str, str], names: str) -> None:
    with pytest.raises(DataError, match=names):
        evaluate([MODEL], ["a", "b"], ["0", "1"], label_map=label_map)


def test_models_of_different_labels_are_not_put_side_by_side() -> None:
    with pytest.raises(DataError, match="one by one"):
        evaluate([MODEL, replace(MODEL, labels=("x", "y"))], TEXTS, LABELS)


def test_no_text_at_all_is_an_error() -> None:
    with pytest.raises(DataError, match=r"x\.csv holds no labelled text"):
        evaluate([MODEL], [], [], data="x.csv")


class Page(HTMLParser):
    """Collects a page's text, what it refers to, and whether its elements are closed in order."""

    VOID = frozenset({"meta", "br"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.tags: set[str] = set()
        self.references: list[str] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs) -> None:
        self.tags.add(tag)
        self.references += [
            str(value)
            for name, value in attrs
            if name in ("src", "href", "xlink:href", "style") and "url" in f"{value}"
        ]
        self.references += [str(value) for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


STEERS = "red \x1b[31m and \x9b31m turned \u202eround"


@pytest.fixture(scope="module")
def page() -> Page:
    pytest.importorskip("matplotlib", reason="drawing needs edge-lstm[report]")
    hostile = ["</span><script>alert(1)</script>", "lone \ud800 surrogate", "zero \0 byte", STEERS, *TEXTS]
    # All wrong, so that the page shows every one of them.
    other = {"pos": "neg", "neg": "pos"}
    labels = [other[answer.label] for answer in Classifier.load().predict(hostile)]
    return Page(report(evaluate([MODEL, MODEL], hostile, labels, data="<x>.csv")))


def test_the_report_is_one_page_that_loads_and_runs_nothing(page: Page) -> None:
    assert not page.open and not page.references
    assert not {"script", "link", "img", "iframe"} & page.tags
    assert "svg" in page.tags and "</span><script>alert(1)</script>" in page.text


def test_the_report_shows_what_would_steer_a_screen_as_escapes(page: Page) -> None:
    assert not {"\x1b", "\x9b", "\u202e", "\0"} & set(page.text)
    assert r"red \x1b[31m and \x9b31m turned \u202eround" in page.text


def test_the_report_shows_every_part(page: Page) -> None:
    for part in (
        "on <x>.csv",
        "95 % interval",
        "Accuracy by text length",
        "calibration error",
        "mistakes of",
    ):
        assert part in page.text


@DRAWS
def test_the_report_shows_the_texts_on_which_models_disagree() -> None:
    found = evaluate([MODEL, MODEL], TEXTS, LABELS)
    second = replace(found.models[1], probabilities=found.models[1].probabilities[:, ::-1])
    changed = replace(
        found, models=(found.models[0], second), comparisons=(compare(found.models[0], second),)
    )
    shown = Page(report(changed)).text
    assert f"{len(TEXTS)} texts to which they give another label" in shown and "(empty)" in shown


@DRAWS
def test_the_report_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    found = evaluate([MODEL], [*TEXTS, "lone \ud800"], [*LABELS, "neg"])
    write_report(found, tmp_path / "r.html")
    assert (tmp_path / "r.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    with pytest.raises(OutputError, match="cannot write"):
        write_report(found, tmp_path / "missing" / "r.html")
    assert [p.name for p in tmp_path.iterdir()] == ["r.html"]


def test_every_text_is_in_one_bin_of_lengths() -> None:
    found = evaluate([MODEL], TEXTS, LABELS)
    bins = length_bins(found)
    assert sum(b.count for b in bins) == len(TEXTS)
    assert [b.name for b in bins] == ["0", "1 to 9", "600 to 999"]


@DRAWS
@pytest.mark.parametrize("labels", [2, 3, 7, 16])
def test_charts_draw_any_number_of_labels(labels: int) -> None:
    names = [f"label number {i} <&>" for i in range(labels)]
    chart = Page(confusion_chart(np.eye(labels, dtype=np.int64) * 9, names))
    assert not chart.open and "share" not in chart.text
    rows = np.full((5, labels), 1 / labels, dtype=np.float32)
    truth = np.zeros(5, np.int64)
    model = replace(result([True]), labels=tuple(names), truth=truth, probabilities=rows)
    assert not Page(reliability_chart(model.bins, labels)).open


@DRAWS
@pytest.mark.parametrize("n", [1, 3, 1000])
def test_the_surest_answers_come_first_and_all_answers_last(n: int) -> None:
    confidence = np.linspace(1, 0.5, n, dtype=np.float32)
    right = np.arange(n) < n // 2  # the surer half
    shuffled = np.random.default_rng(0).permutation(n)
    shares, accuracy = coverage(confidence[shuffled], right[shuffled])
    assert (shares[-1], accuracy[-1]) == (1.0, right.mean())
    assert (np.diff(shares) > 0).all()
    if n == 1000:
        assert (shares[0], accuracy[0]) == (0.02, 1.0)
    assert not Page(coverage_chart(confidence, right)).open


def run(*arguments: str, cwd: Path, stdin: Any = subprocess.DEVNULL) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge_lstm", "evaluate", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, stdin=stdin)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    lines = [json.dumps({"text": text, "label": label}) for text, label in zip(TEXTS, LABELS)]
    (tmp_path / "x.jsonl").write_text("\n".join(lines))
    for split in ("train", "test"):
        for label in ("neg", "pos"):
            (tmp_path / "folder" / split / label).mkdir(parents=True)
            (tmp_path / "folder" / split / label / "1.txt").write_text(f"{split} {label}")
    return tmp_path


@DRAWS
def test_the_command_prints_a_table_that_fits_a_terminal(data: Path) -> None:
    done = run("--data", "x.jsonl", "--report", "r.html", cwd=data)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("6 texts of x.jsonl (1 empty, 3 ok, 1 truncated, 1 unknown_words)\n")
    assert max(map(len, done.stdout.splitlines())) < 80 and not done.stderr
    assert (data / "r.html").exists()


def test_the_confusion_matrix_is_printed_where_it_fits(data: Path) -> None:
    from edge_lstm.cli.evaluate import confusion_table
    from edge_lstm.cli.tables import WIDTH, width_of

    lines = run("--data", "x.jsonl", cwd=data).stdout.splitlines()
    matrix = evaluate([MODEL], TEXTS, LABELS).models[0].confusion
    head = next(i for i, line in enumerate(lines) if line.split() == ["true", "label", "neg", "pos"])
    assert [line.split() for line in lines[head + 1 : head + 3]] == [
        [label, *map(str, row)] for label, row in zip(MODEL.labels, matrix)
    ]
    many = tuple(f"label number {i}" for i in range(20))
    assert width_of(*confusion_table(replace(result([True]), labels=many))) > WIDTH


def test_the_command_answers_in_json(data: Path) -> None:
    answer = json.loads(run("--data", "x.jsonl", "--json", cwd=data).stdout)
    found = evaluate([MODEL], TEXTS, LABELS)
    assert answer["models"][0]["accuracy"] == found.models[0].accuracy
    assert answer["models"][0]["sha256"] == MODEL.sha256()


def test_standard_input_and_odd_suffixes_are_read_by_their_format(data: Path) -> None:
    wanted = run("--data", "x.jsonl", "--json", cwd=data).stdout
    (data / "x.log").write_bytes((data / "x.jsonl").read_bytes())
    assert run("--data", "x.log", "--input-format", "jsonl", "--json", cwd=data).stdout == wanted.replace(
        "x.jsonl", "x.log"
    )
    with (data / "x.jsonl").open("rb") as file:
        done = run("--data", "-", "--input-format", "jsonl", "--json", cwd=data, stdin=file)
    assert done.stdout == wanted.replace("x.jsonl", "-")


def test_the_download_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)  # as if it were not installed
    monkeypatch.delenv("EDGE_LSTM_DATA", raising=False)
    with pytest.raises(MissingPackageError, match=r"download of imdb needs pooch.*edge-lstm\[train\]"):
        load_labelled("imdb")


def test_archives_of_reviews_are_read_on_a_device_too(tmp_path: Path) -> None:
    path = tmp_path / "reviews.tar"
    with tarfile.open(path, "w") as archive:
        for part in ("train", "test"):
            for label in ("neg", "pos"):
                member = tarfile.TarInfo(f"{part}/{label}/0_1.txt")
                member.size = 4
                archive.addfile(member, io.BytesIO(f"{label}!".encode()))
    assert load_labelled(str(path)).names == ["neg", "pos"]


def test_a_folder_with_parts_is_read_by_its_part(data: Path) -> None:
    by_part = run("--data", "folder", "--split", "train", "--json", cwd=data)
    assert json.loads(by_part.stdout)["texts"] == 2
    assert json.loads(run("--data", "folder/test", "--json", cwd=data).stdout)["texts"] == 2
