"""Hostile inputs, files and limits of ``train``, ``export`` and ``quantize``. Each row is a command, the
condition it meets, how it ends, and what it may leave.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from edge_lstm_export import checkpoint as checkpoints
from edge_lstm_export import export
from edge_lstm_export.network import Network, NetworkConfig
from hostile import Case, check, in_bash
from safetensors.torch import load_file, save, save_file

from edge_lstm.text import Tokenizer

Prepare = Callable[[Path], object]
MODEL = ("-o", "m.safetensors")
QUICK = ("--preset", "seed", "--epochs", "1", "--hidden", "4", "--embedding", "4")
MADE = frozenset({"m.safetensors", "m.history.json", "m.history.png"})
LABELS = frozenset({"m.soft-labels.safetensors"})
ROWS = [
    (f"word{i % 7} about{'no' if i % 2 else 'yes'} word{i % 5}", "no" if i % 2 else "yes") for i in range(40)
]


def both(*steps: Prepare) -> Prepare:
    return lambda folder: [step(folder) for step in steps]


def put(name: str, content: bytes | str) -> Prepare:
    return lambda folder: (folder / name).write_bytes(
        content.encode() if isinstance(content, str) else content
    )


def table(folder: Path, rows: list[tuple[str, str]] = ROWS) -> None:
    (folder / "d.csv").write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))


def jsonl(*rows: dict[str, Any]) -> Prepare:
    return put("d.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


# What stands for a source.

REVIEWS = {
    f"aclImdb/{part}/{label}/{i}_1.txt": f"{label} {i}".encode()
    for part in ("train", "test")
    for label in ("neg", "pos")
    for i in range(12)
}


def tar(
    *extra: tuple[tarfile.TarInfo, bytes], mode: str = "w:gz", change: Callable[[bytes], bytes] = bytes
) -> Prepare:
    def prepare(folder: Path) -> None:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
            for name, content in REVIEWS.items():
                archive.addfile(member(name, len(content)), io.BytesIO(content))
            for info, content in extra:
                archive.addfile(info, io.BytesIO(content))
        (folder / "d.tar.gz").write_bytes(change(buffer.getvalue()))

    return prepare


def member(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, link
    return info


def folder_of_reviews(folder: Path) -> None:
    for name, content in REVIEWS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


class Bomb:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, ("it-ran",)


def objects(rows: list[Any]) -> np.ndarray:
    array = np.empty(len(rows), dtype=object)
    array[:] = rows
    return array


def npz(change: Callable[[bytes], bytes] = bytes, **parts: Any) -> Prepare:
    def prepare(folder: Path) -> None:
        (folder / "imdb_word_index.json").write_text(json.dumps({"good": 1, "bad": 2}))
        good = {
            "x_train": objects([[1], [2]] * 12),
            "y_train": np.array([1, 0] * 12),
            "x_test": objects([[1], [2]]),
            "y_test": np.array([1, 0]),
        }
        np.savez(folder / "imdb.npz", **{**good, **parts})
        path = folder / "imdb.npz"
        path.write_bytes(change(path.read_bytes()))

    return prepare


def raw_member(name: str, data: bytes) -> Prepare:
    """A member of the .npz that NumPy did not write."""

    def prepare(folder: Path) -> None:
        npz()(folder)
        with zipfile.ZipFile(folder / "imdb.npz", "a") as archive:
            archive.writestr(f"{name}.npy", data)

    return prepare


def replaced_member(name: str, data: bytes) -> Prepare:
    def prepare(folder: Path) -> None:
        npz()(folder)
        with zipfile.ZipFile(folder / "imdb.npz") as archive:
            parts = {n: archive.read(n) for n in archive.namelist()}
        with zipfile.ZipFile(folder / "imdb.npz", "w") as archive:
            for n, content in {**parts, f"{name}.npy": data}.items():
                archive.writestr(n, content)

    return prepare


def case(name: str, *arguments: str, given: Prepare = table, **rest: Any) -> Case:
    return Case(name=name, arguments=arguments, given=given, **rest)


def train(name: str, *options: str, source: str = "d.csv", **rest: Any) -> Case:
    return case(f"train: {name}", "train", source, *MODEL, *QUICK, *options, **rest)


def kept(name: str) -> Callable[[Path], object]:
    """The file that was there is there with its bytes: the harness compares them, this names it."""
    return lambda folder: (folder / name).read_bytes()


OUT = member("../train/pos/1_1.txt", 1)
SOURCES = [
    train("no such source", source="none.csv", says="no file or folder"),
    train("standard input", source="-", says="read again"),
    train(
        "a pipe without a writer", source="p.csv", given=lambda f: os.mkfifo(f / "p.csv"), says="read again"
    ),
    train("a device", source="/dev/zero", says="read again"),
    train("an empty folder", source="e", given=lambda f: (f / "e").mkdir(), says="e"),
    train("an empty file", given=put("d.csv", ""), says="d.csv"),
    train("UTF-16", given=put("d.csv", "text,label\na,b\n".encode("utf-16")), says="UTF-16"),
    train("bytes at random", given=put("d.csv", np.random.default_rng(0).bytes(5000)), says="d.csv"),
    train("one label", given=lambda f: table(f, [("a", "x")] * 9), says="one label"),
    train("a label each", given=lambda f: table(f, [(f"a {i}", f"l{i}") for i in range(99)]), says="labels"),
    train("all texts alike", given=lambda f: table(f, [("a", "x"), ("a", "y")] * 9), says="same words"),
    train("texts without a word", given=lambda f: table(f, [("!", "x"), ("?", "y")] * 9), says=""),
    train(
        "a label that is no text",
        source="d.jsonl",
        says="no label",
        given=jsonl({"text": "a", "label": "x"}, {"text": "b", "label": {"y": 1}}),
    ),
    train(
        "a label that is half a character",
        source="d.jsonl",
        says="label",
        given=jsonl(*[{"text": f"a {i}", "label": "\ud800" if i % 2 else "x"} for i in range(20)]),
    ),
    train("a tar that leads out", source="d.tar.gz", given=tar((OUT, b"x")), says="leads out"),
    train(
        "a tar with an absolute path",
        source="d.tar.gz",
        says="leads out",
        given=tar((member("/train/pos/1_1.txt", 1), b"x")),
    ),
    *(
        train(
            f"a tar with a {what}",
            source="d.tar.gz",
            says="link or device",
            given=tar((member("aclImdb/train/pos/9_9.txt", kind=kind, link="/etc/passwd"), b"")),
        )
        for what, kind in (
            ("symbolic link", tarfile.SYMTYPE),
            ("hard link", tarfile.LNKTYPE),
            ("device", tarfile.CHRTYPE),
            ("pipe", tarfile.FIFOTYPE),
        )
    ),
    train(
        "a tar of a text of 17 MiB",
        source="d.tar.gz",
        says="larger than 16 MiB",
        given=tar((member("aclImdb/train/pos/9_9.txt", 17 << 20), bytes(17 << 20))),
    ),
    *(
        train(
            f"a tar cut at {share:.0%}",
            source="d.tar.gz",
            says="again",
            given=tar(change=lambda b, s=share: b[: int(len(b) * s)]),
        )
        for share in (0, 0.02, 0.5, 0.99)
    ),
    train(
        "a tar with a wrong checksum",
        source="d.tar.gz",
        says="complete",
        given=tar(change=lambda b: b[:-8] + bytes([b[-8] ^ 1]) + b[-7:]),
    ),
    train(
        "a plain tar cut between two members",
        source="d.tar.gz",
        says="cut short",
        given=tar(mode="w:", change=lambda b: b[: 1024 * 9]),
    ),
    train(
        "a plain tar with one block of zeros",
        source="d.tar.gz",
        says="cut short",
        given=tar(mode="w:", change=lambda b: b.rstrip(b"\0") + bytes(-len(b.rstrip(b"\0")) % 512 + 512)),
    ),
    train("a tar of zeros", source="d.tar.gz", given=put("d.tar.gz", bytes(10240)), says="d.tar.gz"),
    train(
        "reviews behind a link",
        source="aclImdb",
        says="symbolic link",
        given=both(folder_of_reviews, lambda f: (f / "aclImdb/train/pos/99_1.txt").symlink_to("/etc/passwd")),
    ),
    train(
        "a folder of reviews behind a link",
        source="aclImdb",
        says="symbolic link",
        given=both(
            folder_of_reviews,
            lambda f: (f / "aclImdb/train/pos").rename(f / "pos"),
            lambda f: (f / "aclImdb/train/pos").symlink_to("../../pos"),
        ),
    ),
    train(
        "links on request",
        "--follow-links",
        source="aclImdb",
        exit=0,
        leaves=MADE,
        given=both(
            folder_of_reviews,
            lambda f: (f / "aclImdb/train/pos").rename(f / "pos"),
            lambda f: (f / "aclImdb/train/pos").symlink_to("../../pos"),
        ),
    ),
    train(
        "a pipe among reviews",
        source="aclImdb",
        exit=0,
        leaves=MADE,
        given=both(folder_of_reviews, lambda f: os.mkfifo(f / "aclImdb/train/pos/99_1.txt")),
    ),
    train(
        "a pickle that calls", source="imdb.npz", given=npz(x_train=objects([[1], Bomb()])), says="do not use"
    ),
    train(
        "labels that are a pickle",
        source="imdb.npz",
        says="cannot be read",
        given=npz(y_train=objects([Bomb(), 0])),
    ),
    train(
        "a header that is a program",
        source="imdb.npz",
        says="no NumPy array",
        given=replaced_member(
            "x_train", b"\x93NUMPY\x01\x00\x40\x00__import__('os').mkdir('it-ran')" + b" " * 30
        ),
    ),
    train(
        "a header nested 10,000 deep",
        source="imdb.npz",
        says="no NumPy array",
        given=replaced_member("x_train", b"\x93NUMPY\x01\x00" + struct.pack("<H", 9000) + b"[" * 9000),
    ),
    train(
        "a pickle nested 100,000 deep",
        source="imdb.npz",
        says="x_train",
        given=replaced_member(
            "x_train",
            b"\x93NUMPY\x01\x00\x36\x00{'descr': '|O', 'fortran_order': False, 'shape': (24,)}"
            b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
        ),
    ),
    train(
        "a pickle that repeats itself",
        source="imdb.npz",
        says="x_train",
        given=replaced_member(
            "x_train",
            b"\x93NUMPY\x01\x00\x36\x00{'descr': '|O', 'fortran_order': False, 'shape': (24,)}"
            b"\x80\x02]q\x00" + b"h\x00h\x00\x86q\x00" * 40 + b".",
        ),
    ),
    *(
        train(
            f"an .npz cut at {share:.0%}",
            source="imdb.npz",
            says="again",
            given=npz(lambda b, s=share: b[: int(len(b) * s)]),
        )
        for share in (0.3, 0.9)
    ),
    train(
        "no word index",
        source="imdb.npz",
        says="--word-index",
        given=both(npz(), lambda f: (f / "imdb_word_index.json").unlink()),
    ),
    train(
        "a word index nested deep",
        source="imdb.npz",
        says="JSON",
        given=both(npz(), put("imdb_word_index.json", "[" * 100_000)),
    ),
    train(
        "a word index of other words",
        source="imdb.npz",
        says="outside 1 to 2",
        given=npz(x_train=objects([[1], [9]] * 12)),
    ),
    train(
        "a name that steers the terminal",
        source="d\x1b[2J.csv",
        exit=0,
        leaves=MADE,
        given=both(table, lambda f: (f / "d.csv").rename(f / "d\x1b[2J.csv")),
    ),
    train(
        "a label that steers the terminal",
        says="control character",
        given=lambda f: table(f, [(text, f"{label}\x1b[2J") for text, label in ROWS]),
    ),
    train(
        "half a character in a text",
        source="d.jsonl",
        exit=0,
        leaves=MADE,
        given=jsonl(*[{"text": f"\ud83d {text}", "label": label} for text, label in ROWS]),
    ),
]

OPTIONS = [
    *(
        train(f"{option} {value}", option, value, exit=exit_, says=says)
        for option, value, says, exit_ in [
            ("--hidden", "1000000000", "hidden", 1),
            ("--embedding", "0", "embedding_dim", 1),
            ("--embedding", "100000000", "embedding_dim", 1),
            ("--layers", "1000000", "layers", 1),
            ("--epochs", "0", "epochs", 1),
            ("--batch-size", "0", "batch_size", 1),
            ("--learning-rate", "nan", "learning_rate", 1),
            ("--learning-rate", "inf", "learning_rate", 1),
            ("--dropout", "nan", "dropout", 1),
            ("--dropout", "1", "dropout", 1),
            ("--weight-decay", "-1", "weight_decay", 1),
            ("--adversarial", "inf", "adversarial", 1),
            ("--validation", "nan", "--validation", 1),
            ("--test-share", "nan", "", 1),
            ("--length", "0", "--length", 1),
            ("--length", "200000000", "--length", 1),
            ("--num-words", "3", "--num-words", 1),
            ("--skip-top", "1000000", "--skip-top", 1),
            ("--words", "best", "--words", 1),
            ("--pooling", "median", "pooling", 1),
            ("--seed", "-1", "--seed", 2),
            ("--seed", str(2**63), "seed", 1),
            ("--threads", "0", "--threads", 2),
            ("--threads", "1000000000", "threads", 1),
            ("--device", "meta", "device", 1),
            ("--device", "cuda:99", "device", 1),
            ("--device", "x y", "device", 1),
            ("--budget-kb", "nan", "", 2),
            ("--preset", "auto", "--budget-kb", 2),
            ("--preset", "best", "preset", 1),
            ("--input-format", "xml", "format", 1),
            ("--text-column", "none", "none", 1),
            ("--label-column", "text", "text", 1),
            ("--word-index", "none.json", "no word index", 1),
            ("--test", "none.csv", "no file none.csv", 1),
            ("--teacher-model", "none.onnx", "--unlabelled", 1),
            ("--unlabelled", "d.csv", "--teacher", 1),
            ("--pairs", "1000000000000", "", 1),
        ]
    ),
    train("--own-labels nan", "--teacher", "nb-svm", "--own-labels", "nan", says="--own-labels"),
    train("--pairs without end", "--teacher", "nb-svm", "--pairs", "1000000000000", says="pair_buckets"),
    train(
        "a log and no teacher", "--unlabelled", "d.csv", "--teacher", "none", says="leave out --unlabelled"
    ),
    train("made-texts below 0", "--set", "made-texts=-1", says="made-texts"),
    train("made-texts of long texts", "--set", "made-texts=2", "--set", "features=pairs", says="made-texts"),
    train("--budget-us nan", "--preset", "auto", "--budget-us", "nan", says="--budget-us"),
]

FILES = [
    train("--suspects is the source", "--suspects", "d.csv", says="one of the inputs"),
    train("--soft-labels is the source", "--teacher", "nb-svm", "--soft-labels", "d.csv", says="d.csv"),
    train(
        "--soft-labels is another model",
        "--teacher",
        "nb-svm",
        "--soft-labels",
        "o.safetensors",
        given=both(table, lambda f: save_file({"a": torch.ones(2)}, f / "o.safetensors")),
        says="would be overwritten",
    ),
    train(
        "--soft-labels is the checkpoint",
        "--teacher",
        "nb-svm",
        "--soft-labels",
        "m.safetensors",
        says="one file",
    ),
    train("--suspects is the history", "--suspects", "m.history.json", says="one file"),
    train("--suspects in no folder", "--suspects", "no/s.csv", says="no folder"),
    train(
        "--suspects is a device",
        "--suspects",
        "/dev/null",
        exit=0,
        leaves=MADE,
        then=lambda _: Path("/dev/null").is_char_device() or pytest.fail("/dev/null was replaced"),
    ),
    case(
        "train: the output is a folder",
        "train",
        "d.csv",
        "-o",
        "m.safetensors",
        *QUICK,
        says="folder",
        given=both(table, lambda f: (f / "m.safetensors").mkdir()),
    ),
    case("train: the output is of another kind", "train", "d.csv", "-o", "m.pt", *QUICK, says=".safetensors"),
    case("train: the folder is a file", "train", "d.csv", "-o", "d.csv/m.safetensors", *QUICK, says="d.csv"),
    train(
        "the history is a folder", says="folder", given=both(table, lambda f: (f / "m.history.json").mkdir())
    ),
    train(
        "the output is a link",
        exit=0,
        leaves=MADE,
        changes=frozenset({"m.safetensors"}),
        given=both(table, put("precious", "x"), lambda f: (f / "m.safetensors").symlink_to("precious")),
    ),
    train(
        "the lock is a link",
        says="cannot write",
        given=both(table, put("precious", "x"), lambda f: (f / ".m.safetensors.lock").symlink_to("precious")),
    ),
    train("--resume without anything", "--resume", says="no unfinished training"),
    train("an unfinished training", given=both(table, put("m.safetensors.partial", "x")), says="--resume"),
    train(
        "--resume of any bytes",
        "--resume",
        given=both(table, put("m.safetensors.partial", "x")),
        says="no checkpoint",
    ),
    train(
        "--resume of a folder",
        "--resume",
        says="",
        given=both(table, lambda f: (f / "m.safetensors.partial").mkdir()),
    ),
    train(
        "--resume of a checkpoint",
        "--resume",
        says="no unfinished training",
        given=both(table, lambda f: tiny(f, "m.safetensors.partial")),
    ),
]


# What stands for a terminal. Each line that train prints is lost; the work is not.

LONG = ("--curve", "--epochs", "1", "--hidden", "4", "--embedding", "4")
UNHEARD = [
    Case(
        name=f"train {options[0]}: {name}",
        shell=f"set -o pipefail; $EL train d.csv {' '.join([*MODEL, *options])} {redirection}",
        exit=code,
        says=says,
    )
    for options in (QUICK, LONG, ("--json", *QUICK))
    for name, redirection, code, says in (
        ("standard output closed", ">&-", 0, ""),
        ("standard output full", ">/dev/full", 1, "m.safetensors is complete"),
        ("nobody reads", "| true", 0, ""),
    )
]


# Checkpoints that are not what they say.


def tiny(folder: Path, name: str = "c.safetensors") -> Path:
    torch.manual_seed(0)
    network = Network(NetworkConfig(num_words=20, embedding_dim=4, hidden=4))
    words = Tokenizer(tuple(f"word{i}" for i in range(16)), 30)
    checkpoints.save_checkpoint(
        checkpoints.Checkpoint(network, words, ("no", "yes"), {"data": "none"}), folder / name
    )
    return folder / name


def altered(
    tensors: Callable[[dict[str, torch.Tensor]], object] = lambda _: None, **described: Any
) -> Prepare:
    """The tiny checkpoint with other tensors, or another description of them, and a right digest."""

    def prepare(folder: Path) -> None:
        path = tiny(folder)
        header = path.read_bytes()
        metadata = json.loads(header[8 : 8 + struct.unpack("<Q", header[:8])[0]])["__metadata__"]
        (key,) = metadata
        values = load_file(path)
        tensors(values)
        says = {**json.loads(metadata[key]), **described}
        data = save({n: v.contiguous() for n, v in values.items()}, {key: json.dumps(says)})
        path.write_bytes(checkpoints.sealed(data))

    return prepare


def filled(name: str, value: float) -> Callable[[dict[str, torch.Tensor]], object]:
    return lambda values: values[f"network.{name}"].view(-1)[:1].fill_(value)


def changed_bytes(change: Callable[[bytes], bytes]) -> Prepare:
    def prepare(folder: Path) -> None:
        path = tiny(folder)
        path.write_bytes(change(path.read_bytes()))

    return prepare


def network(**values: Any) -> Prepare:
    return altered(network={**NetworkConfig(num_words=20, embedding_dim=4, hidden=4).to_dict(), **values})


def export_of(name: str, given: Prepare, *options: str, **rest: Any) -> Case:
    return case(f"export: {name}", "export", "c.safetensors", "-o", "m.onnx", *options, given=given, **rest)


DAMAGED: dict[str, tuple[Prepare, str]] = {
    "is not there": (lambda _: None, "no checkpoint"),
    "is a folder": (lambda f: (f / "c.safetensors").mkdir(), "no checkpoint"),
    "is empty": (put("c.safetensors", ""), "no checkpoint"),
    "is text": (put("c.safetensors", "hello\n" * 99), "no checkpoint"),
    "says its header is 4 EiB": (
        changed_bytes(lambda b: struct.pack("<Q", 1 << 62) + b[8:]),
        "no checkpoint",
    ),
    "says its header is 1 GiB": (
        changed_bytes(lambda b: struct.pack("<Q", 1 << 30) + b[8:]),
        "no checkpoint",
    ),
    "has a header nested deep": (
        put("c.safetensors", struct.pack("<Q", 100_000) + b"[" * 100_000),
        "no checkpoint",
    ),
    "is a pickle": (put("c.safetensors", pickle.dumps(Bomb())), "no checkpoint"),
    "is of another project": (
        lambda f: save_file({"a": torch.ones(2)}, f / "c.safetensors"),
        "another project",
    ),
    "is cut in the header": (changed_bytes(lambda b: b[:100]), "no checkpoint"),
    "is cut in the weights": (changed_bytes(lambda b: b[:-50]), "no checkpoint"),
    "has bytes behind": (changed_bytes(lambda b: b + b"x"), "no checkpoint"),
    "is of a newer format": (altered(format=99), "newer version"),
    "is of a format in words": (altered(format="x"), "does not fit"),
    "holds NaN": (altered(filled("head.weight", np.nan)), "no numbers"),
    "holds infinity": (altered(filled("embedding.weight", np.inf)), "no numbers"),
    "holds halves": (
        altered(lambda v: v.update({"network.head.weight": v["network.head.weight"].half()})),
        "float32",
    ),
    "has a weight of another shape": (
        altered(lambda v: v.update({"network.head.weight": torch.ones(1, 5)})),
        "does not fit",
    ),
    "lacks a weight": (altered(lambda v: v.pop("network.head.bias")), "does not fit"),
    "has a weight too many": (altered(lambda v: v.update({"network.more": torch.ones(1)})), "does not fit"),
    "says it has 10^12 units": (network(hidden=10**12), "hidden"),
    "says it has 4,000 units": (network(hidden=4000), "does not fit"),
    "says it has a billion layers": (network(layers=10**9), "layers"),
    "says it has 10 million words": (network(num_words=10**7), "does not fit"),
    "has a size in words": (network(embedding_dim="x"), "embedding_dim"),
    "has a size that is a fraction": (network(hidden=4.5), "hidden"),
    "has a size that is true": (network(layers=True), "layers"),
    "has a setting too many": (network(depth=1), "depth"),
    "has a pooling of its own": (network(pooling="min"), "pooling"),
    "has a network that is a list": (altered(network=[1]), "does not fit"),
    "has one label": (altered(labels=["no"]), "labels"),
    "has three labels for two answers": (altered(labels=["a", "b", "c"]), "labels"),
    "has a label twice": (altered(labels=["no", "no"]), "labels"),
    "has labels that are numbers": (altered(labels=[0, 1]), "labels"),
    "has labels that are a word": (altered(labels="ab"), "labels"),
    "has no training": (altered(training=None), "training"),
    "has a word twice": (altered(words=["a", "a"]), "twice"),
    "has a word of two lines": (altered(words=["a\nb"]), "words"),
    "has words that are numbers": (altered(words=[1, 2]), "words"),
    "has more words than rows": (altered(words=[f"w{i}" for i in range(99)]), "words"),
    "has a length of 0": (altered(length=0), "ids"),
    "has a length of 200,000,000": (altered(length=200_000_000), "ids"),
    "has a length in words": (altered(length="x"), "ids"),
    "has an unknown word's id of -1": (altered(oov_id=-1), "unknown words"),
}
EXPORTS = [
    *(export_of(f"a checkpoint that {name}", given, says=says) for name, (given, says) in DAMAGED.items()),
    export_of("opset 12", tiny, "--opset", "12", says="opset"),
    export_of("opset 22", tiny, "--opset", "22", says="opset"),
    export_of("length 0", tiny, "--length", "0", says="length"),
    export_of("length 10^9", tiny, "--length", "1000000000", says="length"),
    export_of("batch 2", tiny, "--batch", "2", says="batch"),
    export_of("int4", tiny, "--quantize", "int4", exit=2, says="int8"),
    export_of("--max-drop nan", tiny, "--quantize", "int8", "--max-drop", "nan", says="--max-drop"),
    export_of("--max-drop -1", tiny, "--quantize", "int8", "--max-drop", "-1", exit=2, says="--max-drop"),
    export_of("data that is not there", tiny, "--quantize", "int8", "--data", "none.csv", says="none.csv"),
    export_of(
        "data of other labels",
        both(tiny, lambda f: table(f, [("a", "x"), ("b", "y")] * 5)),
        "--quantize",
        "int8",
        "--data",
        "d.csv",
        says="labels the model does not know",
    ),
    case(
        "export: onto its checkpoint",
        "export",
        "c.safetensors",
        "-o",
        "c.safetensors",
        given=tiny,
        says="one of the inputs",
    ),
    case(
        "export: onto its data",
        "export",
        "c.safetensors",
        "-o",
        "d.csv",
        "--data",
        "d.csv",
        "--quantize",
        "int8",
        given=both(tiny, table),
        says="one of the inputs",
    ),
    case(
        "export: onto a folder",
        "export",
        "c.safetensors",
        "-o",
        "e",
        given=both(tiny, lambda f: (f / "e").mkdir()),
        says="folder",
    ),
    case(
        "export: onto a device",
        "export",
        "c.safetensors",
        "-o",
        "/dev/null",
        given=tiny,
        exit=0,
        then=lambda _: Path("/dev/null").is_char_device() or pytest.fail("/dev/null was replaced"),
    ),
    case(
        "export: onto a full device",
        "export",
        "c.safetensors",
        "-o",
        "/dev/full",
        given=tiny,
        says="no space",
    ),
    case(
        "export: into new folders",
        "export",
        "c.safetensors",
        "-o",
        "a/b/m.onnx",
        given=tiny,
        exit=0,
        leaves=frozenset({"a", "a/b", "a/b/m.onnx"}),
    ),
    case(
        "export: into a file",
        "export",
        "c.safetensors",
        "-o",
        "c.safetensors/m.onnx",
        given=tiny,
        says="no folder",
    ),
    case(
        "export: onto a link",
        "export",
        "c.safetensors",
        "-o",
        "m.onnx",
        exit=0,
        changes=frozenset({"m.onnx"}),
        given=both(tiny, put("precious", "x"), lambda f: (f / "m.onnx").symlink_to("precious")),
    ),
]


# Model files for quantize.


def model(folder: Path, change: Callable[[bytes], bytes] = bytes) -> None:
    data = export.export_fp32(checkpoints.load_checkpoint(tiny(folder))).data
    (folder / "c.safetensors").unlink()
    (folder / "m.onnx").write_bytes(change(data))


def changed_model(change: Callable[[bytes], bytes]) -> Prepare:
    return lambda folder: model(folder, change)


def foreign(folder: Path) -> None:
    node = onnx.helper.make_node("Identity", ["a"], ["b"])
    info = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1]) for n in "ab"]
    onnx.save(
        onnx.helper.make_model(onnx.helper.make_graph([node], "g", info[:1], info[1:])), folder / "m.onnx"
    )


def quantize_of(name: str, given: Prepare, *options: str, output: str = "q.onnx", **rest: Any) -> Case:
    return case(f"quantize: {name}", "quantize", "m.onnx", "-o", output, *options, given=given, **rest)


QUANTIZES = [
    quantize_of("no model", lambda _: None, says="no "),
    quantize_of("a folder", lambda f: (f / "m.onnx").mkdir(), says="m.onnx"),
    quantize_of("an empty file", put("m.onnx", ""), says="m.onnx"),
    quantize_of("text", put("m.onnx", "hello\n" * 99), says="m.onnx"),
    quantize_of("another project's model", foreign, says="m.onnx"),
    *(
        quantize_of(
            f"a model cut at {share:.0%}",
            changed_model(lambda b, s=share: b[: int(len(b) * s)]),
            says="m.onnx",
        )
        for share in (0.05, 0.5, 0.95, 0.999)
    ),
    quantize_of(
        "one bit changed", changed_model(lambda b: b[:2000] + bytes([b[2000] ^ 4]) + b[2001:]), says="m.onnx"
    ),
    quantize_of("onto itself", model, output="m.onnx", says="one of the inputs"),
    quantize_of("onto a folder", both(model, lambda f: (f / "e").mkdir()), output="e", says="folder"),
    quantize_of("onto a full device", model, output="/dev/full", says="no space"),
    quantize_of("--max-drop inf", model, "--max-drop", "inf", says="--max-drop"),
    quantize_of(
        "data of other labels",
        both(model, lambda f: table(f, [("a", "x"), ("b", "y")] * 5)),
        "--data",
        "d.csv",
        says="labels the model does not know",
    ),
    quantize_of(
        "data without labels", both(model, put("d.csv", "text\na\n")), "--data", "d.csv", says="d.csv"
    ),
    Case(
        name="quantize: what is int8 already",
        arguments=("quantize", "q.onnx", "-o", "q2.onnx"),
        says="int8 already",
        given=lambda f: (model(f), quantized(f)),
    ),
]


LITTLE_MEMORY = [
    *(
        Case(
            name=f"train in {kb} kB",
            shell=f"ulimit -v {kb}; $EL train d.csv -o m.safetensors",
            given=table,
            says="train takes at least 1500 MB",
        )
        for kb in (500_000, 1_100_000, 1_200_000, 1_300_000, 1_400_000)
    ),
    *(
        Case(
            name=f"{line} in {kb} kB",
            shell=f"ulimit -v {kb}; $EL {line} -o q.onnx",
            given=model,
            says=" 800 MB",
        )
        for kb in (300_000, 500_000, 700_000)
        for line in ("export m.safetensors", "quantize m.onnx")
    ),
    Case(
        name="a batch that takes more memory than there is",
        # The notes before it are no part of the error.
        shell="ulimit -v 1560000; $EL train d.csv -o m.safetensors "
        "--preset seed --batch-size 800 --epochs 1 2>e; "
        "code=$?; tail -n 1 e >&2; rm e; exit $code",
        given=lambda f: table(
            f, [(" ".join(f"w{(i * j) % 997}" for j in range(600)), "ab"[i % 2]) for i in range(900)]
        ),
        says="out of memory: it takes more than the 1597 MB",
        leaves=frozenset({"m.safetensors.partial"}),
    ),
]


def quantized(folder: Path) -> None:
    from edge_lstm.modelfile import open_model

    (folder / "q.onnx").write_bytes(export.quantize_int8(open_model(folder / "m.onnx")).data)


@pytest.mark.parametrize("case", [*SOURCES, *OPTIONS, *FILES, *EXPORTS, *QUANTIZES, *LITTLE_MEMORY], ids=str)
def test_train_export_quantize(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = check(case, tmp_path, monkeypatch)
    assert b"\x1b" not in done.stdout + done.stderr
    assert not (tmp_path / "it-ran").exists()


@pytest.mark.parametrize("case", UNHEARD, ids=str)
def test_work_is_not_lost_for_want_of_a_terminal(case: Case, tmp_path: Path) -> None:
    table(tmp_path)
    done = in_bash(case, tmp_path)
    text = done.stderr.decode()
    assert done.exit == case.exit and "Traceback" not in text, text
    assert text.count("error: ") == case.exit and case.says in text.splitlines()[-1], text
    trained = checkpoints.load_checkpoint(tmp_path / "m.safetensors").training
    assert trained["outcome"] == "finished"
    assert ("--curve" in case.name) == (tmp_path / "m.curve.json").exists()
    assert not (tmp_path / "m.safetensors.partial").exists()


def test_in_a_folder_that_was_removed_nothing_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library of linear algebra ended the process there, with lines of its own."""
    files = f"{tmp_path}/d.csv -o {tmp_path}/m.safetensors"
    for line in (f"train {files}", f"export {tmp_path}/c.safetensors -o {tmp_path}/m.onnx"):
        shell = f"mkdir gone; cd gone; rmdir ../gone; $EL {line}"
        check(
            Case(name=line, shell=shell, given=both(table, tiny), says="was removed"), tmp_path, monkeypatch
        )
