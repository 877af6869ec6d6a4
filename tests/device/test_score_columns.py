"""What is written: chosen columns, compressed files."""

from __future__ import annotations

import csv
import gzip
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import finished
from model_files import SMALL
from table_files import read_rows, write_jsonl, zstd
from test_score import names

from edge_lstm import (
    Classifier,
    DataError,
    ReadOptions,
    RunOptions,
    ScoreOptions,
    score_files,
)

ROWS = [
    {"id": "a", "text": "A wonderful film.", "n": 1},
    {"id": "b", "text": None, "n": 2},
    {"id": "c", "text": "Dull é 漢🎉", "n": 3},
]


@pytest.fixture
def source() -> Path:
    path = Path("in.jsonl")
    write_jsonl(path, ROWS)
    return path


# --- Columns --------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_a_column_of_an_answers_name_that_is_left_out_stands_in_nobodys_way(
    suffix: str, classifier: Classifier
) -> None:
    labelled = [{"id": i, "text": "A wonderful film.", "label": "mine"} for i in range(3)]
    write_jsonl("in.jsonl", labelled)
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    options = ScoreOptions(only_columns=("id", "edge_lstm_label"))
    summary = score_files("in.jsonl", f"out.{suffix}", model=classifier, options=options)
    assert (summary.errors, summary.labels) == (0, {"pos": 3})


@pytest.mark.parametrize(
    ("only", "columns"),
    [
        (("id", "label"), ["id", "label"]),
        (("probability", "n", "id"), ["n", "id", "probability"]),
        (("status",), ["status"]),
        (("text",), ["text"]),
    ],
)
def test_only_the_columns_that_are_named_are_written(
    source: Path, classifier: Classifier, only: Any, columns: Any
) -> None:
    score_files(source, "all.jsonl", model=classifier)
    for name in ("out.jsonl", "out.csv"):
        score_files(source, name, model=classifier, options=ScoreOptions(only_columns=only))
    expected = [{name: row[name] for name in columns} for row in read_rows("all.jsonl")]
    found = read_rows("out.jsonl")
    assert [list(row.items()) for row in found] == [list(row.items()) for row in expected]
    with Path("out.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == columns
    assert [row[0] for row in rows] == [str(row[columns[0]] or "") for row in expected]


@pytest.mark.parametrize("source", ["in.csv", "in.jsonl", "in.txt"])
def test_an_empty_cell_alone_in_its_line_is_quoted_for_many_readers_skip_an_empty_line(
    source: str, classifier: Classifier
) -> None:
    content = {
        "in.csv": 'text\n""\ngood\n\nbad\n',
        "in.jsonl": '{"text": ""}\n{"text": "good"}\n\n{"text": null}\n{"text": "bad"}\n',
        "in.txt": "\ngood\n\nbad\n",
    }
    Path(source).write_text(content[source])
    for options in (ScoreOptions(only_columns=("text",)), ScoreOptions(only_columns=("error",))):
        summary = score_files(source, "out.csv", model=classifier, options=options)
        assert (summary.rows, summary.errors) == (4, int(source == "in.jsonl"))
        header, *lines = Path("out.csv").read_text().splitlines()
        assert (header,) == options.only_columns
        if header == "text":
            assert lines == ['""', "good", '""', "bad"]
        else:
            assert [line == '""' for line in lines] == [True] * 2 + [source != "in.jsonl", True]
    unsure = ScoreOptions(only_columns=("label",), threshold=1)
    score_files(source, "out.csv", model=classifier, options=unsure)
    assert Path("out.csv").read_text().splitlines() == ["label", *['""'] * 4]
    assert len(read_rows("out.csv")) == 4


NUMBERED = ["text", "n", "n_2", "n_3", "n_4"]


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_columns_of_one_name_stay_in_csv_and_get_numbers_elsewhere(
    suffix: str, classifier: Classifier
) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    Path("in.csv").write_text("text,n,n_2,n,n\ngood,a,b,c,d\n")
    score_files("in.csv", f"out.{suffix}", model=classifier)
    if suffix == "csv":
        assert Path("out.csv").read_text().startswith("text,n,n_2,n,n,label,")
        options = ScoreOptions(only_columns=("n", "label"))
        with pytest.raises(DataError, match="the output has two columns 'n'; its columns are"):
            score_files("in.csv", "out.csv", model=classifier, options=options)
        return
    (row,) = read_rows(f"out.{suffix}")
    assert list(row)[:5] == NUMBERED and list(row.values())[:5] == ["good", "a", "b", "c", "d"]
    options = ScoreOptions(only_columns=("n_3", "label"))
    score_files("in.csv", f"out.{suffix}", model=classifier, options=options)
    assert read_rows(f"out.{suffix}") == [{"n_3": "c", "label": "pos"}]


def test_texts_of_one_name_are_told_apart_by_their_number(classifier: Classifier) -> None:
    Path("in.csv").write_text("text,text,1\nwonderful,awful,dull\n")
    for number, label in (("2", "neg"), ("3", "neg")):
        score_files("in.csv", "o.csv", model=classifier, reading=ReadOptions(number))
        assert read_rows("o.csv")[0]["label"] == label
    score_files("in.csv", "o.csv", model=classifier, reading=ReadOptions("1"))
    assert read_rows("o.csv")[0]["label"] == "neg", "a name comes before a number"
    Path("in.csv").write_text("text,text\nwonderful,awful\n")
    score_files("in.csv", "o.csv", model=classifier, reading=ReadOptions("1"))
    assert read_rows("o.csv")[0]["label"] == "pos"


@pytest.mark.parametrize(
    ("options", "more"),
    [
        (ScoreOptions(), []),
        (ScoreOptions(top=2), ["label_2", "p_2"]),
        (ScoreOptions(all_probabilities=True), ["probability_neg", "probability_pos"]),
    ],
)
def test_the_columns_of_an_answer_stand_in_this_order(
    source: Path, classifier: Classifier, options: ScoreOptions, more: list[str]
) -> None:
    summary = score_files(source, "out.csv", model=classifier, options=options)
    added = ("label", "probability", *more, "status", "error")
    assert tuple(read_rows("out.csv")[0]) == ("id", "text", "n", *added)
    assert summary.added_columns == added
    good, _, last = read_rows("out.csv")
    for row, text in ((good, "A wonderful film."), (last, "Dull é 漢🎉")):
        (answer,) = classifier.predict([text])
        for name in added:
            if name.startswith("probability_"):
                likely = answer.probabilities[name.removeprefix("probability_")]
                assert row[name] == str(np.float32(likely))


# --- zstd -----------------------------------------------------------------------------------------


needs_zstd = pytest.mark.needs("zstandard")


def texts(path: str | Path) -> list[str | None]:
    """The texts that score reads in a file."""
    score_files(path, "again.jsonl", model=SMALL)
    return [row["text"] for row in read_rows("again.jsonl")]


@pytest.mark.parametrize("suffix", [".gz", pytest.param(".zst", marks=needs_zstd)])
def test_a_compressed_output_is_the_plain_one(
    source: Path, classifier: Classifier, suffix: str
) -> None:
    run = RunOptions(workers=1, chunk_rows=2)
    score_files(source, "plain.jsonl", model=classifier, run=run)
    path = Path(f"out.jsonl{suffix}")
    score_files(source, path, model=classifier, run=run)
    data = path.read_bytes()
    assert texts(path) == [row["text"] for row in ROWS]
    if suffix == ".gz":
        assert gzip.decompress(data) == Path("plain.jsonl").read_bytes()
    score_files(source, path, model=classifier, run=run)
    assert path.read_bytes() == data


@needs_zstd
def test_many_frames_are_one_file() -> None:
    lines = [f"{i} {'word ' * (i % 50)}\n".encode() for i in range(3_000)]
    frames = [zstd(b"".join(lines[i : i + 7])) for i in range(0, len(lines), 7)]
    frames.insert(5, b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc")  # a frame that is to be skipped
    frames.insert(9, zstd(b""))
    Path("in.TXT.ZST").write_bytes(b"".join(frames))
    assert [f"{text}\n".encode() for text in texts("in.TXT.ZST")] == lines


@needs_zstd
@pytest.mark.skipif(sys.platform != "linux", reason="the memory is read as on Linux")
def test_a_small_file_that_becomes_large_takes_little_memory() -> None:
    path = Path("in.txt.zst")
    frames = (b"good\n", b"x" * 300 * 2**20, b"\ngood\n")
    path.write_bytes(b"".join(zstd(frame) for frame in frames))
    code = "import sys, edge_lstm.tables as t\n"
    code += "rows = [row.error for row in t.open_inputs([sys.argv[1]]).rows()]\n"
    code += "print(rows, open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    run = finished([sys.executable, "-c", code, path])
    assert "314,572,801 bytes, more than 16 MiB" in run.stdout, run.stderr
    assert int(run.stdout.split()[-1]) < 200 * 2**10


@needs_zstd
@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (lambda data: data[: len(data) * 3 // 4], "is cut short: its compressed data ends too ear"),
        (lambda data: data[:-1], "is cut short"),
        (lambda data: data + b"more", "is damaged or has a wrong suffix"),
        (lambda data: data[:40] + b"\xff\xff\xff" + data[43:], "is damaged or has a wrong suffix"),
        (lambda data: b"text\n" * 20, "is damaged or has a wrong suffix"),
        (zstd, r"is compressed \(zstd\), and its suffix"),
    ],
)
def test_a_damaged_frame_is_one_line(classifier: Classifier, damage: Any, error: str) -> None:
    lines = "".join(f"good {i * 7919 % 1000}\n" for i in range(500)).encode()
    Path("in.txt.zst").write_bytes(damage(zstd(lines) * 2))
    with pytest.raises(DataError, match=error):
        score_files("in.txt.zst", "out.csv", model=classifier)
    assert names() == ["in.txt.zst"]


@needs_zstd
def test_zstd_by_another_name_is_refused() -> None:
    Path("in.csv").write_bytes(zstd(b"text\ngood\n"))
    with pytest.raises(DataError, match=r"compressed \(zstd\), and its suffix"):
        texts("in.csv")


def test_columns_that_cannot_be_are_one_line(source: Path, classifier: Classifier) -> None:
    options = ScoreOptions(only_columns=("id", "x"))
    with pytest.raises(DataError, match="the output has no column 'x'; its columns are 'id'"):
        score_files(source, "out.csv", model=classifier, options=options)
    Path("in.csv").write_text("text,label,edge_lstm_label\ngood,a,b\n")
    with pytest.raises(DataError, match="already has a column 'edge_lstm_label'; rename it"):
        score_files("in.csv", "out.csv", model=classifier)
    assert names() == ["in.csv", "in.jsonl"]
