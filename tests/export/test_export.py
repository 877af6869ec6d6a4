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
from cases import rows
from commands import command
from edge_lstm_export.checkpoint.checkpoint import Checkpoint, save_checkpoint
from edge_lstm_export.cli.display import print_exported
from edge_lstm_export.network import headroom
from edge_lstm_export.network.examples import Examples
from edge_lstm_export.network.headroom import (
    MARGIN,
    close,
    random_rows,
    text_rows,
    tried_rows,
    with_headroom,
)
from edge_lstm_export.onnx import gates, weights
from edge_lstm_export.onnx.exporting import Exported, export
from edge_lstm_export.options import UNTUNED, TrainingRequest
from edge_lstm_export.train.fit import fit, quiet_thread
from edge_lstm_export.train.plan.decisions import make_plan
from edge_lstm_export.train.plan.stats import dataset_stats
from edge_lstm_export.train.sources.memory import dataset_from
from made import make_checkpoint, opened, write_csv

from edge_lstm.core.classifier import Classifier
from edge_lstm.core.onnx_runtime import OnnxRuntime
from edge_lstm.core.text import FIRST_WORD_ID
from edge_lstm.describe import describe
from edge_lstm.errors import CheckError, DataError
from edge_lstm.tables.labelled import LabelledTexts

NGRAMS = {"ngram_words": 60, "ngram_slots": 60, "ngram_dim": 3}
SHAPES: list[dict[str, Any]] = [
    {"pooling": "last", "bidirectional": True, "labels": 3},
    {"labels": 40, "bidirectional": True, "embedding_dim": 5, **NGRAMS, "ngram_dim": 5},
    {"ngram_words": 60, "ngram_dim": 3},
    {"labels": 5, "ngram_slots": 60, "ngram_dim": 4},
    {"labels": 2, "multi_label": True},  # with one label per text it would have a single logit
    {"labels": 3, "multi_label": True, **NGRAMS},
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_architecture_keeps_its_promises(shape: dict[str, Any]) -> None:
    checkpoint = make_checkpoint(**shape)
    exported = export(checkpoint, quantize="int8", length=20)
    assert exported.parity <= (gates.NGRAM_PARITY_TOLERANCE if "ngram_dim" in shape else 1e-5)
    assert exported.batch_comparisons > 400
    assert exported.comparison.max_difference < 0.1
    file = opened(exported.data)
    (inputs,) = describe(file)["inputs"]
    assert inputs == {"name": "input_ids", "dtype": "int32", "shape": ("batch", 20)}
    assert file.onnx.opsets[""] == 17 and file.onnx.ir_version <= 10
    graph = onnx.load_model_from_string(exported.data).graph
    (lstm,) = (node.op_type for node in graph.node if "LSTM" in node.op_type)
    assert lstm == "DynamicQuantizeLSTM"
    constants = {c.name: onnx.numpy_helper.to_array(c) for c in graph.initializer}
    for name in ("lstm0_w", "lstm0_r"):  # the range that AVX2 multiplies exactly
        assert constants[name].dtype == np.int8 and np.abs(constants[name].astype(int)).max() == 64
    assert file.labels == checkpoint.labels and file.golden
    assert file.thresholds == ((UNTUNED,) * len(file.labels) if "multi_label" in shape else None)
    rows = [[], *random_rows(file.tokenizer, seed=7)]  # the first of nothing but padding
    answers = [Classifier(file, OnnxRuntime(threads=n)).probabilities_of(rows) for n in (1, 2)]
    assert np.array_equal(*answers) and np.isfinite(answers[0]).all()


SATURATING = 5  # the id of a word


def make_driven(checkpoint: Checkpoint) -> Checkpoint:
    """Make one word, said again and again, drive the first unit to its end; others leave it far
    away."""
    with torch.no_grad():
        checkpoint.network.embedding.weight[SATURATING, 0] = 10
        kernel = checkpoint.network.get_parameter("lstms.0.forwards.weight_ih_l0")
        kernel[:: checkpoint.network.config.lstms[0].units] = 0  # of the four gates
        kernel[:: checkpoint.network.config.lstms[0].units, 0] = 2
    return checkpoint


def examples_of(rows: list[list[int]]) -> Examples:
    return Examples.from_rows(rows, np.zeros((len(rows), 2), np.float32))


def test_an_export_makes_room_on_its_own_texts_and_says_what_that_cost(tmp_path: Path) -> None:
    checkpoint = make_driven(make_checkpoint())
    assert export(checkpoint, quantize="int8").closed is None
    before = checkpoint.network.weights()
    word = checkpoint.tokenizer.words[SATURATING - FIRST_WORD_ID]
    table = [(f"{word} " * 20, "label0")]
    table += [(f"word{i} word{i + 1}", "label1") for i in range(40)]
    labelled = LabelledTexts([text for text, _ in table], [(label,) for _, label in table])
    exported = export(checkpoint, quantize="int8", labelled=labelled, max_drop=100)
    assert exported.headroom >= MARGIN
    assert (exported.closed.units, exported.closed.texts) == (1, 41)
    assert 0 < exported.closed.max_difference < 0.05
    after = checkpoint.network.weights()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    source = tmp_path / "c.safetensors"
    save_checkpoint(checkpoint, source)
    options = ("--quantize", "int8", "--data", write_csv(tmp_path / "d.csv", table))
    done = command("export", source, "-o", tmp_path / "m.onnx", *options, "--max-drop", "100")
    note = done.stderr.splitlines()[-1]
    assert note.startswith("note: int8 needed one LSTM unit kept away from 1, which changes a")
    assert note.endswith(f"the label of {exported.closed.changed} of 41 texts")


@pytest.mark.parametrize(("value", "bidirectional"), [(30.0, True), (1e30, False)])
def test_a_network_that_was_built_saturated_is_exported(value: float, bidirectional: bool) -> None:
    """Every gate is open, and each cell grows as the sentinels' do."""
    checkpoint = make_checkpoint(hidden=14, bidirectional=bidirectional)
    for name in ("forwards", "backwards")[: 1 + bidirectional]:
        torch.nn.init.constant_(
            checkpoint.network.get_parameter(f"lstms.0.{name}.bias_ih_l0"), value
        )
    exported = export(checkpoint, quantize="int8")
    assert exported.closed.units == 14 * (1 + bidirectional)
    assert exported.headroom >= MARGIN
    assert export(checkpoint).closed is None


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value: float) -> None:
    checkpoint = make_checkpoint()
    torch.nn.init.constant_(checkpoint.network.get_parameter("lstms.0.forwards.bias_ih_l0"), value)
    with pytest.raises(DataError, match="not finite numbers; train it again"):
        export(checkpoint, quantize="int8")
    with pytest.raises(DataError, match="lower the learning_rate"):
        with_headroom(checkpoint.network, examples_of([]), [])


def test_a_training_leaves_the_units_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """At this rate they come to 1 on any CPU, by other weights on each.

    Rounding may drive a unit nearer than the training left it, and then the export makes room.
    """
    rng = random.Random(0)
    ends = (" bad", " good")
    texts = [
        " ".join(rng.choice("abcdefgh") * 3 for _ in range(6)) + ends[i % 2] for i in range(60)
    ]
    data = dataset_from(texts, ["pos" if i % 2 else "neg" for i in range(60)])
    plan = make_plan(dataset_stats(data), TrainingRequest("tiny", "none", epochs=6, validation=0.0))
    closed = []
    monkeypatch.setattr(headroom, "close", lambda *given: (closed.append(1), close(*given)))
    with quiet_thread():
        result = fit(data, replace(plan, loop=replace(plan.loop, learning_rate=0.3)))
    assert closed
    tokenizer = result.checkpoint.tokenizer
    rows = text_rows(tokenizer, texts) + tried_rows(tokenizer)
    of_batch = examples_of(rows).padded(np.arange(len(rows)))
    assert min(room.min() for room in result.checkpoint.network.room(*of_batch)) >= MARGIN
    assert export(result.checkpoint, quantize="int8").headroom >= gates.LEAST_HEADROOM


@pytest.mark.parametrize("name", ["Tanh", "Sigmoid"])
def test_the_headroom_is_more_than_rounding(name: str) -> None:
    """ONNX Runtime's tanh and sigmoid fall where they should rise, and pass 1, by less than
    that."""
    model = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["": 17]> {name} (float[n] x) => (float[n] y) '
        f"{{ y = {name}(x) }}"
    )
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(None, {"x": np.linspace(0, 30, 1_000_003, dtype=np.float32)})
    assert (np.maximum.accumulate(found) - found).max() < gates.LEAST_HEADROOM / 2
    assert found.max() - 1 < gates.LEAST_HEADROOM / 4


def test_without_sentinels_a_batch_changes_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate can fail: the defect that sentinels cure is really there without them."""
    monkeypatch.setattr(weights, "GATE_SIGNS", np.zeros((4, 2)))
    with pytest.raises(CheckError, match=r"batching changes a probability by .* in a batch of"):
        export(make_checkpoint(hidden=14), quantize="int8")


@pytest.mark.parametrize("shape", SHAPES[:2], ids=str)
def test_a_file_may_be_as_far_from_the_network_as_float32_is(
    monkeypatch: pytest.MonkeyPatch, shape: dict[str, Any]
) -> None:
    checkpoint = make_checkpoint(**shape)
    network = checkpoint.network
    rows = random_rows(checkpoint.tokenizer)
    classifier = Classifier(opened(export(checkpoint).data))
    for name in ("PARITY_TOLERANCE", "NGRAM_PARITY_TOLERANCE"):
        # a rounding of a probability: a row of few words has no more
        monkeypatch.setattr(gates, name, 1e-7)
    ours = gates.predict_probabilities(network, rows)
    exact = gates.predict_probabilities(copy.deepcopy(network).double(), rows)
    gates.check_parity(
        network, SimpleNamespace(probabilities_of=lambda _: ours + 20 * (ours - exact)), rows
    )
    assert (
        0 < gates.check_parity(network, classifier, rows) <= 100 * np.abs(ours - exact).max() < 1e-3
    )
    with torch.no_grad():
        network.head.weight[0, 0] += 0.05
    with pytest.raises(CheckError, match="no file was written"):
        gates.check_parity(network, classifier, rows)


def test_rounding_decides_between_two_states_and_the_gate_knows() -> None:
    """A unit that excites itself: which state 40 words lead to is a matter of rounding."""
    network = make_checkpoint(hidden=1, embedding_dim=2, pooling="last").network
    lstm = network.layers[0].directions[0]
    with torch.no_grad():
        for weights_ in lstm.parameters():
            weights_.zero_()
        lstm.bias_ih_l0[:] = torch.tensor([5.0, 5.0, 0.0, 5.0])  # the gates are open
        lstm.weight_ih_l0[2] = torch.tensor([1.0, -1.0])  # of equal values: 0, but for rounding
        lstm.weight_hh_l0[2] = 4.0
        network.embedding.weight[4] = 1.0
    rows = [[4] * 40]
    ours = gates.predict_probabilities(network, rows)
    exact = gates.predict_probabilities(copy.deepcopy(network).double(), rows)
    assert np.abs(ours - exact).max() < 1e-6
    assert gates.rounding_errors(network, rows, ours) > 0.1
    other = np.array([[0.9, 0.1]], np.float32)  # the other state
    gates.check_parity(network, SimpleNamespace(probabilities_of=lambda _: other), rows)


@pytest.mark.parametrize(("hidden", "bidirectional"), [(5, True), (14, False), (30, True)])
def test_pooling_by_blocks_keeps_the_bits_whatever_the_width(
    hidden: int, bidirectional: bool
) -> None:
    """Lengths are a multiple of the block, so steps behind the longest text are run, and none is
    read."""
    shape = {"hidden": hidden, "bidirectional": bidirectional, "labels": 5}
    checkpoint = replace(make_checkpoint(64, **shape), plan={"kind": "long"})
    exported = export(checkpoint, quantize="int8")
    file = opened(exported.data)
    assert exported.parity <= 1e-5
    assert "block_shape" in {
        c.name for c in onnx.load_model_from_string(file.data).graph.initializer
    }
    classifier = Classifier(file)
    rows = [[1, *range(4, 3 + n)] for n in (*range(1, 20), 63, 64)]
    alone = classifier.probabilities_of(rows, batch_size=1)
    for size in (2, 3, 5, len(rows)):
        assert np.array_equal(classifier.probabilities_of(rows, batch_size=size), alone)


CHANCE = """
7 0 90 | refused
30 2 440 | refused
40 0 5000 | refused
400 200 10000 | refused
1 0 1 | chance
1 0 50 | chance
20 15 440 | chance
16 0 5000 | chance
"""


@pytest.mark.parametrize(("lost_gained_texts", "wanted"), rows(CHANCE))
def test_a_loss_that_chance_does_not_explain_is_refused(
    lost_gained_texts: str, wanted: str
) -> None:
    lost, gained, texts = map(int, lost_gained_texts.split())
    p_value = gates.p_value_of_drop(lost, gained, texts, 0.003)
    assert (p_value <= gates.SIGNIFICANT) == (wanted == "refused")


def test_the_p_value_is_that_of_mcnemars_exact_test() -> None:
    assert gates.p_value_of_drop(5, 0, 440, 0) == 0.5**5
    assert gates.p_value_of_drop(10, 0, 10, 1.0) == 1


def test_two_of_440_texts_are_within_chance_and_the_command_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    classifier = Classifier(opened(export(make_checkpoint()).data))
    before = np.tile(np.array([[0.2, 0.8]], np.float32), (440, 1))

    def compared(lost: int) -> gates.Comparison:
        after = before.copy()
        after[:lost] = 0.8, 0.2
        return gates.compare(classifier, before, after, before > 0.5, 0.3)

    comparison = compared(2)
    gates.check_accuracy(comparison, 0.3)
    print_exported(classifier.model, Exported(b"", 0, 0.0, comparison=comparison), as_json=False)
    said = " ".join(capsys.readouterr().out.split())
    assert "accuracy 99.55% (fp32 100.00%; 2 of 440 texts, within chance)" in said
    with pytest.raises(
        CheckError, match=r"40 of 440 texts lost, 0 gained\), more than --max-drop 0"
    ):
        gates.check_accuracy(compared(40), 0.3)


def test_int8_of_an_imported_network_keeps_the_labels_or_is_not_written() -> None:
    def moved(labels: int) -> gates.Comparison:
        return gates.Comparison(texts=1000, max_difference=0.1, changed=labels)

    gates.check_labels(moved(4), 0.3)
    gates.check_labels(moved(8), 0.3)  # chance explains it
    with pytest.raises(CheckError, match=r"keeps the label of 985 of 1,000 texts.*ship fp32"):
        gates.check_labels(moved(15), 0.3)
    gates.check_labels(moved(15), 2)


def test_accuracy_is_a_gate_and_the_command_says_what_it_measured(tmp_path: Path) -> None:
    checkpoint = make_checkpoint()
    texts = [f"word{i} word{j}" for i in range(40) for j in range(40)]
    files = [opened(export(checkpoint).data), opened(export(checkpoint, quantize="int8").data)]
    labels, others = ([a.label or "" for a in Classifier(file).predict(texts)] for file in files)
    source = tmp_path / "c.safetensors"
    output = tmp_path / "m.onnx"
    save_checkpoint(checkpoint, source)
    changed = [(text, old) for text, old, new in zip(texts, labels, others) if old != new]
    gate = ("--quantize", "int8", "--data", write_csv(tmp_path / "d.csv", changed))
    error = command("export", source, "-o", output, *gate).error
    assert "more than --max-drop" in error and "export without --quantize, or" in error
    assert not output.exists()
    allowed = (*gate, "--max-drop", "100", "--json")
    shown = json.loads(command("export", source, "-o", output, *allowed).stdout)
    assert shown["bytes"] == output.stat().st_size < shown["fp32_bytes"]
    assert 0 <= shown["parity"] <= gates.PARITY_TOLERANCE
    change = shown["comparison"]["accuracy"]
    assert (change["before"], change["after"]) == (1, 0)
    assert change["interval"]["low"] <= -1 <= change["interval"]["high"]
