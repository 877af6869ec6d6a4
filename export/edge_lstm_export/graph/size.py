"""What an int8 model file takes in bytes before there is one, by what takes them.

A file is made by the code that the export uses, with zeros for the weights. What only a training
tells stands in it in its longest form, so that the file of the training is no larger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_lstm import modelfile
from edge_lstm.answering import RiskCoverage
from edge_lstm.text import OOV_ID, Tokenizer
from edge_lstm_export.graph import build as graph
from edge_lstm_export.graph.description import description, golden_row
from edge_lstm_export.graph.golden import golden_texts
from edge_lstm_export.graph.weights import SENTINELS, GraphWeights
from edge_lstm_export.options import NetworkConfig

Ints = npt.NDArray[np.int64]
# Numbers that say how long something is grow by some bytes in all when what they count grows.
SPARE = 64
LONGEST_PROBABILITY = 1.23456789e-05
_METADATA = {
    modelfile.KEY_VOCABULARY: "vocabulary",
    modelfile.KEY_LABELS: "labels",
    modelfile.KEY_TRAINING: "training figures",
    modelfile.KEY_GOLDEN: "golden rows",
}
_CONSTANTS = {"embedding": "embedding", "lstm": "LSTM", "head": "head", "ngram": "n-grams"}


def file_parts(
    tokenizer: Tokenizer,
    labels: Sequence[str],
    config: NetworkConfig,
    training: Mapping[str, Any],
    *,
    thresholds: Sequence[float] | None,
    curve: RiskCoverage | None,
    pairs: Ints | None = None,
    long: bool = False,
) -> dict[str, int]:
    """Return the bytes of each part of an int8 file, which add up to the file's.

    config: ``num_words`` is the tokenizer's number of ids. Without ``pairs`` the n-grams are the
    words alone, ``config.ngrams`` of them at most; pairs: int64 [n, 2], ids. long: see graph.build.
    The others as for :func:`description.description`.
    """
    words = np.arange(OOV_ID, config.num_words)[: config.ngrams]
    ngrams = np.stack([words, 0 * words], axis=1)
    if pairs is not None:
        ngrams = np.concatenate([ngrams, pairs])
    config = replace(config, ngrams=len(ngrams), ngram_dim=config.ngram_dim if len(ngrams) else 0)
    model = graph.build(_zeros(config, ngrams), config, tokenizer.length, int8=True, long=long)
    texts = golden_texts(tokenizer)
    answer = [LONGEST_PROBABILITY] * len(labels)
    golden = [golden_row(text, tokenizer.encode_text(text).ids, answer) for text in texts]
    described = description(
        *(tokenizer, labels, config, training, golden),
        thresholds=thresholds,
        curve=curve,
        int8=True,
    )
    parts = dict.fromkeys([*_CONSTANTS.values(), *_METADATA.values()], 0)
    for constant in model.graph.initializer:
        if part := _CONSTANTS.get(constant.name.partition("_")[0]):
            parts[part] += len(constant.raw_data)
    if config.ngrams:
        parts["n-grams"] += int(varint_bytes(ngrams[ngrams > 0]).sum())
        parts["n-grams"] += int(varint_bytes(np.arange(len(ngrams))).sum())
    for key, part in _METADATA.items():
        parts[part] = len(graph.plain_text(described[key]).encode())
    rest = len(graph.file_bytes(model, described)) - sum(parts.values())
    return {**parts, "graph and the rest": rest}


@dataclass(frozen=True)
class PairRoom:
    """What a file has left for word pairs. size: in bytes; width: of an n-gram's vector."""

    size: int
    width: int

    def fitting(self, pairs: Ints, words: int) -> int:
        """Return how many of the pairs find room, from the first on.

        pairs: int64 [n, 2], ids; words: n-grams that stand before them.
        """
        numbers = words + np.arange(len(pairs))
        each = self.width + varint_bytes(pairs).sum(axis=1) + varint_bytes(numbers)
        return int(np.searchsorted(np.cumsum(each), self.size, side="right"))


def varint_bytes(numbers: Ints) -> Ints:
    """Return the bytes that each number takes as a variable-length integer: one for each seven
    bits."""
    return np.asarray(1 + sum((numbers >> bits > 0).astype(np.int64) for bits in (7, 14, 21, 28)))


def without_last_words(tokenizer: Tokenizer, config: NetworkConfig, size: int) -> Tokenizer:
    """Return the tokenizer without the last of its words, the least frequent, so that a file of
    this network is about ``size`` bytes smaller; all of them, if need be."""
    ngram = (
        config.ngram_dim + varint_bytes(np.array([len(tokenizer.words)]))[0] if config.ngrams else 0
    )
    fixed = config.embedding_dim + SENTINELS + ngram + 1
    each = [fixed + len(word.encode()) for word in reversed(tokenizer.words)]
    cut = int(np.searchsorted(np.cumsum(each), size)) + 1
    return replace(tokenizer, words=tokenizer.words[: max(0, len(each) - cut)])


def _zeros(config: NetworkConfig, ngrams: Ints) -> GraphWeights:
    directions = config.directions
    hidden = config.hidden
    width = config.embedding_dim
    shapes = {
        "embedding": (config.num_words + 1, width),
        "w": (directions, 4 * hidden, width),
        "r": (directions, 4 * hidden, hidden),
        "b": (directions, 8 * hidden),
        "head": (config.head_inputs, config.logits),
        "head_bias": (config.logits,),
        "ngram_vectors": (len(ngrams), config.ngram_dim),
    }
    return GraphWeights(ngrams=ngrams, **{n: np.zeros(s, np.float32) for n, s in shapes.items()})
