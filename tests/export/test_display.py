"""What a person sees of a training: which epoch of how many, and how long it takes at most."""

from __future__ import annotations

from dataclasses import replace

from edge_lstm_export.progress import EpochLines
from edge_lstm_export.train.lstm.history import EpochRecord


def record(epoch: int, seconds: float) -> EpochRecord:
    return EpochRecord(epoch, 0.5, 0.75, 1e-3, seconds, 0.6, 0.7, 0.6)


def test_an_epoch_is_one_of_so_many_and_the_others_take_so_long_at_most() -> None:
    epochs = EpochLines(14)
    lines = [
        epochs.complete(record(epoch, seconds))
        for epoch, seconds in ((5, 50.0), (6, 70.0), (14, 60.0))
    ]
    assert lines == [
        "epoch 5 of 14  accuracy 75.00%  validation 70.00%  at most 7 min 30 s left",
        "epoch 6 of 14  accuracy 75.00%  validation 70.00%  at most 8 min 00 s left",
        "epoch 14 of 14  accuracy 75.00%  validation 70.00%",
    ]
    assert max(map(len, lines)) < 80


def test_an_accuracy_on_rows_that_were_learnt_says_so() -> None:
    line = EpochLines(2).complete(replace(record(2, 1.0), validation_accuracy=None))
    assert line == "epoch 2 of 2  training accuracy 75.00%"
