"""The linear part over words and word pairs: what it adds up, in PyTorch, fp32 and int8."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
import torch
from conftest import MakeCheckpoint
from edge_lstm_export import gates, graph, quantization
from edge_lstm_export.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from edge_lstm_export.evaluation import divide_logits
from edge_lstm_export.export import export_fp32, quantize_int8
from edge_lstm_export.network import Network, NetworkConfig, table_rows
from edge_lstm_export.weights import read_weights, weights_from_network
from onnx import numpy_helper

from edge_lstm import onnx_file
from edge_lstm.classifier import Classifier
from edge_lstm.errors import CheckError, DataError
from edge_lstm.modelfile import ModelFile, describe, parse_model

LENGTH = 600
BUCKETS = 5000  # no power of two, and more than there are words


def opened(data: bytes) -> ModelFile:
    return parse_model(data, Path("test.onnx"))


@pytest.fixture
def with_table(make_checkpoint: MakeCheckpoint) -> MakeCheckpoint:
    """As make_checkpoint, with a linear part whose weights are random and matter."""

    def make(length: int = LENGTH, **settings: object) -> Checkpoint:
        checkpoint = make_checkpoint(length, **{"pair_buckets": BUCKETS, **settings})
        assert checkpoint.network.pairs is not None
        with torch.no_grad():
            # The sum over 1,199 rows then has a standard deviation of 1.7: no logit saturates.
            checkpoint.network.pairs.weight[1:].normal_(std=0.05)
        return checkpoint

    return make


def rows_of(*lengths: int) -> list[list[int]]:
    rng = np.random.default_rng(3)
    return [rng.integers(1, 200, size=n).tolist() for n in lengths]


def logits_of(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Up to a constant per row, which is taken out."""
    values = np.log(probabilities.astype(np.float64))
    return np.asarray(values - values.mean(axis=1, keepdims=True))


def test_the_rows_are_the_words_and_the_hashed_pairs() -> None:
    config = NetworkConfig(num_words=50, pair_buckets=97)
    rows = table_rows(torch.tensor([[1, 7, 9, 0, 0], [5, 0, 0, 0, 0]]), config)
    pairs = [51 + (a * 40503 + b * 7 + 123457) % 97 for a, b in ((1, 7), (7, 9))]
    assert rows.tolist() == [[1, 7, 9, 0, 0, *pairs, 0, 0], [5, 0, 0, 0, 0, 0, 0, 0, 0]]
    assert table_rows(torch.tensor([[5], [0]]), config).tolist() == [[5], [0]]


def test_words_and_pairs_count_as_often_as_they_occur(with_table: MakeCheckpoint) -> None:
    network = with_table(labels=3).network
    assert network.pairs is not None
    table = network.pairs.weight
    pair = 201 + (8 * 40503 + 8 * 7 + 123457) % BUCKETS
    answer = network.linear(torch.tensor([[8, 8, 8, 0]]))
    assert torch.allclose(answer[0], 3 * table[8] + 2 * table[pair])


def test_the_linear_part_starts_at_zero_and_gradients_do_not_reach_it() -> None:
    network = Network(NetworkConfig(num_words=20, hidden=4, pair_buckets=10))
    assert network.pairs is not None
    assert network.pairs.weight.shape == (31, 1)
    assert not network.pairs.weight.any()
    network(torch.tensor([[5, 6, 0, 0]]), torch.tensor([2])).sum().backward()
    assert network.pairs.weight.grad is None
    assert network.head.weight.grad is not None


@pytest.mark.parametrize(("bidirectional", "labels"), [(False, 2), (False, 5), (True, 2), (True, 5)])
def test_the_promises_hold_with_the_table(
    with_table: MakeCheckpoint, bidirectional: bool, labels: int
) -> None:
    checkpoint = with_table(bidirectional=bidirectional, labels=labels, pooling="mean+max")
    exported = export_fp32(checkpoint)
    assert exported.parity is not None
    assert exported.parity <= gates.PARITY_TOLERANCE
    fp32 = opened(exported.data)
    quantized = quantize_int8(fp32)
    assert quantized.agreement.mean_difference < 0.01
    int8 = Classifier.from_model(opened(quantized.data))
    rows = rows_of(0, 1, 2, LENGTH, 0, 3, 40, LENGTH, 1, 599)
    alone = int8.probabilities_of(rows, batch_size=1)
    assert np.array_equal(int8.probabilities_of(rows, batch_size=len(rows)), alone)
    before = Classifier.from_model(fp32).probabilities_of(rows)
    assert np.abs(logits_of(before) - logits_of(alone)).max() < 0.15


def test_int8_is_the_sum_of_its_weights_to_the_last_bit(with_table: MakeCheckpoint) -> None:
    """With a head of zero only the linear part answers: numpy gives the same float32."""
    checkpoint = with_table(labels=5)
    with torch.no_grad():
        for parameter in checkpoint.network.head.parameters():
            parameter.zero_()
    config = checkpoint.network.config
    weights = weights_from_network(config, checkpoint.network.weights())
    assert weights.pairs is not None
    values, scale = quantization.quantize_table(weights.pairs)
    model = graph.build(weights, config, LENGTH, "int8")
    model.graph.output[0].name = "logits_and_linear"
    (row,) = rows_of(LENGTH)
    picked = table_rows(torch.tensor([row]), config)[0].numpy()
    wanted = values[:, picked].astype(np.int32).sum(axis=1).astype(np.float32) * scale
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    ids = np.zeros((2, LENGTH), dtype=np.int32)
    ids[1] = row
    (got,) = session.run(None, {"input_ids": ids})
    assert np.array_equal(got[1], wanted)
    assert not got[0].any()


def test_the_table_is_read_back_from_the_file(with_table: MakeCheckpoint) -> None:
    checkpoint = with_table(labels=3)
    fp32 = opened(export_fp32(checkpoint).data)
    weights = read_weights(onnx.load_model_from_string(fp32.data), checkpoint.network.config)
    assert checkpoint.network.pairs is not None
    assert weights.pairs is not None
    assert np.array_equal(weights.pairs, checkpoint.network.pairs.weight.detach().numpy().T)


def test_the_model_file_holds_one_byte_per_weight(with_table: MakeCheckpoint) -> None:
    file = opened(quantize_int8(opened(export_fp32(with_table()).data)).data)
    facts = describe(file)
    held = {row["operator"]: row["bytes"] for row in facts["operators"]}
    embedding = with_table().network.config.num_words + 1, with_table().network.config.embedding_dim + 2
    assert held["Gather"] == 201 + BUCKETS + embedding[0] * embedding[1]
    assert facts["network"]["pair_buckets"] == BUCKETS
    assert "int8" in facts["quantization"]["linear"]


@pytest.mark.parametrize("opset", [13, 17, 18, 21])
@pytest.mark.parametrize("batch", [None, 1])
def test_every_opset_and_a_fixed_batch(with_table: MakeCheckpoint, opset: int, batch: int | None) -> None:
    checkpoint = with_table(length=20)
    fp32 = opened(export_fp32(checkpoint, opset=opset, batch=batch).data)
    int8 = opened(quantize_int8(fp32).data)
    assert int8.batch == batch
    answers = [Classifier.from_model(f).probabilities_of(rows_of(0, 1, 2, 20)) for f in (fp32, int8)]
    assert np.abs(answers[0] - answers[1]).max() < 0.02


def test_an_input_of_one_token_has_no_pairs(with_table: MakeCheckpoint) -> None:
    fp32 = opened(export_fp32(with_table(length=1)).data)
    answers = Classifier.from_model(fp32).probabilities_of([[], [5]])
    assert np.isfinite(answers).all()
    assert answers[0, 0] != answers[1, 0]


def test_ids_too_high_for_an_int32_hash_are_hashed_in_int64(with_table: MakeCheckpoint) -> None:
    checkpoint = with_table(length=30, num_words=60_000)
    data = export_fp32(checkpoint).data  # through the parity gate
    assert {numpy_helper.to_array(c).dtype for c in _constants(data, "pair_left")} == {np.dtype(np.int64)}
    rows = [[59_999, 59_998, 59_999], [59_999] * 30, [1]]
    wanted = gates.network_probabilities(checkpoint.network, rows)
    got = Classifier.from_model(opened(data)).probabilities_of(rows)
    assert np.abs(wanted - got).max() < 1e-5


def _constants(data: bytes, name: str) -> list[onnx.TensorProto]:
    return [c for c in onnx.load_model_from_string(data).graph.initializer if c.name == name]


def test_a_padding_row_that_is_not_zero_is_not_written(with_table: MakeCheckpoint) -> None:
    checkpoint = with_table()
    assert checkpoint.network.pairs is not None
    with torch.no_grad():
        checkpoint.network.pairs.weight[0] = 0.1
    with pytest.raises(CheckError):
        quantize_int8(opened(export_fp32(checkpoint).data))


def test_a_temperature_divides_the_linear_part_too(with_table: MakeCheckpoint) -> None:
    network = with_table(labels=3).network
    ids, lengths = torch.tensor([[1, 5, 6, 7, 5]]), torch.tensor([5])
    before = network(ids, lengths)
    divide_logits(network, 2.5)
    assert torch.allclose(network(ids, lengths), before / 2.5)


def test_a_checkpoint_keeps_the_table(with_table: MakeCheckpoint, tmp_path: Path) -> None:
    path = tmp_path / "with.safetensors"
    checkpoint = with_table()
    save_checkpoint(checkpoint, path)
    assert export_fp32(load_checkpoint(path)).data == export_fp32(checkpoint).data


def test_a_network_without_the_setting_has_no_linear_part(make_checkpoint: MakeCheckpoint) -> None:
    """Checkpoints and model files from before it existed do not name it."""
    checkpoint = make_checkpoint(60)
    old = {k: v for k, v in checkpoint.network.config.to_dict().items() if k != "pair_buckets"}
    assert NetworkConfig.from_dict(old) == checkpoint.network.config
    assert checkpoint.network.pairs is None
    fp32 = opened(export_fp32(checkpoint).data)
    assert not any("pair" in node.outputs[0] for node in _nodes(fp32))
    assert quantize_int8(replace(fp32, network=old)).data
    with pytest.raises(DataError, match="no linear part"):
        checkpoint.network.linear(torch.tensor([[1]]))
    with pytest.raises(DataError, match="pair_buckets must be from 0"):
        NetworkConfig(pair_buckets=-1)


def _nodes(file: ModelFile) -> tuple[onnx_file.Node, ...]:
    return onnx_file.parse_graph(file.onnx.graph).nodes
