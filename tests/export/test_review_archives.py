"""The reviews: a tar that is never unpacked. More hostile archives are in
tests/end_to_end/test_hostile_train.py."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from commands import json_of
from edge_lstm_export.options import DataOptions
from edge_lstm_export.train.sources.read import read_texts
from hostile import tar_bytes
from made import read, write

from edge_lstm.errors import DataError

FILES = {
    "aclImdb/README": b"not a review",
    "aclImdb/train/pos/10_9.txt": "Très bon, a joy".encode(),
    "aclImdb/train/pos/2_10.txt": b"A good film<br />indeed",
    "aclImdb/train/neg/0_1.txt": b"A bad film",
    "aclImdb/train/neg/1_1.txt": b"Dull",
    "aclImdb/train/unsup/0_0.txt": b"Nobody said",
    "aclImdb/train/labeledBow.feat": b"0:1",
    "aclImdb/test/pos/0_8.txt": b"Fine",
    "aclImdb/test/neg/0_2.txt": b"Poor",
}


@pytest.mark.parametrize(
    ("name", "mode"),
    [("a.tar", "w:"), ("a.tar.gz", "w:gz"), ("a.tbz2", "w:bz2"), ("a.tar.xz", "w:xz")],
)
def test_a_tar_of_any_compression_gives_texts_labels_and_splits(name: str, mode: str) -> None:
    """In whatever order the tar has them."""
    content = tar_bytes(dict(reversed(FILES.items())), mode)
    tar = write(name, content)
    data = read(tar)
    assert data.labels == ("neg", "pos")
    assert data.train.texts == ("A bad film", "Dull", "Très bon, a joy", "A good film<br />indeed")
    assert data.train.labels.argmax(axis=1).tolist() == [0, 0, 1, 1]
    assert data.test is not None and data.test.texts == ("Poor", "Fine")
    assert read_texts(str(tar), DataOptions()) == ("Nobody said",)
    assert data.digest == hashlib.sha256(content).hexdigest()


def test_of_the_folder_the_parts_are_given() -> None:
    for name, content in FILES.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        write(name, content)
    folder = Path("aclImdb")
    parts = read(folder / "train", test=folder / "test")
    assert parts.labels == ("neg", "pos") and parts.test is not None
    assert parts.test.texts == ("Poor", "Fine")
    assert parts.train.counts() == [2, 2] and "Dull" in parts.train.texts


def test_a_text_that_is_not_utf_8_is_read_and_reported() -> None:
    data = read(write("a.tar.gz", tar_bytes({**FILES, "aclImdb/train/pos/7_7.txt": b"caf\xe9"})))
    assert "caf\ufffd" in data.train.texts and any(
        "not UTF-8" in warning for warning in data.warnings
    )


def test_imdb_is_found_in_the_folder_that_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_LSTM_DATA", ".")
    with pytest.raises(DataError, match=r"aclImdb_v1\.tar\.gz; download it from .*EDGE_LSTM_DATA"):
        read("imdb")
    write("aclImdb_v1.tar.gz", tar_bytes(FILES))
    assert (read("imdb").name, read("imdb").train.counts()) == ("imdb", [2, 2])
    write("empty.tar", tar_bytes({"README": b"no reviews"}, "w:"))
    with pytest.raises(DataError, match="train/LABEL"):
        read("empty.tar")


def test_evaluate_reads_the_test_texts_of_the_tar_with_its_label_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tar = write("aclImdb_v1.tar.gz", tar_bytes(FILES))
    values = json_of("evaluate", tar)
    assert (values["texts"], values["models"][0]["confusion"]) == (2, [[1, 0], [0, 1]])
    monkeypatch.setenv("EDGE_LSTM_DATA", ".")
    assert json_of("evaluate", "imdb")["models"] == values["models"]
