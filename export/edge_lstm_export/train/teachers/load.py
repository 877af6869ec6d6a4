"""The teachers that a plan names, loaded when they are needed; the package's sentiment model as one, where
labels have to do with praise and complaint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from edge_lstm import Classifier
from edge_lstm_export.train import plan as plans
from edge_lstm_export.train.data import Dataset, Floats, folds_of
from edge_lstm_export.train.options import MOST_EXACT_LABELS, SENTIMENT
from edge_lstm_export.train.pretrained import PretrainedWords, english
from edge_lstm_export.train.teachers import base, encoder
from edge_lstm_export.train.teachers.base import Regression, Say, Teacher, improves, stacked
from edge_lstm_export.train.teachers.classifier import ClassifierTeacher
from edge_lstm_export.train.teachers.linear import LinearTeacher

MOST_ASKED = 1_999  # rows that show whether the sentiment model knows their labels
FOLDS = 5
_LEAST = 1e-4  # of a probability; what is beyond says no more of how sure the sentiment model is
_SCALE = 3.0  # so that a text's number is about 1 in size, as vectors of length 1 are


@dataclass
class Teachers:
    """The teachers of one training."""

    plan: plans.Plan
    labels: Sequence[str]
    say: Say = lambda line: None

    @cached_property
    def words(self) -> PretrainedWords | None:
        """The word table of the plan."""
        if self.plan.word_table == "english":
            return english()
        return encoder.encoder_words(self._reader.model) if self.plan.word_table == "encoder" else None

    @cached_property
    def _reader(self) -> encoder.EncoderReader:
        """Of the plan's encoder, which there is, or the plan would be none."""
        source = next(name.partition(" ")[2] for name in self.plan.teachers if " " in name)
        return encoder.EncoderReader(source, self.say)

    def load(self) -> list[Teacher]:
        """In the plan's order. Raises DataError where one cannot be read, MissingPackageError."""
        return [self._teacher(*name.partition(" ")[::2]) for name in self.plan.teachers]

    def _teacher(self, kind: str, source: str) -> Teacher:
        several = self.plan.network.several
        if kind == plans.LINEAR:
            return LinearTeacher(several, characters=not self.plan.loop.crops, words=self.words)
        if kind == SENTIMENT:
            return sentiment_teacher(several)
        if kind == plans.PROBE:
            return self._reader.probe(several)
        if kind == plans.FINE_TUNED:
            return encoder.FineTunedEncoder(self._reader, several, self.plan.seed)
        return ClassifierTeacher(source, self.labels, self.say)


def sentiment_teacher(several: bool) -> Regression:
    """The package's own model, whose one number for a text a regression maps to the labels at hand."""

    def log_odds(texts: Sequence[str]) -> Floats:
        """float32 [texts, 1]: how sure the model is of praise."""
        chances = Classifier.load().probabilities(texts).clip(_LEAST, 1)
        return np.asarray(np.log(chances[:, 1:] / chances[:, :1]) / _SCALE, np.float32)

    return Regression("sentiment model", log_odds, several)


def sentiment_improves(
    dataset: Dataset, seed: int, words: PretrainedWords | None = None
) -> tuple[float, float, float] | None:
    """(accuracy with, without) the package's sentiment model beside a linear one, cross-fitted, where it
    improves predictions, and its own accuracy; else None."""
    has_many = dataset.several or len(dataset.labels) > MOST_EXACT_LABELS
    if has_many or not 10 <= len(dataset.train) <= plans.MOST_WITH_WORDS:
        return None
    drawn = np.random.default_rng([seed, 0x5E]).permutation(len(dataset.train))[:MOST_ASKED]
    train = dataset.train.subset(np.sort(drawn))
    labels, fold = train.labels, folds_of(train, FOLDS, seed)
    if (labels.sum(axis=0) > 1).sum() < 2:
        return None

    def logits(teacher: Teacher) -> Floats:
        teacher.read(train.texts)
        return base.cross_fit(teacher, labels, fold, np.zeros((FOLDS + 1, 0), np.bool_)).labelled

    alone = logits(sentiment_teacher(False))
    frequent = np.broadcast_to(np.log(labels.mean(axis=0).clip(1e-6)), alone.shape).astype(np.float32)
    if not improves(alone, frequent, labels, False):  # asked first: it takes no time
        return None
    without = stacked([logits(LinearTeacher(False, words=words))], labels, False)
    with_it = stacked([without, alone], labels, False)
    if not improves(with_it, without, labels, False):
        return None
    rates = [base.accuracy(each, labels, False) for each in (with_it, without, alone)]
    return rates[0], rates[1], rates[2]
