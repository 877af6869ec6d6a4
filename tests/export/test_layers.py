"""Networks of other layers than trainings make: what the file answers, alone and in any batch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from edge_lstm_export.onnx import gates
from edge_lstm_export.onnx.export import export
from edge_lstm_export.options import NetworkConfig
from edge_lstm_export.train.checkpoint import load_checkpoint, save_checkpoint
from edge_lstm_export.train.headroom import random_rows
from edge_lstm_export.train.logits import probabilities
from edge_lstm_export.train.network import ACTIVATIONS, Network
from made import checkpoint_of, opened

from edge_lstm.classifier import Classifier
from edge_lstm.layers import Dense, Lstm
from edge_lstm.text import KERAS, KERAS_FILTERS, TextRule


def constants_of(data: bytes) -> dict[str, Any]:
    graph = onnx.load_model_from_string(data).graph
    return {c.name: onnx.numpy_helper.to_array(c) for c in graph.initializer}


NGRAMS = {"ngram_words": 60, "ngram_slots": 60, "ngram_dim": 3}
# Keras's Tokenizer as it is: no start, unknown words left out, the first ids kept.
PLAIN = TextRule(KERAS_FILTERS, start_id=None, oov_id=None, first_word_id=1, keeps="first")
STACK = (Lstm(8, True, "steps"), Lstm(7, False, "last"))
SHAPES: list[dict[str, Any]] = [
    {"layers": STACK},
    {"layers": (Lstm(9, gives="steps"), Lstm(6, True, "steps"), Lstm(5, True, "mean+max"))},
    {"layers": (*STACK, Dense(12, "relu"), Dense(5, "tanh")), **NGRAMS},
    {"layers": (Lstm(9, gives="mean"), Dense(4, "sigmoid")), "labels": 3},
    {"layers": (Lstm(9, True, "max"), Dense(3, "linear")), "labels": 5},
    {"layers": (Lstm(9, True, "max", floor=-1),)},
    {"layers": (Lstm(9, False, "mean+max", floor=-1),), "multi_label": True, "labels": 3},
    {"layers": (Lstm(6, True, "steps"), Lstm(5, True, "max", floor=-1), Dense(4, "tanh"))},
    {"layers": (), "embedding_dim": 0, **NGRAMS},
    {"layers": (Lstm(9, True, "last", hard_sigmoid=0.2),)},
    {"layers": (Lstm(9, gives="steps", hard_sigmoid=1 / 6), Lstm(5, gives="last"))},
    *(
        {"layers": layers, "padding": padding}
        for padding in ("front", "behind")
        for layers in (
            (Lstm(9, True, "last"),),
            (Lstm(9, True, "mean+max"),),
            (Lstm(9, False, "max", floor=-1), Dense(4)),
            (Lstm(6, True, "steps"), Lstm(5, True, "mean")),
        )
    ),
]


def config_of(shape: dict[str, Any]) -> NetworkConfig:
    return NetworkConfig(**{"num_words": 200, "embedding_dim": 6, **shape})


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_shape_answers_as_pytorch_does_and_the_same_in_any_batch(
    shape: dict[str, Any],
) -> None:
    checkpoint = checkpoint_of(config_of(shape), 24)
    exported = export(checkpoint, quantize="int8")  # through every gate
    assert exported.parity <= (gates.NGRAM_PARITY_TOLERANCE if "ngram_dim" in shape else 1e-5)
    assert exported.comparison is not None and exported.comparison.max_difference < 0.1
    file = opened(exported.data)
    assert file.layers == config_of(shape).layers
    rows = random_rows(file.tokenizer, seed=7)
    classifier = Classifier.from_model(file)
    alone = classifier.probabilities_of(rows, batch_size=1)
    for size in (2, 3, len(rows)):
        assert np.array_equal(classifier.probabilities_of(rows, batch_size=size), alone)
    assert len({tuple(row) for row in alone.tolist()}) > len(rows) // 2


@pytest.mark.parametrize("shape", [*SHAPES[:2], *SHAPES[3:8], *SHAPES[9:]], ids=str)
def test_a_text_without_ids_has_an_answer_of_its_own_in_any_batch(shape: dict[str, Any]) -> None:
    """Keras leaves unknown words out, so a text may have no id; it has no step either."""
    checkpoint = checkpoint_of(config_of(shape), 24, PLAIN)
    file = opened(export(checkpoint, quantize="int8").data)
    assert file.tokenizer.encode_text("qwxyzzy").ids == []
    assert file.tokenizer.encode_text("qwxyzzy word3 word1").ids == [4, 2]
    classifier = Classifier.from_model(file)
    rows = [[], [5], [], [7, 8, 9]]
    together = classifier.probabilities_of(rows)
    assert np.array_equal(classifier.probabilities_of(rows, batch_size=1), together)
    config = checkpoint.network.config
    if config.padding == "none":
        values = torch.zeros(1, config.lstms[-1].values())
        for layer, dense in zip(config.dense, checkpoint.network.dense):
            values = ACTIVATIONS[layer.activation](dense(values))
        logits = checkpoint.network.head(values).detach()
        expected = probabilities(logits, multi_label=config.multi_label)
        assert np.allclose(together[0], expected[0], atol=0.01)


@pytest.mark.parametrize("rule", [KERAS, PLAIN], ids=["keras", "plain"])
@pytest.mark.parametrize("units", [(9,), (8, 7), (8, 7, 6)], ids=str)
@pytest.mark.parametrize("slope", [None, 0.2], ids=str)
def test_tables_of_first_states_are_padding_that_need_not_be_run(
    units: tuple[int, ...], slope: float | None, rule: TextRule
) -> None:
    layers = tuple(
        Lstm(size, gives="steps" if k + 1 < len(units) else "last", hard_sigmoid=slope)
        for k, size in enumerate(units)
    )
    padded = checkpoint_of(config_of({"layers": layers, "padding": "front"}), 60, rule)
    tabled = replace(padded, network=Network(replace(padded.network.config, padding="none")).eval())
    tabled.network.load_state_dict(padded.network.state_dict())
    tabled.network.set_starts(padded.network.padding_starts())
    rows = random_rows(padded.tokenizer, seed=3)
    answers = []
    for checkpoint in (padded, tabled):
        file = opened(export(checkpoint).data)
        answers.append(Classifier.from_model(file).probabilities_of(rows))
    assert np.allclose(*answers, atol=1e-6, rtol=0)
    file = opened(export(tabled, quantize="int8").data)  # with sentinels, through every gate
    assert np.allclose(Classifier.from_model(file).probabilities_of(rows), answers[0], atol=0.02)
    table = constants_of(file.data)["lstm0_h"]
    assert table.shape[1] <= 61 and (table[..., -2:] == (1, -1)).all()


def test_states_that_settle_need_few_rows() -> None:
    checkpoint = checkpoint_of(config_of({"layers": (Lstm(9),)}), 5000)
    h, c = checkpoint.network.padding_starts()[0]
    assert h.shape == c.shape == (1, h.shape[1], 9) and 10 < h.shape[1] < 300
    assert not h[:, 0].any() and not c[:, 0].any()


def test_a_checkpoint_keeps_layers_and_tables(tmp_path: Path) -> None:
    checkpoint = checkpoint_of(config_of({"layers": (*STACK, Dense(3, "tanh"))}), 24, PLAIN)
    starts = [
        (
            torch.rand(layer.directions, 4, layer.units),
            torch.randn(layer.directions, 4, layer.units),
        )
        for layer in checkpoint.network.config.lstms
    ]
    checkpoint.network.set_starts(starts)
    save_checkpoint(checkpoint, tmp_path / "c.safetensors")
    loaded = load_checkpoint(tmp_path / "c.safetensors")
    assert loaded.network.config == checkpoint.network.config
    assert loaded.tokenizer == checkpoint.tokenizer
    assert export(loaded, quantize="int8").data == export(checkpoint, quantize="int8").data
