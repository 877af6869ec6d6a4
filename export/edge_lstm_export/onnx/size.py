"""The bytes of an int8 model file before its training, by their use.

A file is made by the code that the export uses, with zeros for the weights. Facts that only a
training knows have their longest form in it, so the file of the training cannot be larger.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edge_lstm.core import modelfile
from edge_lstm.core.layers import NetworkConfig
from edge_lstm.core.text import KERAS, Tokenizer
from edge_lstm_export.network.pairs import NUMBER_BYTES, SLOTS_PER_BUCKET, buckets_of
from edge_lstm_export.onnx import graph
from edge_lstm_export.onnx.codes import CODED
from edge_lstm_export.onnx.description import PROBABILITIES, Answers, description, golden_row
from edge_lstm_export.onnx.from_network import zeros_of
from edge_lstm_export.onnx.golden import golden_texts
from edge_lstm_export.onnx.rounding import NARROWEST
from edge_lstm_export.options import NetworkOptions

# Lengths in the file take some more bytes in all if the parts that they count grow.
SPARE = 64
# Of a table of pairs; its operators take room of their own.
FEWEST_SLOTS = 2
LONGEST_PROBABILITY = 1.23456789e-05
_METADATA = {
    modelfile.KEY_VOCABULARY: "vocabulary",
    modelfile.KEY_LABELS: "labels",
    modelfile.KEY_TRAINING: "training figures",
    modelfile.KEY_GOLDEN: "golden rows",
}
_CONSTANTS = {
    "embedding": "embedding",
    "lstm": "LSTM",
    "dense": "head",
    "head": "head",
    "ngram": "n-grams",
    "pair": "n-grams",
}


def file_parts(
    tokenizer: Tokenizer,
    labels: Sequence[str],
    config: NetworkConfig,
    training: Mapping[str, Any],
    *,
    answers: Answers = PROBABILITIES,
    long: bool = False,
) -> dict[str, int]:
    """Return the bytes of each part of an int8 file, which add up to the file's.

    config: ``num_words`` is the tokenizer's number of ids. long: see graph.build. The others as for
    :func:`description.description`.
    """
    model = graph.build(zeros_of(config), config, tokenizer.length, int8=True, long=long)
    texts = golden_texts(tokenizer)
    answer = [LONGEST_PROBABILITY] * len(labels)
    golden = [golden_row(text, tokenizer.encode_text(text).ids, answer) for text in texts]
    described = description(
        tokenizer,
        labels,
        config,
        training,
        golden,
        answers=answers,
        int8=True,
    )
    parts = dict.fromkeys((*_CONSTANTS.values(), *_METADATA.values()), 0)
    for constant in model.graph.initializer:
        if part := _CONSTANTS.get(constant.name.partition("_")[0].rstrip("0123456789")):
            parts[part] += len(constant.raw_data)
    for key, part in _METADATA.items():
        parts[part] = len(graph.plain_text(described[key]).encode())
    rest = len(graph.file_bytes(model, described)) - sum(parts.values())
    return {**parts, "graph and the rest": rest}


def row_bytes(columns: int) -> int:
    """Return the bytes of a row of the embedding or of the n-gram vectors."""
    return columns if columns < NARROWEST else 1 + math.ceil(columns / 2)


def ngram_bytes(config: NetworkConfig) -> int:
    """Return the bytes of the vector of an n-gram."""
    if config.codes_ngrams:
        return math.ceil(config.ngram_dim / CODED)
    return row_bytes(config.ngram_dim)


def slots_in(size: int, config: NetworkOptions) -> int:
    """Return the slots of pairs of a file that is ``size`` bytes larger than with FEWEST_SLOTS."""
    each = ngram_bytes(config.config) + NUMBER_BYTES
    size += FEWEST_SLOTS * each + NUMBER_BYTES
    slots = max(0, int(size / (each + NUMBER_BYTES / SLOTS_PER_BUCKET)))
    while slots and slots * each + buckets_of(slots) * NUMBER_BYTES > size:
        slots -= 1
    return slots


def without_last_words(tokenizer: Tokenizer, config: NetworkOptions, size: int) -> Tokenizer:
    """Return the tokenizer without the last of its words, the least frequent.

    size: bytes by which a file of this network gets smaller, about. If need be, all words go.
    """
    fixed = row_bytes(config.embedding_dim)
    if config.ngram_words:
        fixed += ngram_bytes(config.config)
    each = [fixed + len(word.encode()) + 1 for word in reversed(tokenizer.words)]
    cut = int(np.searchsorted(np.cumsum(each), size)) + 1
    words = tokenizer.words[: max(0, len(each) - cut)]
    if tokenizer.rule == KERAS:
        return replace(tokenizer, words=words)
    return Tokenizer.of_subwords(words, tokenizer.pieces, tokenizer.length)
