"""A model file: opened, checked, refused with a reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_files import DATA, edited, entry, sealed

from edge_lstm import modelfile
from edge_lstm.errors import (
    DamagedModelFileError,
    NotAModelFileError,
)
from edge_lstm.modelfile import describe, open_model, parse_model

HERE = Path("model.onnx")


def test_the_embedded_model_says_everything_of_itself() -> None:
    facts = describe(open_model())
    assert facts["precision"] == "int8"
    assert facts["inputs"] == [{"name": "input_ids", "dtype": "int32", "shape": ["batch", 600]}]
    assert facts["outputs"] == [{"name": "probabilities", "dtype": "float32", "shape": ["batch", 2]}]
    assert facts["labels"] == ["neg", "pos"]
    assert "com.microsoft.DynamicQuantizeLSTM" in {row["operator"] for row in facts["operators"]}
    held = sum(row["bytes"] for row in facts["operators"]) + facts["metadata_bytes"]
    assert held < facts["bytes"] < 1_000_000
    json.dumps(facts)


@pytest.mark.parametrize("keep", [0, 1, 10, 1000, len(DATA) // 2, len(DATA) - 20000, len(DATA) - 1])
def test_a_file_cut_short_is_refused(keep: int) -> None:
    with pytest.raises(
        (DamagedModelFileError, NotAModelFileError), match=r"cut short|damaged|not an ONNX|empty|metadata"
    ):
        parse_model(DATA[:keep], HERE)


SWAPPED = {"labels": '["pos","neg"]'}


@pytest.mark.parametrize("key", ["tokenizer", "vocabulary", "labels", "network", "quantization", "golden"])
def test_metadata_changed_after_the_file_was_written_is_noticed(key: str) -> None:
    value = SWAPPED.get(key) or modelfile.onnx_file.parse(DATA).metadata[f"edge_lstm.{key}"] + " "
    with pytest.raises(DamagedModelFileError, match="changed after it was written"):
        parse_model(edited({key: value}, digest="old"), HERE)


@pytest.mark.parametrize("digest", ["", "0" * 64, "g" * 64, "é" * 32])
def test_a_digest_that_is_none_is_damage(digest: str) -> None:
    with pytest.raises(DamagedModelFileError, match="changed after it was written"):
        parse_model(edited({"digest": digest}, digest="old"), HERE)


def test_the_digest_is_what_the_documentation_says() -> None:
    assert sealed(DATA[: -len(entry("edge_lstm.digest", "0" * 64))]) == DATA


@given(st.binary(max_size=200))
def test_any_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(NotAModelFileError):
        parse_model(data, HERE)
