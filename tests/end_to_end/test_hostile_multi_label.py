"""Hostile cases of several labels per text: data in no known form, options that contradict each
other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostile import Case, both, cases, check, put
from tests.model_files import SMALL, edited, multi_label

TRAIN = "train d.csv -o m.safetensors --preset tiny --epochs 1"
MULTI_LABEL = f"{TRAIN} --label-separator '|'"
ROWS = "".join(f"word{i} text{i % 7},{'|'.join('abc'[: i % 4])}\n" for i in range(40))
FILES = both(
    put("d.csv", f"text,labels\n{ROWS}"),
    put("one.csv", "text,label\nx,neg\ny,pos\n"),
    put("columns.csv", "text,a,b\nx,1,0\ny,0,maybe\n"),
    put("several.onnx", edited(multi_label([0.5, 0.5]))),
    put("other.onnx", edited({"labels": '["x","y"]'})),
)
CASES = cases(
    f"""
    no such column | {MULTI_LABEL} --label-column mood | mood
    no separator | {TRAIN} --label-separator '' | separator is empty
    a separator and columns | {MULTI_LABEL} --indicator-columns a,b
        | leave out --label-column and --label-separator
    columns without a name | train columns.csv -o m.safetensors --indicator-columns , | has no name
    a column of other values | train columns.csv -o m.safetensors --indicator-columns a,b
        | 'b' is 'maybe', not 0 or 1
    --balance | {MULTI_LABEL} --balance | --balance is for one label per text
    no teacher | {MULTI_LABEL} --unlabelled d.csv --teacher none | labels no text; leave it out
    other labels of the test | {MULTI_LABEL} --test one.csv | which the training texts lack
    a model of one label | evaluate d.csv --label-separator '|' | gives one label per text
    other labels | evaluate d.csv -m several.onnx | the model has neg, pos
    both kinds of model | evaluate one.csv -m several.onnx -m '{SMALL}' | gives one label per text
    models of other labels | evaluate one.csv -m '{SMALL}' -m other.onnx | them one by one
    a threshold | score d.csv -m several.onnx --threshold 0.9 -o o.csv | threshold of its own
    a share | predict -m several.onnx --abstain 0.02 text | leave --abstain and --threshold out
    """,
    given=FILES,
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_says_so_in_one_line(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(case, tmp_path, monkeypatch)
