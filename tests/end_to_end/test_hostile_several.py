"""Hostile cases of several labels per text: data in no known form, options that contradict each other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from model_files import DATA, edited

from edge_lstm import onnx_file
from tests.hostile import Case, check

TRAIN = ("train", "d.csv", "-o", "m.safetensors", "--preset", "tiny", "--epochs", "1")
SEVERAL = (*TRAIN, "--label-separator", "|")
ROWS = "".join(f"word{i} text{i % 7},{'|'.join('abc'[: i % 4])}\n" for i in range(40))


def data(folder: Path) -> None:
    """d.csv with labels joined by |, columns.csv with a column of 0 and 1 a label, and two models."""
    (folder / "d.csv").write_text(f"text,labels\n{ROWS}")
    (folder / "one.csv").write_text("text,label\nx,neg\ny,pos\n")
    (folder / "columns.csv").write_text("text,a,b\nx,1,0\ny,0,maybe\n")
    network = json.loads(onnx_file.parse(DATA).metadata["edge_lstm.network"])
    changes = {"several": '{"thresholds":[0.5,0.5]}', "network": json.dumps({**network, "several": True})}
    (folder / "several.onnx").write_bytes(edited(dict(changes)))
    (folder / "newer.onnx").write_bytes(edited({**changes, "format": "11"}))


# fmt: off
CASES = [
    Case(name="a label column that is not there", arguments=(*SEVERAL, "--label-column", "mood"),
         says="mood"),
    Case(name="a separator of nothing", arguments=(*TRAIN, "--label-separator", ""),
         says="separator is empty"),
    Case(name="columns and a separator", arguments=(*SEVERAL, "--label-columns", "a,b"),
         says="leave --label-column and -separator out"),
    Case(name="a column that is neither 0 nor 1",
         arguments=("train", "columns.csv", "-o", "m.safetensors", "--label-columns", "a,b"),
         says="'b' is 'maybe', not 0 or 1"),
    Case(name="rare labels", arguments=(*SEVERAL, "--balance"), says="--balance is for one label per text"),
    Case(name="no teacher for unlabelled texts",
         arguments=(*SEVERAL, "--unlabelled", "d.csv", "--teacher", "none"),
         says="labels no text; leave it out"),
    Case(name="a test file of other labels", arguments=(*SEVERAL, "--test", "one.csv"),
         says="which the training texts have not"),
    Case(name="a model of one label on texts of several",
         arguments=("evaluate", "d.csv", "--label-separator", "|"), says="gives one label per text"),
    Case(name="labels that the model does not know",
         arguments=("evaluate", "several.onnx", "d.csv"), says="the model has neg, pos"),
    Case(name="abstention of several labels",
         arguments=("predict", "-m", "several.onnx", "--abstain", "0.02", "text"),
         says="leave --abstain and --threshold out"),
    Case(name="unsure rows of several labels",
         arguments=("score", "d.csv", "-m", "several.onnx", "--only-abstained", "-o", "o.csv"),
         says="abstains from none"),
    Case(name="a newer file", arguments=("predict", "-m", "newer.onnx", "text"), says="upgrade with"),
    Case(name="a label that the model does not have",
         arguments=("score", "d.csv", "-m", "several.onnx", "--only-label", "neg|pos", "-o", "o.csv"),
         says="no label 'neg|pos'"),
]
# fmt: on


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_says_so_in_one_line(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data(tmp_path)
    check(case, tmp_path, monkeypatch)
