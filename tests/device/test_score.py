"""Scoring files: a row out for each row in, whole, in order, the same however the work is
divided."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import rows
from hypothesis import given, settings
from hypothesis import strategies as st
from table_files import read_rows, write_jsonl

from edge_lstm import (
    Classifier,
    DataError,
    EdgeLSTMError,
    RunOptions,
    ScoreOptions,
    score_files,
)

PARQUET = pytest.param("out.parquet", marks=pytest.mark.needs("pyarrow"))
TEXTS = ["A wonderful film.", "Dull, and far too long!", "", "好 的", 'He said "no"\nand left.']


def names() -> list[str]:
    """What is in the working folder."""
    return sorted(path.name for path in Path().iterdir())


def csv_file(name: str, texts: Iterable[str]) -> str:
    """A file of reviews (.csv, .tsv) → its name."""
    with Path(name).open("w", newline="") as file:
        writer = csv.writer(
            file, lineterminator="\n", delimiter="\t" if name.endswith("tsv") else ","
        )
        writer.writerow(["id", "text", "when", "stars"])
        writer.writerows([i, text, "2024-01-05", "4.50"] for i, text in enumerate(texts))
    return name


def test_every_row_comes_back_as_it_was_with_the_answer_of_the_classifier(
    classifier: Classifier,
) -> None:
    summary = score_files(csv_file("in.csv", TEXTS), "out.csv")
    assert read_rows("out.csv") == [
        {
            "id": str(i),
            "text": text,
            "when": "2024-01-05",
            "stars": "4.50",
            "label": answer.label,
            "probability": str(np.float32(answer.probability)),
            "status": answer.status,
            "error": "",
        }
        for i, (text, answer) in enumerate(zip(TEXTS, classifier.predict(TEXTS)))
    ]
    assert summary.rows == len(TEXTS)
    assert summary.statuses == {"ok": 3, "empty": 1, "unknown_words": 1}
    assert names() == ["in.csv", "out.csv"]


# --- The model that nobody chose ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    rows(
        r"""
        in.csv | Category,text\n,no label\nbilling,a\nrefund,b\n
        in.jsonl | {"labels": ["billing"], "text": "a"}\n{"labels": ["refund"], "text": "b"}\n
        """
    ),
)
def test_texts_with_other_labels_than_the_embedded_models_need_a_model(
    name: str, content: str
) -> None:
    Path(name).write_text(content)
    with pytest.raises(DataError, match=f"{name} has the labels billing, refund, and .* -m sent"):
        score_files(name, "out.csv")
    assert names() == [name]
    for model in ("sentiment", Classifier.load(), Classifier.load("sentiment").model.path):
        assert score_files(name, "out.csv", model=model).model == "the embedded sentiment model"


@pytest.mark.parametrize(("label", "texts"), [("", 5), ("pos", 5), ("neg", 1), ("imported", 5)])
def test_a_column_without_other_labels_needs_none(label: str, texts: int) -> None:
    Path("in.csv").write_text("label,text\n" + f"{label},fine\n" * texts + f"{label},bad\n")
    assert score_files("in.csv", "out.csv").rows == texts + 1


def test_a_file_that_is_called_as_the_embedded_model_is_that_file() -> None:
    assert Classifier.load("sentiment").labels == ("neg", "pos")
    Path("sentiment").write_text("no model")
    with pytest.raises(EdgeLSTMError, match=r"^sentiment is"):
        Classifier.load("sentiment")


# --- Rows in, rows out ----------------------------------------------------------------------------


def test_the_values_of_an_input_row_stand_unchanged_in_the_output() -> None:
    odd = b'\xef\xbb\xbfid;review;"x"\r\n007;"a ""b""";1.50\r\n 8 ;plain;"quo;ted"\r\n'
    odd += b'9;c;"\xe9\xff"\r\n'
    Path("in.csv").write_bytes(odd)
    score_files("in.csv", "out.csv")
    written = Path("out.csv").read_bytes()
    assert written.startswith(b"\xef\xbb\xbfid;review;x;label;probability;status;error\r\n")

    def rows(data: bytes) -> list[list[str]]:
        text = data.decode("utf-8-sig", "surrogateescape")
        return [row[:3] for row in csv.reader(text.splitlines(), delimiter=";")]

    assert rows(written) == rows(odd)


def make_input(kind: str, texts: list[str]) -> str:
    """A file of a format, or a folder → its name."""
    name = f"in.{kind}"
    if kind == "txt":
        Path(name).write_text("".join(text + "\n" for text in texts))
    elif kind == "jsonl":
        write_jsonl(name, texts)
    elif kind == "parquet":
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.table({"text": texts}), name)
    elif kind == "folder":
        Path(name).mkdir()
        for i, text in enumerate(texts):
            Path(name, f"{i}.txt").write_text(text)
    else:
        csv_file(name, texts)
    return name


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("folder", "csv"),
        ("txt", "tsv"),
        ("csv", "jsonl"),
        ("tsv", "csv.gz"),
        pytest.param("jsonl", "parquet", marks=pytest.mark.needs("pyarrow")),
        pytest.param("parquet", "jsonl", marks=pytest.mark.needs("pyarrow")),
    ],
)
def test_each_format_is_read_and_written_with_the_same_answers(
    source: str, target: str, classifier: Classifier
) -> None:
    texts = [text.replace("\n", " ") for text in TEXTS]
    out = f"out.{target}"
    score_files(make_input(source, texts), out)
    for text, answer, row in zip(texts, classifier.predict(texts), read_rows(out), strict=True):
        assert (row["text"] or "", row["label"]) == (text, answer.label)
        assert float(row["probability"]) == pytest.approx(answer.probability, rel=1e-7)


@pytest.mark.parametrize(
    ("target", "runs"),
    [
        (
            "out.csv",
            [
                {},
                {"workers": 1, "chunk_rows": 7},
                {"workers": 2, "chunk_rows": 20},
            ],
        ),
        # The members of a gzip file are the chunks.
        ("out.jsonl.gz", [{"workers": workers, "chunk_rows": 20} for workers in (1, 3)]),
    ],
)
def test_however_the_work_is_divided_the_bytes_are_the_same(
    target: str, runs: list[dict[str, Any]]
) -> None:
    source = csv_file("in.csv", (f"{text} {i}" for i in range(20) for text in TEXTS))
    outputs = set()
    for run in runs:
        score_files(source, target, run=RunOptions(**run))
        outputs.add(Path(target).read_bytes())
    assert len(outputs) == 1


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(st.text(max_size=6), st.text(max_size=6) | st.integers() | st.none()), min_size=1
    ),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from([(", ", ": "), (",", ":"), (" ,", " :")]),
)
def test_a_row_is_written_as_it_stands_in_its_file_with_the_answer_behind(
    classifier: Classifier, table: list[tuple[str, Any]], quoting: Any, spaces: tuple[str, str]
) -> None:
    lines = [
        json.dumps({"text": text, "n": n}, ensure_ascii=False, separators=spaces)
        for text, n in table
    ]
    header, *rows = (csv_row(row, quoting) for row in [("text", "n"), *table])
    Path("in.jsonl").write_text("\n".join(lines), "utf-8", newline="\n")
    Path("in.csv").write_text("".join([header, *rows]), "utf-8", newline="")
    own = {"jsonl": [line[:-1] for line in lines], "csv": [row[:-2] for row in rows]}
    for suffix, end in (("jsonl", "\n"), ("csv", "\r\n")):
        score_files(f"in.{suffix}", f"out.{suffix}", model=classifier)
        output = Path(f"out.{suffix}").read_bytes().decode()
        place = output.index(end) + len(end) if suffix == "csv" else 0
        for row in own[suffix]:
            assert output.startswith(row, place)
            place = output.index(end, place + len(row)) + len(end)
        assert place == len(output)


def csv_row(row: tuple[Any, ...], quoting: Any) -> str:
    """A row of CSV with its end."""
    written = io.StringIO(newline="")
    # Python 3.10 writes no NUL.
    without = [cell.replace("\0", "\ue000") if isinstance(cell, str) else cell for cell in row]
    csv.writer(written, quoting=quoting).writerow(without)
    return written.getvalue().replace("\ue000", "\0")


def test_a_row_without_usable_text_is_kept_with_the_reason() -> None:
    Path("in.jsonl").write_bytes(
        b'{"text": "fine", "n": 1.0e2}\n{"text": null, "n": 2}\nbroken\n'
        b'{"text": "\xff"}\n{"n": 7}\n'
        b'{"text": "wonderful", "label": "mine"}\n'
    )
    summary = score_files("in.jsonl", "out.jsonl")
    assert Path("out.jsonl").read_text().startswith('{"text": "fine", "n": 1.0e2, ')
    _, null, broken, encoded, missing, last = read_rows("out.jsonl")
    assert null["edge_lstm_error"] == "the text is null"
    assert (broken["raw"], missing["n"]) == ("broken", 7)
    assert "�" in encoded["raw"]
    assert summary.errors == 4
    assert [problem.row for problem in summary.first_errors] == [2, 3, 4, 5]
    # The last row shows that the input has a 'label' of its own: the added columns stand beside it.
    assert (last["label"], last["edge_lstm_status"]) == ("mine", "ok")


def test_ragged_rows_keep_their_fields_and_the_columns_stay_in_line() -> None:
    Path("in.csv").write_text('id,text,x\n1,fine,a\n2\n3,many,a,b,"c,d"\n\n4,fine,"never closed\n')
    summary = score_files("in.csv", "out.csv")
    rows = read_rows("out.csv")
    assert [row["id"] for row in rows] == ["1", "2", "3", "4"]
    assert rows[2]["x"] == "a,b,c,d"
    assert [bool(row["error"]) for row in rows] == [False, True, True, True]
    assert all(None not in row and None not in row.values() for row in rows)
    assert summary.errors == 3


ADDED = ["label", "probability", "label_2", "p_2", "status", "error"]


@pytest.mark.parametrize("target", ["out.csv", "out.txt", PARQUET])
def test_the_next_best_labels_have_columns_of_their_own(
    classifier: Classifier, target: str
) -> None:
    write_jsonl("in.jsonl", [*TEXTS, 5])
    score_files("in.jsonl", target, options=ScoreOptions(top=2))
    if target == "out.txt":
        lines = Path(target).read_text().splitlines()
        found: list[dict[str, Any]] = [dict(zip(ADDED, line.split("\t"))) for line in lines]
    else:
        found = read_rows(target)
        assert list(found[0]) == ["text", *ADDED]
    for row, prediction in zip(found, classifier.predict(TEXTS)):
        (first, p), (second, q) = prediction.top(2)
        assert (row["label"], row["label_2"]) == (first, second)
        assert [float(row["probability"]), float(row["p_2"])] == pytest.approx([p, q], rel=1e-6)
    error = found[-1]
    assert (error["status"], error["label_2"] or "", error["p_2"] or "") == ("error", "", "")


class Killed(BaseException):
    """As if the process were gone here."""


def interrupt(
    scoring: Callable[..., object], /, *arguments: object, after: int, **options: object
) -> None:
    """Runs until ``after`` blocks are done and written down."""
    seen = 0

    def kill(progress: object) -> None:
        nonlocal seen
        seen += 1
        if seen > after:
            raise Killed

    with pytest.raises(Killed):
        scoring(*arguments, on_progress=kill, **options)


RUN = RunOptions(workers=1, chunk_rows=4, checkpoint_seconds=0)
RESUMED = replace(RUN, resume=True)


@pytest.mark.parametrize("target", ["out.csv", "out.jsonl.gz", PARQUET])
@pytest.mark.parametrize("after", [0, 3])
def test_a_resumed_run_gives_the_file_of_an_uninterrupted_one(target: str, after: int) -> None:
    source = csv_file("in.csv", TEXTS * 4)
    score_files(source, target, run=RUN)
    whole = Path(target).read_bytes()
    Path(target).unlink()
    interrupt(score_files, source, target, after=after, run=RUN)
    assert not Path(target).exists()
    if after:
        with pytest.raises(DataError, match="has an unfinished run; continue with --resume"):
            score_files(source, target, run=RUN)
    else:
        assert names() == ["in.csv"], "nothing is kept, and so nothing is left"
    summary = score_files(source, target, run=RESUMED)
    assert Path(target).read_bytes() == whole
    assert (summary.rows, summary.resumed_at) == (len(TEXTS) * 4, after * 4)
    assert names() == ["in.csv", target]


def test_resume_refuses_another_run_and_says_what_is_different() -> None:
    source = csv_file("in.csv", TEXTS * 4)
    interrupt(score_files, source, "out.csv", after=2, run=RUN)
    with pytest.raises(DataError, match=r"threshold was 0.0 and is 0.5"):
        score_files(source, "out.csv", run=RESUMED, options=ScoreOptions(threshold=0.5))
    with Path(source).open("a") as file:
        file.write("99,more,2024-01-06,1.0\n")
    with pytest.raises(DataError, match=r"the input .*in.csv was \[\d+, \d+\] and is \["):
        score_files(source, "out.csv", run=RESUMED)
    with pytest.raises(DataError, match=r"the list of inputs was \[.*in.csv'\] and is \["):
        score_files(csv_file("b.csv", TEXTS), "out.csv", run=RESUMED)


def test_an_output_that_is_a_loop_of_links_is_replaced_by_the_file() -> None:
    Path("a.csv").symlink_to("b.csv")
    Path("b.csv").symlink_to("a.csv")
    score_files(csv_file("in.csv", TEXTS), "a.csv")
    assert len(read_rows("a.csv")) == len(TEXTS)
