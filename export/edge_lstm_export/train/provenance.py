"""How a network came about: plain values for the checkpoint and the model file."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import torch

from edge_lstm import __version__
from edge_lstm.answering import MOST_POINTS, SHARES, Point, RiskCoverage
from edge_lstm.metrics import LabelScores, SetScores
from edge_lstm_export.train.calibrate import Calibration, Scores, Stack
from edge_lstm_export.train.data import Split
from edge_lstm_export.train.history import EpochRecord, best_of
from edge_lstm_export.train.loop import LoopResult, Outcome
from edge_lstm_export.train.teachers.base import Member
from edge_lstm_export.train.warnings import result_warnings

if TYPE_CHECKING:
    from edge_lstm_export.train.parts import Parts

LONGEST = 0.1234567  # a figure as long as one may be: six decimals, and another place before the point
LONGEST_THRESHOLD = 0.00012345


def provenance(
    parts: Parts,
    loop: LoopResult,
    calibration: Calibration,
    test: SetScores | None,
    *,
    teachers: Sequence[Member],
    teachers_accuracy: float | None,
    parameters: int,
    unknown_words: float,
) -> dict[str, Any]:
    """Return what a checkpoint says of its training. No clock is read.

    parameters: numbers that were trained; unknown_words: see vocabulary.unknown_share.
    """
    dataset, plan = parts.dataset, parts.plan
    best = best_of(loop.history)
    return {
        "data": {
            "name": dataset.name,
            "sha256": dataset.digest,
            "train_texts": dict(zip(dataset.labels, parts.split.counts())),
            "validation_texts": len(parts.validation),
            "test_texts": len(dataset.test or ()),
            "unlabelled_texts": int((parts.pool_fold < 0).sum()),
            "augmented_texts": int((parts.pool_fold >= 0).sum()),
            "unknown_words": round(unknown_words, 4),
            "checks": dict(dataset.checks),
        },
        "preset": plan.preset,
        "seed": plan.seed,
        "parameters": parameters,
        "teachers": [
            {"name": member.name, "weight": round(member.weight, 3), "accuracy": round(member.accuracy, 4)}
            for member in teachers
        ],
        "teachers_accuracy": None if teachers_accuracy is None else round(teachers_accuracy, 4),
        "outcome": loop.outcome,
        "epochs": len(loop.history),
        "best_epoch": best.epoch if best else None,
        "validation": calibration.scores.to_dict() if calibration.scores else None,
        "cross_validated": calibration.scores is not None and not len(parts.validation),
        "test": test.to_dict() if test else None,
        "parts": {"lstm": round(calibration.stack.lstm, 4), "ngrams": round(calibration.stack.sparse, 4)},
        "temperature": round(calibration.temperature, 6),
        "warnings": [*dataset.warnings, *result_warnings(calibration.scores)],
        "versions": {
            "edge-lstm": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
    }


# --- Before the training, what it may become at most --------------------------------------------------------


def longest_provenance(parts: Parts) -> tuple[dict[str, Any], Calibration]:
    """Return the longest provenance that the training may have, and the longest calibration."""
    plan, test, members = parts.plan, parts.dataset.test, [Member(n, 0.0, 0.0) for n in parts.plan.teachers]
    last = EpochRecord(plan.loop.epochs, 0.0, 0.0, 0.0, 0.0)
    outcome = max(get_args(Outcome), key=len)
    judged = parts.validation if len(parts.validation) else parts.split
    calibration = Calibration(
        Stack(LONGEST, LONGEST, np.zeros(1, np.float32)),
        scores=_longest_scores(parts, judged),
        curve=None if plan.network.several else longest_curve(),
        thresholds=(LONGEST_THRESHOLD,) * plan.network.labels if plan.network.several else None,
    )
    described = provenance(
        *(parts, LoopResult(outcome, (last,) * plan.loop.epochs), calibration),
        None if test is None else _longest_scores(parts, test),
        teachers=members,
        teachers_accuracy=LONGEST if members else None,
        parameters=10**9,
        unknown_words=LONGEST,
    )
    longest: dict[str, Any] = _lengthened(described)
    return longest, calibration


def longest_curve() -> RiskCoverage:
    """Return a risk-coverage curve of millions of texts with all that one may have."""
    point, digest = Point(LONGEST, 9_999_999, 9_999_999), "0" * 64
    unfamiliar = tuple((share, 100 + LONGEST) for share in SHARES)
    return RiskCoverage("training texts, cross-validated", 9_999_999, (point,) * (MOST_POINTS + 1), LONGEST,
                        digest, unfamiliar)  # fmt: skip


def _longest_scores(parts: Parts, texts: Split) -> SetScores:
    """Return scores of these texts that say, of every label, that it is never predicted: the longest names
    first, since warnings name some."""
    counts = dict(zip(parts.dataset.labels, texts.counts()))
    names = sorted(counts, key=lambda name: len(name.encode()), reverse=True)
    rows = tuple(LabelScores(name, LONGEST, LONGEST, LONGEST, max(1, counts[name]), 0) for name in names)
    if parts.plan.network.several:
        return SetScores(len(texts), 0, rows)
    return Scores(len(texts), 0, rows, LONGEST, LONGEST)


def _lengthened(value: Any) -> Any:
    """Return plain values with each number that is no count in its longest form."""
    if isinstance(value, float):
        return LONGEST
    if isinstance(value, dict):
        return {name: _lengthened(each) for name, each in value.items()}
    return [_lengthened(each) for each in value] if isinstance(value, list) else value
