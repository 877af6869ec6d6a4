"""A turn of the loop: a training whose file takes the place of the one in use if it is better."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_lstm.core.classifier import Classifier
from edge_lstm.core.modelfile import ModelFile, open_model, parse_model
from edge_lstm.core.risk_coverage import is_abstained
from edge_lstm.errors import DataError
from edge_lstm.system.atomic import write_atomically
from edge_lstm_export.arrays import Bools, Floats
from edge_lstm_export.onnx import export
from edge_lstm_export.train.fit import Fitted
from edge_lstm_export.train.job import Job
from edge_lstm_export.train.lstm import SILENT, Callbacks
from edge_lstm_export.train.run import Inputs, run_job
from edge_lstm_export.train.sources import Dataset, Split

# The share of wrong answers, if the file in use has no default.
_USUAL_RISK = 0.05


@dataclass(frozen=True)
class Judged:
    """A file on texts that it has not learnt from.

    answered: the number of texts that it answers at its own threshold, see :func:`answered_well`.
    agreed: the number of texts whose best label is the given one.
    """

    answered: int
    agreed: int


@dataclass(frozen=True)
class Turn:
    """The new file and the one before, on the same texts.

    risk: the share of the answers that may be wrong.
    texts: their number.
    before: None without a file in use.
    refusal: why the file before stays; None if the new one has its place.
    """

    risk: float
    texts: int
    new: Judged
    before: Judged | None
    refusal: str | None

    @property
    def in_use(self) -> Judged:
        """The file that is in use after the turn."""
        return self.new if self.refusal is None or self.before is None else self.before


def run_turn(
    job: Job,
    in_use: Path,
    callbacks: Callbacks = SILENT,
    planned: Callable[[Inputs], None] = lambda _: None,
) -> tuple[Fitted, Turn]:
    """Train, and replace ``in_use`` by the int8 file if that answers as many texts or more.

    job: holds out by digest. Whatever ends the run, a whole file is in use.

    Raise the errors of :func:`run_job`, ModelFileError, and CheckError if the file cannot be made.
    """
    old = open_model(in_use) if in_use.exists() else None
    read: list[Dataset] = []

    def keep(inputs: Inputs) -> None:
        if inputs.plan.network.multi_label:
            raise DataError("--replace is for one label per text; leave it out")
        read.append(inputs.dataset)
        planned(inputs)

    result = run_job(job, callbacks, keep)
    (dataset,) = read
    assert dataset.test is not None
    callbacks.say("comparing with the file in use")
    default = None if old is None or old.abstention is None else old.abstention.default
    data = export(result.checkpoint, quantize="int8", abstain=default).data
    new = parse_model(data, in_use)
    risk = default or _USUAL_RISK
    judged = _judged(new, dataset.test, dataset, risk)
    before = None if old is None else _judged(old, dataset.test, dataset, risk)
    refusal = None
    if new.abstention is None or new.abstention.operating_point(risk) is None:
        refusal = "too few texts show how often the new one is wrong"
    elif before is not None and judged.answered < before.answered:
        refusal = "the file in use answers more"
    if refusal is None:
        write_atomically(data, in_use)
    return result, Turn(risk, len(dataset.test), judged, before, refusal)


def _judged(model: ModelFile, texts: Split, dataset: Dataset, risk: float) -> Judged:
    curve = model.abstention
    point = None if curve is None else curve.operating_point(risk)
    chances = Classifier(model).probabilities(texts.texts)
    place = {label: i for i, label in enumerate(dataset.labels)}
    # A label that the data no longer have is wrong.
    columns = np.array([place.get(label, -1) for label in model.labels])
    is_right = columns[chances.argmax(axis=1)] == texts.labels.argmax(axis=1)
    # Without a threshold no answer is sure.
    threshold = math.inf if point is None else point.threshold
    answered = answered_well(chances.max(axis=1), is_right, threshold, risk)
    return Judged(answered, int(is_right.sum()))


def answered_well(highest: Floats, is_right: Bools, threshold: float, risk: float) -> int:
    """Count answers from the surest on: those at the threshold, while few enough are wrong.

    highest: float32 [n], the probability of each best label. is_right: bool [n].
    threshold: of the file. risk: the share of the answers that may be wrong.
    """
    order = np.argsort(-highest, kind="stable")
    counts = np.arange(1, len(order) + 1)
    is_good = np.cumsum(~is_right[order]) <= risk * counts
    return int(counts[is_good & ~is_abstained(highest[order], threshold)].max(initial=0))
