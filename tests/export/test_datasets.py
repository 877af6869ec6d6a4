"""Sources become data sets, and hold-outs are fair."""

from __future__ import annotations

from dataclasses import replace
from operator import attrgetter

import numpy as np
import pytest
from edge_lstm_export.options import DataOptions
from edge_lstm_export.train.sources.dataset import Split, folds_of, hold_out, label_names
from edge_lstm_export.train.sources.memory import dataset_from
from edge_lstm_export.train.sources.read import read_texts
from hypothesis import given
from hypothesis import strategies as st
from made import read, write

from edge_lstm.errors import DataError

TABLE = 'review,label\n"good, very",pos\nbad,neg\n'


def split(*pairs: tuple[str, int]) -> Split:
    return Split(
        tuple(text for text, _ in pairs), np.eye(5, dtype=np.bool_)[[label for _, label in pairs]]
    )


def pairs(part: Split) -> list[tuple[str, int]]:
    return [*zip(part.texts, part.labels.argmax(axis=1).tolist())]


def test_several_files_are_one_data_set() -> None:
    one = write("a.csv", TABLE)
    other = write("b.txt", "__label__new so\n")
    data = read(one, other)
    assert data.labels == ("neg", "new", "pos") and data.name == "a.csv + b.txt"
    assert data.train.texts == ("good, very", "bad", "so") and data.train.counts() == [1, 1, 1]
    assert data.digest not in (read(one).digest, read(other, one).digest)
    sets = write("c.jsonl", '{"review": "both", "label": ["pos", "new"]}\n')
    assert read(one, sets).train.labels.sum(axis=1).tolist() == [1, 1, 2]


def test_test_texts_may_come_from_a_file() -> None:
    train = write("train.txt", "__label__a x\n__label__b y\n")
    test = write("test.txt", "__label__b z\n")
    data = read(train, test=test)
    assert (data.test.texts, data.test.counts()) == (("z",), [0, 1])
    assert data.digest != read(train).digest, "the digest covers both files"
    for wrong, said in (
        ("__label__c z\n", "label c, which the training texts lack"),
        ("__label__a __label__b z\n", "several"),
    ):
        with pytest.raises(DataError, match=said):
            read(train, test=write(test, wrong))


def test_texts_of_a_log_are_those_that_are_not_blank() -> None:
    log = write("log.txt", "one\n \n\t\ntwo\n")
    assert read_texts(str(log), DataOptions(text_column="review")) == ("one", "two")
    with pytest.raises(DataError, match="no unlabelled text"):
        read_texts(str(write(log, "\n \n")), DataOptions())


def test_a_lone_surrogate_is_learnt_as_u_fffd() -> None:
    rows = (
        '{"text": "go\\ud800od \\ud83d\\ude00", "label": "a"}\n{"text": "\\udfff", "label": "b"}\n'
    )
    path = write("a.jsonl", rows)
    expected = ("go\ufffdod \U0001f600", "\ufffd")
    assert read(path).train.texts == expected
    assert read_texts(str(path), DataOptions()) == expected
    labels = ["a", "b"]
    halves = ["go\ud800od \ud83d\ude00", "\udfff"]
    data = dataset_from(halves, labels, unlabelled=halves)
    assert data.train.texts == data.unlabelled == expected


# --- Splits ---------------------------------------------------------------------------------------


@given(
    labels=st.lists(st.integers(0, 4), min_size=1, max_size=90),
    kinds=st.integers(1, 60),
    share=st.floats(0, 0.9),
    seed=st.integers(0, 5),
    by_group=st.booleans(),
)
def test_a_hold_out_loses_nothing_and_duplicates_and_groups_go_the_same_way(
    labels: list[int], kinds: int, share: float, seed: int, by_group: bool
) -> None:
    """Texts are duplicates though capitals, spaces or punctuation differ."""
    ways = ("TEXT NO {}", "text no {}", " text  no  {}!")
    texts = [ways[i % 3].format(i if by_group else i % kinds) for i in range(len(labels))]
    whole = split(*zip(texts, labels))
    if by_group:
        whole = replace(whole, groups=np.arange(len(labels)) % kinds)
    kept_together = attrgetter("groups" if by_group else "keys")
    rest, held = hold_out(whole, share, seed)
    assert sorted([*pairs(rest), *pairs(held)]) == sorted(pairs(whole))
    assert not {*kept_together(rest)} & {*kept_together(held)}
    assert hold_out(whole, share, seed)[1].texts == held.texts
    assert not by_group or (rest.labels.any(axis=0) == whole.labels.any(axis=0)).all()
    fold = folds_of(whole, 3, seed)
    units = [*kept_together(whole)]
    assert fold.max() < 3 and len({*zip(units, fold)}) == len({*units})
    assert {*fold.tolist()} == {*range(fold.max() + 1)}, "no fold is empty"
    assert len({*units}) == min(kinds, len(labels))


def test_folds_are_of_even_size_though_groups_are_not() -> None:
    sizes = [50, 30, 20, 20, 15, 10, 5]
    groups = np.repeat(np.arange(len(sizes)), sizes)
    whole = replace(split(*((f"text {i}", i % 3) for i in range(150))), groups=groups)
    assert np.bincount(folds_of(whole, 3, 0)).tolist() == [50, 50, 50]


@given(counts=st.lists(st.integers(2, 80), min_size=2, max_size=5), share=st.floats(0.05, 0.5))
def test_a_hold_out_takes_its_share_of_every_label(counts: list[int], share: float) -> None:
    whole = split(*((f"{label} {i}", label) for label, n in enumerate(counts) for i in range(n)))
    rest, held = hold_out(whole, share, 0)
    for count, taken, left in zip(counts, held.counts(), rest.counts()):
        assert 1 <= taken < count and abs(taken - share * count) <= 1 and left == count - taken


def test_another_seed_holds_out_others_and_divides_otherwise() -> None:
    whole = split(*((f"{i}", i % 2) for i in range(100)))
    assert hold_out(whole, 0.1, 0)[1].texts != hold_out(whole, 0.1, 1)[1].texts
    assert folds_of(whole, 3, 0).tolist() != folds_of(whole, 3, 1).tolist()


def test_of_a_label_whose_groups_are_all_larger_than_its_share_the_smallest_is_held_out() -> None:
    for sizes in ((6, 4), (4, 6), (5, 4, 6), (9, 8, 4, 7)):
        groups = np.repeat(np.arange(len(sizes)), sizes)
        whole = replace(split(*((f"text {i}", 0) for i in range(sum(sizes)))), groups=groups)
        for seed in range(4):
            held = hold_out(whole, 0.05, seed)[1]
            assert np.bincount(groups)[held.groups[0]] == len(held) == 4


def test_a_group_of_each_label_stays_however_large_the_share_is() -> None:
    groups = np.repeat([0, 1, 2, 3], [7, 3, 6, 4])
    whole = replace(split(*((f"text {i}", i // 10) for i in range(20))), groups=groups)
    for seed in range(4):
        rest, held = hold_out(whole, 0.9, seed)
        assert rest.labels[:, :2].any(axis=0).all() and held.labels[:, :2].any(axis=0).all()


def labelled_rows(count: int) -> str:
    """A file of texts, of which a tenth has the rarer label."""
    rows = (f"{'x' if i % 10 == 0 else 'y'},text {i:x}z{i * 7919:o}" for i in range(count))
    return "label,text\n" + "\n".join(rows)


def test_of_2000_texts_a_tenth_of_each_label_is_the_test_part() -> None:
    few = read(write("few.csv", labelled_rows(1999)))
    assert few.test is None and len(few.train) == 1999
    source = write("d.csv", labelled_rows(2000))
    data = read(source)
    assert data.test_rows == "random" and data.test.counts() == [20, 180]
    assert len(data.train) == 1800 and not {*data.train.texts} & {*data.test.texts}
    assert data.test.texts == read(source).test.texts != read(source, seed=1).test.texts
    given = read(source, test=write("t.csv", "label,text\nx,mine\n"))
    assert given.test.texts == ("mine",) and len(given.train) == 2000


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (
            [f"id{i % 10_000}" for i in range(40_000)],
            "10,000 different labels for 40,000 texts, which looks like ids",
        ),
        (
            [str(i / 10) for i in range(60)] * 3,
            "60 different labels for 180 texts, all of them numbers",
        ),
    ],
)
def test_a_column_that_cannot_be_the_label_is_refused(names: list[str], said: str) -> None:
    with pytest.raises(DataError, match=f"a.csv has {said}.*--label-column") as caught:
        label_names(names, "a.csv")
    assert "\n" not in str(caught.value)


def test_labels_are_sorted_and_numbers_by_value() -> None:
    assert label_names(["4.5", "-1", "10", "4.5"], "a.csv") == ("-1", "4.5", "10")
    assert label_names(["b", "a10", "a9"], "a.csv") == ("a10", "a9", "b")
    assert label_names(["--5", "1"], "a.csv") == ("--5", "1"), "no number"
