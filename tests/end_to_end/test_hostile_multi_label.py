"""Hostile cases of several labels per text: data in no known form, options that contradict each
other."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.hostile import Case, check
from tests.model_files import SMALL, edited, multi_label

TRAIN = "train d.csv -o m.safetensors --preset tiny --epochs 1"
MULTI_LABEL = f"{TRAIN} --label-separator '|'"
ROWS = "".join(f"word{i} text{i % 7},{'|'.join('abc'[: i % 4])}\n" for i in range(40))
# A command, and a part of the line that it says.
CASES = [
    (f"{MULTI_LABEL} --label-column mood", "mood"),
    (f"{TRAIN} --label-separator ''", "separator is empty"),
    (f"{MULTI_LABEL} --label-columns a,b", "leave out --label-column and --label-separator"),
    ("train columns.csv -o m.safetensors --label-columns ,", "has no name"),
    ("train columns.csv -o m.safetensors --label-columns a,b", "'b' is 'maybe', not 0 or 1"),
    (f"{MULTI_LABEL} --balance", "--balance is for one label per text"),
    (f"{MULTI_LABEL} --unlabelled d.csv --teacher none", "labels no text; leave it out"),
    (f"{MULTI_LABEL} --test one.csv", "which the training texts lack"),
    ("evaluate d.csv --label-separator '|'", "gives one label per text"),
    ("evaluate multi_label.onnx d.csv", "the model has neg, pos"),
    (f"evaluate multi_label.onnx {SMALL} one.csv", "gives one label per text"),
    ("score d.csv -m multi_label.onnx --threshold 0.9 -o o.csv", "threshold of its own"),
    ("predict -m multi_label.onnx --abstain 0.02 text", "leave --abstain and --threshold out"),
    ("score d.csv -m multi_label.onnx --only-abstained -o o.csv", "never abstains"),
    ("score d.csv -m multi_label.onnx --only-label 'neg|pos' -o o.csv", "no label 'neg|pos'"),
]


@pytest.mark.parametrize(("line", "says"), CASES)
def test_it_says_so_in_one_line(
    line: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "d.csv").write_text(f"text,labels\n{ROWS}")
    (tmp_path / "one.csv").write_text("text,label\nx,neg\ny,pos\n")
    (tmp_path / "columns.csv").write_text("text,a,b\nx,1,0\ny,0,maybe\n")
    (tmp_path / "multi_label.onnx").write_bytes(edited(multi_label([0.5, 0.5])))
    check(Case(name="", arguments=tuple(shlex.split(line)), says=says), tmp_path, monkeypatch)
