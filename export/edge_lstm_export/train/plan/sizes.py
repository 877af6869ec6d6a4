"""The sizes of a planned network.

Widths follow from the preset and the kind of data, words from the room of the file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, TypeAlias

from edge_lstm.core.text import FIRST_WORD_ID, OOV_ID, Tokenizer
from edge_lstm.errors import DataError
from edge_lstm_export.onnx import FEWEST_SLOTS, file_size, ngram_bytes, row_bytes, slots_in
from edge_lstm_export.options import NetworkOptions, WordTable
from edge_lstm_export.train.lstm import LstmShape
from edge_lstm_export.train.plan import defaults
from edge_lstm_export.train.plan.defaults import PRESETS, Preset, Shape
from edge_lstm_export.train.plan.stats import DatasetStats

# Words of a network: all that fit; the preset's number; more of them than that.
Vocabulary: TypeAlias = Literal["all", "usual", "large"]


@dataclass(frozen=True)
class Sizes:
    """A planned network, and the reasons of its sizes."""

    network: NetworkOptions
    reasons: dict[str, str]


def plan_network(
    stats: DatasetStats,
    preset: str,
    start: LstmShape | None,
    table: WordTable,
) -> Sizes:
    """Plan the network of a preset other than seed.

    start: the LSTM of the model file that the network starts from; None: it starts at random.
    table: its word embeddings.

    Raises DataError if the labels and the LSTM leave no room for words. It names the smallest
    preset that has room.
    """
    plan = partial(_planned, stats, start, table)
    sizes = plan(preset)
    if sizes is not None:
        return sizes
    parts = f"{stats.labels:,} labels"
    advice = "merge rare labels"
    if start is not None:
        parts += f" and an LSTM of {start}"
        advice += ", or start from a smaller LSTM"
    reason = f"{parts} leave no room for words in preset {preset}"
    size = PRESETS[preset].max_kilobytes
    for name, larger in PRESETS.items():
        if name != "seed" and larger.max_kilobytes > size and plan(name) is not None:
            raise DataError(f"{reason} ({size} kB); give --preset {name}")
    raise DataError(f"{reason}, nor in a larger one; {advice}")


def _planned(
    stats: DatasetStats,
    start: LstmShape | None,
    table: WordTable,
    name: str,
) -> Sizes | None:
    """Return the network of a preset, see :func:`plan_network`; None without room for words."""
    preset = PRESETS[name]
    vocabulary = _vocabulary(stats, table)
    usual = preset.long if stats.is_long or preset.short is None else preset.short
    shape = usual
    reason = f"preset {name}, kind {stats.kind}"
    if start is not None:
        shape = Shape(usual.words, start.embedding_dim, start.hidden, start.bidirectional)
        reason = "of the model file that it starts from"
    elif stats.kind == "topics":
        shape = Shape(usual.words, *defaults.TOPICS_SHAPE, bidirectional=False)
        reason = "topics need words, not their order"
        if stats.labels > defaults.MOST_TOPICS_WITH_LSTM:
            shape = Shape(usual.words, embedding=0, hidden=0, bidirectional=False)
            reason = f"{stats.labels} topics need words alone"
    elif vocabulary == "large":
        embedding, hidden = _largest_lstm(stats, preset, table)
        embedding = min(usual.embedding, embedding)
        shape = replace(usual, embedding=embedding, hidden=min(usual.hidden, hidden))
        reason = "a small LSTM, which leaves room for words"
    network = _without_words(stats, preset, shape)
    room = preset.max_kilobytes * 1000 - _fixed_size(network, stats)
    words, words_reason = _words(stats, vocabulary, shape.words, room, network)
    if words < defaults.FEWEST_WORDS:
        return None
    # As many n-grams as fit: no vocabulary would leave more room for them.
    slots = slots_in(room, network)
    network = replace(network, num_words=words, ngram_words=words - OOV_ID, ngram_slots=slots)
    reasons = {
        "num_words": words_reason,
        "embedding_dim": reason,
        "hidden": reason,
        "bidirectional": reason,
        "ngram_words": "all words",
        "ngram_slots": f"at most, in {room:,} bytes",
        "ngram_dim": _why_width(stats),
        "ngram_counts": "of each occurrence in a text; the last one of any more",
        "pooling": "of the LSTM's outputs",
        "dropout": "in training",
        "labels": "of the data",
        "multi_label": "of the data",
    }
    return Sizes(network, {f"network.{name}": why for name, why in reasons.items()})


def network_of(stats: DatasetStats, shape: Shape, **more: Any) -> NetworkOptions:
    """Return the network of a shape. more: its other fields."""
    return NetworkOptions(
        num_words=shape.words,
        embedding_dim=shape.embedding,
        hidden=shape.hidden,
        bidirectional=shape.bidirectional,
        labels=stats.labels,
        multi_label=stats.multi_label,
        dropout=defaults.DROPOUT,
        **more,
    )


def _without_words(stats: DatasetStats, preset: Preset, shape: Shape) -> NetworkOptions:
    """Return a network of this shape with a word and the fewest pairs: what no word has to pay."""
    network = network_of(
        stats,
        shape,
        pooling="mean+max",
        ngram_words=1,
        ngram_slots=FEWEST_SLOTS,
        ngram_dim=1,
        ngram_counts=_ngram_counts(stats),
    )
    width = network.logits if stats.labels <= stats.most_columns else preset.rank
    return replace(network, num_words=FIRST_WORD_ID + 1, ngram_dim=width)


def _ngram_counts(stats: DatasetStats) -> tuple[int, ...]:
    """Return what an n-gram counts by its occurrences: a text says its topic more than once."""
    if stats.kind != "topics":
        return (1,)
    if stats.labels > defaults.MOST_TOPICS_WITH_LSTM:
        return defaults.LOGARITHMIC_COUNTS
    return (1, 2)


def _vocabulary(stats: DatasetStats, table: WordTable) -> Vocabulary:
    """Decide which words a network has."""
    if stats.kind == "topics":
        return "all"
    # Short texts keep the preset's, too, if an encoder labels a log.
    if stats.kind != "short" or (table == "encoder" and stats.unlabelled):
        return "usual"
    return "large"


def _largest_lstm(stats: DatasetStats, preset: Preset, table: WordTable) -> tuple[int, int]:
    """Return the widest embedding and the most units of short texts."""
    if table == "english" and preset.is_large:
        return defaults.ENGLISH_SHAPE
    if table == "english" and stats.rows < defaults.FEW_ROWS:
        return 4096, defaults.FEW_ROWS_HIDDEN  # any embedding
    return defaults.LARGE_VOCABULARY_SHAPE


def _words(
    stats: DatasetStats, vocabulary: Vocabulary, fewest: int, room: int, network: NetworkOptions
) -> tuple[int, str]:
    """Decide the ids of the vocabulary. room: bytes for words and n-grams."""
    fitting = int(room / _word_bytes(network, stats.word_bytes))
    if vocabulary == "all":
        return fitting, "all that fit, before word pairs"
    if vocabulary == "usual":
        return min(fewest, fitting), "the preset's, if they fit"
    words = max(fewest, int(defaults.LARGE_VOCABULARY_SHARE * fitting))
    return min(words, fitting), "a large vocabulary before word pairs"


def _why_width(stats: DatasetStats) -> str:
    if stats.labels <= stats.most_columns:
        return "a column per logit"
    return f"vectors of a lower rank, for more than {stats.most_columns} labels"


def _fixed_size(network: NetworkOptions, stats: DatasetStats) -> int:
    """Return the bytes of the file of a network with one word."""
    label = "x" * max(1, round(stats.label_bytes))
    return file_size(Tokenizer.of_subwords(("x",)), [label] * stats.labels, network.config)


def _word_bytes(network: NetworkOptions, line: float) -> float:
    """Return the bytes of a word in the file: its entry, its embedding and its n-gram."""
    ngram = ngram_bytes(network.config) if network.ngrams else 0
    return row_bytes(network.embedding_dim) + line + ngram
