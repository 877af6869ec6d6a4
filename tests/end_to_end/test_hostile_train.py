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
from cases import rows
from edge_lstm_export.checkpoint import checkpoint as checkpoints
from edge_lstm_export.checkpoint import stages
from edge_lstm_export.checkpoint.sealed import sealed
from edge_lstm_export.network.network import Network
from edge_lstm_export.train.plan.decisions import make_plan
from edge_lstm_export.train.plan.stats import DatasetStats
from hostile import Case, Prepare, both, cases, check, given, member, put, tar_bytes
from model_files import EMBEDDED
from safetensors.torch import load_file, save, save_file

from edge_lstm.core.layers import Lstm, NetworkConfig
from edge_lstm.core.text import Tokenizer, front_coded
from edge_lstm.system.os_file import lock

OUTPUT = "-o m.safetensors --preset seed --epochs 1"
MADE = frozenset({"m.safetensors", "m.history.json"})
ROWS = [
    (f"word{i % 7} about{'no' if i % 2 else 'yes'} word{i % 5}", "no" if i % 2 else "yes")
    for i in range(40)
]


def rows_of(*rows: tuple[str, str]) -> Prepare:
    return put("d.csv", "text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))


TABLE = rows_of(*ROWS)


def jsonl(*rows: dict[str, Any]) -> Prepare:
    return put("d.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


def train(table: str, given: Prepare = TABLE, source: str = "d.csv", **shared: Any) -> list[Case]:
    """Cases of a quick training, in a folder with d.csv."""
    return cases(table, before=f"train {source} {OUTPUT}", given=given, **shared)


# What stands for a source.

REVIEWS = {
    f"aclImdb/{part}/{label}/{i}_1.txt": f"{label} {i}".encode()
    for part in ("train", "test")
    for label in ("neg", "pos")
    for i in range(12)
}


def reviews(folder: Path) -> None:
    for name, content in REVIEWS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


class Bomb:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, ("it-ran",)


def moved(folder: Path) -> None:
    reviews(folder)
    (folder / "aclImdb/train/pos").rename(folder / "pos")
    (folder / "aclImdb/train/pos").symlink_to("../../pos")


def unfinished(name: str = "c.safetensors") -> Prepare:
    """What a killed training leaves."""

    def prepare(folder: Path) -> None:
        stages.Stages(folder / name, {}).keep("loop", stages.Stage({}, {"a": torch.ones(1)}))

    return prepare


ESCAPE = "\x1b[2J"
SOURCES = cases(
    r"""
    no such source | none.csv | no file or folder
    standard input | - | read twice
    a device | /dev/zero | read twice
    an empty folder | e | e | e/
    an empty file | d.csv | d.csv | d.csv:
    UTF-16 without a mark | d.csv | --encoding utf-16-le
        | d.csv: t\0e\0x\0t\0,\0l\0a\0b\0e\0l\0\n\0a\0,\0b\0\n\0
    a label that is no text | d.jsonl | numbers from 0 to 1
        | d.jsonl: {"text": "a", "label": "x"}\n{"text": "b", "label": {"y": "z"}}\n
    """,
    before=f"train {OUTPUT}",
)
SOURCES += cases(
    """
    a folder of both parts | aclImdb | aclImdb has splits; train on
    reviews behind a link | aclImdb/train | symbolic link
        | aclImdb/train/pos/99_1.txt -> /etc/passwd
    """,
    before=f"train {OUTPUT}",
    given=reviews,
)
SOURCES += [
    case
    for source, row, prepare in (
        ("d.csv", "bytes at random |  | d.csv", put("d.csv", np.random.default_rng(0).bytes(5000))),
        ("d.bin", "a file of no kind |  | suffix", put("d.bin", b"\0\1\2\xff" * 300)),
        ("d.csv", "one label |  | one label", rows_of(*[("a", "x")] * 9)),
        ("d.csv", "a label each |  | labels", rows_of(*[(f"a {i}", f"l{i}") for i in range(99)])),
        ("d.csv", "texts alike |  | (ignoring case", rows_of(*[("a", "x"), ("a", "y")] * 9)),
        ("d.csv", "no text has a word |  |", rows_of(*[("!", "x"), ("?", "y")] * 9)),
        (
            "d.jsonl",
            "a label that is half a character |  | label",
            jsonl(*[{"text": f"a {i}", "label": "\ud800" if i % 2 else "x"} for i in range(20)]),
        ),
        (
            "d.csv",
            "a label that steers the terminal |  | control character",
            rows_of(*[(text, label + ESCAPE) for text, label in ROWS]),
        ),
        ("aclImdb/train", "a folder of reviews behind a link |  | aclImdb/train", moved),
        (
            "aclImdb/train",
            "a pipe among reviews |  | pipe or device",
            both(reviews, lambda folder: os.mkfifo(folder / "aclImdb/train/pos/99_1.txt")),
        ),
    )
    for case in train(row, prepare, source)
]
SOURCES += cases(
    r"""
    a name that steers the terminal | d\x1b[2J.csv | exit 0
    """,
    before=f"train {OUTPUT}",
    given=both(TABLE, lambda folder: (folder / "d.csv").rename(folder / f"d{ESCAPE}.csv")),
    leaves=MADE,
)
SOURCES += cases(
    """
    half a character in a text, preset seed | --preset seed | exit 0
    half a character in a text, preset tiny | --preset tiny | exit 0
    """,
    before="train d.jsonl -o m.safetensors --epochs 1",
    given=jsonl(*[{"text": f"\ud83d {text}", "label": label} for text, label in ROWS]),
    leaves=MADE,
)

OUT = member("../train/pos/1_1.txt", 1)
ABSOLUTE = member("/train/pos/1_1.txt", 1)
POS = "aclImdb/train/pos/9_9.txt"
LINK = member(POS, kind=tarfile.SYMTYPE, link="/etc/passwd")
PIPE = member(POS, kind=tarfile.FIFOTYPE, link="/etc/passwd")
LARGE = member(POS, 17 << 20)
PACKED = tar_bytes(REVIEWS)
PLAIN = tar_bytes(REVIEWS, "w:")
ZEROS_CUT = PLAIN.rstrip(b"\0")  # ends in one block of zeros, and a tar in two
ZEROS_CUT += bytes(-len(ZEROS_CUT) % 512 + 512)
XZ = tar_bytes(REVIEWS, "w:xz")
SOURCES += [
    case
    for name, says, data in (
        ("that leads out", "leads out", tar_bytes(REVIEWS, extra=[(OUT, b"x")])),
        ("with an absolute path", "leads out", tar_bytes(REVIEWS, extra=[(ABSOLUTE, b"x")])),
        ("with a symbolic link", "link or device", tar_bytes(REVIEWS, extra=[(LINK, b"")])),
        ("with a pipe", "link or device", tar_bytes(REVIEWS, extra=[(PIPE, b"")])),
        (
            "of a text of 17 MiB",
            "larger than 16 MiB",
            tar_bytes(REVIEWS, extra=[(LARGE, bytes(17 << 20))]),
        ),
        ("that is empty", "again", b""),
        ("cut in the middle", "again", PACKED[: len(PACKED) // 2]),
        (
            "with a wrong checksum",
            "complete",
            PACKED[:-8] + bytes([PACKED[-8] ^ 1]) + PACKED[-7:],
        ),
        ("cut between two members", "cut short", PLAIN[: 1024 * 9]),
        ("of xz that is cut", "complete", XZ[: int(len(XZ) * 0.9)]),
        ("with one block of zeros", "cut short", ZEROS_CUT),
        ("of zeros", "d.tar.gz", bytes(10240)),
    )
    for case in train(f"a tar {name} |  | {says}", put("d.tar.gz", data), "d.tar.gz")
]

NO_PLAN = json.dumps(make_plan(DatasetStats(40, 2)).to_dict() | {"format": 99})
NO_ENCODER = json.dumps(
    make_plan(DatasetStats(40, 2)).to_dict()
    | {"teachers": [{"kind": "probe", "source": "/none", "sha256": ""}]}
)
OPTIONS = train(
    """
    no epochs | --epochs 0 | exit 2: epochs
    a billion epochs | --epochs 1000000000 | epochs
    a seed of 64 bits | --seed 9223372036854775808 | seed
    an unknown preset | --preset best | preset
    an unknown format | --input-format xml | format
    an unknown column | --text-column none | none
    the texts as labels | --label-column text | text
    a blank between labels | --label-separator " " | separator
    an unknown column of a label | --indicator-columns none | none
    no test texts | --test none.csv | none.csv
    no unlabelled texts | --unlabelled none.csv --preset tiny | none.csv
    unlabelled texts without a teacher | --unlabelled d.csv --preset tiny --teacher none
        | leave out --unlabelled
    no such teacher | --teacher none.safetensors --preset tiny | no model file at none.safetensors
    no such start | --start none.onnx --preset tiny | no model file at none.onnx
    an option that there is not | --hidden 4 | exit 2: --hidden
    two files, one of them missing | none.csv | none.csv
    a data set beside a file | imdb | has its own splits
    """
)
PLANS = [
    case
    for row, plan in (
        ("is not there |  | no plan at p.json", lambda folder: None),
        ("is a folder |  | p.json", given("p.json/")),
        ("is not JSON |  | is not a plan in JSON", put("p.json", "{")),
        ("is nested deep |  | is not a plan in JSON", put("p.json", "[" * 100_000)),
        ("is a list |  | format 2", put("p.json", "[1]")),
        (
            "is of another format, behind a byte order mark |  | format 2",
            put("p.json", "\ufeff" + NO_PLAN),
        ),
        (
            "has an encoder that is not there | --dry-run | no teacher '/none'",
            put("p.json", NO_ENCODER),
        ),
    )
    for case in cases(
        f"a plan that {row}",
        before="train d.csv -o m.safetensors --plan p.json",
        given=both(TABLE, plan),
    )
]
FILES = train(
    """
    --test is the output | --test m.safetensors | one of the inputs | m.safetensors: x
    the output is a folder |  | folder | m.safetensors/
    the history is a folder |  | folder | m.history.json/
    the lock is a link |  | cannot write | precious: x | .m.safetensors.lock -> precious
    an unfinished training |  | m.safetensors has an unfinished training; continue with --resume
        | m.safetensors.partial: x
    --resume of any bytes | --resume | no checkpoint | m.safetensors.partial: x
    --resume of a training that was cut | --resume | delete m.safetensors.partial
        | m.safetensors.partial: d\\0\\0\\0\\0\\0\\0\\0{
    --resume of a folder | --resume |  | m.safetensors.partial/
    """
)
FILES += train(
    """
    the output is a link |  | exit 0 | precious: x | m.safetensors -> precious
        | changes m.safetensors
    --resume without anything | --resume | exit 0: nothing to resume
    """,
    leaves=MADE,
)
FILES += train(
    "--resume of another training | --resume | cannot resume: data was None and is ",
    both(TABLE, unfinished("m.safetensors.partial")),
)
FILES += train(
    "--resume of a checkpoint | --resume | no unfinished training",
    both(TABLE, lambda folder: tiny(folder, "m.safetensors.partial")),
)
FILES += cases(
    """
    no output | --preset seed | exit 2: -o
    the output is of another kind | -o m.pt | .safetensors
    the folder is a file | -o d.csv/m.safetensors | d.csv
    """,
    before="train d.csv",
    given=TABLE,
)

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
        path.write_bytes(sealed(data))

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


# fmt: off
NONE = "no checkpoint"
DAMAGED: dict[str, tuple[Prepare, str]] = {
    "is not there": (lambda _: None, NONE),
    "is a folder": (given("c.safetensors/"), "it is a folder"),
    "is empty": (put("c.safetensors", ""), NONE),
    "says its header is 4 EiB": (changed_bytes(lambda b: struct.pack("<Q", 1 << 62) + b[8:]), NONE),
    "has a header nested deep": (put("c.safetensors", struct.pack("<Q", 10**5) + b"[" * 10**5),
                                 NONE),
    "is a pickle": (put("c.safetensors", pickle.dumps(Bomb())), NONE),
    "is a model file": (put("c.safetensors", EMBEDDED.read_bytes()), "model file already"),
    "is of another project": (lambda f: save_file({"a": torch.ones(2)}, f / "c.safetensors"),
                              "another project"),
    "is of an unfinished training": (unfinished(), "unfinished training; continue it with"),
    "is cut in the weights": (changed_bytes(lambda b: b[:-50]), NONE),
    "has bytes behind": (changed_bytes(lambda b: b + b"x"), NONE),
    "has one bit changed": (changed_bytes(lambda b: b[:-9] + bytes([b[-9] ^ 1]) + b[-8:]),
                            "was changed"),
    "holds NaN": (altered(filled("head.weight", np.nan)), "not numbers"),
    "holds halves": (updated("head.weight", torch.Tensor.half), "float32"),
    "has a weight of another shape": (updated("head.weight", lambda _: torch.ones(1, 5)),
                                      "do not fit"),
    "has a part of another name": (altered(lambda v: v.update({"net.more": torch.ones(1)})),
                                   "do not fit"),
    "says it has 10^12 units": (network(layers=[{**LSTM, "lstm": 10**12}]), "units must be"),
    "has a setting too many": (network(depth=1), "depth"),
    "has more words than rows": (altered(vocabulary=front_coded(f"w{i}" for i in range(99))),
                                 "ids"),
    "has a length of 0": (tokenizer(length=0), "do not fit"),
}
# fmt: on
# What stands in the description of the checkpoint instead.
DESCRIBED = """
is of another format | {"format": 99} | was made by another version; train it again, or upgrade
has a network that is a list | {"network": [1]} | network
has three labels for two answers | {"labels": ["a", "b", "c"]} | labels
has a label twice | {"labels": ["no", "no"]} | label
has no training | {"training": null} | training
has a vocabulary that is a list | {"vocabulary": ["a"]} | do not fit
has a curve that is none | {"abstention": {"points": 7}} | do not fit
"""
DAMAGED |= {name: (altered(**json.loads(more)), says) for name, more, says in rows(DESCRIBED)}


def export(table: str, *steps: Prepare, **shared: Any) -> list[Case]:
    return cases(table, before="export c.safetensors", given=both(*steps), **shared)


EXPORTS = [
    case
    for name, (prepare, says) in DAMAGED.items()
    for case in export(f"a checkpoint that {name} | -o m.onnx | {says}", prepare)
]
EXPORTS += export(
    """
    int4 | -o m.onnx --quantize int4 | exit 2: int8
    --max-drop nan | -o m.onnx --quantize int8 --max-drop nan | --max-drop
    --max-drop -1 | -o m.onnx --quantize int8 --max-drop -1 | exit 2: --max-drop
    --abstain 1 | -o m.onnx --abstain 1 | --abstain
    --abstain nan | -o m.onnx --abstain nan | --abstain
    data that is not there | -o m.onnx --quantize int8 --data none.csv | none.csv
    onto its checkpoint | -o c.safetensors | one of the inputs
    onto a folder | -o e | folder | e/
    onto a full device | -o /dev/full | no space
    into new folders | -o a/b/m.onnx | exit 0 | leaves a a/b a/b/m.onnx
    into a file | -o c.safetensors/m.onnx | no folder
    onto a link | -o m.onnx | exit 0 | precious: x | m.onnx -> precious | changes m.onnx
    """,
    tiny,
)
EXPORTS += export(
    """
    data of other labels | -o m.onnx --quantize int8 --data d.csv | the model has no, yes
    onto its data | -o d.csv --data d.csv | the inputs
    """,
    tiny,
    rows_of(*[("a", "x"), ("b", "y")] * 5),
)


def null_is_a_device(folder: Path) -> None:
    assert Path("/dev/null").is_char_device(), "/dev/null was replaced"


EXPORTS += export("onto a device | -o /dev/null | exit 0", tiny, then=null_is_a_device)


@pytest.mark.parametrize("case", [*SOURCES, *OPTIONS, *PLANS, *FILES, *EXPORTS], ids=str)
def test_train_and_export(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = check(case, tmp_path, monkeypatch)
    assert b"\x1b" not in done.stdout + done.stderr
    assert not (tmp_path / "it-ran").exists()


def test_an_output_that_another_training_writes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / ".m.safetensors.lock").open("w") as held:
        lock(held.fileno())
        (refused,) = train("locked |  | another training is writing")
        check(refused, tmp_path, monkeypatch)
    (done,) = train("free |  | exit 0 | changes .m.safetensors.lock", leaves=MADE)
    check(done, tmp_path, monkeypatch)
