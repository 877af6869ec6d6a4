"""The teachers of a plan, loaded when they are needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from edge_lstm_export.checkpoint import TEACHERS, Stages
from edge_lstm_export.options import ENCODERS, Plan, TeacherOptions
from edge_lstm_export.train.data import (
    EnsemblePredictions,
    LabelledRows,
    PretrainedWords,
    TransferSet,
    english,
)
from edge_lstm_export.train.teachers import base, encoder
from edge_lstm_export.train.teachers.base import Say, Teacher
from edge_lstm_export.train.teachers.linear import LinearTeacher
from edge_lstm_export.train.teachers.model import model_teacher


@dataclass
class Teachers:
    """The teachers of one training."""

    plan: Plan
    say: Say = lambda line: None

    @cached_property
    def words(self) -> PretrainedWords | None:
        """The word embeddings of the plan; None if it uses none."""
        if self.plan.word_table == "english":
            return english()
        if self.plan.word_table == "encoder":
            return encoder.encoder_words(self._reader.model)
        return None

    @cached_property
    def _reader(self) -> encoder.EncoderReader:
        """The plan's encoder; a plan without one does not ask for it."""
        source = next(each.source for each in self.plan.teachers if each.kind in ENCODERS)
        return encoder.EncoderReader(source, self.say)

    def load(self) -> list[Teacher]:
        """Load them, in the plan's order.

        Raise DataError if one cannot be read, MissingPackageError.
        """
        teachers = []
        for options in self.plan.teachers:
            teacher = self._teacher(options)
            teacher.name = options.name
            teachers.append(teacher)
        return teachers

    def _teacher(self, teacher: TeacherOptions) -> Teacher:
        multi_label = self.plan.network.multi_label
        if teacher.kind == "linear":
            return LinearTeacher(multi_label, not self.plan.is_long, self.words)
        if teacher.kind == "model":
            return model_teacher(teacher, multi_label)
        if teacher.kind == "probe":
            return self._reader.probe(multi_label)
        return encoder.FineTunedEncoder(self._reader, multi_label, self.plan.seed)


def ask_teachers(
    teachers: Teachers,
    rows: LabelledRows,
    transfer: TransferSet,
    plan: Plan,
    stages: Stages,
    say: Callable[[str], None],
) -> EnsemblePredictions | None:
    """Return the teachers' predictions of rows and transfer set; None for a plan without teachers.

    stages: keeps them, and has them if an interrupted training asked already.
    """
    if not plan.teachers:
        return None
    kept = stages.get(TEACHERS)
    if kept is not None:
        return EnsemblePredictions.from_stage(kept)
    judged_by_folds = plan.validation.folds > 0
    asked = base.queries(transfer.source_fold, rows.folds, judged_by_folds=judged_by_folds)
    loaded = teachers.load()
    for teacher in loaded:
        teacher.read([*rows.learnt.texts, *transfer.texts])
    predictions = base.ensemble(
        loaded,
        rows.learnt.labels,
        rows.fold,
        asked,
        multi_label=plan.network.multi_label,
        say=say,
    )
    stages.keep(TEACHERS, predictions.stage())
    return predictions
