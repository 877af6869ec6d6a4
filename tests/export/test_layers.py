"""Networks of other layers than trainings make: what the file answers, alone and in any batch."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from cases import rows
from commands import command, inspected
from edge_lstm_export.network.headroom import random_rows
from edge_lstm_export.network.predict import predict_probabilities
from edge_lstm_export.onnx import gates
from edge_lstm_export.onnx.exporting import export
from made import (
    checkpoint_file,
    classifier_of,
    config_of,
    layered,
    model_of,
    opened,
    tabled,
)

from edge_lstm import Classifier
from edge_lstm.core.layers import Lstm
from edge_lstm.core.text import KERAS, KERAS_FILTERS, TextRule


def constants_of(data: bytes) -> dict[str, Any]:
    graph = onnx.load_model_from_string(data).graph
    return {c.name: onnx.numpy_helper.to_array(c) for c in graph.initializer}


NGRAMS = {"ngram_words": 60, "ngram_slots": 60, "ngram_dim": 3}
# Keras's Tokenizer as it is: no start, unknown words left out, the first ids kept.
PLAIN = TextRule(KERAS_FILTERS, start_id=None, oov_id=None, first_word_id=1, keeps="first")
STACK = "lstm 8 both steps, lstm 7"
# Layers, and other settings of the network.
SHAPES = f"""
{STACK} | {{}}
lstm 9 steps, lstm 6 both steps, lstm 5 both mean+max | {{}}
{STACK}, dense 12 relu, dense 5 tanh | {json.dumps(NGRAMS)}
lstm 9 mean, dense 4 sigmoid | {{"labels": 3}}
lstm 9 both max, dense 3 linear | {{"labels": 5}}
lstm 9 both max floor=-1 | {{}}
lstm 9 mean+max floor=-1 | {{"multi_label": true, "labels": 3}}
lstm 6 both steps, lstm 5 both max floor=-1, dense 4 tanh | {{}}
lstm 9 both hard_sigmoid=0.2 | {{}}
lstm 9 steps hard_sigmoid={1 / 6}, lstm 5 | {{}}
lstm 9 both | {{"padding": "front"}}
lstm 9 both mean+max | {{"padding": "front"}}
lstm 9 max floor=-1, dense 4 | {{"padding": "front"}}
lstm 6 both steps, lstm 5 both mean | {{"padding": "front"}}
lstm 9 both | {{"padding": "behind"}}
lstm 9 both mean+max | {{"padding": "behind"}}
lstm 9 max floor=-1, dense 4 | {{"padding": "behind"}}
lstm 6 both steps, lstm 5 both mean | {{"padding": "behind"}}
"""
LINEAR = {"layers": "", "embedding_dim": 0, **NGRAMS}
SHAPED = [{"layers": layers, **json.loads(settings)} for layers, settings in rows(SHAPES)]


@pytest.mark.parametrize("shape", [*SHAPED, LINEAR], ids=str)
def test_every_shape_answers_as_pytorch_does_and_the_same_in_any_batch(
    shape: dict[str, Any],
) -> None:
    exported = export(layered(**shape), quantize="int8")  # through every gate
    assert exported.parity <= (gates.NGRAM_PARITY_TOLERANCE if "ngram_dim" in shape else 1e-5)
    assert exported.comparison.max_difference < 0.1
    file = opened(exported.data)
    assert file.network.layers == config_of(shape).layers
    rows = random_rows(file.tokenizer, seed=7)
    classifier = Classifier(file)
    alone = classifier.probabilities_of(rows, batch_size=1)
    for size in (2, 3, len(rows)):
        assert np.array_equal(classifier.probabilities_of(rows, batch_size=size), alone)
    assert len({tuple(row) for row in alone.tolist()}) > len(rows) // 2


@pytest.mark.parametrize("shape", SHAPED[:2] + SHAPED[3:], ids=str)
def test_a_text_without_ids_has_an_answer_of_its_own_in_any_batch(shape: dict[str, Any]) -> None:
    """Keras leaves unknown words out, so a text may have no id; it has no step either."""
    checkpoint = layered(rule=PLAIN, **shape)
    classifier = classifier_of(checkpoint, quantize="int8")
    encode = classifier.model.tokenizer.encode_text
    assert [encode("qwxyzzy").ids, encode("qwxyzzy word3 word1").ids] == [[], [4, 2]]
    rows = [[], [5], [], [7, 8, 9]]
    together = classifier.probabilities_of(rows)
    assert np.array_equal(classifier.probabilities_of(rows, batch_size=1), together)
    # Without a step, the layers behind the LSTMs read zeros.
    if checkpoint.network.config.padding == "none":
        expected = predict_probabilities(checkpoint.network, [[]])
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
    padded = layered(60, rule, layers=layers, padding="front")
    rows = random_rows(padded.tokenizer, seed=3)
    wanted = classifier_of(padded).probabilities_of(rows)
    for quantize, tolerance in ((None, 1e-6), ("int8", 0.02)):  # with sentinels
        classifier = classifier_of(tabled(padded), quantize=quantize)
        assert np.allclose(classifier.probabilities_of(rows), wanted, atol=tolerance, rtol=0)
    table = constants_of(classifier.model.data)["lstm0_h"]
    assert table.shape[1] <= 61 and (table[..., -2:] == (1, -1)).all()


def test_inspect_shows_the_table_that_stands_for_padding() -> None:
    checkpoint = tabled(layered(60, layers="lstm 9", padding="front"))
    path = Path("m.onnx")
    path.write_bytes(model_of(checkpoint).data)
    tables = [constants_of(path.read_bytes())[f"lstm0_{part}"] for part in "hc"]
    size = sum(table.nbytes for table in tables)
    line = f"up to {tables[0].shape[1] - 1} steps of padding ({size:,} bytes)"
    assert line in " ".join(command("inspect", "-m", path).stdout.split())
    saved = checkpoint_file("c.safetensors", checkpoint)
    assert line in inspected(saved)["padding"]


def test_a_checkpoint_keeps_layers_and_tables() -> None:
    layers = f"{STACK}, dense 3 tanh"
    checkpoint = layered(rule=PLAIN, layers=layers)
    sizes = [(lstm.directions, 4, lstm.units) for lstm in checkpoint.network.config.lstms]
    checkpoint.network.set_starts([(torch.rand(size), torch.randn(size)) for size in sizes])
    saved = checkpoint_file("c.safetensors", checkpoint)
    command("export", saved, "-o", "m.onnx", "--quantize", "int8")
    assert Path("m.onnx").read_bytes() == model_of(checkpoint, quantize="int8").data


def test_a_network_that_was_not_planned_is_kept_in_8_bits_if_4_change_its_labels() -> None:
    planned = layered(layers="lstm 4 mean", labels=60)
    torch.nn.init.zeros_(planned.network.head.bias)  # then many labels are about as probable
    files = [export(each, quantize="int8") for each in (planned, replace(planned, plan={}))]
    tables = [constants_of(file.data).keys() & {"embedding", "embedding_q"} for file in files]
    assert tables == [{"embedding_q"}, {"embedding"}]
    changed = [file.comparison.changed for file in files if file.comparison is not None]
    assert changed[0] > changed[1]


INSPECTED = f"""
{STACK}, dense 12 | none | the last 24 tokens of a text
    | bidirectional LSTM of 8 units, LSTM of 7 units, dense layer of 12 units (relu)
lstm 9 | behind | text; each text runs 24 steps, with padding behind | LSTM of 9 units
"""


@pytest.mark.parametrize(("layers", "padding", "length", "model"), rows(INSPECTED))
def test_inspect_says_what_is_run(layers: str, padding: Any, length: str, model: str) -> None:
    path = Path("m.onnx")
    path.write_bytes(model_of(layered(layers=layers, padding=padding)).data)
    shown = " ".join(command("inspect", "-m", path).stdout.split())
    assert model in shown and length in shown


# --- What does not fit together (of files: tests/hostile_files.py) --------------------------------
