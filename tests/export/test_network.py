"""The network: Keras's example to the parameter, and pairs that no network can hold."""

from __future__ import annotations

from edge_lstm_export.network.network import Network
from edge_lstm_export.options import NetworkOptions


def test_the_seed_preset_has_keras_parameters() -> None:
    assert Network(NetworkOptions().config).parameter_count() == 160_032 + 53_200 + 101
