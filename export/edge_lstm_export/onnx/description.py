"""What a model file says of itself: its metadata, by their keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge_lstm.core import modelfile
from edge_lstm.core.fields import Fields
from edge_lstm.core.layers import NetworkConfig
from edge_lstm.core.question import ANY_CHOICE, CHOICE, Question
from edge_lstm.core.risk_coverage import RiskCoverage
from edge_lstm.core.text import Tokenizer, front_coded
from edge_lstm_export.onnx.codes import BOOK, CODED
from edge_lstm_export.onnx.letter_pairs import with_codes
from edge_lstm_export.onnx.lstm_rounding import REDUCED
from edge_lstm_export.onnx.rounding import NARROWEST, TOGETHER


@dataclass(frozen=True)
class Answers:
    """What becomes a text, and how probabilities become answers, see modelfile.ModelFile."""

    thresholds: Sequence[float] | None = None
    curve: RiskCoverage | None = None
    question: Question = ANY_CHOICE
    fields: Fields | None = None


def description(
    tokenizer: Tokenizer,
    labels: Sequence[str],
    config: NetworkConfig,
    training: Mapping[str, Any],
    golden: Sequence[object],
    *,
    answers: Answers,
    int8: bool,
    packs: bool = True,
) -> dict[str, Any]:
    """Return plain values or text by the keys of modelfile.py, for :func:`graph.file_bytes`.

    training: a checkpoint's; golden: see golden.golden_row; packs: see graph.build.
    """
    described: dict[str, Any] = {
        modelfile.KEY_FORMAT: str(modelfile.FORMAT_VERSION),
        modelfile.KEY_TOKENIZER: tokenizer.to_metadata(),
        modelfile.KEY_VOCABULARY: with_codes(front_coded(tokenizer.entries)),
        modelfile.KEY_LABELS: labels,
        modelfile.KEY_NETWORK: config.to_dict(),
        modelfile.KEY_TRAINING: _in_label_order(training),
        modelfile.KEY_GOLDEN: golden,
    }
    if answers.thresholds is not None:
        described[modelfile.KEY_MULTI_LABEL] = {"thresholds": answers.thresholds}
    if answers.question.type != CHOICE:
        described[modelfile.KEY_QUESTION] = answers.question.to_dict()
    if answers.fields is not None:
        described[modelfile.KEY_FIELDS] = answers.fields.to_dict()
    if answers.curve is not None:
        described[modelfile.KEY_ABSTENTION] = answers.curve.to_dict()
    if int8:
        described[modelfile.KEY_QUANTIZATION] = {
            "precision": "int8",
            **_roundings(config, packs),
        }
    return described


def _in_label_order(training: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of a training with the figures of labels as lists, in the labels' order.

    Hundreds of names and keys would be a good part of a small file. The record may be incomplete.
    """
    changed = dict(training)
    data = training.get("data") or {}
    if "train_texts" in data:
        changed["data"] = {**data, "train_texts": [*data["train_texts"].values()]}
    for part in ("validation", "test"):
        scores = training.get(part) or {}
        if "labels" in scores:
            changed[part] = {**scores, "labels": _listed_scores(scores["labels"])}
    return changed


def _listed_scores(scores: Mapping[str, Mapping[str, Any]]) -> dict[str, list[float]]:
    """Return score → its value for each label. A whole number is an int, whose JSON is shorter."""
    listed: dict[str, list[float]] = {}
    for name in ("precision", "recall", "f1", "texts"):
        # Four decimal places: people read percent.
        numbers = [round(row[name], 4) for row in scores.values()]
        listed[name] = [int(number) if number == int(number) else number for number in numbers]
    return listed


def _roundings(config: NetworkConfig, packs: bool) -> dict[str, str]:
    """Return how each part that the network has is rounded."""
    parts = {}
    if config.lstms:
        parts["lstm"] = f"int8 weights, symmetric per tensor, range ±{REDUCED}; uint8 activations"
        parts["embedding"] = f"{_bits(config.embedding_dim, packs)}, symmetric per tensor"
    parts["head"] = f"{_bits(config.logits, packs)}, symmetric per input; float32 products"
    if config.ngrams:
        rounding = f"{_bits(config.ngram_dim, packs)}, symmetric per column"
        if packs and config.ngram_dim < NARROWEST:
            rounding = f"4 bits and a factor for {TOGETHER} numbers, symmetric per column"
        if packs and config.codes_ngrams:
            rounding = f"a code for {CODED} numbers, of {BOOK}, symmetric per tensor"
        parts["ngrams"] = f"{rounding}; sums in int32"
    return parts


def _bits(columns: int, packs: bool) -> str:
    """Return how the rows of a table are rounded."""
    return "4 bits and a factor per row" if packs and columns >= NARROWEST else "int8"
