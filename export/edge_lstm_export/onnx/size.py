"""The bytes of an int8 model file before its training, and the words that fit in it.

A file is made by the code that the export uses, with zeros for the weights, and with an estimate
for what only the training tells.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edge_lstm.core.familiarity import level
from edge_lstm.core.layers import NetworkConfig
from edge_lstm.core.text import FIRST_WORD_ID, KERAS, OOV_ID, Tokenizer
from edge_lstm.errors import DataError
from edge_lstm_export.checkpoint import Checkpoint
from edge_lstm_export.network import SLOTS_PER_BUCKET, buckets_of
from edge_lstm_export.onnx import graph
from edge_lstm_export.onnx.codes import CODED
from edge_lstm_export.onnx.description import Answers, description
from edge_lstm_export.onnx.draft import Draft
from edge_lstm_export.onnx.from_network import zeros_of
from edge_lstm_export.onnx.golden import longest_golden
from edge_lstm_export.onnx.rounding import NARROWEST, TOGETHER
from edge_lstm_export.options import NetworkOptions, Plan

# Lengths in the file take some more bytes in all if the parts that they count grow.
SPARE = 64
# Of a table of pairs; its operators take room of their own.
FEWEST_SLOTS = 2
LONGEST_THRESHOLD = 0.00012345
# Estimates in bytes: the figures of a training, the figures of each label, a risk-coverage curve.
# Test texts add some of both.
FIGURES = 1_600
LABEL_FIGURES = 60
CURVE = 1_360
TEST_FIGURES = 800
LABEL_TEST_FIGURES = 30


def file_size(
    tokenizer: Tokenizer, labels: Sequence[str], config: NetworkConfig, *, long: bool = False
) -> int:
    """Return the bytes of an int8 file.

    config: ``num_words`` is the tokenizer's number of ids. long: see graph.build.
    """
    golden = longest_golden(tokenizer, len(labels))
    training = {"figures": "x" * _figures(len(labels), config)}
    answers = Answers([LONGEST_THRESHOLD] * len(labels) if config.multi_label else None)
    described = description(tokenizer, labels, config, training, golden, answers=answers, int8=True)
    model = graph.build(zeros_of(config), config, tokenizer.length, int8=True, long=long)
    return len(graph.file_bytes(model, described))


def _figures(labels: int, config: NetworkConfig) -> int:
    """Return the bytes that the figures of a training take, about."""
    return FIGURES + LABEL_FIGURES * labels + (0 if config.multi_label else CURVE)


def row_bytes(columns: int) -> float:
    """Return the bytes of a row of the embedding, or of n-gram vectors that are not narrow."""
    return columns if columns < NARROWEST else 0.5 + math.ceil(columns / 2)


def ngram_bytes(config: NetworkConfig) -> float:
    """Return the bytes of the vector of an n-gram."""
    if config.codes_ngrams:
        return math.ceil(config.ngram_dim / CODED)
    if config.ngram_dim < NARROWEST:
        return config.ngram_dim * (0.5 + 0.5 / TOGETHER)
    return row_bytes(config.ngram_dim)


def pair_bytes(config: NetworkConfig) -> float:
    """Return the bytes of a word pair: its vector, its fingerprint, its share of a displacement."""
    return ngram_bytes(config) + 1 + 1 / SLOTS_PER_BUCKET


def slots_in(size: int, config: NetworkOptions) -> int:
    """Return the slots of pairs of a file that is ``size`` bytes larger than with FEWEST_SLOTS."""
    each = ngram_bytes(config.config) + 1
    room = size + FEWEST_SLOTS * each + 1
    slots = max(0, int(room / pair_bytes(config.config)))
    while slots and slots * each + buckets_of(slots) > room:
        slots -= 1
    return slots


@dataclass(frozen=True)
class FittedSizes:
    """What the plan's file has room for.

    tokenizer: the text rule with its words.
    network: the planned network with these words. Its pairs get the rest. That includes the room
        of the training's figures, whose size is not known yet, so that some pairs are dropped in
        the end.
    """

    tokenizer: Tokenizer
    network: NetworkOptions


def fitted_sizes(ranked: Tokenizer, labels: Sequence[str], plan: Plan) -> FittedSizes:
    """Return the words and the network that the plan's file has room for.

    ranked: the words, the most frequent first. The least frequent are left out.

    Raise DataError if the file has no room for words.
    """
    most = plan.max_kilobytes * 1000 - SPARE
    while ranked.words:
        tokenizer = in_groups(ranked)
        words = min(plan.network.ngram_words, tokenizer.num_ids - OOV_ID)
        network = replace(plan.network, num_words=tokenizer.num_ids, ngram_words=words)
        fewest = replace(network, ngram_slots=min(network.ngram_slots, FEWEST_SLOTS))
        room = most - file_size(tokenizer, labels, fewest.config, long=plan.is_long)
        if room >= 0:
            figures = _figures(len(labels), fewest.config) + len('{"figures":""}')
            slots = slots_in(room + figures, network)
            network = replace(network, ngram_slots=min(network.ngram_slots, slots))
            return FittedSizes(tokenizer, network)
        ranked = _without_last_words(ranked, network, -room)
    raise DataError(
        f"the plan's network and labels leave no room for words in {plan.max_kilobytes:,} kB; "
        "give a larger max_kilobytes, or fewer hidden units"
    )


def excess(untested: Checkpoint, kilobytes: int, *, will_be_tested: bool) -> int:
    """Return the bytes by which the int8 file of a finished training is larger than it may be.

    untested: without figures of test texts. They add some, and a longer curve, about.
    """
    labels = len(untested.labels)
    later = TEST_FIGURES + LABEL_TEST_FIGURES * labels if will_be_tested else 0
    return Draft(untested, int8=True).most_bytes + later - kilobytes * 1000


def in_groups(tokenizer: Tokenizer) -> Tokenizer:
    """Return the text rule with its words in another order, in which a file stores them shorter.

    Words of similar frequency, whose ids have the same :func:`familiarity.level`, stand in the
    order of their code points, and so do all subwords. Keras's rule keeps the order of its ids.
    """
    if tokenizer.rule == KERAS:
        return tokenizer
    levels = level(FIRST_WORD_ID + np.arange(len(tokenizer.words))).tolist()
    words = tuple(word for _, word in sorted(zip(levels, tokenizer.words)))
    return replace(tokenizer, words=words, pieces=tuple(sorted(tokenizer.pieces)))


def _without_last_words(tokenizer: Tokenizer, network: NetworkOptions, size: int) -> Tokenizer:
    """Return the tokenizer without the last of its words, the least frequent.

    size: bytes by which a file of this network gets smaller, about. If need be, all words go.
    """
    fixed = row_bytes(network.embedding_dim)
    if network.ngram_words:
        fixed += ngram_bytes(network.config)
    each = [fixed + len(word.encode()) + 1 for word in reversed(tokenizer.words)]
    cut = int(np.searchsorted(np.cumsum(each), size)) + 1
    return replace(tokenizer, words=tokenizer.words[: max(0, len(each) - cut)])
