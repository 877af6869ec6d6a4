"""The review layout, as a folder and as a tar that is never unpacked."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import pytest
from edge_lstm_export.datasets import DataOptions, read_dataset
from edge_lstm_export.datasets.reviews import read_review_folder, read_review_tar

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


def tar_bytes(files: dict[str, bytes], mode: str = "w:gz", extra: tarfile.TarInfo | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        if extra is not None:
            tar.addfile(extra)
    return buffer.getvalue()


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def unpack(folder: Path) -> Path:
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder / "aclImdb"


@pytest.mark.parametrize(
    ("name", "mode"), [("a.tar", "w:"), ("a.tar.gz", "w:gz"), ("a.tbz2", "w:bz2"), ("a.tar.xz", "w:xz")]
)
def test_a_tar_of_any_compression_gives_texts_labels_and_splits(tmp_path: Path, name: str, mode: str) -> None:
    content = tar_bytes(FILES, mode)
    data = read_review_tar(write(tmp_path / name, content), "reviews")
    assert data.labels == ("neg", "pos")
    assert data.train.texts == ("A bad film", "Dull", "Très bon, a joy", "A good film<br />indeed")
    assert data.train.labels.tolist() == [0, 0, 1, 1]
    assert data.test is not None
    assert (data.test.texts, data.test.labels.tolist()) == (("Poor", "Fine"), [0, 1])
    assert data.unlabelled == ("Nobody said",)
    assert data.digest == hashlib.sha256(content).hexdigest()


def test_the_order_of_a_tar_does_not_matter(tmp_path: Path) -> None:
    forward = read_review_tar(write(tmp_path / "a.tar.gz", tar_bytes(FILES)), "a")
    turned = dict(reversed(FILES.items()))
    backward = read_review_tar(write(tmp_path / "b.tar.gz", tar_bytes(turned)), "a")
    assert forward.train.texts == backward.train.texts
    assert forward.train.labels.tolist() == backward.train.labels.tolist()


def test_the_folder_and_its_tar_are_the_same_data(tmp_path: Path) -> None:
    folder = read_review_folder(unpack(tmp_path), "a")
    tar = read_review_tar(write(tmp_path / "a.tar.gz", tar_bytes(FILES)), "a")
    assert folder.train.texts == tar.train.texts
    assert folder.test is not None and tar.test is not None
    assert folder.test.texts == tar.test.texts
    assert folder.unlabelled == tar.unlabelled


def test_the_digest_of_a_folder_changes_with_a_text(tmp_path: Path) -> None:
    folder = unpack(tmp_path)
    before = read_review_folder(folder, "a").digest
    assert read_review_folder(folder, "a").digest == before
    (folder / "train/pos/2_10.txt").write_text("A fine film")
    assert read_review_folder(folder, "a").digest != before


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("mode", ["w:gz", "w:", "w:xz"])
def test_an_archive_that_is_cut_off_is_refused(tmp_path: Path, share: float, mode: str) -> None:
    many = {f"aclImdb/train/{label}/{i}_1.txt": bytes([65 + i % 26]) * (1 + i * 7 % 900)
            for i in range(300) for label in ("neg", "pos")}  # fmt: skip
    content = tar_bytes(many, mode)
    # A tar may end in more zeros than it needs: losing these loses nothing.
    path = write(tmp_path / "a.tar.gz", content[: int(len(content.rstrip(b"\0")) * share)])
    with pytest.raises(DataError, match=r"cut short|complete"):
        read_review_tar(path, "a")


def test_a_plain_tar_cut_between_two_members_is_refused(tmp_path: Path) -> None:
    content = tar_bytes(FILES, "w:")
    path = write(tmp_path / "a.tar", content[: 1024 * 6])
    with pytest.raises(DataError, match="cut short"):
        read_review_tar(path, "a")


@pytest.mark.parametrize(
    "name", ["../aclImdb/train/pos/1_1.txt", "/aclImdb/train/pos/1_1.txt", "a/../../train/pos/1_1.txt"]
)
def test_a_path_that_leads_out_of_the_archive_is_refused(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "a.tar.gz", tar_bytes({**FILES, name: b"x"}))
    with pytest.raises(DataError, match="leads out"):
        read_review_tar(path, "a")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_a_link_or_device_in_the_place_of_a_text_is_refused(tmp_path: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("aclImdb/train/pos/99_9.txt")
    member.type, member.linkname = kind, "/etc/passwd"
    path = write(tmp_path / "a.tar.gz", tar_bytes(FILES, extra=member))
    with pytest.raises(DataError, match="link or device"):
        read_review_tar(path, "a")


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 5000, b"\x1f\x8b broken", b"some text", bytes(range(256))]
)
def test_what_is_no_tar_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError):
        read_review_tar(write(tmp_path / "a.tar.gz", content), "a")


def test_a_text_that_is_not_utf_8_is_read_and_reported(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar.gz", tar_bytes({**FILES, "aclImdb/train/pos/7_7.txt": b"caf\xe9"}))
    data = read_review_tar(path, "a")
    assert "caf\ufffd" in data.train.texts
    assert any("not UTF-8" in warning for warning in data.warnings)


def test_a_folder_of_another_layout_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    with pytest.raises(DataError, match="train/LABEL"):
        read_dataset(str(tmp_path))


def test_imdb_is_found_in_the_folder_that_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = tar_bytes(FILES)
    write(tmp_path / "aclImdb_v1.tar.gz", content)
    given = read_dataset("imdb", DataOptions(data_dir=tmp_path))
    monkeypatch.setenv("EDGE_LSTM_DATA", str(tmp_path))
    by_variable = read_dataset("imdb")
    # Its digest is not that of the original: it is reported.
    assert given.digest == by_variable.digest == hashlib.sha256(content).hexdigest()
    assert given.name == "imdb"


def test_a_data_folder_without_imdb_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="aclImdb_v1"):
        read_dataset("imdb", DataOptions(data_dir=tmp_path))


def test_imdb_is_downloaded_once_with_its_checksum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pooch
    from edge_lstm_export.datasets import imdb

    content, calls = tar_bytes(FILES), []

    class Site:
        """Stands for the network: puts what it sends where pooch says."""

        def __init__(self, **_: object) -> None:
            pass

        def __call__(self, url: str, output_file: str, _: object) -> None:
            calls.append(url)
            Path(output_file).write_bytes(content)

    monkeypatch.delenv("EDGE_LSTM_DATA", raising=False)
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / name)
    monkeypatch.setattr(pooch.core, "choose_downloader", lambda *_, **__: Site())
    with pytest.raises(DataError, match="not the known archive"):
        read_dataset("imdb")
    assert not list(tmp_path.rglob("*.gz"))
    monkeypatch.setattr(imdb, "SHA256", hashlib.sha256(content).hexdigest())
    assert read_dataset("imdb").train.texts == read_dataset("imdb").train.texts
    assert calls == [imdb.URL, imdb.URL]  # one refused, one kept


def test_a_failed_download_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pooch

    def no_site(*_: object, **__: object) -> object:
        def fail(*_: object) -> None:
            raise ConnectionError("no route to host")

        return fail

    monkeypatch.delenv("EDGE_LSTM_DATA", raising=False)
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / name)
    monkeypatch.setattr(pooch.core, "choose_downloader", no_site)
    with pytest.raises(DataError, match=r"no route to host.*--data-dir"):
        read_dataset("imdb")
