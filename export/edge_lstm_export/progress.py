"""The stages and epochs of a training, shown on standard error."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from edge_lstm.printable import counted, duration, printable
from edge_lstm.system.signals import deferred, received

if TYPE_CHECKING:  # a message needs no torch
    from edge_lstm.core.text import Tokenizer
    from edge_lstm_export.network import Network
    from edge_lstm_export.train.lstm import Callbacks, EpochRecord

SILENCE_SECONDS = 2.0  # after which a stage or an epoch has a line in any case


def message(text: str) -> None:
    """Print a line for the person, on standard error."""
    sys.stderr.write(f"{printable(text)}\n")
    sys.stderr.flush()


class Display:
    """Show stages and epochs on standard error.

    On a terminal there is a spinner, elsewhere a line for each stage.

    quiet: a line only after two seconds without one.
    epochs: number of all at most; None: not known yet.
    """

    def __init__(self, *, quiet: bool = False, epochs: int | None = None) -> None:
        self.quiet = quiet
        self.epochs = EpochLines(epochs)
        self._status: Any = None
        self._last_line = time.monotonic()

    def __enter__(self) -> Display:
        if sys.stderr.isatty():
            from rich.console import Console

            self._status = Console(stderr=True, highlight=False, markup=False).status("starting")
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def say(self, line: str) -> None:
        """Show that a stage begins, or how far it is."""
        if self._status is None:
            if not self.quiet or time.monotonic() - self._last_line > SILENCE_SECONDS:
                message(line)
                self._last_line = time.monotonic()
        else:
            from rich.text import Text

            self._status.update(Text(printable(line)))
        if received():  # A library may have swallowed what was raised.
            raise KeyboardInterrupt

    def callbacks(self) -> Callbacks:
        """Return what the training calls."""
        from edge_lstm_export.train.lstm import Callbacks

        return Callbacks(
            say=self.say,
            started=self._started,
            on_batch=self._batch,
            on_epoch=self._epoch,
            should_stop=received,
            deferring=deferred,
        )

    def _started(self, network: Network, tokenizer: Tokenizer, texts: int) -> None:
        self.say(f"training {network.parameter_count():,} parameters on {counted(texts, 'text')}")

    def _batch(self, record: EpochRecord, batch: int, batches: int) -> None:
        if self._status is not None:
            done = f"{batch / batches:4.0%}  loss {record.loss:.4f}"
            left = self.epochs.left(record.epoch - 1 + batch / batches)
            self.say(
                f"{self.epochs.which(record)} {done}  training accuracy {record.accuracy:.1%}{left}"
            )

    def _epoch(self, record: EpochRecord) -> None:
        line = self.epochs.complete(record)
        is_due = time.monotonic() - self._last_line > SILENCE_SECONDS
        if is_due and not (self._status or self.quiet):
            self.say(line)


class EpochLines:
    """The epochs of a training as lines for a person, fewer than 80 characters each.

    total: how many there are at most; None: not known.
    """

    def __init__(self, total: int | None) -> None:
        self.total = total
        self._seconds: list[float] = []  # one for each complete epoch

    def which(self, record: EpochRecord) -> str:
        """``epoch 6 of 14``."""
        return f"epoch {record.epoch} of {self.total}" if self.total else f"epoch {record.epoch}"

    def left(self, done: float) -> str:
        """Return how long the other epochs take, if none of them is left out.

        The text is empty if that is unknown.

        done: epochs that are complete, and the part of the one under way.
        """
        if not (self._seconds and self.total) or done >= self.total:
            return ""
        mean = sum(self._seconds) / len(self._seconds)
        return f"  at most {duration((self.total - done) * mean)} left"

    def complete(self, record: EpochRecord) -> str:
        """Return the line of an epoch that is complete."""
        self._seconds.append(record.seconds)
        measured = f"training accuracy {record.accuracy:.2%}"
        if record.validation_accuracy is not None:
            measured = (
                f"accuracy {record.accuracy:.2%}  validation {record.validation_accuracy:.2%}"
            )
        return f"{self.which(record)}  {measured}{self.left(record.epoch)}"
