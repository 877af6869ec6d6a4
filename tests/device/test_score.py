"""Scoring files: a row out for each row in, whole, in order, the same however the work is
divided."""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_lstm import Classifier, DataError, RunOptions, ScoreOptions, score, score_files
from edge_lstm.errors import EdgeLSTMError
from edge_lstm.tables import ReadOptions, open_inputs

TEXTS = ["A wonderful film.", "Dull, and far too long!", "", "好 的", 'He said "no"\nand left.']


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier.load()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def csv_file(path: Path, texts: Iterable[str]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "review", "when", "stars"])
        writer.writerows([i, text, "2024-01-05", "4.50"] for i, text in enumerate(texts))
    return path


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_row_comes_back_as_it_was_with_the_answer_of_the_classifier(
    tmp_path: Path, classifier: Classifier
) -> None:
    source = csv_file(tmp_path / "in.csv", TEXTS)
    summary = score_files(source, tmp_path / "out.csv", run=RunOptions(workers=1))
    rows = read_csv(tmp_path / "out.csv")
    expected = classifier.predict(TEXTS)
    assert [row["label"] for row in rows] == [p.label for p in expected]
    assert [row["status"] for row in rows] == [p.status for p in expected]
    assert [float(row["probability"]) for row in rows] == pytest.approx(
        [p.probability for p in expected], rel=1e-7
    )
    ids = [(row["id"], row["review"], row["when"], row["stars"]) for row in rows]
    assert ids == [(str(i), text, "2024-01-05", "4.50") for i, text in enumerate(TEXTS)]
    assert summary.rows == summary.written == len(TEXTS)
    assert summary.statuses == {"ok": 3, "empty": 1, "unknown_words": 1}
    assert names(tmp_path) == ["in.csv", "out.csv"]


# --- The model that nobody chose ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["label", "Category", "labels"])
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_texts_with_other_labels_than_the_embedded_models_need_a_model(
    tmp_path: Path, name: str, form: str
) -> None:
    source = tmp_path / f"in.{form}"
    target = tmp_path / f"out.{form}"
    rows = [("", "no label"), ("billing", "a"), ("refund", "b")]
    if form == "csv":
        source.write_text("".join(f"{label},{text}\n" for label, text in ((name, "text"), *rows)))
    else:
        source.write_text("".join(json.dumps({name: [x], "text": text}) + "\n" for x, text in rows))
    with pytest.raises(
        DataError, match=r"in\.\w+ has the labels billing, refund, and .* -m sentiment"
    ):
        score_files(source, target)
    assert names(tmp_path) == [source.name]
    for model in ("sentiment", Classifier.load(), Classifier.load("sentiment").model.path):
        assert score_files(source, target, model=model).model == "the embedded sentiment model"


@pytest.mark.parametrize(
    ("label", "texts"),
    [("", 5), ("pos", 5), ("neg", 1), ("imported", 5)],
)
def test_a_column_without_other_labels_needs_none(tmp_path: Path, label: str, texts: int) -> None:
    (tmp_path / "in.csv").write_text("label,text\n" + f"{label},fine\n" * texts + f"{label},bad\n")
    assert score_files(tmp_path / "in.csv", tmp_path / "out.csv").rows == texts + 1


def test_a_file_that_is_called_as_the_embedded_model_is_that_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Classifier.load("sentiment").labels == ("neg", "pos")
    Path("sentiment").write_text("no model")
    with pytest.raises(EdgeLSTMError, match=r"^sentiment is"):
        Classifier.load("sentiment")


# --- Rows in, rows out ----------------------------------------------------------------------------


def test_the_values_of_an_input_row_stand_unchanged_in_the_output(tmp_path: Path) -> None:
    odd = b'\xef\xbb\xbfid;review;"x"\r\n007;"a ""b""";1.50\r\n 8 ;plain;"quo;ted"\r\n'
    odd += b'9;c;"\xe9\xff"\r\n'
    (tmp_path / "in.csv").write_bytes(odd)
    score_files(tmp_path / "in.csv", tmp_path / "out.csv", run=RunOptions(workers=1))
    written = (tmp_path / "out.csv").read_bytes()
    assert written.startswith(b"\xef\xbb\xbfid;review;x;label;probability;status;error\r\n")

    def rows(data: bytes) -> list[list[str]]:
        text = data.decode("utf-8-sig", "surrogateescape")
        return [row[:3] for row in csv.reader(text.splitlines(), delimiter=";")]

    assert rows(written) == rows(odd)


@pytest.mark.parametrize("source", ["text", "csv", "tsv", "jsonl", "parquet", "folder"])
@pytest.mark.parametrize("target", ["csv", "tsv", "jsonl", "parquet", "csv.gz"])
def test_any_format_to_any_other_gives_the_same_answers(
    tmp_path: Path, source: str, target: str, classifier: Classifier
) -> None:
    if "parquet" in (source, target):
        pytest.importorskip("pyarrow")
    texts = [text.replace("\n", " ") for text in TEXTS]
    given_ = make_input(tmp_path, source, texts)
    out = tmp_path / f"out.{target}"
    score_files(given_, out, run=RunOptions(workers=1))
    back = list(open_inputs([out], options=ReadOptions(text_column="text")).rows())
    assert [row.values["text"] or "" for row in back] == texts
    answers = [(row.values["label"], float(row.values["probability"])) for row in back]
    expected = [(p.label, p.probability) for p in classifier.predict(texts)]
    assert [label for label, _ in answers] == [label for label, _ in expected]
    assert [p for _, p in answers] == pytest.approx([p for _, p in expected], rel=1e-7)


def make_input(folder: Path, kind: str, texts: list[str]) -> Path:
    path = folder / f"in.{kind}"
    if kind == "text":
        path = folder / "in.txt"
        path.write_text("".join(text + "\n" for text in texts))
    elif kind in ("csv", "tsv"):
        with path.open("w", newline="") as file:
            csv.writer(file, delimiter="," if kind == "csv" else "\t").writerows(
                [["text", "id"], *[[text, "1"] for text in texts]]
            )
    elif kind == "jsonl":
        path.write_text("".join(json.dumps({"id": 1.50, "text": text}) + "\n" for text in texts))
    elif kind == "folder":
        path.mkdir()
        for i, text in enumerate(texts):
            (path / f"{i}.txt").write_text(text)
    else:
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.table({"text": texts, "id": [1.5] * len(texts)}), path)
    return path


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.text(st.sampled_from('good bad,"\n film é'), max_size=40), min_size=1, max_size=30),
    st.integers(1, 40),
    st.integers(1, 9),
)
def test_window_and_batch_size_change_no_bit(texts: list[str], rows: int, batch_size: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = csv_file(folder / "in.csv", texts)
        score_files(source, folder / "one.csv", run=RunOptions(workers=1))
        other = RunOptions(workers=1, chunk_rows=rows, batch_size=batch_size)
        score_files(source, folder / "other.csv", run=other)
        assert (folder / "one.csv").read_bytes() == (folder / "other.csv").read_bytes()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.text(max_size=6), st.text(max_size=6) | st.integers() | st.none()), min_size=1
    )
)
def test_rows_that_are_copied_come_out_as_rows_that_are_read(rows: list[tuple[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        written: dict[str, set[bytes]] = {"csv": set(), "jsonl": set()}
        for quoting, spaces in ((csv.QUOTE_MINIMAL, (", ", ": ")), (csv.QUOTE_ALL, (",", ":"))):
            lines = [
                json.dumps({"text": t, "n": n}, ensure_ascii=False, separators=spaces)
                for t, n in rows
            ]
            Path(name, "in.jsonl").write_text("\n".join(lines), "utf-8", newline="\n")
            with Path(name, "in.csv").open("w", encoding="utf-8", newline="") as file:
                csv.writer(file, quoting=quoting).writerows([("text", "n"), *rows])
            for suffix, outputs in written.items():
                score_files(Path(name, f"in.{suffix}"), Path(name, f"out.{suffix}"))
                outputs.add(Path(name, f"out.{suffix}").read_bytes())
        assert [len(outputs) for outputs in written.values()] == [1, 1]


@pytest.mark.parametrize("target", ["out.csv", "out.jsonl.gz"])
def test_the_number_of_workers_changes_no_byte(tmp_path: Path, target: str) -> None:
    source = csv_file(tmp_path / "in.csv", (f"{text} {i}" for i in range(200) for text in TEXTS))
    outputs = []
    for workers in (1, 2, 3):
        score_files(source, tmp_path / target, run=RunOptions(workers=workers, chunk_rows=50))
        outputs.append((tmp_path / target).read_bytes())
    assert outputs[0] == outputs[1] == outputs[2]


def test_a_row_without_usable_text_is_kept_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes(
        b'{"text": "fine", "n": 1.0e2}\n{"text": null, "n": 2}\nbroken\n'
        b'{"text": "\xff"}\n{"n": 7}\n'
        b'{"text": "wonderful", "label": "mine"}\n'
    )
    summary = score_files(tmp_path / "in.jsonl", tmp_path / "out.jsonl", run=RunOptions(workers=1))
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 6
    assert lines[0].startswith('{"text": "fine", "n": 1.0e2, ')
    assert rows[1]["edge_lstm_error"] == "the text is null"
    assert rows[2]["raw"] == "broken"
    assert "�" in rows[3]["raw"]
    assert rows[4]["n"] == 7
    assert summary.errors == 4
    assert [problem.row for problem in summary.first_errors] == [2, 3, 4, 5]
    # The last row shows that the input has a 'label' of its own: the added columns stand beside it.
    assert (rows[5]["label"], rows[5]["edge_lstm_status"]) == ("mine", "ok")


def test_ragged_rows_keep_their_fields_and_the_columns_stay_in_line(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text(
        'id,text,x\n1,fine,a\n2\n3,many,a,b,"c,d"\n\n4,fine,"never closed\n'
    )
    summary = score_files(tmp_path / "in.csv", tmp_path / "out.csv", run=RunOptions(workers=1))
    rows = read_csv(tmp_path / "out.csv")
    assert [row["id"] for row in rows] == ["1", "2", "3", "4"]
    assert rows[2]["x"] == "a,b,c,d"
    assert [bool(row["error"]) for row in rows] == [False, True, True, True]
    assert all(None not in row and None not in row.values() for row in rows)
    assert summary.errors == 3


def test_an_input_column_called_label_stays_and_ours_are_renamed(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("label,text\nmine,fine\n")
    summary = score_files(tmp_path / "in.csv", tmp_path / "out.csv", run=RunOptions(workers=1))
    [row] = read_csv(tmp_path / "out.csv")
    assert row["label"] == "mine"
    assert row["edge_lstm_label"] in ("pos", "neg")
    assert summary.added_columns[0] == "edge_lstm_label"


def test_choices_of_columns_and_rows(tmp_path: Path, classifier: Classifier) -> None:
    source = csv_file(tmp_path / "in.csv", TEXTS)
    out = tmp_path / "out.csv"
    score_files(
        source,
        out,
        run=RunOptions(workers=1),
        options=ScoreOptions(keep=("id",), all_probabilities=True),
    )
    rows = read_csv(out)
    assert list(rows[0]) == [
        "id",
        "label",
        "probability",
        "probability_neg",
        "probability_pos",
        "status",
        "error",
    ]
    for row in rows:
        assert float(row["probability_neg"]) + float(row["probability_pos"]) == pytest.approx(
            1, abs=1e-6
        )
    summary = score_files(
        source, out, run=RunOptions(workers=1), options=ScoreOptions(only_label=("pos",))
    )
    expected = [str(i) for i, p in enumerate(classifier.predict(TEXTS)) if p.label == "pos"]
    assert [row["id"] for row in read_csv(out)] == expected
    assert (summary.rows, summary.written) == (len(TEXTS), len(expected))
    summary = score_files(
        source, out, run=RunOptions(workers=1), options=ScoreOptions(threshold=1.0)
    )
    assert {row["label"] for row in read_csv(out)} == {""}
    assert summary.below_threshold == len(TEXTS)
    with pytest.raises(DataError, match="the model has no label 'great'"):
        score_files(source, out, options=ScoreOptions(only_label=("great",)))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"keep": "id"}, r"keep is one string, 'id'; give a tuple of names, as in \('id',\)"),
        (
            {"only_label": "pos"},
            r"only_label is one string, 'pos'; give a tuple of names, as in \('pos',\)",
        ),
    ],
)
def test_an_option_of_another_form_is_refused(
    options: dict[str, Any], says: str, tmp_path: Path, classifier: Classifier
) -> None:
    with pytest.raises(DataError, match=says):
        score([{"id": 1, "text": "good"}], model=classifier, options=ScoreOptions(**options))
    source = csv_file(tmp_path / "in.csv", TEXTS)
    with pytest.raises(DataError, match=says):
        score_files(source, tmp_path / "out.csv", options=ScoreOptions(**options))
    assert not (tmp_path / "out.csv").exists()


def test_a_chunk_of_parquet_without_a_chosen_row(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow.parquet import read_table, write_table

    texts = ["A wonderful film.", "Dull", "Awful."]
    write_table(arrow.table({"text": texts, "none": [None] * 3}), tmp_path / "a.parquet")
    options = ScoreOptions(only_label=("pos",))
    run = RunOptions(chunk_rows=1)
    out = tmp_path / "out.parquet"
    summary = score_files(tmp_path / "a.parquet", out, options=options, run=run)
    assert (summary.rows, summary.written) == (3, 1)
    assert read_table(out).column("text").to_pylist() == texts[:1]


@pytest.mark.parametrize("target", ["out.csv", "out.jsonl", "out.txt", "out.parquet"])
def test_the_next_best_labels_have_columns_of_their_own(
    tmp_path: Path, classifier: Classifier, target: str
) -> None:
    if target.endswith("parquet"):
        pytest.importorskip("pyarrow")
    source = tmp_path / "in.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in (*TEXTS, 5)))
    options = ScoreOptions(top=2, all_probabilities=True)
    score_files(source, tmp_path / target, run=RunOptions(workers=1), options=options)
    added = [
        "label",
        "probability",
        "label_2",
        "p_2",
        "probability_neg",
        "probability_pos",
        "status",
        "error",
    ]
    if target == "out.txt":
        lines = [line.split("\t") for line in (tmp_path / target).read_text().splitlines()]
        rows = [dict(zip(added, line)) for line in lines]
    else:
        rows = [dict(row.values) for row in open_inputs([tmp_path / target]).rows()]
        assert list(rows[0]) == ["text", *added]
    for row, prediction in zip(rows, classifier.predict(TEXTS)):
        (first, p), (second, q) = prediction.top(2)
        assert (row["label"], row["label_2"]) == (first, second)
        assert [float(row["probability"]), float(row["p_2"])] == pytest.approx([p, q], rel=1e-6)
    assert rows[-1]["status"] == "error"
    assert not rows[-1]["label_2"] and not rows[-1]["p_2"]
    for k, reason in ((0, "at least 1, not 0"), (3, "from 1 to 2, the number of labels, not 3")):
        with pytest.raises(DataError, match=f"top must be {reason}"):
            score_files(source, tmp_path / target, options=ScoreOptions(top=k))


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


@pytest.mark.parametrize("target", ["out.csv", "out.jsonl.gz", "out.parquet"])
@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_resumed_run_gives_the_file_of_an_uninterrupted_one(
    tmp_path: Path, target: str, after: int
) -> None:
    if target.endswith("parquet"):
        pytest.importorskip("pyarrow")
    source = csv_file(tmp_path / "in.csv", TEXTS * 4)
    out = tmp_path / target
    run = RunOptions(workers=1, chunk_rows=4, checkpoint_seconds=0)
    score_files(source, out, run=run)
    whole = out.read_bytes()
    out.unlink()
    interrupt(score_files, source, out, after=after, run=run)
    assert not out.exists()
    if after:
        with pytest.raises(DataError, match="has an unfinished run; continue with --resume"):
            score_files(source, out, run=run)
    else:
        assert names(tmp_path) == ["in.csv"], "nothing is kept, and so nothing is left"
    summary = score_files(source, out, run=replace(run, resume=True))
    assert out.read_bytes() == whole
    assert summary.rows == len(TEXTS) * 4
    assert summary.resumed_at == after * 4
    assert names(tmp_path) == ["in.csv", target]


def test_resume_refuses_another_run_and_says_what_is_different(tmp_path: Path) -> None:
    source = csv_file(tmp_path / "in.csv", TEXTS * 4)
    out = tmp_path / "out.csv"
    run = RunOptions(workers=1, chunk_rows=4, checkpoint_seconds=0)
    interrupt(score_files, source, out, after=2, run=run)
    run = replace(run, resume=True)
    with pytest.raises(DataError, match=r"threshold was 0.0 and is 0.5"):
        score_files(source, out, run=run, options=ScoreOptions(threshold=0.5))
    with source.open("a") as file:
        file.write("99,more,2024-01-06,1.0\n")
    with pytest.raises(DataError, match=r"the input .*in.csv was \[\d+, \d+\] and is \["):
        score_files(source, out, run=run)
    with pytest.raises(DataError, match=r"the list of inputs was \[.*in.csv'\] and is \["):
        score_files(csv_file(tmp_path / "b.csv", TEXTS), out, run=run)


def test_an_output_that_is_a_loop_of_links_is_replaced_by_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").symlink_to("b.csv")
    (tmp_path / "b.csv").symlink_to("a.csv")
    score_files(csv_file(tmp_path / "in.csv", TEXTS), tmp_path / "a.csv", run=RunOptions(workers=1))
    assert len(read_csv(tmp_path / "a.csv")) == len(TEXTS)


def test_low_memory_gives_the_same_bytes(tmp_path: Path) -> None:
    source = csv_file(tmp_path / "in.csv", TEXTS * 300)
    score_files(source, tmp_path / "a.csv", run=RunOptions(workers=1))
    score_files(source, tmp_path / "b.csv", run=RunOptions(low_memory=True))
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
