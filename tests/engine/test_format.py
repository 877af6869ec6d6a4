"""Files of format 1, one of each kind, give their bits for ever (tests/data/format/make.py)."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import reference
import reference_checks

from edge_lstm import Classifier
from tests.engine.conftest import answers

FOLDER = Path(__file__).parents[1] / "data" / "format"
TOLD = json.loads((FOLDER / "bits.json").read_text(encoding="utf-8"))
TEXTS = TOLD["texts"]
NODE = shutil.which("node") or shutil.which("nodejs") or ""
DECODER = Path(__file__).parents[2] / "engine" / "examples" / "decode.mjs"


def told(name: str) -> tuple[list[str], list[list[int]], np.ndarray]:
    """The statuses and the ids of the texts, and their probabilities: uint32 [texts, labels]."""
    rows = [line.split("\t") for line in TOLD["answers"][name]]
    ids = [[int(i) for i in row[1].partition(";")[0].split(",") if i] for row in rows]
    return [row[0] for row in rows], ids, np.array([[int(p, 16) for p in row[2:]] for row in rows])


@pytest.mark.parametrize("name", sorted(TOLD["answers"]))
def test_a_file_of_format_1_gives_its_bits(name: str, program: list[str]) -> None:
    path = FOLDER / name
    found = answers(program, path, texts=[text.encode() for text in TEXTS])
    statuses, _, bits = told(name)
    assert (found[0], found[1]) == (
        statuses,
        [line.split("\t")[1] for line in TOLD["answers"][name]],
    )
    assert (found[2] == bits).all()


@pytest.mark.parametrize("name", sorted(TOLD["answers"]))
def test_onnx_runtime_and_the_specification_answer_as_the_engine(name: str) -> None:
    statuses, ids, bits = told(name)
    expected = bits.astype(np.uint32).view(np.float32)
    model = reference_checks.read((FOLDER / name).read_bytes())
    texts = [reference.row_text(model, text) if model.fields else text for text in TEXTS]
    specified = [reference.encode(model, text) for text in texts]
    assert specified == list(zip(ids, statuses))
    classifier = Classifier.load(FOLDER / name)
    for row, wanted in zip(ids, expected):
        assert np.abs(reference.probabilities(model, row) - wanted).max() < 1e-5
    assert np.abs(classifier.probabilities_of(ids) - expected).max() < 1e-5
    assert np.unique(bits[:, 0]).size > 3, "texts tell the file's answers apart"


@pytest.mark.skipif(not NODE, reason="no node")
@pytest.mark.parametrize("name", sorted(TOLD["answers"]))
def test_a_decoder_written_from_the_page_alone_answers_as_the_engine(name: str) -> None:
    command = [NODE, str(DECODER), str(FOLDER / name), *TEXTS]
    lines = subprocess.run(command, capture_output=True, check=True).stdout.splitlines()
    found = [json.loads(line) for line in lines]
    statuses, ids, bits = told(name)
    assert [(each["ids"], each["status"]) for each in found] == list(zip(ids, statuses))
    probabilities = np.array([each["probabilities"] for each in found])
    assert np.abs(probabilities - bits.astype(np.uint32).view(np.float32)).max() < 1e-6
