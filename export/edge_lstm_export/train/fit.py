"""A training, from a data set and a plan to a checkpoint.

The page to read first.

hold out · transfer set · vocabulary · ask teachers · choose n-grams · cross-validate · fit the LSTM
· fit the n-gram part · calibrate · assemble · test. The plan (options.py) decides what differs from
one training to another. No step changes what an earlier one returned.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edge_lstm.core.familiarity import unfamiliarity
from edge_lstm.core.question import Question
from edge_lstm.core.risk_coverage import RiskCoverage, cost_thresholds
from edge_lstm.errors import DataError
from edge_lstm.metrics import SetScores
from edge_lstm_export.arrays import Floats
from edge_lstm_export.checkpoint import LOOP, NOT_KEPT, Checkpoint, Stages
from edge_lstm_export.network import (
    Examples,
    Network,
    fit_temperature,
    predict_logits,
    probabilities,
    threads,
    tried_rows,
    with_headroom,
)
from edge_lstm_export.onnx import excess, fitted_sizes, rounded_to_int8
from edge_lstm_export.options import Plan
from edge_lstm_export.train import calibrate
from edge_lstm_export.train.calibrate import Calibration, ComponentLogits, Stack, result_warnings
from edge_lstm_export.train.components import (
    assembled,
    component_logits,
    cross_validate,
    new_network,
)
from edge_lstm_export.train.data import (
    TrainingData,
    choose_vocabulary,
    hold_out_rows,
    make_transfer_set,
)
from edge_lstm_export.train.lstm import SILENT, Callbacks, LoopResult, fit_lstm, lstm_examples
from edge_lstm_export.train.provenance import Measured, provenance
from edge_lstm_export.train.sources import Dataset, Split
from edge_lstm_export.train.sparse import (
    Baseline,
    SparsePart,
    choose_features,
    fit_baselines,
    fit_sparse,
    with_codes,
    within_size,
)
from edge_lstm_export.train.teachers import Teachers, ask_teachers


@dataclass(frozen=True)
class Fitted:
    """A checkpoint and its scores.

    validation: of texts that no component had learnt from; None without any.
    test: None without test texts.
    remarks: for a person, a line each.
    linear: linear models on the rows that judge, see :func:`fit_baselines`; empty if nothing does.
    """

    checkpoint: Checkpoint
    loop: LoopResult
    validation: SetScores | None
    test: SetScores | None
    remarks: tuple[str, ...] = ()
    linear: tuple[Baseline, ...] = ()

    @property
    def baseline(self) -> Baseline | None:
        """The linear model on whole rows; None without any."""
        return self.linear[-1] if self.linear else None

    @property
    def linear_model(self) -> dict[str, Any] | None:
        """The linear model as plain values, for JSON."""
        return None if self.baseline is None else self.baseline.to_dict()


def fit(
    dataset: Dataset,
    plan: Plan,
    *,
    soft_labels: Floats | None = None,
    callbacks: Callbacks = SILENT,
    stages: Stages = NOT_KEPT,
) -> Fitted:
    """Run a plan.

    soft_labels: float32 [unlabelled, L], probabilities that were made elsewhere, instead of the
        teachers'.
    stages: keeps what takes long, and has what an interrupted training kept.

    Raise DataError, OutputError, MissingPackageError and KeyboardInterrupt.
    """
    say = callbacks.say
    log = _usable_log(plan, dataset.unlabelled, soft_labels)
    teachers = Teachers(plan, say)

    rows = hold_out_rows(dataset, plan)
    transfer = make_transfer_set(rows, log, soft_labels, plan)
    ranked = choose_vocabulary(dataset, rows, transfer, plan, teachers.words)
    sizes = fitted_sizes(ranked, dataset.labels, plan)
    predictions = ask_teachers(teachers, rows, transfer, plan, stages, say)
    data = TrainingData(
        dataset.labels,
        plan,
        rows,
        transfer,
        sizes.tokenizer,
        sizes.network,
        predictions,
        dataset.fields,
    )

    embeddings = None
    if teachers.words is not None:
        embeddings = teachers.words.embeddings(data.tokenizer.words, data.tokenizer.num_ids)
    features = choose_features(data, embeddings)
    unseen = None
    if plan.validation.folds:
        unseen = cross_validate(data, features, embeddings, stages, say)
    network = new_network(data, features, embeddings)
    network, loop = _fit_lstm(data, network, callbacks, stages)

    say("fitting n-grams and calibrating")
    sparse = None if features is None else fit_sparse(data, features)
    validation = data.validation_examples
    if validation is not None:
        unseen = component_logits(network, sparse, validation)
    calibration = _calibrate(data, unseen, has_sparse=sparse is not None)
    if sparse is not None and validation is not None:
        sparse = fit_sparse(data, sparse.features, more=validation)
    measured = Measured(loop, calibration)
    if sparse is not None:
        sparse = _within_size(dataset, data, measured, network, sparse)
    network = assembled(network, calibration.stack, with_codes(data, sparse, validation))
    if plan.network.multi_label:
        # Thresholds lie where many texts are: chosen on what the int8 file holds, few texts cross
        # one.
        network = rounded_to_int8(network)

    checkpoint, test = _checkpoint(dataset, data, measured, network, data.test_examples)
    scores = calibration.scores
    linear: tuple[Baseline, ...] = ()
    if test is not None or scores is not None:
        say("fitting a linear model to compare with")
        linear = fit_baselines(dataset, data)
    remarks = (*_teacher_remarks(data, scores), *result_warnings(scores))
    return Fitted(checkpoint, loop, scores, test, remarks, linear)


def _within_size(
    dataset: Dataset, data: TrainingData, measured: Measured, network: Network, sparse: SparsePart
) -> SparsePart:
    """Return the n-gram part with the word pairs that find room in the plan's file."""

    def too_large_by(part: SparsePart) -> int:
        whole = assembled(network, measured.calibration.stack, part)
        untested, _ = _checkpoint(dataset, data, measured, whole)
        return excess(untested, data.plan.max_kilobytes, will_be_tested=dataset.test is not None)

    return within_size(data, sparse, too_large_by)


def _checkpoint(
    dataset: Dataset,
    data: TrainingData,
    measured: Measured,
    network: Network,
    tested: Examples | None = None,
) -> tuple[Checkpoint, SetScores | None]:
    """Return the checkpoint of a finished network, and its scores on test texts, if there are any.

    measured: all figures but these. tested: the test texts.
    """
    calibration = measured.calibration
    logits = None
    if tested is not None and dataset.test is not None:
        logits = predict_logits(network, tested)
        scores = calibrate.score(
            logits, dataset.test.labels, dataset.labels, calibration.thresholds
        )
        measured = replace(measured, test=scores)
    measured = replace(measured, parameters=network.parameter_count())
    checkpoint = Checkpoint(
        network,
        data.tokenizer,
        dataset.labels,
        provenance(dataset, data, measured),
        data.plan.to_dict(),
        thresholds=calibration.thresholds,
        abstention=_risk_coverage(data, dataset, calibration.chances, logits),
        question=Question.of(data.plan.question, dataset.labels),
        fields=dataset.fields,
    )
    return checkpoint, measured.test


def _fit_lstm(
    data: TrainingData, network: Network, callbacks: Callbacks, stages: Stages
) -> tuple[Network, LoopResult]:
    """Train the LSTM on all rows and the transfer set, and keep its units away from saturation.

    A network without an LSTM is only made.

    Return the network with the trained LSTM, and how that went.
    """
    callbacks.started(network, data.tokenizer, len(data.all_examples))
    keeping = replace(callbacks, keep=partial(stages.keep, LOOP))
    loop = fit_lstm(data, network, callbacks=keeping, resume=stages.get(LOOP))
    network = with_headroom(network, lstm_examples(data), tried_rows(data.tokenizer))
    if data.network.multi_label:
        network = rounded_to_int8(network)
    return network, loop


def _usable_log(
    plan: Plan, unlabelled: tuple[str, ...], soft_labels: Floats | None
) -> tuple[str, ...]:
    """Return the texts without a label that are learnt from.

    Raise DataError if nothing labels them.
    """
    if soft_labels is not None:
        if plan.teachers or len(soft_labels) != len(unlabelled):
            raise DataError("soft labels need one row per unlabelled text and no teachers")
        return unlabelled
    if unlabelled and not plan.teachers:
        raise DataError(
            "texts without labels need a teacher; leave out --unlabelled or --teacher none"
        )
    return unlabelled[: plan.unlabelled]


def _calibrate(
    data: TrainingData, unseen: ComponentLogits | None, *, has_sparse: bool
) -> Calibration:
    """Weigh the components, divide by the temperature, add the offset for rare labels, and measure.

    unseen: logits of texts that no component had learnt from: the validation part, or the rows by
        cross-validation.
    has_sparse: whether there is an n-gram part.
    """
    multi_label = data.network.multi_label
    stack = calibrate.expected_stack(len(data.all_examples), data.network.logits)
    if not has_sparse or not data.network.hidden:  # one part needs no weights
        stack = Stack(float(data.network.hidden > 0), float(has_sparse), stack.bias)
    elif unseen is not None:
        stack = calibrate.fit_stack(unseen, stack, multi_label=multi_label)
    if unseen is None:
        return Calibration(stack)
    judging = _judging(data)
    labels = judging.labels[judging.traffic]
    unseen = unseen.subset(judging.traffic)
    logits = torch.from_numpy(stack.logits(unseen))
    targets = torch.from_numpy(unseen.targets)
    temperature = fit_temperature(logits, targets, multi_label=multi_label)
    stack = stack.divided_by(temperature)
    if not multi_label:
        offset = calibrate.rarity_offset(stack.logits(unseen), labels, balance=data.plan.balance)
        stack = replace(stack, bias=stack.bias + offset)
    logits = torch.from_numpy(stack.logits(unseen))
    chances = probabilities(logits, multi_label=multi_label)
    thresholds = None
    if multi_label:
        thresholds = calibrate.choose_thresholds(labels, chances)
    measured = calibrate.score(logits, labels, data.labels, thresholds)
    return Calibration(stack, temperature, measured, thresholds=thresholds, chances=chances)


def _judging(data: TrainingData) -> Split:
    """Return the texts of the calibration: the validation part, or the rows by cross-validation."""
    return data.rows.learnt if data.validation_examples is None else data.rows.validation


def _risk_coverage(
    data: TrainingData, dataset: Dataset, chances: Floats | None, test_logits: Tensor | None
) -> RiskCoverage | None:
    """Return the curve of the texts that the network did not learn from.

    They are the texts of the calibration, and test texts that were drawn from the data: few texts
    promise little. Test texts of a person's own stay a measure of the promise.

    chances: answers to the texts of the calibration, as the traffic has them, float32 [n, L];
        None without any.
    test_logits: float32 [n, outputs], of the finished network.
    """
    if chances is None or data.network.multi_label:
        return None
    judging = _judging(data)
    judging = judging.subset(judging.traffic)
    is_crossed = data.validation_examples is None
    where = "training texts, cross-validated" if is_crossed else "validation part"
    texts = judging.texts
    labels = judging.labels
    is_drawn = dataset.test_rows in ("random", "groups", "digest")
    if is_drawn and dataset.test is not None and test_logits is not None:
        where = "cross-validated and test texts" if is_crossed else "validation and test part"
        texts += dataset.test.texts
        labels = np.concatenate([labels, dataset.test.labels])
        chances = np.concatenate([chances, probabilities(test_logits, multi_label=False)])
    ids = [data.tokenizer.encode_text(text).ids for text in texts]
    scores = unfamiliarity(chances, ids, data.tokenizer)
    curve = RiskCoverage.from_predictions(chances, labels.argmax(axis=1), where)
    return replace(curve, unfamiliar=cost_thresholds(scores))


def _teacher_remarks(data: TrainingData, scores: SetScores | None) -> Iterator[str]:
    """Yield advice if the teachers know more than the network learnt."""
    teachers = data.predictions
    if teachers is None or scores is None or data.transfer.from_log:
        return
    reached = scores.subset_accuracy
    # Accuracy that the network lost to its teachers; it decides a remark alone.
    if teachers.accuracy - reached >= 0.03:
        yield (
            f"the teachers reach an accuracy of {teachers.accuracy:.1%}, the network "
            f"{reached:.1%}: give texts without labels (--unlabelled); the teachers label them, "
            "and the network learns from these"
        )


@contextmanager
def quiet_thread() -> Iterator[None]:
    """Use one thread, and hide warnings of linear models that stop before they converge.

    Two threads share too little work per time step of a small LSTM: they wait for each other. And
    sums that several threads share have other bits than the sums of one. Linear models stop when
    more steps label no better.
    """
    # Loaded here, so that the libraries that they bring are limited.
    import scipy.linalg  # noqa: F401
    import sklearn.svm  # noqa: F401
    from sklearn.exceptions import ConvergenceWarning

    with threads(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
