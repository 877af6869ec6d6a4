"""Hostile inputs, files and limits of ``train`` and ``export``. Each row is a command, the
condition it meets, how it ends, and what it may leave.
"""

from __future__ import annotations

import json
import os
import pickle
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from edge_lstm_export.train import checkpoint as checkpoints
from edge_lstm_export.train import stages
from edge_lstm_export.train.network import Network
from edge_lstm_export.train.plan import make_plan
from edge_lstm_export.train.stats import DatasetStats
from hostile import Case, check, member, tar_bytes
from safetensors.torch import load_file, save, save_file

from edge_lstm.layers import Lstm, NetworkConfig
from edge_lstm.modelfile import embedded_model
from edge_lstm.os_file import lock
from edge_lstm.text import Tokenizer, front_coded

Prepare = Callable[[Path], object]
MODEL = ("-o", "m.safetensors")
QUICK = ("--preset", "seed", "--epochs", "1")
MADE = frozenset({"m.safetensors", "m.history.json"})
ROWS = [
    (f"word{i % 7} about{'no' if i % 2 else 'yes'} word{i % 5}", "no" if i % 2 else "yes")
    for i in range(40)
]


def both(*steps: Prepare) -> Prepare:
    return lambda folder: [step(folder) for step in steps]


def put(name: str, content: bytes | str) -> Prepare:
    data = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(data)


def link(name: str, target: str) -> Prepare:
    return lambda folder: (folder / name).symlink_to(target)


def mkdir(name: str) -> Prepare:
    return lambda folder: (folder / name).mkdir()


def table(folder: Path, rows: list[tuple[str, str]] = ROWS) -> None:
    (folder / "d.csv").write_text(
        "text,label\n" + "".join(f"{text},{label}\n" for text, label in rows)
    )


def rows_of(*rows: tuple[str, str]) -> Prepare:
    return lambda folder: table(folder, [*rows])


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
    *extra: tuple[tarfile.TarInfo, bytes],
    mode: str = "w:gz",
    change: Callable[[bytes], bytes] = bytes,
) -> Prepare:
    return lambda folder: (folder / "d.tar.gz").write_bytes(change(tar_bytes(REVIEWS, mode, extra)))


def reviews(folder: Path) -> None:
    for name, content in REVIEWS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


class Bomb:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, ("it-ran",)


def null_is_a_device(folder: Path) -> None:
    assert Path("/dev/null").is_char_device(), "/dev/null was replaced"


def case(name: str, *arguments: str, given: Prepare = table, **rest: Any) -> Case:
    return Case(name=name, arguments=arguments, given=given, **rest)


def train(name: str, *options: str, source: str = "d.csv", **rest: Any) -> Case:
    return case(f"train: {name}", "train", source, *MODEL, *QUICK, *options, **rest)


def of_tar(name: str, says: str, *extra: tuple[tarfile.TarInfo, bytes], **change: Any) -> Case:
    return train(f"a tar {name}", source="d.tar.gz", says=says, given=tar(*extra, **change))


def moved(folder: Path) -> None:
    reviews(folder)
    (folder / "aclImdb/train/pos").rename(folder / "pos")
    (folder / "aclImdb/train/pos").symlink_to("../../pos")


def zeros_cut(data: bytes) -> bytes:
    """One block of zeros where a tar ends in two."""
    data = data.rstrip(b"\0")
    return data + bytes(-len(data) % 512 + 512)


def unfinished(name: str = "c.safetensors") -> Prepare:
    """What a killed training leaves."""

    def prepare(folder: Path) -> None:
        stages.Stages(folder / name, {}).keep("loop", stages.Stage({}, {"a": torch.ones(1)}))

    return prepare


OUT = member("../train/pos/1_1.txt", 1)
POS = "aclImdb/train/pos/9_9.txt"
ESCAPE = "\x1b[2J"
# fmt: off
SOURCES = [
    train("no such source", source="none.csv", says="no file or folder"),
    train("standard input", source="-", says="read twice"),
    train("a device", source="/dev/zero", says="read twice"),
    train("an empty folder", source="e", given=mkdir("e"), says="e"),
    train("an empty file", given=put("d.csv", ""), says="d.csv"),
    train("UTF-16", given=put("d.csv", "text,label\na,b\n".encode("utf-16")), says="UTF-16"),
    train("bytes at random", given=put("d.csv", np.random.default_rng(0).bytes(5000)),
          says="d.csv"),
    train("a file of no kind", source="d.bin", given=put("d.bin", b"\0\1\2\xff" * 300),
          says="suffix"),
    train("one label", given=rows_of(*[("a", "x")] * 9), says="one label"),
    train("a label each", given=rows_of(*[(f"a {i}", f"l{i}") for i in range(99)]), says="labels"),
    train("all texts alike", given=rows_of(*[("a", "x"), ("a", "y")] * 9), says="(ignoring case"),
    train("texts without a word", given=rows_of(*[("!", "x"), ("?", "y")] * 9), says=""),
    train("a label that is no text", source="d.jsonl", says="numbers from 0 to 1",
          given=jsonl({"text": "a", "label": "x"}, {"text": "b", "label": {"y": "z"}})),
    train("a label that is NaN", source="d.jsonl", says="row 2: no label",
          given=jsonl({"text": "a", "label": "x"}, {"text": "b", "label": np.nan})),
    train("a label that is half a character", source="d.jsonl", says="label",
          given=jsonl(*[{"text": f"a {i}", "label": "\ud800" if i % 2 else "x"}
                        for i in range(20)])),
    train("a label that steers the terminal", says="control character",
          given=rows_of(*[(text, label + ESCAPE) for text, label in ROWS])),
    of_tar("that leads out", "leads out", (OUT, b"x")),
    of_tar("with an absolute path", "leads out", (member("/train/pos/1_1.txt", 1), b"x")),
    *(of_tar(f"with a {what}", "link or device", (member(POS, kind=kind, link="/etc/passwd"), b""))
      for what, kind in (("symbolic link", tarfile.SYMTYPE), ("pipe", tarfile.FIFOTYPE))),
    of_tar("of a text of 17 MiB", "larger than 16 MiB", (member(POS, 17 << 20), bytes(17 << 20))),
    *(of_tar(f"cut at {share:.0%}", "again", change=lambda b, s=share: b[: int(len(b) * s)])
      for share in (0, 0.5)),
    of_tar("with a wrong checksum", "complete",
           change=lambda b: b[:-8] + bytes([b[-8] ^ 1]) + b[-7:]),
    of_tar("cut between two members", "cut short", mode="w:", change=lambda b: b[: 1024 * 9]),
    of_tar("of xz that is cut", "complete", mode="w:xz", change=lambda b: b[: int(len(b) * 0.9)]),
    of_tar("with one block of zeros", "cut short", mode="w:", change=zeros_cut),
    train("a tar of zeros", source="d.tar.gz", given=put("d.tar.gz", bytes(10240)),
          says="d.tar.gz"),
    train("a folder of both parts", source="aclImdb", given=reviews,
          says="aclImdb has splits; train on"),
    train("reviews behind a link", source="aclImdb/train", says="symbolic link",
          given=both(reviews, link("aclImdb/train/pos/99_1.txt", "/etc/passwd"))),
    train("a folder of reviews behind a link", source="aclImdb/train", says="aclImdb/train",
          given=moved),
    train("a pipe among reviews", source="aclImdb/train", says="pipe or device",
          given=both(reviews, lambda f: os.mkfifo(f / "aclImdb/train/pos/99_1.txt"))),
    train("a name that steers the terminal", source=f"d{ESCAPE}.csv", exit=0, leaves=MADE,
          given=both(table, lambda f: (f / "d.csv").rename(f / f"d{ESCAPE}.csv"))),
    *(case(f"train: half a character in a text, preset {preset}", "train", "d.jsonl", *MODEL,
           "--epochs", "1",
           "--preset", preset, exit=0, leaves=MADE,
           given=jsonl(*[{"text": f"\ud83d {text}", "label": label} for text, label in ROWS]))
      for preset in ("seed", "tiny")),
    case("train: two files, one of them missing", "train", "d.csv", "none.csv", *MODEL,
         says="none.csv"),
    case("train: a data set beside a file", "train", "d.csv", "imdb", *MODEL,
         says="has its own splits"),
]
NO_PLAN = json.dumps(make_plan(DatasetStats(40, 2)).to_dict() | {"format": 99})
NO_ENCODER = json.dumps(
    make_plan(DatasetStats(40, 2)).to_dict()
    | {"teachers": [{"kind": "probe", "source": "/none", "sha256": ""}]}
)
OPTIONS = [
    *(train(f"{' '.join(given)}", *given, exit=exit_, says=says) for given, says, exit_ in [
        (("--epochs", "0"), "epochs", 2),
        (("--epochs", str(10**9)), "epochs", 1),
        (("--seed", str(2**63)), "seed", 1),
        (("--preset", "best"), "preset", 1),
        (("--input-format", "xml"), "format", 1),
        (("--text-column", "none"), "none", 1),
        (("--label-column", "text"), "text", 1),
        (("--label-separator", " "), "separator", 1),
        (("--label-columns", "none"), "none", 1),
        (("--test", "none.csv"), "none.csv", 1),
        (("--unlabelled", "none.csv", "--preset", "tiny"), "none.csv", 1),
        (("--unlabelled", "d.csv", "--preset", "tiny", "--teacher", "none"),
         "leave out --unlabelled", 1),
        (("--teacher", "none.safetensors", "--preset", "tiny"), "no model file at none.safetensors",
         1),
        (("--start", "none.onnx", "--preset", "tiny"), "no model file at none.onnx", 1),
        (("--hidden", "4"), "--hidden", 2),
    ]),
    *(case(f"train: a plan that {name}", "train", "d.csv", *MODEL, "--plan", "p.json", says=says,
           given=both(table, given)) for name, given, says in [
        ("is not there", lambda f: None, "no plan at p.json"),
        ("is a folder", mkdir("p.json"), "p.json"),
        ("is not JSON", put("p.json", "{"), "is not a plan in JSON"),
        ("is nested deep", put("p.json", "[" * 100_000), "is not a plan in JSON"),
        ("is a list", put("p.json", "[1]"), "format 2"),
        ("is of another format, behind a byte order mark", put("p.json", "\ufeff" + NO_PLAN),
         "format 2"),
    ]),
]
FILES = [
    case("train --dry-run: a plan with an encoder that is not there", "train", "d.csv", "--dry-run",
         "--plan",
         "p.json", says="no teacher '/none'", given=both(table, put("p.json", NO_ENCODER))),
    train("--test is the output", "--test", "m.safetensors", says="one of the inputs",
          given=both(table, put("m.safetensors", "x"))),
    train("the output is a folder", says="folder", given=both(table, mkdir("m.safetensors"))),
    case("train: no output", "train", "d.csv", *QUICK, exit=2, says="-o"),
    case("train: the output is of another kind", "train", "d.csv", "-o", "m.pt", *QUICK,
         says=".safetensors"),
    case("train: the folder is a file", "train", "d.csv", "-o", "d.csv/m.safetensors", *QUICK,
         says="d.csv"),
    train("the history is a folder", says="folder", given=both(table, mkdir("m.history.json"))),
    train("the output is a link", exit=0, leaves=MADE, changes=frozenset({"m.safetensors"}),
          given=both(table, put("precious", "x"), link("m.safetensors", "precious"))),
    train("the lock is a link", says="cannot write",
          given=both(table, put("precious", "x"), link(".m.safetensors.lock", "precious"))),
    train("--resume without anything", "--resume", exit=0, leaves=MADE, says="nothing to resume"),
    train("an unfinished training",
          says="m.safetensors has an unfinished training; continue with --resume",
          given=both(table, put("m.safetensors.partial", "x"))),
    train("--resume of another training", "--resume", says="cannot resume: data was None and is ",
          given=both(table, unfinished("m.safetensors.partial"))),
    train("--resume of any bytes", "--resume", says="no checkpoint",
          given=both(table, put("m.safetensors.partial", "x"))),
    train("--resume of a training that was cut", "--resume", says="delete m.safetensors.partial",
          given=both(table, put("m.safetensors.partial", struct.pack("<Q", 100) + b"{"))),
    train("--resume of a folder", "--resume", says="",
          given=both(table, mkdir("m.safetensors.partial"))),
    train("--resume of a checkpoint", "--resume", says="no unfinished training",
          given=both(table, lambda f: tiny(f, "m.safetensors.partial"))),
]
# fmt: on

# Checkpoints that are not what they say. Labels, text rule and layers have the checks of model
# files (hostile_files.py).

SHAPE = NetworkConfig(num_words=20, embedding_dim=4, layers=(Lstm(4),))
LSTM = Lstm(4).to_dict()


def tiny(folder: Path, name: str = "c.safetensors") -> Path:
    torch.manual_seed(0)
    words = Tokenizer(tuple(f"word{i}" for i in range(16)), 30)
    made = checkpoints.Checkpoint(Network(SHAPE), words, ("no", "yes"), {"data": "none"})
    checkpoints.save_checkpoint(made, folder / name)
    return folder / name


def altered(
    tensors: Callable[[dict[str, torch.Tensor]], object] = lambda _: None, **described: Any
) -> Prepare:
    """The tiny checkpoint with other tensors, or another description of them, and the digest of
    these."""

    def prepare(folder: Path) -> None:
        path = tiny(folder)
        header = path.read_bytes()
        metadata = json.loads(header[8 : 8 + struct.unpack("<Q", header[:8])[0]])["__metadata__"]
        (key,) = metadata
        values = load_file(path)
        tensors(values)
        says = {**json.loads(metadata[key]), **described}
        data = save(
            {name: value.contiguous() for name, value in values.items()}, {key: json.dumps(says)}
        )
        path.write_bytes(checkpoints.sealed(data))

    return prepare


def filled(name: str, value: float) -> Callable[[dict[str, torch.Tensor]], object]:
    return lambda values: values[f"network.{name}"].view(-1)[:1].fill_(value)


def updated(name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Prepare:
    return altered(
        lambda values: values.update({f"network.{name}": change(values[f"network.{name}"])})
    )


def changed_bytes(change: Callable[[bytes], bytes]) -> Prepare:
    return lambda folder: tiny(folder).write_bytes(change((folder / "c.safetensors").read_bytes()))


def network(**values: Any) -> Prepare:
    return altered(network={**SHAPE.to_dict(), **values})


def tokenizer(**values: Any) -> Prepare:
    return altered(tokenizer={**Tokenizer(("a",), 30).to_metadata(), **values})


def export_of(
    name: str, given: Prepare, *options: str, output: str = "m.onnx", **rest: Any
) -> Case:
    return case(
        f"export: {name}", "export", "c.safetensors", "-o", output, *options, given=given, **rest
    )


# fmt: off
NONE = "no checkpoint"
DAMAGED: dict[str, tuple[Prepare, str]] = {
    "is not there": (lambda _: None, NONE),
    "is a folder": (mkdir("c.safetensors"), NONE),
    "is empty": (put("c.safetensors", ""), NONE),
    "says its header is 4 EiB": (changed_bytes(lambda b: struct.pack("<Q", 1 << 62) + b[8:]), NONE),
    "has a header nested deep": (put("c.safetensors", struct.pack("<Q", 10**5) + b"[" * 10**5),
                                 NONE),
    "is a pickle": (put("c.safetensors", pickle.dumps(Bomb())), NONE),
    "is a model file": (put("c.safetensors", embedded_model().read_bytes()), "model file already"),
    "is of another project": (lambda f: save_file({"a": torch.ones(2)}, f / "c.safetensors"),
                              "another project"),
    "is of an unfinished training": (unfinished(), "unfinished training; continue it with"),
    "is cut in the weights": (changed_bytes(lambda b: b[:-50]), NONE),
    "has bytes behind": (changed_bytes(lambda b: b + b"x"), NONE),
    "has one bit changed": (changed_bytes(lambda b: b[:-9] + bytes([b[-9] ^ 1]) + b[-8:]),
                            "was changed"),
    "is of another format": (altered(format=99),
                             "was made by another version; train it again, or upgrade"),
    "holds NaN": (altered(filled("head.weight", np.nan)), "not numbers"),
    "holds halves": (updated("head.weight", torch.Tensor.half), "float32"),
    "has a weight of another shape": (updated("head.weight", lambda _: torch.ones(1, 5)),
                                      "do not fit"),
    "has a part of another name": (altered(lambda v: v.update({"net.more": torch.ones(1)})),
                                   "do not fit"),
    "says it has 10^12 units": (network(layers=[{**LSTM, "lstm": 10**12}]), "LSTM units"),
    "has a setting too many": (network(depth=1), "depth"),
    "has a network that is a list": (altered(network=[1]), "network"),
    "has three labels for two answers": (altered(labels=["a", "b", "c"]), "labels"),
    "has a label twice": (altered(labels=["no", "no"]), "label"),
    "has no training": (altered(training=None), "training"),
    "has a vocabulary that is a list": (altered(vocabulary=["a"]), "do not fit"),
    "has more words than rows": (altered(vocabulary=front_coded(f"w{i}" for i in range(99))),
                                 "ids"),
    "has a length of 0": (tokenizer(length=0), "do not fit"),
    "has a curve that is none": (altered(abstention={"points": 7}), "do not fit"),
}
INT8 = ("--quantize", "int8")
OTHERS = rows_of(*[("a", "x"), ("b", "y")] * 5)
EXPORTS = [
    *(export_of(f"a checkpoint that {name}", given, says=says) for name,
      (given, says) in DAMAGED.items()),
    export_of("length 0", tiny, "--length", "0", says="length"),
    export_of("length 10^9", tiny, "--length", "1000000000", says="length"),
    export_of("int4", tiny, "--quantize", "int4", exit=2, says="int8"),
    export_of("--max-drop nan", tiny, *INT8, "--max-drop", "nan", says="--max-drop"),
    export_of("--max-drop -1", tiny, *INT8, "--max-drop", "-1", exit=2, says="--max-drop"),
    *(export_of(f"--abstain {share}", tiny, "--abstain", share, says="--abstain")
      for share in ("1", "nan")),
    export_of("data that is not there", tiny, *INT8, "--data", "none.csv", says="none.csv"),
    export_of("data of other labels", both(tiny, OTHERS), *INT8, "--data", "d.csv",
              says="texts lack"),
    export_of("onto its checkpoint", tiny, output="c.safetensors", says="one of the inputs"),
    export_of("onto its data", both(tiny, table), "--data", "d.csv", output="d.csv",
              says="the inputs"),
    export_of("onto a folder", both(tiny, mkdir("e")), output="e", says="folder"),
    export_of("onto a device", tiny, output="/dev/null", exit=0,
              then=null_is_a_device),
    export_of("onto a full device", tiny, output="/dev/full", says="no space"),
    export_of("into new folders", tiny, output="a/b/m.onnx", exit=0,
              leaves=frozenset({"a", "a/b", "a/b/m.onnx"})),
    export_of("into a file", tiny, output="c.safetensors/m.onnx", says="no folder"),
    export_of("onto a link", both(tiny, put("precious", "x"), link("m.onnx", "precious")), exit=0,
              changes=frozenset({"m.onnx"})),
]
# fmt: on


@pytest.mark.parametrize("case", [*SOURCES, *OPTIONS, *FILES, *EXPORTS], ids=str)
def test_train_and_export(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = check(case, tmp_path, monkeypatch)
    assert b"\x1b" not in done.stdout + done.stderr
    assert not (tmp_path / "it-ran").exists()


def test_an_output_that_another_training_writes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / ".m.safetensors.lock").open("w") as held:
        lock(held.fileno())
        check(train("", says="another training is writing"), tmp_path, monkeypatch)
    check(
        train("", exit=0, leaves=MADE, changes=frozenset({".m.safetensors.lock"})),
        tmp_path,
        monkeypatch,
    )
