"""The network: Keras's example to the parameter, lengths without packing, n-grams once a text."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from edge_lstm_export.graph.pairs import PairTable, table_of
from edge_lstm_export.options import NetworkOptions
from edge_lstm_export.train.logits import probabilities
from edge_lstm_export.train.network import Network
from hypothesis import given, settings
from hypothesis import strategies as st


def test_the_seed_preset_has_keras_parameters() -> None:
    counts = Network(NetworkOptions().config).parameter_counts()
    assert counts == {"embedding": 160_032, "lstm": 53_200, "head": 101}


@settings(max_examples=25)
@given(
    bidirectional=st.booleans(),
    pooling=st.sampled_from(["last", "mean+max"]),
    labels=st.integers(2, 4),
    ngrams=st.booleans(),
    multi_label=st.booleans(),
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=4),
)
def test_padding_changes_nothing(
    bidirectional: bool,
    pooling: str,
    labels: int,
    ngrams: bool,
    multi_label: bool,
    lengths: list[int],
) -> None:
    config = NetworkOptions(
        30,
        4,
        5,
        bidirectional,
        pooling,
        labels,
        ngram_words=8 * ngrams,
        ngram_slots=2 * ngrams,
        ngram_dim=2 * ngrams,
        multi_label=multi_label,
    )  # type: ignore[arg-type]
    network = Network(config.config).eval()
    if network.ngrams is not None:
        network.ngrams.choose(table_of(np.array([[5, 7]]), 2)[0])
        network.ngrams.set_vectors(np.ones((10, 2), np.float32))
        torch.nn.init.ones_(network.head.weight)
    size = torch.tensor(lengths)
    ids = torch.randint(1, 30, (len(lengths), 15)) * (torch.arange(15) < size.unsqueeze(1))
    with torch.no_grad():
        together = probabilities(network(ids, size), multi_label=multi_label)
        for row, length, answer in zip(ids, lengths, together):
            alone = probabilities(
                network(row[None, :length], torch.tensor([length])), multi_label=multi_label
            )
            assert np.allclose(alone[0], answer, atol=1e-6)
            assert multi_label or answer.sum() == pytest.approx(1)


def test_an_ngram_counts_once_and_padding_is_none() -> None:
    table, own = table_of(np.array([[5, 7], [7, 5]]), 5)
    slots = [own.tolist().index(pair) for pair in ([5, 7], [7, 5])]
    network = Network(
        NetworkOptions(num_words=20, ngram_words=6, ngram_slots=len(own), ngram_dim=2).config
    )
    network.ngrams.choose(table)
    ids = torch.tensor([[1, 5, 7, 5, 7, 0, 0], [1, 9, 9, 9, 9, 9, 5]])
    # ids 2 to 7 have rows 1 to 6
    assert [set(row) - {0} for row in network.ngrams.occurrences(ids)[0].tolist()] == [
        {4, 6, 7 + slots[0], 7 + slots[1]},
        {4},
    ]
    vectors = np.zeros((6 + len(own), 2), np.float32)
    vectors[[3, 5, 6 + slots[0], 6 + slots[1]], 0] = [1, 10, 100, 1000]
    network.ngrams.set_vectors(vectors)
    found = network.ngrams(ids, torch.tensor([5, 7]))
    assert found[:, 0].tolist() == pytest.approx([1111 / 5**0.5, 1 / 7**0.5])


@pytest.mark.parametrize(
    ("displacement", "fingerprint"), [(-1, 1), (65_536, 1), (0, -1), (0, 65_522)]
)
def test_a_table_of_pairs_out_of_range_is_refused(displacement: int, fingerprint: int) -> None:
    network = Network(NetworkOptions(num_words=20, ngram_slots=1, ngram_dim=2).config)
    network.ngrams.choose(PairTable(np.array([displacement]), np.array([fingerprint])))
    with pytest.raises(ValueError, match="out of range"):
        network.ngrams.check()
