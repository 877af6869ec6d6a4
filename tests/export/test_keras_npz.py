"""Keras's imdb.npz is read as data: no pickle in it is ever run."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edge_lstm_export.datasets import DataOptions, read_dataset
from edge_lstm_export.datasets.keras_npz import UnexpectedPickleError, read_int_lists
from hypothesis import given
from hypothesis import strategies as st

from edge_lstm.errors import DataError

WORDS = ["the", "film", "good", "bad"]


def objects(rows: list[Any]) -> np.ndarray:
    array = np.empty(len(rows), dtype=object)
    array[:] = rows
    return array


@pytest.fixture
def npz(tmp_path: Path) -> Path:
    (tmp_path / "imdb_word_index.json").write_text(json.dumps({w: i for i, w in enumerate(WORDS, 1)}))
    path = tmp_path / "imdb.npz"
    np.savez(
        path,
        x_train=objects([[1, 2, 3], [1, 4], [3, 3], [4]]),
        y_train=np.array([1, 0, 1, 0]),
        x_test=objects([[3], [4, 2]]),
        y_test=np.array([1, 0]),
    )
    return path


def test_ranks_become_words(npz: Path) -> None:
    data = read_dataset(str(npz))
    assert data.labels == ("neg", "pos")
    assert data.train.texts == ("the film good", "the bad", "good good", "bad")
    assert data.train.labels.tolist() == [1, 0, 1, 0]
    assert data.test is not None
    assert data.test.texts == ("good", "bad film")


def test_the_word_index_may_lie_elsewhere(npz: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    index = npz.with_name("imdb_word_index.json").rename(tmp_path / "other" / "index.json")
    with pytest.raises(DataError, match="--word-index"):
        read_dataset(str(npz))
    assert read_dataset(str(npz), DataOptions(word_index=index)).train.texts[0] == "the film good"


@given(
    rows=st.lists(st.lists(st.integers(-(2**40), 2**40), max_size=40), min_size=1, max_size=20),
    protocol=st.sampled_from([2, 3, 4, 5]),
)
def test_integer_lists_of_any_protocol_are_read_as_they_are(rows: list[list[int]], protocol: int) -> None:
    assert read_int_lists(pickle.dumps(objects(rows), protocol)) == rows


class _Bomb:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, ("it-ran",)


HOSTILE = {
    "a call": objects([_Bomb()]),
    "a call in a list": objects([[1, _Bomb()]]),
    "text": objects(["text"]),
    "true": objects([[True]]),
    "float": objects([[1.5]]),
    "nested": objects([[[1]]]),
    "tuple": objects([(1, 2)]),
    "numpy integers": objects([[np.int64(1)]]),
    "dictionary": objects([{1: 2}]),
    "an array inside": objects([np.array([1, 2])]),
    "no array": [1, 2],
}


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_pickle_of_anything_else_is_refused_and_not_run(
    name: str, protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnexpectedPickleError):
        read_int_lists(pickle.dumps(HOSTILE[name], protocol))
    assert list(tmp_path.iterdir()) == []


def test_the_hostile_pickle_would_run_if_it_were_unpickled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(HOSTILE["a call"]))
    assert (tmp_path / "it-ran").is_dir()


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        read_int_lists(b"\x80\x02" + data)
    except UnexpectedPickleError:
        pass


@given(st.data())
def test_a_damaged_pickle_is_read_or_refused(data: st.DataObject) -> None:
    good = pickle.dumps(objects([[1, 300, 70_000], [], [2**40]]), data.draw(st.sampled_from([2, 4])))
    at = data.draw(st.integers(0, len(good) - 1))
    changed = good[:at] + data.draw(st.binary(max_size=3)) + good[at + data.draw(st.integers(0, 2)) :]
    try:
        lists = read_int_lists(changed)
    except UnexpectedPickleError:
        return
    assert all(type(i) is int for row in lists for i in row)


def test_a_file_with_a_hostile_pickle_is_refused(
    npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with np.load(npz, allow_pickle=True) as good:
        parts = dict(good)
    np.savez(npz, **{**parts, "x_test": objects([_Bomb(), [1]])})
    with pytest.raises(DataError, match="do not use this file"):
        read_dataset(str(npz))
    assert not (tmp_path / "it-ran").exists()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"x_train": objects([[1], [5], [1], [1]])}, "outside 1 to 4"),
        ({"x_train": objects([[1], [0], [1], [1]])}, "outside 1 to 4"),
        ({"x_train": objects([[1]])}, "1 texts but 4 labels"),
        ({"x_train": np.ones((4, 3))}, "not lists of word numbers"),
        ({"y_train": np.array([0, 1, 2, 1])}, "labels 0 and 1"),
        ({"y_train": np.array([0.0, np.nan, 1, 1])}, "labels 0 and 1"),
        ({"y_train": objects([0, 1, 0, 1])}, "cannot be read"),
        ({"y_train": np.array([1, 1, 1, 1])}, "one label"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(npz: Path, change: dict[str, Any], expected: str) -> None:
    with np.load(npz, allow_pickle=True) as good:
        parts = dict(good)
    np.savez(npz, **{**parts, **change})
    with pytest.raises(DataError, match=expected):
        read_dataset(str(npz))


@pytest.mark.parametrize("share", [0.0, 0.2, 0.9])
def test_a_file_that_is_cut_off_is_refused(npz: Path, share: float) -> None:
    content = npz.read_bytes()
    npz.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError):
        read_dataset(str(npz))


def test_another_npz_file_is_refused(npz: Path) -> None:
    np.savez(npz, weights=np.ones(3))
    with pytest.raises(DataError, match="no x_train"):
        read_dataset(str(npz))
    with zipfile.ZipFile(npz, "w") as archive:
        archive.writestr("x_train.npy", b"no array")
    with pytest.raises(DataError, match="no NumPy array"):
        read_dataset(str(npz))


@pytest.mark.parametrize(
    "content", ["", "[]", '{"a": "b"}', '{"a": 1, "b": 3}', '{"a": 1, "b": 1}', "{}", "\x00"]
)
def test_a_word_index_that_is_none_is_refused(npz: Path, content: str) -> None:
    npz.with_name("imdb_word_index.json").write_text(content)
    with pytest.raises(DataError, match="imdb_word_index"):
        read_dataset(str(npz))
