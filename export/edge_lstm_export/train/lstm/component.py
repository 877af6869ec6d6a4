"""The LSTM: its examples and its training."""

from __future__ import annotations

from dataclasses import replace

from edge_lstm_export.checkpoint import Stage
from edge_lstm_export.network import Examples, Network
from edge_lstm_export.options import LoopOptions
from edge_lstm_export.train.data import TrainingData
from edge_lstm_export.train.lstm.loop import SILENT, Callbacks, LoopResult, fit_network


def fit_lstm(
    data: TrainingData,
    network: Network,
    fold: int | None = None,
    callbacks: Callbacks = SILENT,
    resume: Stage | None = None,
) -> LoopResult:
    """Train the LSTM in place, without the rows of ``fold``; a network without one is left alone.

    resume: the state of an interrupted run.
    """
    if not network.layers:
        return LoopResult("finished", ())
    return fit_network(
        network,
        lstm_examples(data, fold),
        loop_options(data),
        data.plan.seed,
        data.validation_examples if fold is None else None,
        callbacks,
        resume,
    )


def lstm_examples(data: TrainingData, fold: int | None = None) -> Examples:
    """Return what the LSTM learns from; if labels are many, misspelt copies of the rows too."""
    learnt = data.learnt(fold)
    if data.plan.augmentation.typos and data.plan.sparse.is_low_rank:
        return data.with_typos(learnt, fold)
    return learnt


def loop_options(data: TrainingData) -> LoopOptions:
    """Return the loop's options.

    Without validation texts no epoch is known to be better than the last.
    """
    loop = data.plan.loop
    if data.validation_examples is None:
        return replace(loop, patience=loop.epochs)
    return loop
