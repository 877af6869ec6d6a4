"""Checkpoint → model file → int8 file: parity, the two promises, the gates."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from conftest import MakeCheckpoint
from edge_lstm_export import export, gates, quantization
from edge_lstm_export.checkpoint import save_checkpoint
from edge_lstm_export.export import Choice, export_fp32, quantize_if_better, quantize_int8
from edge_lstm_export.network import Network
from edge_lstm_export.weights import GraphWeights, weights_from_network
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_lstm.classifier import Classifier
from edge_lstm.cli import run
from edge_lstm.errors import CheckError, DataError
from edge_lstm.latency.statistics import Ratio
from edge_lstm.modelfile import ModelFile, describe, open_model, parse_model
from edge_lstm.models import embedded_reviews
from edge_lstm.tables.labelled import Labelled

# Each pair of settings occurs; the full product is four times as long and finds no more.
SHAPES = [
    (1, False, "last", 2),
    (1, False, "mean+max", 3),
    (1, True, "last", 3),
    (1, True, "max", 2),
    (2, False, "last", 3),
    (2, False, "mean", 2),
    (2, True, "mean+max", 2),
    (2, True, "mean", 3),
]


def opened(data: bytes) -> ModelFile:
    return parse_model(data, Path("test.onnx"))


@pytest.mark.parametrize(("layers", "bidirectional", "pooling", "labels"), SHAPES)
def test_every_architecture_keeps_its_promises(
    make_checkpoint: MakeCheckpoint, layers: int, bidirectional: bool, pooling: str, labels: int
) -> None:
    checkpoint = make_checkpoint(layers=layers, bidirectional=bidirectional, pooling=pooling, labels=labels)
    exported = export_fp32(checkpoint)
    assert exported.parity is not None
    assert exported.parity <= 1e-5
    quantized = quantize_int8(opened(exported.data))
    assert quantized.batch_comparisons > 400
    assert quantized.agreement.mean_difference < 0.01
    file = opened(quantized.data)
    operators = {node.op_type for node in onnx.load_model_from_string(quantized.data).graph.node}
    assert "DynamicQuantizeLSTM" in operators
    assert "LSTM" not in operators
    assert file.labels == checkpoint.labels
    assert file.golden
    rows = gates.random_rows(file.tokenizer, seed=7)
    answers = [Classifier.from_model(file, threads=n).probabilities_of(rows) for n in (1, 2)]
    assert np.array_equal(*answers)


@settings(max_examples=20, deadline=None)
@given(rows=st.lists(st.lists(st.integers(1, 199), min_size=1, max_size=60), min_size=2, max_size=20))
def test_int8_rows_do_not_see_each_other(int8: Classifier, rows: list[list[int]]) -> None:
    alone = int8.probabilities_of(rows, batch_size=1)
    assert np.array_equal(int8.probabilities_of(rows, batch_size=len(rows)), alone)


@pytest.fixture(scope="module")
def int8() -> Classifier:
    torch.manual_seed(1)
    # A large embedding and recurrence, so that a scale that moves would show.
    from edge_lstm_export.checkpoint import Checkpoint
    from edge_lstm_export.network import NetworkConfig

    from edge_lstm.text import Tokenizer

    network = Network(NetworkConfig(200, 6, 14, 2, True)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(2)
    words = tuple(f"word{i}" for i in range(196))
    exported = export_fp32(Checkpoint(network, Tokenizer(words, 60), ("no", "yes"), {}))
    return Classifier.from_model(opened(quantize_int8(opened(exported.data)).data))


def test_units_that_are_driven_to_their_ends_are_refused(make_checkpoint: MakeCheckpoint) -> None:
    """As a training that diverged has them: every gate is open, and each cell grows as the sentinels' do."""
    checkpoint = make_checkpoint(hidden=14, pooling="mean+max")
    with torch.no_grad():
        forward = checkpoint.network.lstm["layer0_forward"]
        assert isinstance(forward.bias_ih_l0, torch.Tensor)
        forward.bias_ih_l0.fill_(30)
    fp32 = opened(export_fp32(checkpoint).data)
    with pytest.raises(CheckError, match=r"driven to their ends.*--learning-rate"):
        quantize_int8(fp32)
    chosen, choice = quantize_if_better(fp32)
    assert chosen is None and "ends" in choice.reason and "no file" not in choice.reason


def test_the_embedded_model_stays_far_from_its_ends() -> None:
    model = open_model()
    rows = gates.random_rows(model.tokenizer) + gates.text_rows(model.tokenizer, embedded_reviews())
    assert gates.check_headroom(model.data, rows, model.tokenizer.length) > 0.01


@pytest.mark.parametrize("name", ["Tanh", "Sigmoid"])
def test_the_headroom_is_more_than_rounding(name: str) -> None:
    """ONNX Runtime's tanh and sigmoid fall where they should rise, and pass 1, by less than that."""
    ends = [onnx.helper.make_tensor_value_info(end, onnx.TensorProto.FLOAT, [None]) for end in "xy"]
    graph = onnx.helper.make_graph([onnx.helper.make_node(name, ["x"], ["y"])], name, ends[:1], ends[1:])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": np.linspace(0, 30, 1_000_003, dtype=np.float32)})
    assert (np.maximum.accumulate(found) - found).max() < gates.LEAST_HEADROOM / 2
    assert found.max() - 1 < gates.LEAST_HEADROOM / 4


def test_without_sentinels_a_batch_changes_an_answer(
    make_checkpoint: MakeCheckpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gate can fail: the defect that sentinels cure is really there without them."""
    monkeypatch.setattr(quantization, "GATE_SIGNS", ((0, 0, 0, 0), (0, 0, 0, 0)))
    fp32 = opened(export_fp32(make_checkpoint(hidden=14)).data)
    with pytest.raises(CheckError, match=r"change by .* in a batch of"):
        quantize_int8(fp32)


@pytest.mark.parametrize(("layers", "bidirectional", "pooling", "labels"), SHAPES)
def test_a_file_may_be_as_far_from_the_network_as_float32_is(
    make_checkpoint: MakeCheckpoint,
    monkeypatch: pytest.MonkeyPatch,
    layers: int,
    bidirectional: bool,
    pooling: str,
    labels: int,
) -> None:
    """trec6 with features=pairs: on one review PyTorch was 1.3e-5 from float64, ONNX Runtime 4e-6."""
    checkpoint = make_checkpoint(layers=layers, bidirectional=bidirectional, pooling=pooling, labels=labels)
    network, rows = checkpoint.network, gates.random_rows(checkpoint.tokenizer)
    classifier = Classifier.from_model(opened(export_fp32(checkpoint).data))
    monkeypatch.setattr(gates, "PARITY_TOLERANCE", 0.0)
    monkeypatch.setattr(gates, "TIMES_OWN_ERROR", 100)  # of small networks that have hardly any
    wanted = gates.network_probabilities(network, rows)
    exact = gates.network_probabilities(copy.deepcopy(network).double(), rows)
    assert exact.dtype == np.float64
    assert 0 < gates.check_parity(network, classifier, rows) <= 100 * np.abs(wanted - exact).max() < 1e-3
    with torch.no_grad():
        network.head.weight[0, 0] += 0.01
    with pytest.raises(CheckError, match="no file was written"):
        gates.check_parity(network, classifier, rows)


@pytest.mark.parametrize("hidden", [5, 10, 14, 30])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_pooling_by_blocks_keeps_the_bits_whatever_the_width(
    make_checkpoint: MakeCheckpoint, hidden: int, bidirectional: bool
) -> None:
    """Lengths are a multiple of the block, so steps behind the longest text are run, and none is read."""
    checkpoint = make_checkpoint(
        length=64, hidden=hidden, bidirectional=bidirectional, pooling="mean+max", labels=5
    )
    exported = export_fp32(checkpoint)
    assert exported.parity is not None
    assert exported.parity <= 1e-5
    file = opened(quantize_int8(opened(exported.data)).data)
    assert "block_shape" in {c.name for c in onnx.load_model_from_string(file.data).graph.initializer}
    classifier = Classifier.from_model(file)
    rows = [[1, *range(4, 3 + n)] for n in (*range(1, 20), 63, 64)]
    alone = classifier.probabilities_of(rows, batch_size=1)
    for size in (2, 3, 5, len(rows)):
        assert np.array_equal(classifier.probabilities_of(rows, batch_size=size), alone)


@pytest.mark.parametrize("length", [60, 64])
def test_a_text_of_nothing_but_padding_is_no_nan(make_checkpoint: MakeCheckpoint, length: int) -> None:
    for pooling in ("last", "mean", "max"):
        file = opened(export_fp32(make_checkpoint(pooling=pooling, length=length)).data)
        answer = Classifier.from_model(file).probabilities_of([[]])
        assert np.isfinite(answer).all()


@pytest.mark.parametrize("opset", [13, 17, 18, 21])
def test_every_supported_opset_gives_the_same_answers(make_checkpoint: MakeCheckpoint, opset: int) -> None:
    checkpoint = make_checkpoint(pooling="mean+max", length=64)
    file = opened(export_fp32(checkpoint, opset=opset).data)
    assert describe(file)["opsets"]["ai.onnx"] == opset
    assert file.onnx.ir_version <= 10


def test_the_default_file_is_readable_by_old_runtimes(make_checkpoint: MakeCheckpoint) -> None:
    file = opened(export_fp32(make_checkpoint()).data)
    assert (file.onnx.opsets[""], file.onnx.ir_version) == (17, 8)


def test_a_fixed_batch_and_another_length(make_checkpoint: MakeCheckpoint) -> None:
    file = opened(export_fp32(make_checkpoint(), length=20, batch=1).data)
    assert describe(file)["inputs"] == [{"name": "input_ids", "dtype": "int32", "shape": [1, 20]}]
    texts = ["word1 word2", "word3 " * 30, ""]
    free = opened(export_fp32(make_checkpoint(), length=20).data)
    fixed_answers = Classifier.from_model(file).probabilities(texts)
    assert np.allclose(fixed_answers, Classifier.from_model(free).probabilities(texts), atol=1e-6)
    assert opened(quantize_int8(file).data).batch == 1


@pytest.mark.parametrize("options", [{"batch": 2}, {"opset": 12}, {"opset": 99}, {"length": 0}])
def test_options_out_of_range_are_refused(make_checkpoint: MakeCheckpoint, options: dict[str, int]) -> None:
    with pytest.raises(DataError, match=r"give|batch"):
        export_fp32(make_checkpoint(), **options)  # type: ignore[arg-type]


def test_a_graph_that_answers_otherwise_is_not_written(
    make_checkpoint: MakeCheckpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = weights_from_network

    def wrong(*args: object) -> GraphWeights:
        weights = real(*args)  # type: ignore[arg-type]
        return replace(weights, head_bias=weights.head_bias + 1e-3)

    monkeypatch.setattr(export, "weights_from_network", wrong)
    with pytest.raises(CheckError, match="differ by"):
        export_fp32(make_checkpoint())


def test_accuracy_is_a_gate(make_checkpoint: MakeCheckpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    fp32 = opened(export_fp32(make_checkpoint()).data)
    texts = [f"word{i} word{i + 1} word{2 * i}" for i in range(90)]
    answers = Classifier.from_model(fp32).predict(texts)
    data = Labelled(texts, [a.label for a in answers])
    good = quantize_int8(fp32, labelled=data, max_drop=5)
    assert good.accuracy is not None
    assert good.accuracy.before == 1
    assert good.accuracy.low <= -good.accuracy.drop <= good.accuracy.high
    monkeypatch.setattr(quantization, "WEIGHT_LIMIT", 1)  # one bit and a sign: ruins the network
    with pytest.raises(CheckError, match="more than --max-drop"):
        quantize_int8(fp32, labelled=data)


def test_int8_twice_is_refused(make_checkpoint: MakeCheckpoint) -> None:
    file = opened(quantize_int8(opened(export_fp32(make_checkpoint()).data)).data)
    with pytest.raises(DataError, match="int8 already"):
        quantize_int8(file)


def test_labels_that_the_model_does_not_know_are_named(make_checkpoint: MakeCheckpoint) -> None:
    fp32 = opened(export_fp32(make_checkpoint()).data)
    with pytest.raises(DataError, match=r"does not know \(good\); the model's are label0, label1"):
        quantize_int8(fp32, labelled=Labelled(["word1"], ["good"]))


def test_weights_stay_in_the_range_that_avx2_multiplies_exactly(make_checkpoint: MakeCheckpoint) -> None:
    file = opened(quantize_int8(opened(export_fp32(make_checkpoint()).data)).data)
    constants = {
        c.name: onnx.numpy_helper.to_array(c)
        for c in onnx.load_model_from_string(file.data).graph.initializer
    }
    for name in ("lstm0_w", "lstm0_r"):
        assert constants[name].dtype == np.int8
        assert np.abs(constants[name].astype(int)).max() == 64
    assert constants["embedding"].dtype == np.int8


def test_export_and_quantize_answer_in_json(
    tmp_path: Path, make_checkpoint: MakeCheckpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    save_checkpoint(make_checkpoint(), tmp_path / "c.safetensors")
    names = [str(tmp_path / name) for name in ("c.safetensors", "m.onnx", "q.onnx")]
    run(["export", names[0], "-o", names[1], "--json"])
    fp32 = json.loads(capsys.readouterr().out)
    assert fp32["fp32_bytes"] == Path(names[1]).stat().st_size
    assert 0 <= fp32["parity"] <= gates.PARITY_TOLERANCE
    run(["quantize", names[1], "-o", names[2], "--json"])
    int8 = json.loads(capsys.readouterr().out)
    assert int8["bytes_after"] == Path(names[2]).stat().st_size
    assert int8["agreement"]["texts"] > 90 and int8["accuracy"] is None


def clear_times(monkeypatch: pytest.MonkeyPatch, value: float, low: float, high: float) -> None:
    """int8 takes ``value`` times as long, with this interval."""
    ratio = Ratio(value, low, high)
    monkeypatch.setattr(export, "_times_of_a_text", lambda old, new, rows: (100.0, 100.0 * value, ratio))


@pytest.mark.parametrize(
    ("ratio", "takes", "because"),
    [
        ((1.20, 1.12, 1.28), "fp32", "int8 takes 1.20 times as long"),
        ((0.50, 0.45, 0.55), "int8", "fp32 takes 2.00 times as long"),
        ((1.08, 1.07, 1.09), "int8", "the smaller one"),  # sure, and too little
        ((1.30, 1.01, 1.60), "int8", "the smaller one"),  # much, and unsure
        ((0.97, 0.96, 0.98), "int8", "the smaller one"),
    ],
)
def test_auto_writes_the_faster_file_and_in_a_tie_the_smaller_one(
    tmp_path: Path,
    make_checkpoint: MakeCheckpoint,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ratio: tuple[float, float, float],
    takes: str,
    because: str,
) -> None:
    clear_times(monkeypatch, *ratio)
    save_checkpoint(make_checkpoint(), tmp_path / "c.safetensors")
    output = tmp_path / "m.onnx"
    run(["export", str(tmp_path / "c.safetensors"), "-o", str(output), "--quantize", "auto"])
    assert describe(opened(output.read_bytes()))["precision"] == takes
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("chosen")]
    assert takes in line and because in line
    assert f"95 %: {1 / ratio[2]:.2f}" in line or f"95 %: {ratio[1]:.2f}" in line


def test_where_int8_is_the_larger_file_a_tie_goes_to_fp32(
    make_checkpoint: MakeCheckpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    clear_times(monkeypatch, 1.0, 0.98, 1.02)
    quantized = quantize_int8(opened(export_fp32(make_checkpoint()).data))
    assert replace(quantized, bytes_after=quantized.bytes_before + 1).choice().precision == "fp32"


def test_auto_writes_fp32_where_int8_fails_a_gate_and_says_which(
    tmp_path: Path,
    make_checkpoint: MakeCheckpoint,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    checkpoint = make_checkpoint()
    save_checkpoint(checkpoint, tmp_path / "c.safetensors")
    texts = [f"word{i} word{i + 1} word{2 * i}" for i in range(90)]
    answers = Classifier.from_model(opened(export_fp32(checkpoint).data)).predict(texts)
    rows = "".join(f"{text},{answer.label}\n" for text, answer in zip(texts, answers))
    (tmp_path / "d.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    monkeypatch.setattr(quantization, "WEIGHT_LIMIT", 1)  # ruins the network
    output = tmp_path / "m.onnx"
    command = [
        "export",
        str(tmp_path / "c.safetensors"),
        "-o",
        str(output),
        "--data",
        str(tmp_path / "d.csv"),
    ]
    run([*command, "--quantize", "auto", "--abstain", "0.5"])
    file = opened(output.read_bytes())
    assert describe(file)["precision"] == "fp32"
    assert file.abstention is not None and file.abstention.default == 0.5
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("chosen")]
    assert "fp32: int8 loses" in line and "no file was written" not in line
    output.unlink()
    with pytest.raises(CheckError, match="more than --max-drop"):
        run([*command, "--quantize", "int8"])
    assert not output.exists()


def test_auto_does_not_take_wrong_data_for_a_failed_gate(make_checkpoint: MakeCheckpoint) -> None:
    fp32 = opened(export_fp32(make_checkpoint()).data)
    with pytest.raises(DataError, match="does not know"):
        quantize_if_better(fp32, labelled=Labelled(["word1"], ["good"]))


def test_auto_says_its_choice_in_json(
    tmp_path: Path,
    make_checkpoint: MakeCheckpoint,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    clear_times(monkeypatch, 2.0, 1.9, 2.1)
    save_checkpoint(make_checkpoint(), tmp_path / "c.safetensors")
    output = tmp_path / "m.onnx"
    run(["export", str(tmp_path / "c.safetensors"), "-o", str(output), "--quantize", "auto", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert Choice(**found["choice"]).precision == "fp32"
    assert found["fp32_bytes"] == output.stat().st_size > found["bytes_after"]
    assert found["time_ratio"] == {"value": 2.0, "low": 1.9, "high": 2.1}


def test_two_files_are_timed_in_turns_on_the_same_texts(
    make_checkpoint: MakeCheckpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = Classifier.from_model(opened(export_fp32(make_checkpoint()).data))
    now, calls = 0.0, []

    class Timed:
        def __init__(self, name: str, seconds: float) -> None:
            self.name, self.seconds = name, seconds

        def probabilities_of(self, rows: list[list[int]]) -> None:
            nonlocal now
            now += self.seconds * len(rows[0]) * (1 + len(calls) / 100)  # the machine becomes slower
            calls.append((self.name, len(rows[0])))

    monkeypatch.setattr(export.time, "perf_counter", lambda: now)
    rows = gates.random_rows(classifier.model.tokenizer)[:3]
    *_, ratio = export._times_of_a_text(Timed("old", 1e-6), Timed("new", 3e-6), rows)  # type: ignore[arg-type]
    assert 2.7 < ratio.low <= ratio.value <= ratio.high < 3.3
    assert len(calls) >= 2 * export.FEWEST_TIMED * export.TIMED_ROUNDS
    first = [name for name, _ in calls[::2]]
    assert first.count("old") == first.count("new")
    assert all(a[1] == b[1] and a[0] != b[0] for a, b in zip(calls[::2], calls[1::2]))
