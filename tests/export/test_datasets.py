"""Sources become data sets, hold-outs are fair, and what is odd about the data is said."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from edge_lstm_export.datasets import DataOptions, Split, hold_out, read_dataset
from edge_lstm_export.datasets.dataset import Dataset, label_names
from edge_lstm_export.datasets.warnings import checked
from hypothesis import given
from hypothesis import strategies as st

from edge_lstm.errors import DataError
from edge_lstm.text import split_words


def split(*pairs: tuple[str, int]) -> Split:
    return Split(tuple(text for text, _ in pairs), np.array([label for _, label in pairs], dtype=np.int64))


def fasttext(path: Path, lines: str) -> str:
    path.write_text(lines, encoding="utf-8")
    return str(path)


def test_a_fasttext_file_is_read(tmp_path: Path) -> None:
    lines = "__label__sport The match\n__label__été  Il fait chaud\n__label__sport A goal\r\n"
    data = read_dataset(fasttext(tmp_path / "news.train", lines), DataOptions(test_share=0))
    assert data.labels == ("sport", "été")
    assert [text.strip() for text in data.train.texts] == ["The match", "Il fait chaud", "A goal"]
    assert data.train.labels.tolist() == [0, 1, 0]
    assert data.test is None


LABELLED = {
    "a.csv": 'id,review,label\n1,"good, very",pos\n2,bad,neg\n',
    "a.tsv": "review\tlabel\ngood, very\tpos\nbad\tneg\n",
    "a.jsonl": '{"review": "good, very", "label": "pos"}\n{"review": "bad", "label": "neg"}\n',
    "a.txt": "__label__pos good, very\n__label__neg bad\n",
}


@pytest.mark.parametrize("name", LABELLED)
def test_the_same_examples_in_any_format_are_the_same_data(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(LABELLED[name])
    data = read_dataset(str(tmp_path / name), DataOptions(test_share=0))
    assert data.name == name
    assert data.labels == ("neg", "pos")
    assert data.train.texts == ("good, very", "bad")
    assert data.train.labels.tolist() == [1, 0]
    assert data.digest == hashlib.sha256(LABELLED[name].encode()).hexdigest()


def test_parquet_with_columns_that_are_named(tmp_path: Path) -> None:
    table = pa.table({"a": ["good", "bad"], "b": [1, 0], "c": ["x", "y"]})
    pq.write_table(table, tmp_path / "a.parquet")
    data = read_dataset(
        str(tmp_path / "a.parquet"), DataOptions(text_column="a", label_column="b", test_share=0)
    )
    assert data.labels == ("0", "1")
    assert data.train.labels.tolist() == [1, 0]


def test_a_folder_with_one_folder_a_label(tmp_path: Path) -> None:
    for label, text in (("yes", "good"), ("no", "bad")):
        (tmp_path / "data" / label).mkdir(parents=True)
        (tmp_path / "data" / label / "1.txt").write_text(text)
    data = read_dataset(str(tmp_path / "data"), DataOptions(test_share=0))
    assert data.labels == ("no", "yes")
    assert data.train.texts == ("bad", "good")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", b"", "a.csv"),
        ("a.csv", b"text,label\n", "no labelled row"),
        ("a.csv", b"text,label\nx,a\ny,a\n", "one label, a"),
        ("a.csv", b"text,label\nx,a\ny,\n", "row 2: no label"),
        ("a.csv", b"text,label\nx,a\x00b\ny,a\x00c\n", "control character; rename it"),
        ("a.jsonl", b'{"text": "x", "label": "a"}\n{"text": "y", "label": "\\u009b"}\n', "control character"),
        ("a.csv", b"text,stars\nx,1\ny,2\n", "stars"),
        ("a.csv", bytes(range(256)) * 20, "a.csv"),
        ("a.jsonl", b'{"text": "x", "label": "a"}\n{"text": "y", "label": NaN}\n', "row 2: no label"),
        ("a.jsonl", b'{"text": "x", "label": "a"}\n{"text": "y"\n', "row 2"),
        ("a.parquet", b"PAR1 no", "a.parquet"),
        ("a.txt", b"__label__a x\n__label__ both\n", "row 2: __label__ without a name"),
        ("a.txt", b"plain prose, no labels\n", "row 1: the line does not begin with __label__NAME"),
        ("a.txt", b"\x00\x01\x02\xff" * 300, "binary"),
        ("a.bin", b"\x00\x01\x02\xff" * 300, "suffix"),
    ],
)
def test_a_file_that_cannot_train_a_classifier_is_refused(
    tmp_path: Path, name: str, content: bytes, expected: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=expected):
        read_dataset(str(tmp_path / name))


def test_nan_in_a_parquet_label_is_no_label(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["x", "y"], "label": [1.0, float("nan")]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="row 2: no label"):
        read_dataset(str(tmp_path / "a.parquet"))


def test_standard_input_is_refused() -> None:
    with pytest.raises(DataError, match="save them to a file"):
        read_dataset("-")


def test_a_missing_source_is_refused() -> None:
    with pytest.raises(DataError, match=r"no file or folder nowhere\.csv; a source is imdb"):
        read_dataset("nowhere.csv")


def test_test_texts_may_come_from_a_file(tmp_path: Path) -> None:
    train = fasttext(tmp_path / "train.txt", "__label__a x\n__label__b y\n")
    test = tmp_path / "test.txt"
    fasttext(test, "__label__b z\n")
    data = read_dataset(train, DataOptions(test=test))
    assert data.test is not None
    assert (data.test.texts, data.test.labels.tolist()) == (("z",), [1])
    assert data.digest != read_dataset(train).digest, "the digest covers both files"
    fasttext(test, "__label__c z\n")
    with pytest.raises(DataError, match="label c, which the training texts have not"):
        read_dataset(train, DataOptions(test=test))


def test_a_file_without_a_test_split_holds_some_out(tmp_path: Path) -> None:
    lines = "".join(f"__label__{'ab'[i % 2]} text {i}\n" for i in range(200))
    source = fasttext(tmp_path / "a.txt", lines)
    data = read_dataset(source)
    assert data.test is not None
    assert (len(data.train), len(data.test)) == (180, 20)
    assert data.test.counts(2) == [10, 10]
    assert read_dataset(source, DataOptions(test_share=0)).test is None


@given(
    labels=st.lists(st.integers(0, 4), min_size=1, max_size=120),
    kinds=st.integers(1, 60),
    share=st.floats(0, 0.9),
    seed=st.integers(0, 5),
)
def test_a_hold_out_loses_nothing_and_shares_no_text(
    labels: list[int], kinds: int, share: float, seed: int
) -> None:
    whole = split(*((f"text {i % kinds}", label) for i, label in enumerate(labels)))
    rest, held = hold_out(whole, share, seed)
    pairs = [list(zip(part.texts, part.labels.tolist())) for part in (whole, rest, held)]
    assert sorted(pairs[1] + pairs[2]) == sorted(pairs[0])
    assert not set(rest.texts) & set(held.texts)
    again = hold_out(whole, share, seed)
    assert (again[0].texts, again[1].texts) == (rest.texts, held.texts)


@given(counts=st.lists(st.integers(2, 80), min_size=2, max_size=5), share=st.floats(0.05, 0.5))
def test_a_hold_out_takes_its_share_of_every_label(counts: list[int], share: float) -> None:
    whole = split(*((f"{label} {i}", label) for label, n in enumerate(counts) for i in range(n)))
    rest, held = hold_out(whole, share, 0)
    for label, count in enumerate(counts):
        taken = held.counts(len(counts))[label]
        assert 1 <= taken < count
        assert abs(taken - share * count) <= 1
        assert rest.counts(len(counts))[label] == count - taken


def test_another_seed_holds_out_other_texts() -> None:
    whole = split(*((f"{i}", i % 2) for i in range(100)))
    assert hold_out(whole, 0.1, 0)[1].texts != hold_out(whole, 0.1, 1)[1].texts


def test_number_labels_are_ordered_by_value() -> None:
    assert label_names(["10", "9", "-1", "10"], "a.csv") == ("-1", "9", "10")
    assert label_names(["b", "a10", "a9"], "a.csv") == ("a10", "a9", "b")


def warnings(train: Split, test: Split | None = None, labels: tuple[str, ...] = ("a", "b")) -> str:
    return "\n".join(checked(Dataset("data", labels, train, test, "0")).warnings)


def test_plenty_of_balanced_texts_need_no_warning() -> None:
    many = split(*((f"text {i}", i % 2) for i in range(2000)))
    assert warnings(many, split(("other", 0), ("texts", 1))) == ""


def test_what_often_spoils_a_training_is_said() -> None:
    few = split(*((f"text {i}", int(i > 85)) for i in range(90)), ("text 3", 1))
    said = warnings(few, split(("text 1", 0), ("new", 1)))
    assert "only 91 training texts" in said
    assert "few training texts of b (5)" in said
    assert "labels are out of balance (a 94.5% to b 5.5%)" in said
    assert "2 training texts have the same words as one with another label" in said
    assert "'nan' may stand for a missing one" in warnings(few, labels=("a", "nan"))
    assert "1 test texts are training texts too" in said
    twins = warnings(few, labels=("a b", "A  B"))
    assert "the labels a b and A  B differ in capitals, spaces or Unicode's form" in twins
    forms = warnings(few, labels=("caf\u00e9", "cafe\u0301"))
    assert r"the labels 'caf\xe9' and 'cafe\u0301' differ in" in forms
    several = split(*((f"text {i}", i % 3) for i in range(90)))
    joined = "the label a| b looks like several: if it is, add --label-separator '|'"
    assert joined in warnings(several, labels=("a", "b", "a| b"))
    assert "looks like several" not in warnings(several, labels=("a", "b", "a|c"))


def test_texts_that_differ_in_capitals_and_punctuation_only_are_duplicates() -> None:
    texts = [(f"Text {i}", i % 2) for i in range(1500)]
    repeated = split(*texts, *((f"text: {i}!", i % 2) for i in range(30)))
    found = checked(Dataset("data", ("a", "b"), repeated, split(("TEXT 7.", 1), ("other", 0)), "0"))
    assert dict(found.checks) == {
        "repeated_texts": 30,
        "contradictory_texts": 0,
        "test_texts_in_training": 1,
    }
    said = "\n".join(found.warnings)
    assert "30 training texts (2.0%) repeat the words of another: keep one of each" in said
    assert "1 test texts are training texts too" in said


@given(kinds=st.lists(st.integers(0, 30), min_size=1, max_size=90), seed=st.integers(0, 3))
def test_duplicates_never_sit_on_both_sides_of_a_split(kinds: list[int], seed: int) -> None:
    ways = (str.upper, str.lower, lambda text: f" {text.replace(' ', '  ')}!")
    whole = split(*((ways[i % 3](f"text no {kind}"), i % 2) for i, kind in enumerate(kinds)))
    rest, held = hold_out(whole, 0.3, seed)
    words = [{" ".join(split_words(text)) for text in part.texts} for part in (rest, held)]
    assert not words[0] & words[1]
    assert sorted([*rest.rows, *held.rows]) == list(range(1, len(whole) + 1))
    assert all(whole.texts[row - 1] == text for row, text in zip(held.rows, held.texts))


def test_texts_that_are_all_the_same_train_nothing() -> None:
    with pytest.raises(DataError, match=r"all 9 training texts of data hold the same words; .*--text-column"):
        warnings(split(*(("Same text" + "!" * i, i % 2) for i in range(9))))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([f"id{i}" for i in range(10_000)], "10,000 different labels for 10,000 texts, as ids"),
        ([f"id{i % 10_000}" for i in range(40_000)], "10,000 different labels for 40,000 texts, as ids"),
        ([str(i / 10) for i in range(60)] * 3, "60 different labels for 180 texts, all of them numbers"),
    ],
)
def test_a_column_that_cannot_be_the_label_is_refused(names: list[str], expected: str) -> None:
    with pytest.raises(DataError, match=f"a.csv has {expected}.*--label-column") as caught:
        label_names(names, "a.csv")
    assert "\n" not in str(caught.value)


def test_stars_and_classes_that_are_numbers_are_labels() -> None:
    assert label_names(["4.5", "5", "10", "4.5"], "a.csv") == ("4.5", "5", "10")
    assert len(label_names([str(i % 77) for i in range(500)], "a.csv")) == 77
    assert label_names(["--5", "1"], "a.csv") == ("--5", "1"), "no number"


def test_missing_labels_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\nx,a\ny,\nz,b\nw,\n")
    with pytest.raises(
        DataError, match=r"row 2: no label in 'label' \(and in 1 more of 4 rows\); remove or label the rows"
    ):
        read_dataset(str(tmp_path / "a.csv"))
