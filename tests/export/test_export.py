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
from edge_lstm_export.cli.display import print_exported
from edge_lstm_export.graph import weights
from edge_lstm_export.onnx import gates
from edge_lstm_export.onnx.export import Exported, export
from edge_lstm_export.options import UNTUNED, HeadroomOptions, SourceFile, TrainingRequest
from edge_lstm_export.train.checkpoint import Checkpoint, save_checkpoint
from edge_lstm_export.train.examples import Examples
from edge_lstm_export.train.headroom import random_rows, tried_rows, with_headroom
from edge_lstm_export.train.network import Network
from edge_lstm_export.train.plan import make_plan
from edge_lstm_export.train.quantize import rounded_to_int8
from edge_lstm_export.train.sources.memory import dataset_from
from edge_lstm_export.train.start import first_weights
from edge_lstm_export.train.stats import dataset_stats
from edge_lstm_export.train.train import fit, quiet_thread
from made import make_checkpoint, opened, write_csv
from scipy.stats import multinomial

from edge_lstm.classifier import Classifier
from edge_lstm.errors import CheckError, DataError
from edge_lstm.modelfile import describe
from edge_lstm.tables.labelled import LabelledTexts
from edge_lstm.text import FIRST_WORD_ID

NGRAMS = {"ngram_words": 60, "ngram_slots": 60, "ngram_dim": 3}
HEADROOM = HeadroomOptions()
SHAPES: list[dict[str, Any]] = [
    {"pooling": "last"},
    {"labels": 3},
    {"pooling": "last", "bidirectional": True, "labels": 3},
    {"bidirectional": True, **NGRAMS},
    {"labels": 40, "bidirectional": True, "embedding_dim": 5, **NGRAMS, "ngram_dim": 5},
    {"ngram_words": 60, "ngram_dim": 3},
    {"labels": 5, "ngram_slots": 60, "ngram_dim": 4},
    {"labels": 2, "multi_label": True},  # with one label per text it would have a single logit
    {"labels": 3, "multi_label": True, **NGRAMS},
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_architecture_keeps_its_promises(shape: dict[str, Any], tmp_path: Path) -> None:
    checkpoint = make_checkpoint(**shape)
    exported = export(checkpoint, quantize="int8", length=20)
    assert exported.parity <= (gates.NGRAM_PARITY_TOLERANCE if "ngram_dim" in shape else 1e-5)
    assert exported.batch_comparisons > 400
    assert exported.comparison is not None and exported.comparison.max_difference < 0.1
    file = opened(exported.data)
    assert describe(file)["inputs"] == [
        {"name": "input_ids", "dtype": "int32", "shape": ["batch", 20]}
    ]
    assert file.onnx.opsets[""] == 17 and file.onnx.ir_version <= 10
    graph = onnx.load_model_from_string(exported.data).graph
    assert [node.op_type for node in graph.node if "LSTM" in node.op_type] == [
        "DynamicQuantizeLSTM"
    ]
    constants = {c.name: onnx.numpy_helper.to_array(c) for c in graph.initializer}
    for name in ("lstm0_w", "lstm0_r"):  # the range that AVX2 multiplies exactly
        assert constants[name].dtype == np.int8 and np.abs(constants[name].astype(int)).max() == 64
    assert constants["embedding_q"].shape == (201, 3) and constants["embedding_m"].shape == (201, 1)
    (tmp_path / "m.onnx").write_bytes(exported.data)
    lstm, embedding = first_weights(SourceFile(str(tmp_path / "m.onnx")), checkpoint.tokenizer)
    written = rounded_to_int8(checkpoint.network).weights()
    for name, values in {**lstm, "embedding.weight": embedding}.items():
        assert np.allclose(values, written[name][: len(values)], rtol=1e-6, atol=0)
    assert file.labels == checkpoint.labels and file.golden
    assert file.thresholds == ((UNTUNED,) * len(file.labels) if "multi_label" in shape else None)
    rows = [[], *random_rows(file.tokenizer, seed=7)]  # the first of nothing but padding
    answers = [Classifier.from_model(file, threads=n).probabilities_of(rows) for n in (1, 2)]
    assert np.array_equal(*answers) and np.isfinite(answers[0]).all()
    assert np.allclose(answers[0].sum(axis=1), 1) != ("multi_label" in shape)


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


def room_of(network: Network, row: list[int]) -> float:
    return float(network.room(torch.tensor([row]), torch.tensor([len(row)]))[0].min())


def examples_of(rows: list[list[int]]) -> Examples:
    return Examples.from_rows(rows, np.zeros((len(rows), 2), np.float32))


def test_a_training_makes_room_on_the_texts_that_it_learnt_from() -> None:
    """Random ids do not show it: few texts say one word again and again."""
    network = make_driven(make_checkpoint()).network
    row, others = [1, *[SATURATING] * 20], tried_rows(make_checkpoint().tokenizer)
    assert room_of(network, row) < gates.LEAST_HEADROOM
    before = {name: values.copy() for name, values in network.weights().items()}
    assert with_headroom(network, examples_of([]), others, HEADROOM)[1] == 0
    closed_network, closed = with_headroom(network, examples_of([row]), others, HEADROOM)
    assert closed == 1 and room_of(closed_network, row) >= HEADROOM.margin
    assert all(np.array_equal(before[name], values) for name, values in network.weights().items())


def test_no_text_is_tried_if_none_can_drive_a_unit_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = make_checkpoint().network
    rows = random_rows(make_checkpoint().tokenizer)
    rooms = [network.room(torch.tensor([row]), torch.tensor([len(row)]))[0] for row in rows]
    assert (
        network.least_room()[0] <= torch.stack(rooms).amin(dim=0)
    ).all() and network.least_room()[0].min() > 0.01
    monkeypatch.setattr(Network, "room", None)
    assert with_headroom(network, examples_of(rows), [], HEADROOM) == (network, 0)


def test_an_export_makes_room_on_its_own_texts_and_says_what_that_cost(tmp_path: Path) -> None:
    checkpoint = make_driven(make_checkpoint())
    word = checkpoint.tokenizer.words[SATURATING - FIRST_WORD_ID]
    texts = [f"{word} " * 20, *(f"word{i} word{i + 1}" for i in range(40))]
    assert checkpoint.tokenizer.encode_text(texts[0]).ids[-1] == SATURATING
    assert export(checkpoint, quantize="int8").closed is None
    before = checkpoint.network.weights()
    labelled = LabelledTexts(texts, [("label0",), *[("label1",)] * 40])
    exported = export(checkpoint, quantize="int8", labelled=labelled, max_drop=100)
    assert exported.closed is not None and exported.headroom is not None
    assert exported.headroom >= HEADROOM.margin
    assert (exported.closed.units, exported.closed.texts) == (1, 41)
    assert 0 < exported.closed.max_difference < 0.05
    after = checkpoint.network.weights()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    save_checkpoint(checkpoint, tmp_path / "c.safetensors")
    table = write_csv(
        tmp_path / "d.csv", [(text, label) for text, (label,) in zip(texts, labelled.labels)]
    )
    options = ("--quantize", "int8", "--data", table, "--max-drop", "100")
    done = command("export", tmp_path / "c.safetensors", "-o", tmp_path / "m.onnx", *options)
    assert done.returncode == 0
    assert done.stderr.startswith(
        "note: int8 needed one LSTM unit kept away from 1, which changes a probab"
    )
    assert done.stderr.endswith(f"the label of {exported.closed.changed} of 41 texts\n")


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("value", [30.0, 1e4, 1e30])
def test_a_network_that_was_built_saturated_is_exported(value: float, bidirectional: bool) -> None:
    """Every gate is open, and each cell grows as the sentinels' do."""
    checkpoint = make_checkpoint(hidden=14, bidirectional=bidirectional)
    for name in ("forwards", "backwards")[: 1 + bidirectional]:
        torch.nn.init.constant_(
            checkpoint.network.get_parameter(f"lstms.0.{name}.bias_ih_l0"), value
        )
    exported = export(checkpoint, quantize="int8")
    assert exported.closed is not None and exported.closed.units == 14 * (1 + bidirectional)
    assert exported.headroom is not None and exported.headroom >= HEADROOM.margin
    assert export(checkpoint).closed is None


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value: float) -> None:
    checkpoint = make_checkpoint()
    torch.nn.init.constant_(checkpoint.network.get_parameter("lstms.0.forwards.bias_ih_l0"), value)
    with pytest.raises(DataError, match="not finite numbers; train it again"):
        export(checkpoint, quantize="int8")
    with pytest.raises(DataError, match="lower the learning_rate"):
        with_headroom(checkpoint.network, examples_of([]), [], HEADROOM)


def test_a_training_leaves_the_units_room() -> None:
    """At this rate they come to 1, and without with_headroom the export would have to make it."""
    rng, ends = random.Random(0), (" bad", " good")
    texts = [
        " ".join(rng.choice("abcdefgh") * 3 for _ in range(6)) + ends[i % 2] for i in range(60)
    ]
    data = dataset_from(texts, ["pos" if i % 2 else "neg" for i in range(60)])
    plan = make_plan(dataset_stats(data), TrainingRequest("tiny", "none", epochs=6, validation=0.0))
    with quiet_thread():
        result = fit(data, replace(plan, loop=replace(plan.loop, learning_rate=0.3)))
    assert result.closed_units > 0
    assert export(result.checkpoint, quantize="int8").closed is None


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
    monkeypatch.setattr(weights, "GATE_SIGNS", ((0, 0, 0, 0), (0, 0, 0, 0)))
    with pytest.raises(CheckError, match=r"batching changes a probability by .* in a batch of"):
        export(make_checkpoint(hidden=14), quantize="int8")


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_file_may_be_as_far_from_the_network_as_float32_is(
    monkeypatch: pytest.MonkeyPatch, shape: dict[str, Any]
) -> None:
    checkpoint = make_checkpoint(**shape)
    network, rows = checkpoint.network, random_rows(checkpoint.tokenizer)
    classifier = Classifier.from_model(opened(export(checkpoint).data))
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


@pytest.mark.parametrize("hidden", [5, 10, 14, 30])
@pytest.mark.parametrize("bidirectional", [False, True])
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
    classifier = Classifier.from_model(file)
    rows = [[1, *range(4, 3 + n)] for n in (*range(1, 20), 63, 64)]
    alone = classifier.probabilities_of(rows, batch_size=1)
    for size in (2, 3, 5, len(rows)):
        assert np.array_equal(classifier.probabilities_of(rows, batch_size=size), alone)


@pytest.mark.parametrize("allowed", [0.0, 0.003, 0.02])
def test_a_loss_within_chance_is_seldom_refused_whatever_the_number_of_texts(
    allowed: float,
) -> None:
    """At the edge of what is allowed, where most are refused; every outcome counts by its
    probability."""
    for texts in (1, 5, 30, 200):
        for gain in (0.0, 0.01, 0.1):
            outcomes = multinomial(texts, [gain + allowed, gain, 1 - 2 * gain - allowed])
            refused = sum(
                outcomes.pmf([lost, gained, texts - lost - gained])
                for lost in range(min(texts, 60) + 1)
                for gained in range(min(texts - lost, 40) + 1)
                if gates.p_value_of_drop(lost, gained, texts, allowed) <= gates.SIGNIFICANT
            )
            assert refused <= gates.SIGNIFICANT


def test_a_loss_that_chance_does_not_explain_is_refused() -> None:
    assert gates.p_value_of_drop(5, 0, 440, 0) == 0.5**5  # McNemar's exact test
    for lost, gained, texts in ((7, 0, 90), (30, 2, 440), (40, 0, 5000), (400, 200, 10_000)):
        assert gates.p_value_of_drop(lost, gained, texts, 0.003) <= gates.SIGNIFICANT
    for lost, gained, texts in (
        (1, 0, 1),
        (2, 0, 440),
        (1, 0, 50),
        (20, 15, 440),
        (16, 0, 5000),
        (0, 9, 10),
    ):
        assert gates.p_value_of_drop(lost, gained, texts, 0.003) > gates.SIGNIFICANT
    assert gates.p_value_of_drop(10, 0, 10, 1.0) == 1


def test_two_of_440_texts_are_within_chance_and_the_command_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    classifier = Classifier.from_model(opened(export(make_checkpoint()).data))
    before = np.tile(np.array([[0.2, 0.8]], np.float32), (440, 1))
    after, truth = before.copy(), before > 0.5
    after[:2] = 0.8, 0.2
    comparison = gates.compare(classifier, before, after, truth, 0.3)
    gates.check_accuracy(comparison, 0.3)
    change = comparison.accuracy
    assert change is not None and (change.lost, change.gained, change.within_chance) == (2, 0, True)
    exported = Exported(b"", 0, 0.0, comparison=comparison)
    print_exported(classifier.model, exported, as_json=False, verbose=False)
    said = " ".join(capsys.readouterr().out.split())
    assert "accuracy 99.55% (fp32 100.00%; 2 of 440 texts, within chance)" in said
    print_exported(classifier.model, exported, as_json=True, verbose=False)
    shown = json.loads(capsys.readouterr().out)["comparison"]["accuracy"]
    assert shown["lost"] == 2 and shown["within_chance"] is True and 0 < shown["p_value"] <= 1
    after[:40] = 0.8, 0.2
    with pytest.raises(
        CheckError, match=r"40 of 440 texts lost, 0 gained\), more than --max-drop 0.3"
    ):
        gates.check_accuracy(gates.compare(classifier, before, after, truth, 0.3), 0.3)
    within = gates.compare(classifier, before, after, truth, 10).accuracy
    assert within is not None and not within.within_chance  # no more than is allowed


def test_accuracy_is_a_gate_and_the_command_says_what_it_measured(tmp_path: Path) -> None:
    checkpoint = make_checkpoint()
    texts = [f"word{i} word{j}" for i in range(60) for j in range(60)]
    files = [opened(export(checkpoint).data), opened(export(checkpoint, quantize="int8").data)]
    labels, others = (
        [a.label or "" for a in Classifier.from_model(file).predict(texts)] for file in files
    )
    labelled = LabelledTexts(texts, [(label,) for label in labels])
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
    shown = json.loads(
        command("export", source, "-o", output, "--json", *gate, "--max-drop", "100").stdout
    )
    assert shown["bytes"] == output.stat().st_size < shown["fp32_bytes"]
    assert 0 <= shown["parity"] <= gates.PARITY_TOLERANCE
    assert [shown["comparison"]["accuracy"][name] for name in ("before", "after")] == [1, 0]
    assert command("export", source, "-o", output).returncode == 0
