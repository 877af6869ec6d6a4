"""The training loop: examples → the best weights that the validation texts saw.

Plain PyTorch. The network's first weights, the examples, the options and the seed alone decide a
run: one that is interrupted at any batch and resumed ends with the same bits as one that is not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from edge_lstm.core.text import Tokenizer
from edge_lstm.errors import DataError
from edge_lstm_export.checkpoint import Stage
from edge_lstm_export.network import (
    Examples,
    Network,
    adamw,
    count_correct,
    cropped,
    fit_temperature,
    predict_logits,
    shuffled_batches,
    soft_cross_entropy,
)
from edge_lstm_export.options import LoopOptions
from edge_lstm_export.train.lstm.history import EpochRecord, best_of

Outcome = Literal["finished", "stopped early"]
Tensors = dict[str, Tensor]
_SUMS = ("epoch", "batch", "loss_sum", "correct", "seen", "seconds")


@dataclass(frozen=True)
class Callbacks:
    """What a caller hears of a training, and how it ends one.

    Each may raise KeyboardInterrupt.

    say: a stage begins, or got so far.
    started: the network is made; with its tokenizer, and the number of texts that it learns from.
    keep: called with the run's state before the first batch (unless it is resumed), after every
        epoch, and if the run is stopped.
    on_batch: the epoch so far, and how many of how many batches that is.
    should_stop: asked after every batch, of the validation too.
    deferring: entered for as long as it is asked.
    """

    say: Callable[[str], None] = lambda line: None
    started: Callable[[Network, Tokenizer, int], None] = lambda network, tokenizer, texts: None
    keep: Callable[[Stage], None] = lambda progress: None
    on_batch: Callable[[EpochRecord, int, int], None] = lambda epoch, batch, batches: None
    on_epoch: Callable[[EpochRecord], None] = lambda epoch: None
    should_stop: Callable[[], bool] = lambda: False
    deferring: Callable[[], AbstractContextManager[None]] = nullcontext


SILENT = Callbacks()


@dataclass(frozen=True)
class LoopResult:
    """How a run ended; the network holds the best epoch's weights."""

    outcome: Outcome
    history: tuple[EpochRecord, ...]


def fit_network(
    network: Network,
    examples: Examples,
    options: LoopOptions,
    seed: int,
    validation: Examples | None = None,
    callbacks: Callbacks = SILENT,
    resume: Stage | None = None,
) -> LoopResult:
    """Train ``network`` in place and leave the best weights in it, in evaluation mode.

    examples: their targets may be soft; the loss is the cross entropy with them.
    validation: without it the last epoch's weights are kept.
    resume: the state of an interrupted run.

    Raise DataError if there is nothing to train on or the loss is not a number any more, and
    KeyboardInterrupt if it is stopped.
    """
    if not len(examples):
        raise DataError("no training texts are left; give more data")
    with torch.random.fork_rng(devices=[]):  # the caller's random state stays as it was
        torch.manual_seed(seed)
        run = _Run(network, examples, options, seed, validation, callbacks)
        if resume is not None:
            run.restore(resume)
        else:
            callbacks.keep(run.progress())
        with callbacks.deferring():
            return run.go()


@dataclass
class _Run:
    """The moving parts of one call of fit_network."""

    network: Network
    examples: Examples
    options: LoopOptions
    seed: int
    validation: Examples | None
    callbacks: Callbacks

    def __post_init__(self) -> None:
        options = self.options
        network = self.network
        self.multi_label = network.config.multi_label
        trained = [p for p in network.parameters() if p.requires_grad]
        embedding = network.embedding.weight
        groups = [
            {"params": [embedding], "share": options.embedding_rate},
            {"params": [p for p in trained if p.ndim > 1 and p is not embedding], "share": 1.0},
            {"params": [p for p in trained if p.ndim == 1], "share": 1.0, "weight_decay": 0.0},
        ]
        self.optimizer = adamw(groups, options.learning_rate)
        self.batches = math.ceil(len(self.examples) / options.batch_size)  # per epoch
        self.history: list[EpochRecord] = []
        self.best_weights: Tensors = {}
        self.epoch = 0
        self.begin_epoch()

    def begin_epoch(self) -> None:
        self.batch = 0
        self.loss_sum = 0.0
        self.correct = 0
        self.seen = 0
        self.seconds = 0.0

    def go(self) -> LoopResult:
        while (outcome := self.outcome()) is None:
            self.run_batches()
            self.close_epoch()
            self.stop_if_asked()
        if self.best_weights:
            self.network.load_state_dict(self.best_weights)
        self.network.eval()
        return LoopResult(outcome, tuple(self.history))

    def outcome(self) -> Outcome | None:
        """How the run has ended, by the epochs that are complete; None if there is more to do."""
        if self.epoch >= self.options.epochs:
            return "finished"
        best = best_of(self.history)
        if best is not None and self.epoch - best.epoch >= self.options.patience:
            return "stopped early"
        return None

    def stop_if_asked(self) -> None:
        if self.callbacks.should_stop():
            self.callbacks.keep(self.progress())
            raise KeyboardInterrupt

    def run_batches(self) -> None:
        """Train on the epoch's batches, or on the rest of a resumed one."""
        begin = time.perf_counter() - self.seconds
        self.network.train()
        batches = shuffled_batches(self.examples, self.options.batch_size, self.seed, self.epoch)
        for rows in batches[self.batch :]:
            ids, lengths = self.examples.padded(rows)
            if self.options.crops:
                ids, lengths = cropped(ids, lengths, self.options.crops)
            loss, correct = self.step(ids, lengths, torch.from_numpy(self.examples.targets[rows]))
            if not math.isfinite(loss):
                raise DataError(
                    f"the loss is NaN in epoch {self.epoch + 1}; lower the learning_rate"
                )
            self.batch += 1
            self.loss_sum += loss * len(rows)
            self.correct += correct
            self.seen += len(rows)
            self.seconds = time.perf_counter() - begin
            self.callbacks.on_batch(self.record(), self.batch, self.batches)
            self.stop_if_asked()

    def record(self, **measured: float) -> EpochRecord:
        """Return the epoch so far."""
        loss = self.loss_sum / self.seen
        accuracy = self.correct / self.seen
        return EpochRecord(
            self.epoch + 1, loss, accuracy, self.learning_rate(), self.seconds, **measured
        )

    def step(self, ids: Tensor, lengths: Tensor, targets: Tensor) -> tuple[float, int]:
        """One update.

        Returns the loss and the number of correct answers of the batch [B, T].
        """
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate() * group["share"]
        self.optimizer.zero_grad()
        logits = self.network(ids, lengths)
        loss = soft_cross_entropy(logits, targets, multi_label=self.multi_label)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        correct = count_correct(logits.detach(), targets, multi_label=self.multi_label)
        return float(loss.detach()), correct

    def learning_rate(self) -> float:
        """Return the rate of the coming step.

        It rises over a twentieth of the steps, then falls to zero along a cosine.
        """
        step = self.epoch * self.batches + self.batch
        steps = self.options.epochs * self.batches
        warm = max(1, round(0.05 * steps))
        if step < warm:
            return self.options.learning_rate * (step + 1) / warm
        share = (step - warm) / max(1, steps - warm)
        return self.options.learning_rate * 0.5 * (1 + math.cos(math.pi * share))

    def close_epoch(self) -> None:
        """Measure on the validation texts and keep the weights if they are the best so far."""
        begin = time.perf_counter()
        measured = self.measure(self.validation) if self.validation else {}
        self.seconds += time.perf_counter() - begin
        record = self.record(**measured)
        self.history.append(record)
        if best_of(self.history) is record:
            self.best_weights = self.weights()
        self.epoch += 1
        self.begin_epoch()
        self.callbacks.on_epoch(record)
        self.callbacks.keep(self.progress())

    def measure(self, validation: Examples) -> dict[str, float]:
        logits = predict_logits(self.network, validation, on_batch=self.stop_if_asked)
        targets = torch.from_numpy(validation.targets)
        given: dict[str, Any] = {"targets": targets, "multi_label": self.multi_label}
        temperature = fit_temperature(logits, **given)
        return {
            "validation_loss": float(soft_cross_entropy(logits, **given)),
            "validation_accuracy": count_correct(logits, **given) / len(targets),
            "calibrated_loss": float(soft_cross_entropy(logits / temperature, **given)),
        }

    def weights(self) -> Tensors:
        return {name: value.detach().clone() for name, value in self.network.state_dict().items()}

    def progress(self) -> Stage:
        """Return the run between two batches: everything needed to continue it bit for bit.

        plain: epoch and batch reached, the epoch's sums, the history.
        tensors: ``current.NAME`` and ``best.NAME`` weights, ``optimizer.NAME.MOMENT``, ``random``.
        """
        tensors = {f"current.{name}": value for name, value in self.weights().items()}
        tensors |= {f"best.{name}": value for name, value in self.best_weights.items()}
        for name, parameter in self.network.named_parameters():
            for moment, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer.{name}.{moment}"] = value.detach().clone()
        tensors["random"] = torch.get_rng_state()
        plain = {name: getattr(self, name) for name in _SUMS}
        return Stage({**plain, "history": [asdict(record) for record in self.history]}, tensors)

    def restore(self, progress: Stage) -> None:
        """Raise DataError if the progress is of another network, or is incomplete."""
        try:
            self.history = [EpochRecord(**record) for record in progress.plain["history"]]
            for name in _SUMS:
                setattr(self, name, progress.plain[name])
            self.network.load_state_dict(_below(progress.tensors, "current."))
            self.best_weights = _below(progress.tensors, "best.")
            for name, parameter in self.network.named_parameters():
                if state := _below(progress.tensors, f"optimizer.{name}."):
                    self.optimizer.state[parameter] = state
            torch.set_rng_state(progress.tensors["random"])
        except (KeyError, TypeError, RuntimeError) as error:
            reason = str(error).splitlines()[0][:200]
            raise DataError(
                f"the saved progress does not fit this training ({reason}); start over"
            ) from None


def _below(tensors: Tensors, prefix: str) -> Tensors:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
