"""Checkpoint → model file → int8 file: parity, the two promises, the gates."""

from __future__ import annotations

import copy
import json
import random
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from commands import command
from edge_lstm_export.onnx import gates, weights
from edge_lstm_export.onnx.export import export
from edge_lstm_export.train.checkpoint import save_checkpoint
from edge_lstm_export.train.options import UNTUNED
from edge_lstm_export.train.plan import Asked, facts_of, make_plan
from edge_lstm_export.train.sources.memory import dataset_from
from edge_lstm_export.train.train import fit, quiet_thread
from made import make_checkpoint, opened, write_csv

from edge_lstm.classifier import Classifier
from edge_lstm.errors import CheckError
from edge_lstm.modelfile import describe
from edge_lstm.tables.labelled import Labelled

NGRAMS = {"ngrams": 120, "ngram_dim": 3}
SHAPES: list[dict[str, Any]] = [
    {"pooling": "last"},
    {"labels": 3},
    {"pooling": "last", "bidirectional": True, "labels": 3},
    {"bidirectional": True, **NGRAMS},
    {"labels": 40, "bidirectional": True, **NGRAMS},
    {"labels": 2, "several": True},  # with one label per text it would have a single logit
    {"labels": 3, "several": True, **NGRAMS},
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_architecture_keeps_its_promises(shape: dict[str, Any]) -> None:
    checkpoint = make_checkpoint(**shape)
    exported = export(checkpoint, quantize="int8", length=20)
    assert exported.parity <= (gates.NGRAM_PARITY_TOLERANCE if "ngrams" in shape else 1e-5)
    assert exported.batch_comparisons > 400
    assert exported.comparison is not None and exported.comparison.max_difference < 0.1
    file = opened(exported.data)
    assert describe(file)["inputs"] == [{"name": "input_ids", "dtype": "int32", "shape": ["batch", 20]}]
    assert file.onnx.opsets[""] == 17 and file.onnx.ir_version <= 10
    graph = onnx.load_model_from_string(exported.data).graph
    assert [node.op_type for node in graph.node if "LSTM" in node.op_type] == ["DynamicQuantizeLSTM"]
    constants = {c.name: onnx.numpy_helper.to_array(c) for c in graph.initializer}
    for name in ("lstm_w", "lstm_r"):  # the range that AVX2 multiplies exactly
        assert constants[name].dtype == np.int8 and np.abs(constants[name].astype(int)).max() == 64
    assert constants["embedding"].dtype == np.int8
    weights.round_to_int8(checkpoint.network)
    for name, values in weights.lstm_weights(exported.data).items():
        assert np.allclose(values, checkpoint.network.weights()[name], rtol=1e-6, atol=0)
    assert file.labels == checkpoint.labels and file.golden
    assert file.thresholds == ((UNTUNED,) * len(file.labels) if "several" in shape else None)
    rows = [[], *gates.random_rows(file.tokenizer, seed=7)]  # the first of nothing but padding
    answers = [Classifier.from_model(file, threads=n).probabilities_of(rows) for n in (1, 2)]
    assert np.array_equal(*answers) and np.isfinite(answers[0]).all()
    assert np.allclose(answers[0].sum(axis=1), 1) != ("several" in shape)


def test_units_that_are_driven_to_their_ends_are_refused() -> None:
    """As a training that diverged has them: every gate is open, and each cell grows as the sentinels' do."""
    checkpoint = make_checkpoint(hidden=14)
    torch.nn.init.constant_(checkpoint.network.get_parameter("lstm.forwards.bias_ih_l0"), 30)
    with pytest.raises(CheckError, match="the LSTM saturates"):
        export(checkpoint, quantize="int8")
    export(checkpoint)
    checkpoint.network.leave_room(checkpoint.tokenizer.length)  # as trainings do
    export(checkpoint, quantize="int8")


def test_a_training_leaves_the_units_room() -> None:
    """At this rate they come to 1, and without Network.leave_room the gate refuses the file."""
    rng, ends = random.Random(0), (" bad", " good")
    texts = [" ".join(rng.choice("abcdefgh") * 3 for _ in range(6)) + ends[i % 2] for i in range(60)]
    data = dataset_from(texts, ["pos" if i % 2 else "neg" for i in range(60)])
    plan = make_plan(facts_of(data), Asked("tiny", "none", epochs=6, validation=0.0))
    with quiet_thread():
        result = fit(data, replace(plan, loop=replace(plan.loop, learning_rate=0.3)))
    export(result.checkpoint, quantize="int8")


@pytest.mark.parametrize("name", ["Tanh", "Sigmoid"])
def test_the_headroom_is_more_than_rounding(name: str) -> None:
    """ONNX Runtime's tanh and sigmoid fall where they should rise, and pass 1, by less than that."""
    model = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["": 17]> {name} (float[n] x) => (float[n] y) {{ y = {name}(x) }}'
    )
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": np.linspace(0, 30, 1_000_003, dtype=np.float32)})
    assert (np.maximum.accumulate(found) - found).max() < gates.LEAST_HEADROOM / 2
    assert found.max() - 1 < gates.LEAST_HEADROOM / 4


def test_without_sentinels_a_batch_changes_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate can fail: the defect that sentinels cure is really there without them."""
    monkeypatch.setattr(weights, "GATE_SIGNS", ((0, 0, 0, 0), (0, 0, 0, 0)))
    with pytest.raises(CheckError, match=r"batching changes a probability by .* in a batch of"):
        export(make_checkpoint(hidden=14), quantize="int8")


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_file_may_be_as_far_from_the_network_as_float32_is(
    monkeypatch: pytest.MonkeyPatch, shape: dict[str, Any]
) -> None:
    checkpoint = make_checkpoint(**shape)
    network, rows = checkpoint.network, gates.random_rows(checkpoint.tokenizer)
    classifier = Classifier.from_model(opened(export(checkpoint).data))
    for name in ("PARITY_TOLERANCE", "NGRAM_PARITY_TOLERANCE"):
        monkeypatch.setattr(gates, name, 1e-7)  # a rounding of a probability: a row of few words has no more
    ours = gates.predict_probabilities(network, rows)
    exact = gates.predict_probabilities(copy.deepcopy(network).double(), rows)
    gates.check_parity(network, SimpleNamespace(probabilities_of=lambda _: ours + 20 * (ours - exact)), rows)
    assert 0 < gates.check_parity(network, classifier, rows) <= 100 * np.abs(ours - exact).max() < 1e-3
    with torch.no_grad():
        network.head.weight[0, 0] += 0.05
    with pytest.raises(CheckError, match="no file was written"):
        gates.check_parity(network, classifier, rows)


@pytest.mark.parametrize("hidden", [5, 10, 14, 30])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_pooling_by_blocks_keeps_the_bits_whatever_the_width(hidden: int, bidirectional: bool) -> None:
    """Lengths are a multiple of the block, so steps behind the longest text are run, and none is read."""
    shape = {"hidden": hidden, "bidirectional": bidirectional, "labels": 5}
    checkpoint = replace(make_checkpoint(64, **shape), plan={"loop": {"crops": 0.7}})  # of long texts
    exported = export(checkpoint, quantize="int8")
    file = opened(exported.data)
    assert exported.parity <= 1e-5
    assert "block_shape" in {c.name for c in onnx.load_model_from_string(file.data).graph.initializer}
    classifier = Classifier.from_model(file)
    rows = [[1, *range(4, 3 + n)] for n in (*range(1, 20), 63, 64)]
    alone = classifier.probabilities_of(rows, batch_size=1)
    for size in (2, 3, 5, len(rows)):
        assert np.array_equal(classifier.probabilities_of(rows, batch_size=size), alone)


def test_accuracy_is_a_gate_and_the_command_says_what_it_measured(tmp_path: Path) -> None:
    checkpoint = make_checkpoint()
    texts = [f"word{i} word{j}" for i in range(60) for j in range(60)]
    files = [opened(export(checkpoint).data), opened(export(checkpoint, quantize="int8").data)]
    labels, others = ([a.label or "" for a in Classifier.from_model(file).predict(texts)] for file in files)
    labelled = Labelled(texts, [(label,) for label in labels])
    comparison = export(checkpoint, quantize="int8", labelled=labelled, max_drop=5).comparison
    assert comparison is not None and (change := comparison.accuracy) is not None
    assert change.before == 1 and (interval := change.interval) is not None
    assert interval.low <= change.after - 1 <= interval.high
    source, output = tmp_path / "c.safetensors", tmp_path / "m.onnx"
    save_checkpoint(checkpoint, source)
    changed = [(text, old) for text, old, new in zip(texts, labels, others) if old != new]
    gate = ("--quantize", "int8", "--data", write_csv(tmp_path / "d.csv", changed))
    error = command("export", source, "-o", output, *gate).error
    assert "more than --max-drop" in error and "export without --quantize, or" in error
    assert not output.exists()
    shown = json.loads(command("export", source, "-o", output, "--json", *gate, "--max-drop", "100").stdout)
    assert shown["bytes"] == output.stat().st_size < shown["fp32_bytes"]
    assert 0 <= shown["parity"] <= gates.PARITY_TOLERANCE
    assert [shown["comparison"]["accuracy"][name] for name in ("before", "after")] == [1, 0]
    assert command("export", source, "-o", output).returncode == 0
