"""Hostile cases for latency, evaluate, predict, explain, inspect and doctor: odd options, files,
places.

Each row is a command, the condition it meets, its exit code, and what may be on the disk
afterwards. Closed and full streams are in ``test_hostile_streams.py``, model files in
``test_hostile_models.py``.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hostile import Case, check
from model_files import SMALL

from edge_lstm.latency.measure import measure
from edge_lstm.latency.settings import Settings
from edge_lstm.modelfile import embedded_model

NO_CURVE = str(SMALL)
QUICK = ("latency", "--runs", "20", "--cold-starts", "0")
ROWS = "text,label\nA fine film.,pos\nA dull film.,neg\n"


def put(**files: str | bytes) -> Callable[[Path], None]:
    """Writes files; ``__`` in a name is a dot."""

    def given(folder: Path) -> None:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            (folder / name.replace("__", ".")).write_bytes(data)

    return given


def model(folder: Path) -> None:
    shutil.copy(embedded_model(), folder / "m.onnx")


def models(folder: Path) -> None:
    model(folder)
    (folder / "link.onnx").symlink_to("m.onnx")


def ring(folder: Path) -> None:
    (folder / "ring").symlink_to("ring")


def special(folder: Path) -> None:
    """A link to a file and one to nothing."""
    (folder / "precious").write_text("precious")
    (folder / "out").symlink_to("precious")
    (folder / "nowhere").symlink_to("no/such/folder")
    (folder / "text.csv").write_text(ROWS)


def is_a_device(name: str) -> Callable[[Path], None]:
    def then(folder: Path) -> None:
        assert stat.S_ISCHR((folder / name).lstat().st_mode), f"{name} is no device any more"

    return then


def is_json(name: str) -> Callable[[Path], None]:
    return lambda folder: json.loads((folder / name).read_bytes())


def null(folder: Path) -> None:
    """A device of our own: nobody's /dev/null is in danger."""
    (folder / "text.csv").write_text(ROWS)
    try:
        os.mknod(folder / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        (folder / "null").write_bytes(b"")
    except OSError:
        pytest.skip("making a device takes root, on a file system with devices")


def locked(folder: Path) -> None:
    (folder / "text.csv").write_text(ROWS)
    (folder / "locked").mkdir(mode=0o500)
    if os.access(folder / "locked", os.W_OK):
        pytest.skip("root may write everywhere")


@cache
def measured() -> str:
    """A result, as JSON."""
    quick = {"runs": 20, "cold_starts": 0, "warm_up_s": 0, "max_warm_up_blocks": 1}
    return measure(Settings(models=(embedded_model(),), **quick)).dumps()


def result_with(change: Callable[[dict], object]) -> Callable[[Path], None]:
    """A result that was changed by hand."""

    def given(folder: Path) -> None:
        document = json.loads(measured())
        change(document)
        (folder / "r.json").write_text(json.dumps(document))

    return given


def latency(name: str, *arguments: str, **more: Any) -> Case:
    return Case(name=f"latency: {name}", arguments=(*QUICK, *arguments), **more)


def latency_in(name: str, rest: str = "", *, before: str = "", **more: Any) -> Case:
    shell = f"{before}$EL {' '.join(QUICK)} {rest}"
    return Case(**{"name": f"latency: {name}", "shell": shell, "exit": 0, **more})


def evaluate(name: str, *arguments: str, data: str = "text.csv", **more: Any) -> Case:
    more.setdefault("given", put(text__csv=ROWS))
    return Case(name=f"evaluate: {name}", arguments=("evaluate", *arguments, data), **more)


def a(command: str, name: str, *arguments: str, **more: Any) -> Case:
    return Case(name=f"{command}: {name}", arguments=(command, *arguments), **more)


# fmt: off
OPTIONS = [
    latency("no time", "--duration=-1", says="must be above 0"),
    latency("a time above a month", "--duration", "2592001", says="at most 2,592,000"),
    latency("a time that is no number", "--duration", "nan", says="at most 2,592,000"),
    latency("a million threads", "--threads", "1,1000001", says="whole numbers"),
    latency("a batch of nothing", "--batch-size", "0", says="whole numbers"),
    latency("batches without a common multiple", "--batch-size", "7,64,121",
            says="divide each other"),
    latency("no provider", "--provider", "", says="provider"),
    latency("an unknown provider", "--provider", "CPU,Abacus", says="Abacus"),
    latency("runs below zero", "--runs=-5", exit=2),
    latency("a model and a link to it", "m.onnx", "link.onnx", given=models, says="twice"),
    latency("a provider twice", "--provider", "CPU,CPUExecutionProvider",
            says="a provider is given twice"),
    latency("a model that is a link in a ring", "ring", given=ring, says="ring"),
    latency("a model that is not there", "no.onnx", says="no model file at no.onnx"),
    latency("a folder as model", ".", says="folder"),
    latency("no texts", "--texts", "e.txt", given=put(e__txt=""), says="no texts"),
    latency("no such format", "--texts", "e.txt", "--input-format", "odf", given=put(e__txt="a"),
            says="odf"),
    latency("no such column", "--texts", "t.csv", "--text-column", "no", given=put(t__csv=ROWS),
            says="no"),
    latency("texts from a folder without any", "--texts", ".", says="."),
    a("latency", "a result that is not there", "--show", "a.json", says="cannot read a.json"),
    a("latency", "a result that is none", "--show", "a.json",
      given=put(a__json='{"schema": "edge-lstm.latency", "version": 1}'), says="missing"),
    a("latency", "a result nested deeply", "--show", "a.json", given=put(a__json="[" * 100_000),
      says="a.json"),
    *(
        a("latency", f"a result {what}", "--show", "r.json", given=result_with(change),
          says="measure again")
        for what, change in (
            ("without a key", lambda r: r.pop("seconds")),
            ("with NaN", lambda r: r.update(seconds=float("nan"))),
            ("with a number beyond all bounds",
             lambda r: r["settings"][0]["both"].update(mean_us=10**400)),
            ("with a pair of three", lambda r: r["settings"][0].update(by_text=[[1, 2, 3]])),
            ("with a time of nothing", lambda r: r["settings"][0]["both"].update(p50_us=0)),
            ("without a setting", lambda r: r.update(settings=[])),
            ("with text for a setting", lambda r: r.update(settings=["x"])),
            ("with true for a number", lambda r: r["settings"][0].update(runs=True)),
            ("of a later version", lambda r: r.update(version=2)),
        )
    ),
    a("latency", "a model beside a result", "m.onnx", "--show", "r.json", given=model,
      says="leave out the"),
    a("latency", "a result that is a model", "--show", "m.onnx", given=model, says="not JSON"),
    a("latency", "a result that is a folder", "--show", ".", says="directory"),
    evaluate("a model twice", "m.onnx", "link.onnx", given=models, says="twice"),
    evaluate("no labels", data="t.txt", given=put(t__txt="a film\n"), says="label"),
    evaluate("labels the model does not know", given=put(text__csv="text,label\na,1\nb,0\n"),
             says="--label-map"),
    evaluate("foreign texts that are not there", "--foreign", "none.txt", given=put(text__csv=ROWS),
             says="none.txt"),
    evaluate("no foreign texts", "--foreign", "e.txt", given=put(text__csv=ROWS, e__txt=""),
             says="e.txt"),
    evaluate("foreign texts that are the labelled ones", "--foreign", "text.csv",
             given=put(text__csv=ROWS),
             says="are labelled texts"),
    evaluate("a label map of nothing", "--label-map", "=", says="--label-map"),
    evaluate("a label map to no label", "--label-map", "pos=good", says="good"),
    evaluate("a share of a file without a curve", NO_CURVE, "--abstain", "0.02",
             says="or give --thr"),
    evaluate("no rows", given=put(text__csv="text,label\n"), says="text.csv"),
    evaluate("no such file", data="no.csv", says="no.csv"),
    evaluate("no such model", "no.onnx", says="no model file"),
    evaluate("a model and no data", data="m.onnx", says="name the labelled data last"),
    evaluate("mistakes of two models", "m.onnx", "m.onnx", "--mistakes", "m.csv", given=model,
             data="t.csv",
             says="for one model; name one"),
    evaluate("mistakes that are no CSV", "--mistakes", "m.xlsx",
             says="give a name that ends in .csv"),
    evaluate("a part of what has none", "--split", "nonsense", says="no splits"),
    a("predict", "an empty name of a model", "-m", "", "x", says="."),
    a("predict", "a text that looks like an option", "--", "--help", exit=0),
    a("predict", "a model that is not there", "-m", "no.onnx", "x",
      says="no model file at no.onnx"),
    a("predict", "a provider that is not there", "--provider", "CUDA", "x", says="available: CPU"),
    a("predict", "an empty text", "", exit=0),
    a("predict", "a share that is no number", "--abstain", "nan", "x", says="for 2 %, give 0.02"),
    a("predict", "a model in the place of a text", NO_CURVE, "x",
      says="not a text; put -m before it"),
    a("predict", "a long text that ends as a model's name does", "good film " * 500 + ".onnx",
      exit=0),
    a("predict", "a share of a file without a curve", "-m", NO_CURVE, "--abstain", "0.02", "x",
      says="or give --thr"),
    a("predict", "two thresholds", "--abstain", "0.02", "--threshold", "0.5", "x",
      says="exclude each other"),
    a("predict", "a text of zero bytes on input", stdin=b"\0\0\n", exit=0),
    a("predict", "ten megabytes without a line end", stdin=b"good film " * 1_000_000, exit=0),
    a("predict", "a name of 5,000 letters", "-m", "a" * 5000, "x", says="long"),
    a("explain", "no such label", "x", "--label", "nice", says="nice"),
    a("explain", "no words", "...", exit=0),
    a("inspect", "a checkpoint that is not there", "no.safetensors", says="no.safetensors"),
    a("inspect", "a checkpoint of zeros", "z.safetensors", given=put(z__safetensors=bytes(100)),
      says="z.safe"),
    a("inspect", "a link in a ring", "ring", given=ring, says="ring"),
    a("inspect", "a name with a line end", "a\nb.onnx", says="a\\nb.onnx"),
    *(a("doctor", f"a time of {s}", f"--timeout={s}", exit=(1, 2), says="--timeout")
      for s in ("-1", "nan")),
]
INTO = [  # what an output is named, how that ends, and what is there before
    ("no folder", "no/such/x", {"says": "cannot write"}),
    ("a folder", ".", {"says": "folder"}),
    ("standard output", "-", {"says": "or /dev/stdout"}),
    ("a folder that is locked", "locked/x", {"given": locked, "says": "permission"}),
    ("a file as folder", "text.csv/x", {"says": "cannot write"}),
    ("a device", "null", {"given": null, "exit": 0, "then": is_a_device("null")}),
    ("a link", "out", {"given": special, "exit": 0, "changes": frozenset({"out"})}),
]
FILES = [
    *(
        Case(**{"name": f"{command[0]}: {option} into {what}",
                "arguments": (*command, option, name, *data),
                "given": put(text__csv=ROWS), **more})
        for command, option, data in ((QUICK, "--output", ()),
                                      (("evaluate",), "--report", ("text.csv",)))
        for what, name, more in INTO
    ),
    latency("two outputs of one name", "--output", "x", "--report", "x", says="one file"),
    latency("the result over its model", "m.onnx", "--output", "m.onnx", given=model,
            says="one of the inputs"),
    evaluate("the report over the texts", "--report", "text.csv", says="one of the inputs"),
    evaluate("the mistakes over the texts", "--mistakes", "text.csv", says="one of the inputs"),
    evaluate("two outputs of one name", "--report", "r", "--mistakes", "r",
             says="two outputs are one"),
    evaluate("the report over the model", "m.onnx", "--report", "m.onnx",
             given=lambda f: (model(f), put(text__csv=ROWS)(f)), says="one of the inputs"),
    latency("a report", "--report", "r.html", exit=0, leaves=frozenset({"r.html"})),
    latency("a name that is not UTF-8", "--output", os.fsdecode(b"r\xff.json"), exit=0,
            leaves=frozenset({os.fsdecode(b"r\xff.json")})),
    latency("a name with a line end", "--output", "a\nb.json", exit=0,
            leaves=frozenset({"a\nb.json"}),
            then=is_json("a\nb.json")),
]
PLACES = [
    latency_in("-o /dev/stdout", "-o /dev/stdout | cat > r", leaves=frozenset({"r"})),
    latency_in("ASCII", says="per text, ms",
               environment={"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}),
    latency_in("no core, no file larger than 4 blocks", "-o r.json", before="ulimit -f 4; ", exit=1,
               says="no space"),
    Case(name="evaluate in ASCII, a name with letters that it lacks",
         shell="mv t.csv tü.csv; $EL evaluate tü.csv", given=put(t__csv=ROWS), exit=0,
         says="\\u00fc",
         changes=frozenset({"t.csv"}), leaves=frozenset({"tü.csv"}),
         environment={"PYTHONIOENCODING": "ascii"}),
    Case(name="a working folder that is gone",
         shell="mkdir q; cd q; rmdir ../q; $EL latency --runs 20 --cold-starts 1 <&- 2>&-", exit=0),
    *(
        Case(name=f"{n} open files: {line}", shell=f"ulimit -n {n}; $EL {line}", says="-n)",
             given=put(t__csv=ROWS))
        for n, line in ((5, "predict hi"), (6, "evaluate t.csv"), (5, "score t.csv -w 1"),
                        (6, "latency --runs 5"))
    ),
    *(
        Case(name=f"{kb} kB: {line}", shell=f"ulimit -v {kb}; $EL {line}", given=put(t__csv=ROWS),
             says=" MB")
        for kb, line in ((80_000, "predict hi"), (120_000, "predict hi"), (158_000, "predict hi"),
                         (140_000, "evaluate t.csv"))
    ),
    *(
        # Root too is asked for permission, without the capabilities that are taken here.
        Case(name=f"a model without permission: {line}", given=model, says="ermission denied",
             shell="run=; capabilities=-dac_override,-dac_read_search; "
             "[ $UID != 0 ] || run=\"setpriv --bounding-set=$capabilities\"; "
             f"chmod 0 m.onnx; $run $EL {line}; code=$?; chmod 644 m.onnx; exit $code")
        for line in ("predict -m m.onnx hi", "inspect m.onnx", "page m.onnx -o p.html",
                     "evaluate m.onnx t")
    ),
]
# fmt: on


@pytest.mark.parametrize("case", [*OPTIONS, *FILES, *PLACES], ids=str)
def test_commands(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check(case, tmp_path, monkeypatch)
    precious = tmp_path / "precious"
    assert not precious.exists() or precious.read_text() == "precious"
