"""engine/reference.py, the specification that runs, and the checks of what it reads."""

from __future__ import annotations

import ast
import sys

import numpy as np
import pytest
import reference
import reference_checks

from edge_lstm import Classifier
from tests.ports.conftest import PROJECT, TOLERANCE, Case

SOURCES = [PROJECT / "engine" / name for name in ("reference.py", "reference_checks.py")]


def test_it_needs_numpy_and_the_standard_library_only() -> None:
    nodes = [node for source in SOURCES for node in ast.walk(ast.parse(source.read_text()))]
    imported = {n.names[0].name for n in nodes if isinstance(n, ast.Import)}
    imported |= {n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module}
    others = {name.partition(".")[0] for name in imported} - sys.stdlib_module_names
    assert others == {"numpy", "reference"}


def test_every_kind_of_model_gives_onnx_runtimes_answers(cases: list[Case]) -> None:
    for number, case in enumerate(cases):
        model = reference_checks.read(case.path.read_bytes())
        tokenizer = Classifier.load(case.path).model.tokenizer
        encoded = [reference.encode(model, text) for text in case.texts]
        for text, found in zip(case.texts, encoded):
            expected = tokenizer.encode_text(text)
            assert found == (expected.ids, expected.status), text
        # A step of an LSTM takes NumPy long: each file gets its share of the texts.
        short = [i for i, (ids, _) in enumerate(encoded) if len(ids) < 100]
        chosen = short[number % 14 :: 14]
        if case.name in ("tiny.fp32.onnx", "seed.int8.onnx"):
            chosen.append(max(range(len(encoded)), key=lambda i: len(encoded[i][0])))
        for i in chosen:
            answer = reference.probabilities(model, encoded[i][0])
            assert reference.labels_of(model, answer) == case.answers[i], (case.name, case.texts[i])
            off = np.abs(answer - case.probabilities[i]).max()
            assert off <= TOLERANCE, (case.name, case.texts[i][:80])


def test_what_is_no_model_is_refused_in_one_line(damaged: list[tuple[str, bytes]]) -> None:
    for what, data in damaged:
        with pytest.raises(reference.ModelError) as refused:
            reference_checks.read(data)
        assert "\n" not in str(refused.value) and len(str(refused.value)) < 300, what
