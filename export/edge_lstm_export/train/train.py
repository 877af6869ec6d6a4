"""A training, from a data set and a plan to a checkpoint.

The page to read first: texts → teachers' predictions → targets → network → calibration → checkpoint. The plan
decides everything (plan.py); what is called here are mechanisms that do not know it.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from edge_lstm import __version__
from edge_lstm.answering import RiskCoverage
from edge_lstm.errors import DataError
from edge_lstm.metrics import SetScores
from edge_lstm_export.onnx.weights import round_to_int8
from edge_lstm_export.train.calibrate import (
    PartLogits,
    Scores,
    Stack,
    balance_offset,
    expected_stack,
    fit_stack,
    fit_temperature,
    predict_logits,
    probabilities,
    put_together,
    score,
)
from edge_lstm_export.train.checkpoint import Checkpoint
from edge_lstm_export.train.corpus import Corpus, ask_teachers, example_texts, prepare
from edge_lstm_export.train.data import Bools, Dataset, Split
from edge_lstm_export.train.features import Floats
from edge_lstm_export.train.linear import SparseWeights
from edge_lstm_export.train.loop import Callbacks, LoopResult, Progress, fit_network
from edge_lstm_export.train.network import Network
from edge_lstm_export.train.parts import Parts
from edge_lstm_export.train.plan import Plan
from edge_lstm_export.train.teachers.load import Teachers
from edge_lstm_export.train.thresholds import UNTUNED, choose_thresholds
from edge_lstm_export.train.warnings import result_warnings, set_warnings


@dataclass(frozen=True)
class Listener:
    """Who is told how a training goes. say: a stage begins, or got so far. started: the network is made.
    callbacks: of the training loop. Each may raise KeyboardInterrupt."""

    say: Callable[[str], None] = lambda line: None
    started: Callable[[Corpus, Network], None] = lambda corpus, network: None
    callbacks: Callbacks = field(default_factory=Callbacks)


SILENT = Listener()


@dataclass(frozen=True)
class Result:
    """A checkpoint and how good it is. validation: of texts that no part had learnt from, cross_validated:
    the rows themselves, by networks of the other folds; test: None where there is none. remarks: what a
    person should know, a line each."""

    checkpoint: Checkpoint
    loop: LoopResult
    validation: Scores | SetScores | None
    test: Scores | SetScores | None
    remarks: tuple[str, ...] = ()

    @property
    def cross_validated(self) -> bool:
        """Whether ``validation`` is of the training texts."""
        return bool(self.checkpoint.training["cross_validated"])


def fit(
    dataset: Dataset,
    plan: Plan,
    *,
    unlabelled: Sequence[str] = (),
    soft_labels: Floats | None = None,
    teachers: Teachers | None = None,
    listener: Listener = SILENT,
    resume: Progress | None = None,
) -> Result:
    """Run a plan.

    unlabelled: texts for the teachers to label. soft_labels: float32 [unlabelled, L], probabilities that were
    made elsewhere, in the place of the teachers'. teachers: those of the plan, where they are loaded already.
    resume: where the training loop was interrupted. Raises DataError, MissingPackageError and
    KeyboardInterrupt.
    """
    say = listener.say
    _check_pool(plan, unlabelled, soft_labels)
    if soft_labels is None:
        unlabelled = unlabelled[: plan.unlabelled]
    teachers = teachers or Teachers(plan, dataset.labels, say)
    corpus = prepare(dataset, plan, unlabelled, teachers.words)
    predictions = None
    if plan.teachers:
        predictions = ask_teachers(corpus, plan, teachers.load(), say)
    parts = Parts(corpus, plan, predictions, teachers.words, soft_labels)
    judged = parts.cross_validate(say) if plan.validation.folds else None
    network = parts.new_network()
    listener.started(corpus, network)
    validation = parts.examples(corpus.validation) if len(corpus.validation) else None
    loop = fit_network(
        network, parts.learnt(), parts.final_loop, plan.seed, validation, listener.callbacks, resume
    )
    say("n-grams and calibration")
    if plan.network.several:
        round_to_int8(network)
    residual = parts.fit_residual(network) if plan.sparse.fit == "residual" else None
    if validation is not None:
        sparse = residual or parts.fit_sparse()
        judged = PartLogits(
            predict_logits(network, validation).numpy(),
            parts.sparse_logits(sparse, validation),
            validation.targets,
        )
    truth = corpus.validation if validation is not None else corpus.rows
    return _finish(parts, network, loop, judged, truth, residual)


def _check_pool(plan: Plan, unlabelled: Sequence[str], soft_labels: Floats | None) -> None:
    """DataError where texts without labels have nobody to label them, or two who do."""
    if soft_labels is not None:
        if plan.teachers or len(soft_labels) != len(unlabelled):
            raise DataError("soft labels are for each unlabelled text, and without other teachers")
    elif len(unlabelled) and not plan.teachers:
        raise DataError("texts without labels need a teacher; leave out --unlabelled or --teacher none")


def _finish(
    parts: Parts,
    network: Network,
    loop: LoopResult,
    judged: PartLogits | None,
    truth: Split,
    residual: SparseWeights | None,
) -> Result:
    """Weigh the parts, calibrate, put the network together and measure it. residual: n-grams that were fitted
    to what the LSTM leaves: their logits are added to its own."""
    corpus, plan = parts.corpus, parts.plan
    several, learnt_from = plan.network.several, len(parts.rows) + len(parts.pool)
    stack, temperature, judgement = expected_stack(learnt_from, network.config.logits), 1.0, Judgement()
    added = parts.features is None or residual is not None
    if added:
        stack = Stack(1.0, 0.0 if residual is None else 1.0, stack.bias)
    if judged is not None:
        weights = stack if added else fit_stack(judged, learnt_from, several=several)
        stack, temperature = _calibrated(weights, judged, plan, truth.labels)
        judgement = _judge(stack.logits(judged), truth, corpus, plan)
    more = parts.examples(corpus.validation) if len(corpus.validation) else None
    put_together(network, stack, residual or parts.fit_sparse(more=more))
    thresholds = judgement.thresholds
    if several:
        thresholds = thresholds or (UNTUNED,) * len(corpus.dataset.labels)
        # Thresholds lie where many texts are: chosen on what the int8 file holds, few texts cross one.
        round_to_int8(network)
    test = None
    if corpus.dataset.test is not None:
        logits = predict_logits(network, parts.examples(corpus.dataset.test))
        test = score(logits, corpus.dataset.test.labels, corpus.dataset.labels, thresholds)
    training = _provenance(parts, network, loop) | {
        "validation": judgement.scores.to_dict() if judgement.scores else None,
        "cross_validated": judged is not None and truth is corpus.rows,
        "test": test.to_dict() if test else None,
        "parts": {"lstm": round(stack.lstm, 4), "ngrams": round(stack.sparse, 4)},
        "temperature": round(temperature, 6),
        "warnings": [*corpus.dataset.warnings, *judgement.remarks],
    }
    checkpoint = Checkpoint(
        network,
        corpus.vocabulary.tokenizer,
        corpus.dataset.labels,
        training,
        plan=plan.to_dict(),
        abstention=judgement.curve,
        thresholds=thresholds,
    )
    return Result(checkpoint, loop, judgement.scores, test, (*_dropped(parts), *judgement.remarks))


@dataclass(frozen=True)
class Judgement:
    """What the texts say that no part had learnt from: scores, the risk-coverage curve or, where a text may
    have several labels, the threshold of each, and remarks."""

    scores: Scores | SetScores | None = None
    curve: RiskCoverage | None = None
    thresholds: tuple[float, ...] | None = None
    remarks: tuple[str, ...] = ()


def _judge(logits: Floats, truth: Split, corpus: Corpus, plan: Plan) -> Judgement:
    """logits: float32 [n, outputs], calibrated."""
    answers = probabilities(torch.from_numpy(logits), several=plan.network.several)
    thresholds = None
    if plan.network.several:
        thresholds = choose_thresholds(truth.labels, answers, plan.precision or None)
    scores = score(torch.from_numpy(logits), truth.labels, corpus.dataset.labels, thresholds)
    if isinstance(scores, SetScores):
        return Judgement(scores, None, thresholds, tuple(set_warnings(scores)))
    crossed = truth is corpus.rows
    remarks = tuple(result_warnings(scores, cross_validated=crossed))
    where = "training texts, cross-validated" if crossed else "validation part"
    return Judgement(scores, RiskCoverage.of(answers, truth.labels.argmax(axis=1), where), None, remarks)


def _dropped(parts: Parts) -> list[str]:
    """What to know of teachers that were asked and are not used."""
    dropped = () if parts.predictions is None else parts.predictions.dropped
    return [
        f"teacher {name} left out: accuracy {with_it:.1%} with it, {without:.1%} without, cross-validated"
        for name, with_it, without in dropped
    ]


def _calibrated(stack: Stack, judged: PartLogits, plan: Plan, labels: Bools) -> tuple[Stack, float]:
    """The weights of the parts, divided by the temperature; with an offset for rare labels, if planned."""
    several = plan.network.several
    logits, targets = torch.from_numpy(stack.logits(judged)), torch.from_numpy(judged.targets)
    temperature = fit_temperature(logits, targets, several=several)
    stack = stack.divided(temperature)
    if plan.balance and not several:
        stack = replace(stack, bias=stack.bias + balance_offset(stack.logits(judged), labels))
    return stack, temperature


def _provenance(parts: Parts, network: Network, loop: LoopResult) -> dict[str, Any]:
    """How the network came about, plain values, kept in the checkpoint and the model file. No clock is
    read."""
    corpus, plan, predictions = parts.corpus, parts.plan, parts.predictions
    dataset = corpus.dataset
    teachers = [] if predictions is None else predictions.members
    return {
        "data": {
            "name": dataset.name,
            "sha256": dataset.digest,
            "train_texts": dict(zip(dataset.labels, corpus.rows.counts())),
            "validation_texts": len(corpus.validation),
            "test_texts": len(dataset.test) if dataset.test else 0,
            "unlabelled_texts": int((corpus.pool_fold < 0).sum()),
            "augmented_texts": int((corpus.pool_fold >= 0).sum()),
            "unknown_words": round(corpus.vocabulary.unknown_words, 4),
            "checks": dict(dataset.checks),
        },
        "preset": plan.preset,
        "seed": plan.seed,
        "parameters": sum(count for _, _, count in network.parameter_table()),
        "teachers": [
            {"name": one.name, "weight": round(one.weight, 3), "accuracy": round(one.accuracy, 4)}
            for one in teachers
        ],
        "teachers_accuracy": None if predictions is None else round(predictions.accuracy, 4),
        "outcome": loop.outcome,
        "epochs": len(loop.history),
        "best_epoch": loop.best.epoch if loop.best else None,
        "examples": example_texts(corpus.rows, plan.examples, plan.seed),
        "versions": {
            "edge-lstm": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
    }
