"""A training, from a data set and a plan to a checkpoint.

The page to read first: texts → teachers' predictions → targets → network → calibration → checkpoint. The plan
decides everything (plan.py); what is called here are mechanisms that do not know it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from edge_lstm.answering import RiskCoverage, cost_thresholds
from edge_lstm.errors import DataError
from edge_lstm.familiarity import unfamiliarity
from edge_lstm.metrics import SetScores
from edge_lstm_export.onnx.weights import round_to_int8
from edge_lstm_export.train import calibrate
from edge_lstm_export.train.calibrate import Calibration, PartLogits, Stack
from edge_lstm_export.train.checkpoint import Checkpoint
from edge_lstm_export.train.data import Dataset, Floats
from edge_lstm_export.train.headroom import leave_room, tried_rows
from edge_lstm_export.train.logits import fit_temperature, probabilities
from edge_lstm_export.train.loop import SILENT, Callbacks, LoopResult, fit_network, predict_logits
from edge_lstm_export.train.network import threads
from edge_lstm_export.train.options import NO_TEACHER, SENTIMENT
from edge_lstm_export.train.parts import Parts, put_together
from edge_lstm_export.train.plan import LEAST_ENGLISH, Asked, Facts, Plan
from edge_lstm_export.train.pretrained import english
from edge_lstm_export.train.provenance import provenance
from edge_lstm_export.train.stages import LOOP, NOT_KEPT, Stages
from edge_lstm_export.train.teachers.load import Teachers, sentiment_improves
from edge_lstm_export.train.teachers.transformer import classifier_labels
from edge_lstm_export.train.vocabulary import unknown_share
from edge_lstm_export.train.warnings import result_warnings

LOST_BY_NETWORK = 0.03  # of the teachers' accuracy: then texts without labels are asked for


@dataclass(frozen=True)
class Result:
    """A checkpoint and how good it is. validation: of texts that no part had learnt from, a part that was
    held out or the rows themselves, by networks of the other folds; test: None where there is none. remarks:
    what a person should know, a line each. closed_units: see headroom.leave_room."""

    checkpoint: Checkpoint
    loop: LoopResult
    validation: SetScores | None
    test: SetScores | None
    remarks: tuple[str, ...] = ()
    closed_units: int = 0


def fit(
    dataset: Dataset,
    plan: Plan,
    *,
    unlabelled: Sequence[str] = (),
    soft_labels: Floats | None = None,
    teachers: Teachers | None = None,
    callbacks: Callbacks = SILENT,
    stages: Stages = NOT_KEPT,
) -> Result:
    """Run a plan.

    unlabelled: texts for the teachers to label. soft_labels: float32 [unlabelled, L], probabilities that were
    made elsewhere, in the place of the teachers'. teachers: those of the plan, where they are loaded already.
    stages: where finished stages are kept, and what was kept of them. Raises DataError, OutputError,
    MissingPackageError and KeyboardInterrupt.
    """
    say, several = callbacks.say, plan.network.several
    if soft_labels is None:
        if len(unlabelled) and not plan.teachers:
            raise DataError("texts without labels need a teacher; leave out --unlabelled or --teacher none")
        unlabelled = unlabelled[: plan.unlabelled]
    elif plan.teachers or len(soft_labels) != len(unlabelled):
        raise DataError("soft labels need one row per unlabelled text and no teachers")
    teachers = teachers or Teachers(plan, dataset.labels, say)
    parts = Parts(dataset, plan, unlabelled, teachers, soft_labels, say, stages)
    unseen = parts.cross_validate(say, stages) if plan.validation.folds else None
    network = parts.new_network()
    callbacks.started(network, parts.tokenizer, len(parts.rows) + len(parts.pool))
    validation = parts.examples(parts.validation) if len(parts.validation) else None
    callbacks = replace(callbacks, keep=partial(stages.keep, LOOP))
    begun = stages.get(LOOP)
    learnt = parts.learnt()
    loop = fit_network(network, learnt, parts.final_loop, plan.seed, validation, callbacks, begun)
    closed = leave_room(network, learnt, tried_rows(parts.tokenizer))
    say("fitting n-grams and calibrating")
    if several:
        round_to_int8(network)
    residual = parts.fit_residual(network) if plan.sparse.fit == "residual" else None
    if validation is not None:
        unseen = parts.logits(network, residual or parts.fit_sparse(), validation)
    calibration = _calibrate(parts, unseen, residual is not None)
    put_together(network, calibration.stack, residual or parts.fit_sparse(more=validation))
    if several:
        # Thresholds lie where many texts are: chosen on what the int8 file holds, few texts cross one.
        round_to_int8(network)
    test = None
    if dataset.test is not None:
        logits = predict_logits(network, parts.examples(dataset.test))
        test = calibrate.score(logits, dataset.test.labels, dataset.labels, calibration.thresholds)
    members = parts.predictions
    training = provenance(
        *(parts, loop, calibration, test),
        teachers=members.members if members else (),
        teachers_accuracy=members.accuracy if members else None,
        parameters=sum(network.parameter_counts().values()),
        unknown_words=unknown_share(parts.tokenizer, dataset.train.texts),
    )
    checkpoint = Checkpoint(
        *(network, parts.tokenizer, dataset.labels, training, plan.to_dict()),
        thresholds=calibration.thresholds,
        abstention=calibration.curve,
    )
    remarks = (*_teacher_remarks(parts, calibration.scores), *result_warnings(calibration.scores))
    return Result(checkpoint, loop, calibration.scores, test, remarks, closed)


def _calibrate(parts: Parts, unseen: PartLogits | None, residual: bool) -> Calibration:
    """Weigh the parts, divide by the temperature, add the offset for rare labels, and measure.

    unseen: of texts that no part had learnt from: the validation part, or the rows by cross-validation.
    residual: the n-grams' logits are added to the LSTM's own.
    """
    plan, several = parts.plan, parts.plan.network.several
    stack = calibrate.expected_stack(len(parts.rows), len(parts.pool), parts.config.logits)
    if residual or parts.features is None:
        stack = Stack(1.0, float(residual), stack.bias)
    elif unseen is not None:
        stack = calibrate.fit_stack(unseen, stack, several=several)
    if unseen is None:
        return Calibration(stack)
    texts, where = parts.split, "training texts, cross-validated"
    if len(parts.validation):
        texts, where = parts.validation, "validation part"
    labels = texts.labels
    logits, targets = torch.from_numpy(stack.logits(unseen)), torch.from_numpy(unseen.targets)
    temperature = fit_temperature(logits, targets, several=several)
    stack = Stack(stack.lstm / temperature, stack.sparse / temperature, stack.bias / np.float32(temperature))
    if not several:
        offset = calibrate.balance_offset(stack.logits(unseen), labels, best=plan.balance)
        stack = replace(stack, bias=stack.bias + offset)
    logits = torch.from_numpy(stack.logits(unseen))
    chances = probabilities(logits, several=several)
    thresholds = calibrate.choose_thresholds(labels, chances) if several else None
    curve = None
    if not several:
        rows = [parts.tokenizer.encode_text(text).ids for text in texts.texts]
        unfamiliar = cost_thresholds(unfamiliarity(chances, rows, parts.tokenizer.num_ids))
        curve = replace(RiskCoverage.of(chances, labels.argmax(axis=1), where), unfamiliar=unfamiliar)
    measured = calibrate.score(logits, labels, parts.dataset.labels, thresholds)
    return Calibration(stack, temperature, measured, curve, thresholds)


def _teacher_remarks(parts: Parts, scores: SetScores | None) -> Iterator[str]:
    """Yield which teachers do not teach, and what to do where they know more than the network learnt."""
    if (teachers := parts.predictions) is None:
        return
    for name, with_it, without in teachers.dropped:
        rates = f"{with_it:.1%} with it, {without:.1%} without"
        yield f"teacher {name} not used: cross-validated accuracy {rates}"
    if scores is None or (parts.pool_fold < 0).any():
        return
    reached = scores.subset_accuracy
    if teachers.accuracy - reached >= LOST_BY_NETWORK:
        rates = f"the teachers reach an accuracy of {teachers.accuracy:.1%}, the network {reached:.1%}"
        yield f"{rates}: give texts without labels (--unlabelled), from which it learns what they know"


@contextmanager
def quiet_thread() -> Iterator[None]:
    """One thread: two share too little work per time step of a small LSTM, they wait for each other, and sums
    that several share have other bits than those of one. And no warnings of linear models that are ended
    where more steps label no better."""
    # Only libraries that are loaded already can be limited: SciPy's and scikit-learn's come with these.
    import scipy.linalg  # noqa: F401
    import sklearn.svm  # noqa: F401
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), threads(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def with_kind(asked: Asked) -> Asked:
    """What was asked, with whether its teacher is a classifier. Raises DataError, MissingPackageError."""
    if asked.teacher is None or asked.teacher in (NO_TEACHER, SENTIMENT):
        return asked
    return replace(asked, classifier=classifier_labels(asked.teacher) is not None)


def with_knowledge(facts: Facts, dataset: Dataset, asked: Asked) -> Facts:
    """The facts with what pretrained models know of the texts."""
    if facts.kind in ("long", "unsegmented") or facts.several or asked.preset == "seed":
        return facts
    facts = replace(facts, english=english().share_of(dataset.train.texts))
    if asked.teacher == NO_TEACHER:
        return facts
    words = english() if facts.english >= LEAST_ENGLISH else None
    return replace(facts, sentiment=sentiment_improves(dataset, asked.seed, words))
