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
    score,
)
from edge_lstm_export.train.checkpoint import Checkpoint
from edge_lstm_export.train.corpus import Corpus, example_texts, prepare
from edge_lstm_export.train.data import Dataset, Floats
from edge_lstm_export.train.loop import Callbacks, LoopResult, Progress, fit_network
from edge_lstm_export.train.network import Network
from edge_lstm_export.train.parts import Parts, ask_teachers, put_together
from edge_lstm_export.train.plan import Plan
from edge_lstm_export.train.teachers.base import EnsemblePredictions
from edge_lstm_export.train.teachers.load import Teachers
from edge_lstm_export.train.thresholds import choose_thresholds
from edge_lstm_export.train.warnings import result_warnings


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
    _check_unlabelled(plan, unlabelled, soft_labels)
    if soft_labels is None:
        unlabelled = unlabelled[: plan.unlabelled]
    teachers = teachers or Teachers(plan, dataset.labels, say)
    corpus = prepare(dataset, plan, unlabelled, teachers.words)
    predictions = ask_teachers(corpus, plan, teachers.load(), say) if plan.teachers else None
    parts = Parts(corpus, plan, predictions, teachers.words, soft_labels)
    crossed = parts.cross_validate(say) if plan.validation.folds else None
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
        crossed = parts.logits(network, residual or parts.fit_sparse(), validation)
    stack, temperature, evaluation = _calibrate(parts, crossed, residual is not None)
    put_together(network, stack, residual or parts.fit_sparse(more=validation))
    if plan.network.several:
        # Thresholds lie where many texts are: chosen on what the int8 file holds, few texts cross one.
        round_to_int8(network)
    checkpoint = _checkpoint(parts, network, loop, evaluation)
    test = None
    if dataset.test is not None:
        logits = predict_logits(network, parts.examples(dataset.test))
        test = score(logits, dataset.test.labels, dataset.labels, checkpoint.thresholds)
    checkpoint.training.update(
        validation=evaluation.scores.to_dict() if evaluation.scores else None,
        cross_validated=crossed is not None and validation is None,
        test=test.to_dict() if test else None,
        parts={"lstm": round(stack.lstm, 4), "ngrams": round(stack.sparse, 4)},
        temperature=round(temperature, 6),
        warnings=[*dataset.warnings, *evaluation.remarks],
    )
    return Result(checkpoint, loop, evaluation.scores, test, (*_dropped(predictions), *evaluation.remarks))


def _check_unlabelled(plan: Plan, unlabelled: Sequence[str], soft_labels: Floats | None) -> None:
    if soft_labels is None:
        if len(unlabelled) and not plan.teachers:
            raise DataError("texts without labels need a teacher; leave out --unlabelled or --teacher none")
    elif plan.teachers or len(soft_labels) != len(unlabelled):
        raise DataError("soft labels are for each unlabelled text, and without other teachers")


def _dropped(predictions: EnsemblePredictions | None) -> list[str]:
    return [
        f"teacher {name} left out: accuracy {with_it:.1%} with it, {without:.1%} without, cross-validated"
        for name, with_it, without in (predictions.dropped if predictions else ())
    ]


@dataclass(frozen=True)
class Evaluation:
    """How good the network is on texts that no part had learnt from: scores, the risk-coverage curve or,
    where a text may have several labels, the threshold of each, and remarks."""

    scores: Scores | SetScores | None = None
    curve: RiskCoverage | None = None
    thresholds: tuple[float, ...] | None = None
    remarks: tuple[str, ...] = ()


def _calibrate(parts: Parts, unseen: PartLogits | None, residual: bool) -> tuple[Stack, float, Evaluation]:
    """(weights of the parts, temperature that is in them, how good they are). unseen: of the validation
    texts, or of the rows by cross-validation. residual: the n-grams' logits are added to the LSTM's own."""
    corpus, plan, examples = parts.corpus, parts.plan, len(parts.rows) + len(parts.pool)
    several, labels = plan.network.several, corpus.dataset.labels
    stack = expected_stack(examples, parts.config.logits)
    if residual or parts.features is None:
        stack = Stack(1.0, float(residual), stack.bias)
    elif unseen is not None:
        stack = fit_stack(unseen, examples, several=several)
    if unseen is None:
        return stack, 1.0, Evaluation()
    truth = corpus.validation if len(corpus.validation) else corpus.rows
    targets = torch.from_numpy(unseen.targets)
    temperature = fit_temperature(torch.from_numpy(stack.logits(unseen)), targets, several=several)
    stack = stack.divided(temperature)
    if plan.balance and not several:
        stack = replace(stack, bias=stack.bias + balance_offset(stack.logits(unseen), truth.labels))
    logits = torch.from_numpy(stack.logits(unseen))
    chances = probabilities(logits, several=several)
    thresholds = choose_thresholds(truth.labels, chances, plan.precision or None) if several else None
    scores = score(logits, truth.labels, labels, thresholds)
    remarks = tuple(result_warnings(scores))
    if isinstance(scores, SetScores):
        return stack, temperature, Evaluation(scores, None, thresholds, remarks)
    where = "training texts, cross-validated" if truth is corpus.rows else "validation part"
    curve = RiskCoverage.of(chances, truth.labels.argmax(axis=1), where)
    return stack, temperature, Evaluation(scores, curve, None, remarks)


def _checkpoint(parts: Parts, network: Network, loop: LoopResult, evaluation: Evaluation) -> Checkpoint:
    corpus, plan = parts.corpus, parts.plan
    return Checkpoint(
        network,
        corpus.vocabulary.tokenizer,
        corpus.dataset.labels,
        _provenance(parts, network, loop),
        plan.to_dict(),
        evaluation.thresholds,
        evaluation.curve,
    )


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
