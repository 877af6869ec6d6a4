"""evaluate's sources that only the workstation reads: the reviews' tar."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from edge_lstm import DataError
from edge_lstm.evaluation.sources import load_labelled


@pytest.fixture
def tar(tmp_path: Path) -> Path:
    path = tmp_path / "aclImdb_v1.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for split in ("train", "test"):
            for label in ("neg", "pos"):
                for i in range(3):
                    content = f"{split} {label} {i}".encode()
                    member = tarfile.TarInfo(f"aclImdb/{split}/{label}/{i}_1.txt")
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_tar_gives_all_texts_of_its_part_with_their_label_names(tar: Path, split: str) -> None:
    found = load_labelled(str(tar), split=split)
    assert sorted(zip(found.texts, found.labels)) == sorted(
        (f"{split} {label} {i}", label) for label in ("neg", "pos") for i in range(3)
    )


def test_imdb_is_taken_from_the_folder_that_holds_it(tar: Path) -> None:
    assert len(load_labelled("imdb", data_dir=tar.parent).texts) == 6


def test_a_part_that_is_not_there_is_named(tar: Path) -> None:
    with pytest.raises(DataError, match="no part 'validation'"):
        load_labelled(str(tar), split="validation")
