"""A model file: opened, checked, refused with a reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_files import DATA, entry, sealed

from edge_lstm.core.modelfile import open_model, parse_model, short_names
from edge_lstm.describe import describe
from edge_lstm.errors import NotAModelFileError

HERE = Path("model.onnx")


def test_the_embedded_model_says_everything_of_itself() -> None:
    facts = describe(open_model())
    assert facts["precision"] == "int8"
    assert facts["inputs"] == [{"name": "input_ids", "dtype": "int32", "shape": ("batch", 600)}]
    assert facts["outputs"] == [
        {"name": "probabilities", "dtype": "float32", "shape": ("batch", 2)}
    ]
    assert facts["labels"] == ["neg", "pos"]
    assert facts["operators"]["com.microsoft.DynamicQuantizeLSTM"] == 1
    assert facts["bytes"] < 1_000_000
    json.dumps(facts)


def test_the_digest_is_what_the_documentation_says() -> None:
    assert sealed(DATA[: -len(entry("edge_lstm.digest", "0" * 64))]) == DATA


@given(st.binary(max_size=200))
def test_any_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(NotAModelFileError):
        parse_model(data, HERE)


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["out/a.onnx", "b.onnx"], ["a.onnx", "b.onnx"]),
        (["x/1/m.onnx", "x/2/m.onnx"], ["1/m.onnx", "2/m.onnx"]),
        (["m.onnx", "x/m.onnx"], ["m.onnx", "x/m.onnx"]),
    ],
)
def test_models_of_one_file_name_are_told_apart_by_their_folders(
    paths: list[str], names: list[str]
) -> None:
    assert short_names(list(map(Path, paths))) == names
