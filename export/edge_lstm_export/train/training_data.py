"""The data of a training as ids: the vocabulary, and targets for the rows and the transfer set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from edge_lstm.errors import DataError
from edge_lstm.question import SCORE, Question
from edge_lstm.text import OOV_ID, Tokenizer, split_marks
from edge_lstm_export.onnx.size import FEWEST_SLOTS, SPARE, file_parts, without_last_words
from edge_lstm_export.train.calibrate import longest_answers
from edge_lstm_export.train.data import Dataset, Floats, Ints, Names, Split
from edge_lstm_export.train.examples import Examples
from edge_lstm_export.train.plan import Plan
from edge_lstm_export.train.pretrained import PretrainedWords
from edge_lstm_export.train.provenance import longest_provenance
from edge_lstm_export.train.rows import LabelledRows, TransferSet
from edge_lstm_export.train.stages import TEACHERS, Stages
from edge_lstm_export.train.teachers import base
from edge_lstm_export.train.teachers.load import Teachers
from edge_lstm_export.train.unlabelled import misspell
from edge_lstm_export.train.vocabulary import build_vocabulary, in_groups, informative_marks


@dataclass(frozen=True)
class Vocabulary:
    """A text rule with its vocabulary, and the bytes that the file has left for word pairs."""

    tokenizer: Tokenizer
    room: int


def choose_vocabulary(
    dataset: Dataset,
    rows: LabelledRows,
    transfer: TransferSet,
    plan: Plan,
    words: PretrainedWords | None,
) -> Vocabulary:
    """Choose the vocabulary of the whole training split, the validation part included.

    It reads no label, and by Keras's rule the ids are then the ids of Keras's index. The test split
    is not read. If the file would be too large, the least frequent words are left out.

    words: pretrained embeddings, whose words near the texts' words fill free places.

    Raise DataError if the file has no room for words.
    """
    training = longest_provenance(dataset, plan, rows, transfer)

    def room_beside(tokenizer: Tokenizer) -> int:
        network = plan.network
        words = min(network.ngram_words, tokenizer.num_ids - OOV_ID)
        slots = min(network.ngram_slots, FEWEST_SLOTS)
        parts = file_parts(
            tokenizer,
            dataset.labels,
            replace(
                network, num_words=tokenizer.num_ids, ngram_words=words, ngram_slots=slots
            ).config,
            training,
            answers=longest_answers(
                len(dataset.labels),
                Question.of(plan.question, dataset.labels),
                multi_label=dataset.multi_label,
            ),
            long=plan.kind in ("long", "topics"),
        )
        return plan.max_kilobytes * 1000 - SPARE - sum(parts.values())

    ranked = _wished_vocabulary(dataset, rows, transfer, plan, words)
    tokenizer = in_groups(ranked)
    room = room_beside(tokenizer)
    while room < 0 and ranked.words:
        ranked = without_last_words(ranked, plan.network, -room)
        tokenizer = in_groups(ranked)
        room = room_beside(tokenizer)
    if not tokenizer.words:
        reason = f"network and labels leave no room for words in {plan.max_kilobytes:,} kB"
        raise DataError(f"the plan's {reason}; give a larger max_kilobytes, or fewer hidden units")
    return Vocabulary(tokenizer, room)


def _wished_vocabulary(
    dataset: Dataset,
    rows: LabelledRows,
    transfer: TransferSet,
    plan: Plan,
    words: PretrainedWords | None,
) -> Tokenizer:
    """Return the planned vocabulary, whatever its size in the file."""
    texts = dataset.train.texts
    related = None
    if words is not None and plan.vocabulary.expansion:
        in_texts = sorted({word for text in texts for word in split_marks(text)})
        related = partial(words.related, in_texts)
    marks = informative_marks(rows.learnt.texts, rows.learnt.labels)
    num_words = plan.network.num_words
    log = transfer.texts[: transfer.from_log]
    return build_vocabulary(
        texts, log, plan.text, num_words, plan.vocabulary.subword_share, marks, related
    )


def ask_teachers(
    teachers: Teachers,
    rows: LabelledRows,
    transfer: TransferSet,
    plan: Plan,
    stages: Stages,
    say: Callable[[str], None],
) -> base.EnsemblePredictions | None:
    """Return the teachers' predictions of rows and transfer set; None for a plan without teachers.

    stages: keeps them, and has them if an interrupted training asked already.
    """
    if not plan.teachers:
        return None
    kept = stages.get(TEACHERS)
    if kept is not None:
        return base.EnsemblePredictions.from_stage(kept)
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


@dataclass(frozen=True)
class TrainingData:
    """Rows and transfer set as ids, and their targets.

    predictions: of the teachers; None without any.
    """

    labels: Names
    plan: Plan
    rows: LabelledRows
    transfer: TransferSet
    vocabulary: Vocabulary
    predictions: base.EnsemblePredictions | None

    @property
    def tokenizer(self) -> Tokenizer:
        """The text rule with its vocabulary."""
        return self.vocabulary.tokenizer

    @cached_property
    def row_examples(self) -> Examples:
        """The rows, with their labels as targets."""
        return self.encode(self.rows.learnt)

    @cached_property
    def transfer_examples(self) -> Examples:
        """The transfer set, without targets."""
        unknown = np.zeros((len(self.transfer.texts), self.plan.network.labels), np.float32)
        return Examples.from_texts(self.tokenizer, self.transfer.texts, unknown)

    @cached_property
    def all_examples(self) -> Examples:
        """The rows, then the transfer set."""
        return self.row_examples.joined(self.transfer_examples)

    @cached_property
    def validation_examples(self) -> Examples | None:
        """The validation part, with its labels as targets; None if nothing is held out."""
        if not len(self.rows.validation):
            return None
        return self.encode(self.rows.validation)

    def encode(self, split: Split) -> Examples:
        """Return the texts as ids, with their labels as targets."""
        return Examples.from_texts(self.tokenizer, split.texts, split.targets)

    def row_targets(self) -> Floats:
        """Return the targets of the rows, float32 [rows, L]: labels mixed with the teachers'."""
        labels = self.row_examples.targets
        if self.plan.question == SCORE:
            labels = smoothed(labels, Question.of(SCORE, self.labels).levels)
        if self.predictions is None:
            return labels
        weight = np.float32(self.plan.hard_label_weight)
        logits = self.predictions.predictions.labelled
        predicted = base.probabilities(logits, self.plan.network.multi_label)
        return np.asarray(weight * labels + (1 - weight) * predicted, np.float32)

    def transfer_targets(self, fold: int | None = None) -> Floats:
        """Return the targets of the transfer set, float32 [texts, L].

        fold: by teachers that saw no label of this fold.
        """
        if self.predictions is not None:
            logits = self.predictions.predictions.of_transfer_set(fold)
            return base.probabilities(logits, self.plan.network.multi_label)
        if self.transfer.soft_labels is not None:
            return self.transfer.soft_labels
        return self.transfer_examples.targets

    def rows_without(self, fold: int | None) -> Ints:
        """Return the indexes of the rows that are not in the fold; of all rows for None."""
        if fold is None:
            return np.arange(len(self.row_examples))
        return np.flatnonzero(self.rows.fold != fold)

    def learnt(self, fold: int | None = None, more: Examples | None = None) -> Examples:
        """Return all examples with their targets, first the rows.

        fold: leave out its rows, and texts that are made of them.
        more: come last.
        """
        rows = self.rows_without(fold)
        labelled = replace(self.row_examples.subset(rows), targets=self.row_targets()[rows])
        texts = np.arange(len(self.transfer_examples))
        if fold is not None:
            texts = np.flatnonzero(self.transfer.source_fold != fold)
        targets = self.transfer_targets(fold)[texts]
        learnt = labelled.joined(replace(self.transfer_examples.subset(texts), targets=targets))
        return learnt if more is None else learnt.joined(more)

    def with_typos(self, examples: Examples, fold: int | None = None) -> Examples:
        """Add misspelt copies of the rows, the first of the examples, with the same targets."""
        rows = self.rows_without(fold)
        texts = [self.rows.learnt.texts[row] for row in rows]
        misspelt = misspell(texts, self.plan.augmentation.typos, self.plan.seed)
        targets = examples.targets[: len(rows)]
        return examples.joined(Examples.from_texts(self.tokenizer, misspelt, targets))


def smoothed(targets: Floats, levels: Sequence[float]) -> Floats:
    """Return targets of which a fifth goes to the neighbouring numbers, float32 [n, L].

    These are nearly right.

    targets: float32 [n, L].
    levels: the number of each label.
    """
    rank = np.argsort(np.argsort(levels))
    is_next = np.abs(rank[:, None] - rank) == 1
    neighbours = is_next / is_next.sum(axis=1, keepdims=True)
    kernel = 0.8 * np.eye(len(rank)) + 0.2 * neighbours
    return np.asarray(targets @ kernel, np.float32)
