"""Labelled data: the same texts and labels from every form in which people keep them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cases import rows

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
    flags = LabelOptions(label_columns=("joy", "anger"))
    assert read_labelled(path, options=flags).columns == ("body", ("joy", "anger"))
    Path("a.txt").write_text("__label__pos a\n")
    assert read_labelled("a.txt").columns is None


def test_a_pipe_is_read_once_and_the_other_of_its_two_columns_is_the_text() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"words,mood\na,pos\n")
    os.close(writing)
    found = read_labelled(
        f"/dev/fd/{reading}", options=LabelOptions(label_column="mood", format="csv")
    )
    os.close(reading)
    assert found == LabelledTexts(["a"], [("pos",)])


@pytest.mark.parametrize(
    ("name", "message", "content"),
    rows(
        r"""
        a.csv | row 2: no label in 'label' | text,label\na,pos\nb,\n
        a.csv | row 2: the row has 1 column, the header 2 | text,label\na,pos\nb\n
        a.jsonl | row 1: the text is null | {"text": null, "label": "x"}\n
        a.csv | none is clearly the label | text,stars,id\na,pos,1\n
        a.csv | has no labelled row | text,label\n
        a.txt | row 2: the line does not begin with __label__NAME | __label__pos a\nno label\n
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
