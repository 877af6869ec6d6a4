"""The int8 graph without sentinel units, which only the benchmark builds."""

import numpy as np

from benchmarks.convert.promises import int8_file, widened
from edge_lstm.classifier import Classifier
from edge_lstm.modelfile import parse_model


def classifier(data, tmp_path):
    return Classifier.from_model(parse_model(data, tmp_path))


def test_sentinels_change_no_answer_beyond_rounding_and_keep_it_the_same_in_a_batch(
    make_checkpoint, tmp_path
):
    for settings in ({}, {"layers": 2, "bidirectional": True, "pooling": "mean+max"}):
        checkpoint = make_checkpoint(**settings)
        kept = classifier(int8_file(checkpoint, sentinels=True), tmp_path)
        dropped = classifier(int8_file(checkpoint, sentinels=False), tmp_path)
        rng = np.random.default_rng(0)
        rows = [[1, *rng.integers(4, 200, n).tolist()] for n in range(2, 50)]
        alone = kept.probabilities_of(rows, batch_size=1)
        assert np.array_equal(alone, kept.probabilities_of(rows, batch_size=16))
        without = dropped.probabilities_of(rows, batch_size=1)
        assert np.abs(without - alone).max() < 0.05
        assert not np.array_equal(without, dropped.probabilities_of(rows, batch_size=16))
        assert kept.model.quantization["sentinel_units"] == 2
        assert dropped.model.quantization["sentinel_units"] == 0
        assert "same bits in every batch" not in dropped.model.quantization["promises"]


def test_a_widened_network_has_the_operators_width(make_checkpoint):
    config = widened(make_checkpoint(), 2).network.config
    assert (config.hidden, config.embedding_dim) == (12, 8)
