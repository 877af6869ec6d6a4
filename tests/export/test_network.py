"""The network: Keras's seed preset to the parameter, lengths without packing."""

from __future__ import annotations

import pytest
import torch
from edge_lstm_export.network import Network, NetworkConfig
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_lstm.errors import DataError


def test_the_seed_preset_has_keras_parameters() -> None:
    rows = Network(NetworkConfig()).parameter_table()
    assert [count for _, _, count in rows] == [160_032, 53_200, 101]


def test_the_second_bias_of_pytorch_stays_zero() -> None:
    network = Network(NetworkConfig(num_words=20, hidden=4))
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=1.0)
    network(torch.tensor([[1, 5, 6]]), torch.tensor([3])).sum().backward()
    optimizer.step()
    biases = [value for name, value in network.weights().items() if "bias_hh" in name]
    assert biases
    assert all((bias == 0).all() for bias in biases)


@settings(max_examples=25, deadline=None)
@given(
    layers=st.integers(1, 2),
    bidirectional=st.booleans(),
    pooling=st.sampled_from(["last", "mean", "max", "mean+max"]),
    labels=st.integers(2, 4),
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=4),
)
def test_padding_changes_nothing(
    layers: int, bidirectional: bool, pooling: str, labels: int, lengths: list[int]
) -> None:
    config = NetworkConfig(30, 4, 5, layers, bidirectional, pooling, labels)  # type: ignore[arg-type]
    network = Network(config).eval()
    size = torch.tensor(lengths)
    ids = torch.randint(1, 30, (len(lengths), 15)) * (torch.arange(15) < size.unsqueeze(1))
    with torch.no_grad():
        together = network.probabilities(network(ids, size))
        for row, length, answer in zip(ids, lengths, together):
            alone = network.probabilities(network(row[None, :length], torch.tensor([length])))
            assert torch.allclose(alone[0], answer, atol=1e-6)
            assert answer.sum().item() == pytest.approx(1)


@pytest.mark.parametrize(
    "settings_", [{"hidden": 0}, {"labels": 1}, {"pooling": "sum"}, {"dropout": 1.0}, {"layers": 0}]
)
def test_settings_out_of_range_are_refused(settings_: dict[str, object]) -> None:
    with pytest.raises(DataError, match=next(iter(settings_))):
        NetworkConfig(**settings_)  # type: ignore[arg-type]
    with pytest.raises(DataError):
        NetworkConfig.from_dict({**settings_, "unknown": 1})
