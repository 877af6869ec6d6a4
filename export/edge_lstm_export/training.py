"""The training loop: examples → the best weights that the validation part saw.

Plain PyTorch. A run is decided by the network's first weights, the examples and the options alone: the
order of batches comes from (seed, epoch), dropout from a random state that is kept with the progress,
so a run that is interrupted at any batch and resumed ends with the same bits as one that is not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from edge_lstm.errors import DataError
from edge_lstm.text import OOV_ID, PAD_ID
from edge_lstm_export.evaluation import count_correct, fit_temperature, predict_logits, soft_cross_entropy
from edge_lstm_export.examples import Examples, cropped, shuffled_batches
from edge_lstm_export.history import EpochRecord, best_of
from edge_lstm_export.network import Network
from edge_lstm_export.optimizer import AdamW
from edge_lstm_export.presets import TrainingOptions

Outcome = Literal["finished", "stopped early", "interrupted"]
Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class BatchReport:
    """Where a run is, for a progress bar: epoch and batch count from 1, loss and accuracy are those of
    the epoch so far.
    """

    epoch: int
    batch: int
    batches: int
    loss: float
    accuracy: float


@dataclass(frozen=True)
class Progress:
    """A run between two batches: everything needed to continue it bit for bit.

    plain: JSON values: epoch and batch reached, the epoch's sums, the history.
    tensors: ``current.NAME`` and ``best.NAME`` weights, ``optimizer.NAME.MOMENT``, ``random.cpu`` …
    """

    plain: dict[str, Any]
    tensors: Tensors


def _ignore(*_: Any) -> None:
    return None


@dataclass(frozen=True)
class Callbacks:
    """What a caller hears of a run, and how it ends one.

    on_begin: before the first batch, unless the run is resumed. should_stop: asked after every batch, of the
    validation too. deferring: entered for as long as it is asked.
    """

    on_begin: Callable[[Progress], None] = _ignore
    on_batch: Callable[[BatchReport], None] = _ignore
    on_epoch: Callable[[EpochRecord, Progress], None] = _ignore
    should_stop: Callable[[], bool] = field(default=lambda: False)
    deferring: Callable[[], AbstractContextManager[None]] = nullcontext


@dataclass(frozen=True)
class TrainingResult:
    """How a run ended; the network holds the best epoch's weights (its current ones where no epoch is
    complete). progress: what to resume from, None unless interrupted. seconds: of all its parts.
    """

    outcome: Outcome
    history: tuple[EpochRecord, ...]
    best: EpochRecord | None
    seconds: float
    progress: Progress | None


def train_network(
    network: Network,
    examples: Examples,
    options: TrainingOptions,
    validation: Examples | None = None,
    *,
    labelled: int | None = None,
    callbacks: Callbacks | None = None,
    resume: Progress | None = None,
    device: str = "cpu",
) -> TrainingResult:
    """Trains ``network`` in place and leaves the best weights in it, on the CPU, in evaluation mode.

    examples.targets may be soft: the loss is the cross entropy with them. Without ``validation`` the
    training loss decides which epoch is best. labelled: the first of the validation texts, whose accuracy is
    said; None: all. Raises DataError where there is nothing to train on or
    the loss is no number any more.
    """
    if not len(examples):
        raise DataError("no training texts are left; give more data")
    # The caller's random state stays as it was.
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if device != "cpu" else []):
        callbacks = callbacks or Callbacks()
        run = _Run(network, examples, options, validation, labelled, callbacks, device)
        if resume is not None:
            run.restore(resume)
        else:
            callbacks.on_begin(run.progress())
        with callbacks.deferring():
            return run.go()


class _Stopped(Exception):  # noqa: N818 (no error)
    """The validation was ended before its last batch."""


class _Run:
    """The moving parts of one call of train_network."""

    def __init__(
        self,
        network: Network,
        examples: Examples,
        options: TrainingOptions,
        validation: Examples | None,
        labelled: int | None,
        callbacks: Callbacks,
        device: str,
    ) -> None:
        torch.manual_seed(options.seed)
        self.network, self.examples, self.options = network.to(device), examples, options
        network.lstm_in_bfloat16 = options.bfloat16 and multiplies_bfloat16()
        self.validation, self.callbacks, self.device = validation, callbacks, device
        self.labelled = labelled
        self.several = network.config.several
        trained = [p for p in network.parameters() if p.requires_grad]
        embedding = network.embedding.weight
        matrices = [p for p in trained if p.ndim > 1 and p is not embedding]
        decay = options.weight_decay
        groups = [
            {"params": [embedding], "weight_decay": decay, "share": options.embedding_rate},
            {"params": matrices, "weight_decay": decay, "share": 1.0},
            {"params": [p for p in trained if p.ndim == 1], "weight_decay": 0.0, "share": 1.0},
        ]
        self.optimizer = AdamW(groups, options.learning_rate, fused=device == "cpu")
        self.batches = math.ceil(len(examples) / options.batch_size)  # an epoch
        self.history: list[EpochRecord] = []
        self.best_weights: Tensors = {}
        self.epoch = 0
        self.begin_epoch()

    def begin_epoch(self) -> None:
        self.batch, self.loss_sum, self.correct, self.seen, self.seconds = 0, 0.0, 0, 0, 0.0

    def go(self) -> TrainingResult:
        outcome = self.outcome()
        while outcome is None:
            try:
                self.run_batches()
                self.close_epoch()
                self.stop_if_asked()
                outcome = self.outcome()
            except _Stopped:
                outcome = "interrupted"
        progress = self.progress() if outcome == "interrupted" else None
        if self.best_weights:
            self.network.load_state_dict(self.best_weights)
        self.network.to("cpu").eval()
        seconds = sum(record.seconds for record in self.history) + self.seconds
        return TrainingResult(outcome, tuple(self.history), best_of(self.history), seconds, progress)

    def outcome(self) -> Outcome | None:
        """How the run has ended, by the epochs that are complete; None where there is more to do."""
        if self.epoch >= self.options.epochs:
            return "finished"
        best = best_of(self.history)
        return "stopped early" if best and self.epoch - best.epoch >= self.options.patience else None

    def stop_if_asked(self) -> None:
        if self.callbacks.should_stop():
            raise _Stopped

    def run_batches(self) -> None:
        """The epoch's batches, or those that are left of a resumed one."""
        begin = time.perf_counter() - self.seconds
        self.network.train()
        batches = shuffled_batches(self.examples, self.options.batch_size, self.options.seed, self.epoch)
        for rows in batches[self.batch :]:
            ids, lengths = self.examples.padded(rows)
            if self.options.crops:
                ids, lengths = cropped(ids, lengths, self.options.crops)
            loss, correct = self.step(ids, lengths, torch.from_numpy(self.examples.targets[rows]))
            if not math.isfinite(loss):
                raise DataError(
                    f"the loss is no longer a number in epoch {self.epoch + 1}; use a smaller --learning-rate"
                )
            self.batch += 1
            self.loss_sum += loss * len(rows)
            self.correct += correct
            self.seen += len(rows)
            self.seconds = time.perf_counter() - begin
            self.callbacks.on_batch(
                BatchReport(
                    self.epoch + 1,
                    self.batch,
                    self.batches,
                    self.loss_sum / self.seen,
                    self.correct / self.seen,
                )
            )
            self.stop_if_asked()

    def step(self, ids: Tensor, lengths: Tensor, targets: Tensor) -> tuple[float, int]:
        """One update. Returns the clean loss and the number of right answers of the batch [B, T]."""
        ids, lengths, targets = (t.to(self.device) for t in (ids, lengths, targets))
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate() * group["share"]
        self.optimizer.zero_grad()
        if self.options.word_dropout:
            drop = torch.rand(ids.shape, device=self.device) < self.options.word_dropout
            ids = torch.where(drop & (ids != PAD_ID), OOV_ID, ids)
        noise = None
        if self.options.adversarial:
            # Zeros that gather the gradient with respect to the embedded tokens.
            shape = (*ids.shape, self.network.config.embedding_dim)
            noise = torch.zeros(shape, device=self.device, requires_grad=True)
        logits = self.network(ids, lengths, noise)
        loss = self.loss_of(logits, targets)
        loss.backward()  # type: ignore[no-untyped-call]
        if noise is not None and noise.grad is not None:
            moved = self.adversarial_noise(ids, lengths, noise.grad)
            self.loss_of(self.network(ids, lengths, moved), targets).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.options.clip)
        self.optimizer.step()
        return float(loss.detach()), count_correct(logits.detach(), targets, several=self.several)

    def loss_of(self, logits: Tensor, targets: Tensor) -> Tensor:
        return soft_cross_entropy(logits, targets, several=self.several)

    def adversarial_noise(self, ids: Tensor, lengths: Tensor, gradient: Tensor) -> Tensor:
        """gradient [B, T, E] → noise [B, T, E], per text ``adversarial`` times the norm of its tokens.

        Scores against the text's own norm, the network cannot escape by growing its embedding, and a
        long text is moved as far per token as a short one.
        """
        with torch.no_grad():
            inside = torch.arange(ids.shape[1], device=self.device) < lengths.unsqueeze(1)  # B, T
            embedded = self.network.embedding(ids) * inside.unsqueeze(2)  # B, T, E
            size = self.options.adversarial * embedded.norm(dim=(1, 2), keepdim=True)  # B, 1, 1
            moved: Tensor = size * gradient / gradient.norm(dim=(1, 2), keepdim=True).clamp_min(1e-12)
            return moved

    def learning_rate(self) -> float:
        """The rate of the coming step: linear warm-up, then a cosine to zero."""
        step, steps = self.epoch * self.batches + self.batch, self.options.epochs * self.batches
        warm = max(1, round(self.options.warmup * steps))
        if step < warm:
            return self.options.learning_rate * (step + 1) / warm
        return (
            self.options.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
        )

    def close_epoch(self) -> None:
        """Measures on the validation part and keeps the weights where they are the best so far."""
        begin = time.perf_counter()
        validation_loss = validation_accuracy = calibrated_loss = temperature = None
        if self.validation is not None and len(self.validation):
            logits = predict_logits(
                self.network, self.validation, device=self.device, on_batch=self.stop_if_asked
            )
            targets = torch.from_numpy(self.validation.targets)
            validation_loss = float(self.loss_of(logits, targets))
            known = logits[: self.labelled], targets[: self.labelled]
            validation_accuracy = count_correct(*known, several=self.several) / len(known[0])
            temperature = fit_temperature(logits, targets, several=self.several)
            calibrated_loss = float(self.loss_of(logits / temperature, targets))
        record = EpochRecord(
            epoch=self.epoch + 1,
            loss=self.loss_sum / self.seen,
            accuracy=self.correct / self.seen,
            validation_loss=validation_loss,
            validation_accuracy=validation_accuracy,
            calibrated_loss=calibrated_loss,
            learning_rate=self.learning_rate(),
            seconds=self.seconds + time.perf_counter() - begin,
            temperature=temperature,
        )
        self.history.append(record)
        if best_of(self.history) is record:
            self.best_weights = self.weights()
        self.epoch += 1
        self.begin_epoch()
        self.callbacks.on_epoch(record, self.progress())

    def weights(self) -> Tensors:
        return {name: value.detach().cpu().clone() for name, value in self.network.state_dict().items()}

    def progress(self) -> Progress:
        tensors = {f"current.{name}": value for name, value in self.weights().items()}
        tensors |= {f"best.{name}": value for name, value in self.best_weights.items()}
        for name, parameter in self.network.named_parameters():
            for moment, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer.{name}.{moment}"] = value.detach().cpu().clone()
        tensors["random.cpu"] = torch.get_rng_state()
        if self.device != "cpu":
            tensors["random.device"] = torch.cuda.get_rng_state(self.device)
        plain = {
            "epoch": self.epoch,
            "batch": self.batch,
            "loss_sum": self.loss_sum,
            "correct": self.correct,
            "seen": self.seen,
            "seconds": self.seconds,
            "history": [asdict(record) for record in self.history],
        }
        return Progress(plain, tensors)

    def restore(self, progress: Progress) -> None:
        """Raises DataError where the progress is that of another network or is incomplete."""
        plain, tensors = dict(progress.plain), progress.tensors
        try:
            self.history = [EpochRecord(**record) for record in plain.pop("history")]
            for name in ("epoch", "batch", "loss_sum", "correct", "seen", "seconds"):
                setattr(self, name, plain[name])
            self.network.load_state_dict(_below(tensors, "current."))
            self.best_weights = _below(tensors, "best.")
            for name, parameter in self.network.named_parameters():
                moments = _below(tensors, f"optimizer.{name}.")
                # AdamW keeps its step count on the CPU, the moments where the parameter is.
                state = {m: v if m == "step" else v.to(self.device) for m, v in moments.items()}
                if state:
                    self.optimizer.state[parameter] = state
            torch.set_rng_state(tensors["random.cpu"])
            if self.device != "cpu":
                torch.cuda.set_rng_state(tensors["random.device"], self.device)
        except (KeyError, TypeError, RuntimeError) as error:
            reason = str(error).splitlines()[0][:200]
            raise DataError(f"the saved progress does not fit this training ({reason}); start over") from None


def multiplies_bfloat16() -> bool:
    """Whether this CPU has bfloat16 products (AVX512-BF16, AMX); without, they are slower than float32."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _below(tensors: Tensors, prefix: str) -> Tensors:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
