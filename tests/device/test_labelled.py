"""Labelled data: the same texts and labels from every form in which people keep them."""

from __future__ import annotations

from pathlib import Path

import pytest
from cases import rows
from table_files import write_jsonl

from edge_lstm.errors import DataError
from edge_lstm.tables.labelled import LabelledTexts, LabelOptions, read_labelled

EXPECTED = LabelledTexts(["good, really", "bad"], [("pos",), ("neg",)])


@pytest.mark.parametrize(
    ("name", "content"),
    rows(
        r"""
        a.csv | review,sentiment\n"good, really",pos\nbad,neg\n
        a.csv | id;label;content\n1;pos;good, really\n2;neg;bad\n
        a.tsv | text\tlabel\ngood, really\tpos\nbad\tneg\n
        a.jsonl | {"text": "good, really", "label": "pos"}\n{"label": "neg", "text": "bad"}\n
        a.txt | __label__pos good, really\n__label__neg bad\n
        """
    ),
)
def test_labelled_files(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    assert read_labelled(path) == EXPECTED
    assert read_labelled([path, path]) == LabelledTexts(EXPECTED.texts * 2, EXPECTED.labels * 2)


def test_a_folder_has_a_folder_for_each_label(tmp_path: Path) -> None:
    for name, text in (
        ("pos/1.txt", "good, really"),
        ("neg/1.txt", "bad"),
        ("unsup/1.txt", "unknown"),
        ("urls.txt", "http"),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert read_labelled(tmp_path) == LabelledTexts(["bad", "good, really"], [("neg",), ("pos",)])


@pytest.mark.parametrize("options", [LabelOptions(), LabelOptions(encoding="ascii")])
def test_all_rows_without_a_text_are_named_at_once(options: LabelOptions) -> None:
    rows = [b"good,pos\n"] * 1000
    for i in (100, 207, 250, 251, 252, 253, 254):
        rows[i] = b"caf\xe9,pos\n"
    Path("a.csv").write_bytes(b"text,label\n" + b"".join(rows))
    with pytest.raises(DataError) as caught:
        read_labelled("a.csv", options=options)
    said = str(caught.value)
    assert said.startswith("a.csv row 101: the text is not ") and "(byte 0xe9 " in said
    assert "remove the row (and 6 more: 208, 251, 252, 253, 254 and 1 more)" in said
    assert said.endswith(", or name the file's encoding with --encoding, such as cp1252")


def test_files_of_a_folder_without_a_text_are_named_at_once() -> None:
    for name in ("pos/1.txt", "pos/2.txt", "neg/1.txt", "unsup/1.txt"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(b"caf\xe9")
    said = r"neg/1.txt: the text is not UTF-8 .* \(and 2 more: pos/1.txt, pos/2.txt\)"
    with pytest.raises(DataError, match=said):
        read_labelled(Path.cwd())


@pytest.mark.needs("pyarrow")
def test_parquet_labels_may_be_numbers() -> None:
    import pyarrow as arrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(arrow.table({"text": ["a", "b"], "label": [1, 0]}), "a.parquet")
    assert read_labelled("a.parquet") == LabelledTexts(["a", "b"], [("1",), ("0",)])


def test_the_other_of_two_columns_is_the_text() -> None:
    path = Path("a.csv")
    path.write_text("words,mood\na,pos\n")
    assert read_labelled(path, options=LabelOptions(label_column="mood")) == LabelledTexts(
        ["a"], [("pos",)]
    )


@pytest.mark.parametrize("name", ["topic", "tags", "emotion", "kategorie", "y"])
def test_the_other_of_two_columns_is_the_label(name: str) -> None:
    Path("a.csv").write_text(f"{name},text\npos,a\n")
    Path("a.jsonl").write_text(f'{{"text": "a", "{name}": "pos"}}\n')
    Path("b.csv").write_text(f"words,{name}\na,pos\n")
    named = LabelOptions(text_column="words")
    for read in (
        read_labelled("a.csv"),
        read_labelled("a.jsonl"),
        read_labelled("b.csv", options=named),
    ):
        assert read == LabelledTexts(["a"], [("pos",)])
        assert read.columns is not None and read.columns.labels == (name,)


def test_it_is_told_which_columns_were_read() -> None:
    path = Path("a.csv")
    path.write_text("id,body,joy,anger\n1,a,0,1\n")
    flags = LabelOptions(indicator_columns=("joy", "anger"))
    assert read_labelled(path, options=flags).columns == ("body", ("joy", "anger"))
    Path("a.txt").write_text("__label__pos a\n")
    assert read_labelled("a.txt").columns is None


@pytest.mark.parametrize("missing", ["", "NaN", "nan", "NaT", "<NA>", " "])
def test_rows_without_a_label_are_left_out_and_counted(missing: str) -> None:
    Path("a.csv").write_text(f"text,label\na,pos\nb,{missing}\n,None\nd,{missing}\n")
    found = read_labelled("a.csv")
    assert found == LabelledTexts(["a", ""], [("pos",), ("None",)])
    assert (found.numbers, found.left_out) == ([1, 3], 2)
    unlabelled, empty = found.notes("a.csv")
    assert unlabelled == "a.csv: no label, or NaN, in 2 of 4 rows: they are left out"
    assert empty.startswith("a.csv: no text in 1 of 4 rows: they count as empty texts; remove them")


MODEL_LABELS = LabelOptions(labels=("neg", "pos"))


def test_a_column_that_alone_holds_the_labels_of_the_model_is_the_label() -> None:
    table = "text,id,Mood,Half,More\na,1,pos,pos,pos\nb,2,neg,pos,neg\nc,3,,,so\n"
    Path("a.csv").write_text(table)
    keys, *lines = [line.split(",") for line in table.splitlines()]
    write_jsonl("a.jsonl", [dict(zip(keys, line)) for line in lines])
    for name in ("a.csv", "a.jsonl"):
        found = read_labelled(name, options=MODEL_LABELS)
        assert (found.texts, found.names, found.left_out) == (["a", "b"], ["pos", "neg"], 1)
        note = f"{name}: the label is read from 'Mood', which holds the model's labels"
        assert note in found.notes(name)


@pytest.mark.parametrize(
    "table",
    [
        pytest.param("text,id,mood,tone\na,1,pos,neg\nb,2,neg,pos\n", id="two columns hold them"),
        pytest.param("text,id,mood\na,1,pos\nb,2,pos\n", id="one label never occurs"),
        pytest.param("text,id,mood\na,1,pos\nb,2,neg\nc,3,so\n", id="another label occurs"),
    ],
)
def test_else_the_label_column_has_to_be_named(table: str) -> None:
    Path("a.csv").write_text(table)
    with pytest.raises(DataError, match="none is clearly the label; name one with --label-column"):
        read_labelled("a.csv", options=MODEL_LABELS)


def test_a_name_of_a_label_column_goes_before_what_columns_hold() -> None:
    Path("a.csv").write_text("text,label,mood\na,x,pos\nb,y,neg\n")
    found = read_labelled("a.csv", options=MODEL_LABELS)
    assert found.names == ["x", "y"] and not [*found.notes("a.csv")]


def test_the_same_in_other_formats() -> None:
    values = ['"pos"', "null", "NaN"]
    lines = [f'{{"text": "x", "label": {value}, "by": "me"}}\n' for value in values]
    Path("a.jsonl").write_text("".join(lines))
    Path("a.txt").write_text("__label__pos x\nx\nx\n")
    for name, options in (("a.jsonl", LabelOptions(group_column="by")), ("a.txt", LabelOptions())):
        found = read_labelled(name, options=options)
        assert (found.texts, found.names, found.left_out) == (["x"], ["pos"], 2)


@pytest.mark.parametrize(
    ("name", "message", "content"),
    rows(
        r"""
        a.csv | row 2: the row has 1 column, the header 2 | text,label\na,pos\nb\n
        a.jsonl | row 1: the text is null | {"text": null, "label": "x"}\n
        a.csv | none is clearly the label | text,stars,id\na,pos,1\n
        a.csv | or several of 0 and 1 with --indicator-columns | text,joy,anger\na,0,1\n
        a.csv | no labelled row; a label stands in the column 'label' | text,label\na,NaN\n
        a.txt | no labelled row; a label stands in __label__NAME before a text | no label\n
        a.csv | a zip archive, as Excel's .xlsx is; in Excel, save as CSV UTF-8 | PK\x03\x04\0
        a.xlsx | is a spreadsheet; in Excel, save it as CSV UTF-8 | PK\x03\x04
        a.txt | row 1: __label__ without a name | __label__ a\n
        """
    ),
)
def test_what_is_missing_is_named_with_file_and_row(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(DataError) as caught:
        read_labelled(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
