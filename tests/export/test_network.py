"""The network: Keras's example to the parameter, and pairs that no network can hold."""

from __future__ import annotations

import numpy as np
import pytest
from edge_lstm_export.network.network import Network
from edge_lstm_export.network.pairs import PairTable
from edge_lstm_export.options import NetworkOptions


def test_the_seed_preset_has_keras_parameters() -> None:
    counts = Network(NetworkOptions().config).parameter_counts()
    assert counts == {"embedding": 160_032, "lstm": 53_200, "head": 101}


@pytest.mark.parametrize(
    ("displacement", "fingerprint"), [(-1, 1), (65_536, 1), (0, -1), (0, 65_522)]
)
def test_a_table_of_pairs_out_of_range_is_refused(displacement: int, fingerprint: int) -> None:
    network = Network(NetworkOptions(num_words=20, ngram_slots=1, ngram_dim=2).config)
    network.ngrams.choose(PairTable(np.array([displacement]), np.array([fingerprint])))
    with pytest.raises(ValueError, match="out of range"):
        network.ngrams.check()
