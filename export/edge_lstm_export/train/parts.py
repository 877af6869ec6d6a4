"""The texts of a training, and the two parts of its network: what they learn from, and how each is fitted.

Both parts are fitted on all rows, or without a fold of them, to be judged by it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from edge_lstm.text import Tokenizer, split_marks
from edge_lstm_export.train.augment import augment
from edge_lstm_export.train.calibrate import PartLogits, Stack
from edge_lstm_export.train.data import Dataset, Floats, Ints, Split, folds_of, hold_out
from edge_lstm_export.train.examples import Examples
from edge_lstm_export.train.loop import fit_network, predict_logits
from edge_lstm_export.train.network import Network
from edge_lstm_export.train.ngrams import (
    RIDGE_OF_RESIDUAL,
    Features,
    SparseData,
    SparseWeights,
    choose_ngrams,
    fit_logistic,
    fit_low_rank,
    fit_svm,
    log_count_ratio,
    merged,
    with_characters,
    with_embeddings,
)
from edge_lstm_export.train.options import LoopOptions
from edge_lstm_export.train.plan import LONG_TEXTS, Plan, fitting_ngrams
from edge_lstm_export.train.pretrained import PretrainedWords
from edge_lstm_export.train.teachers.base import EnsemblePredictions, ensemble
from edge_lstm_export.train.teachers.base import probabilities as teacher_probabilities
from edge_lstm_export.train.teachers.load import Teachers
from edge_lstm_export.train.vocabulary import build_vocabulary, informative_marks
from edge_lstm_export.train.word_vectors import first_values, word_vectors

TEACHER_FOLDS = 5  # of the cross-fitting, where rows are held out and no folds are planned
CANDIDATES = 4  # n-grams that are tried for each one that gets a vector


@dataclass(frozen=True)
class Corpus:
    """The texts of a training. rows: labelled texts that are learnt from; validation: those that judge;
    fold: int64 [rows]; pool: texts without a label, which teachers label: first those of a log, then the
    augmented ones; pool_fold: int64 [pool], the fold of the rows that a text was made of, -1 for none."""

    dataset: Dataset
    rows: Split
    validation: Split
    fold: Ints
    pool: tuple[str, ...]
    pool_fold: Ints
    tokenizer: Tokenizer

    @property
    def folds(self) -> int:
        """How many there are."""
        return int(self.fold.max(initial=0)) + 1


def prepare(dataset: Dataset, plan: Plan, unlabelled: Sequence[str], words: PretrainedWords | None) -> Corpus:
    """Hold out the validation texts, make the augmented ones and build the vocabulary.

    Words are counted over the whole training split, the validation part with it: that reads no label, and by
    Keras's rule the ids are then those of Keras's index on the same data. The test split is not read.
    """
    rows, validation = hold_out(dataset.train, plan.validation.share, plan.seed)
    folds = plan.validation.folds or (TEACHER_FOLDS if plan.teachers else 1)
    fold = folds_of(rows, folds, plan.seed)
    augmented, augmented_fold = augment(rows.texts, fold, plan.augmentation, plan.seed)
    related = None
    if words is not None and plan.related_words:
        in_texts = sorted({word for text in dataset.train.texts for word in split_marks(text)})
        related = partial(words.related, in_texts)
    marks = informative_marks(rows.texts, rows.labels)
    tokenizer = build_vocabulary(dataset.train.texts, unlabelled, plan.text, marks, related)
    pool_fold = np.concatenate([np.full(len(unlabelled), -1, np.int64), augmented_fold])
    return Corpus(dataset, rows, validation, fold, (*unlabelled, *augmented), pool_fold, tokenizer)


class Parts:
    """The two parts of the network, the LSTM and the n-grams, on all rows or without a fold of them.

    soft_labels: float32 [pool, L], probabilities in the place of the teachers' predictions.
    """

    def __init__(
        self,
        corpus: Corpus,
        plan: Plan,
        teachers: Teachers,
        soft_labels: Floats | None,
        say: Callable[[str], None],
    ) -> None:
        self.corpus, self.plan, self.soft_labels = corpus, plan, soft_labels
        self.predictions = ask_teachers(corpus, plan, teachers, say) if plan.teachers else None
        tokenizer, words = corpus.tokenizer, teachers.words
        self.embeddings = words.embeddings(tokenizer.words, tokenizer.num_ids) if words else None
        self.rows = self.examples(corpus.rows)
        unknown = np.zeros((len(corpus.pool), plan.network.labels), np.float32)
        self.pool = Examples.from_texts(tokenizer, corpus.pool, unknown)
        self.features = self._features() if plan.network.ngrams else None
        self.config = replace(plan.network, num_words=tokenizer.num_ids)
        if self.features is not None:
            self.config = replace(self.config, ngrams=len(self.features.keys))

    def _features(self) -> Features:
        plan, tokenizer = self.plan, self.corpus.tokenizer
        entries = (*tokenizer.words, *(tokenizer.pieces or ()))
        line = sum(len(entry.encode()) + 1 for entry in entries) / max(1, len(entries))
        most = min(plan.network.ngrams, fitting_ngrams(plan.kb, plan.network, tokenizer.num_ids, line))
        if self.rows.lengths.mean() > LONG_TEXTS:
            ranking = log_count_ratio(self.targets()[0])
            features = choose_ngrams(self.rows, most, tokenizer.num_ids, ranking)
        else:
            features = choose_ngrams(self.rows.joined(self.pool), most, tokenizer.num_ids)
            features = with_characters(features, tokenizer)
        if self.embeddings is not None and plan.sparse.embeddings:
            features = with_embeddings(features, self.embeddings.weighted)
        return features

    def examples(self, split: Split) -> Examples:
        """The split's texts as ids, with hard targets."""
        return Examples.from_texts(self.corpus.tokenizer, split.texts, split.targets())

    def new_network(self) -> Network:
        """A network with its first weights, drawn by the seed, and its n-grams."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.plan.seed)
            network = Network(self.config)
        if network.ngrams is not None and self.features is not None:
            network.ngrams.choose(self.features.ids)
        vectors, width = None, self.config.embedding_dim
        if self.embeddings is not None:
            vectors = first_values(self.embeddings.vectors, width)
        elif self.plan.loop.word_vectors:
            every = self.rows.joined(self.pool)
            vectors = word_vectors(every, self.config.num_words, width, self.plan.seed)
        if vectors is not None:
            with torch.no_grad():
                values = torch.from_numpy(vectors)
                table = network.embedding.weight[: len(values), : values.shape[1]]
                table.copy_(torch.where(values.isnan(), table, values))
        return network

    @property
    def final_loop(self) -> LoopOptions:
        """The loop's options: without validation texts no epoch is known to be better than the last."""
        loop = self.plan.loop
        return loop if len(self.corpus.validation) else replace(loop, patience=loop.epochs)

    def targets(self, fold: int | None = None) -> tuple[Floats, Floats]:
        """What is learnt: float32 [rows, L] and [pool, L], probabilities. fold: by teachers that saw no label
        of this fold, for the pool."""
        labels = self.corpus.rows.targets()
        if self.predictions is None:
            return labels, self.pool.targets if self.soft_labels is None else self.soft_labels
        several, together = self.plan.network.several, self.predictions.predictions
        own, of_rows = np.float32(self.plan.own_labels), teacher_probabilities(together.labelled, several)
        return own * labels + (1 - own) * of_rows, teacher_probabilities(together.of_others(fold), several)

    def _rows_of(self, fold: int | None) -> tuple[Ints, Ints]:
        """(rows, pool texts) that are learnt from: all, or those that nothing of this fold is in."""
        if fold is None:
            return np.arange(len(self.rows)), np.arange(len(self.pool))
        return np.flatnonzero(self.corpus.fold != fold), np.flatnonzero(self.corpus.pool_fold != fold)

    def learnt(self, fold: int | None = None) -> Examples:
        """The examples of the LSTM: rows and pool with their targets."""
        (of_rows, of_pool), (rows, pool) = self.targets(fold), self._rows_of(fold)
        own = replace(self.rows.subset(rows), targets=of_rows[rows])
        return own.joined(replace(self.pool.subset(pool), targets=of_pool[pool]))

    def fit_sparse(self, fold: int | None = None, more: Examples | None = None) -> SparseWeights | None:
        """Fit the n-gram part. more: labelled texts beside the rows."""
        if self.features is None:
            return None
        learnt = self.learnt(fold)
        data = self._sparse_data(learnt if more is None else learnt.joined(more))
        options = self.plan.sparse
        if options.fit == "svm":
            return fit_svm(data, options.bayes)
        if options.fit == "logistic":
            return fit_logistic(data)
        weights = fit_low_rank(data, self.plan.network.ngram_dim, options.epochs, self.plan.seed)
        if options.fit == "low-rank+svm":
            labelled = self._sparse_data(learnt.subset(np.arange(len(self._rows_of(fold)[0]))))
            weights = merged(weights, fit_svm(labelled, 0.0), labelled)
        return weights

    def fit_residual(self, network: Network) -> SparseWeights:
        """Choose the n-grams anew and fit them, both to what the trained LSTM leaves of the targets."""
        assert self.features is not None and network.ngrams is not None
        learnt, most = self.learnt(), len(self.features.keys)
        beside = predict_logits(network, learnt).numpy()
        ranking = log_count_ratio(learnt.targets)
        candidates = choose_ngrams(learnt, CANDIDATES * most, self.config.num_words, ranking)
        if len(candidates.keys) > most:  # else there is nothing to choose from
            self.features = candidates
            data = self._sparse_data(learnt)
            weights = fit_logistic(data, beside, RIDGE_OF_RESIDUAL)
            self.features = candidates.best(weights.vectors, data.held, most)
            network.ngrams.choose(self.features.ids)
        return fit_logistic(self._sparse_data(learnt), beside, RIDGE_OF_RESIDUAL)

    def _sparse_data(self, examples: Examples) -> SparseData:
        assert self.features is not None
        return SparseData(self.features, examples, self.plan.network.several, self.plan.sparse.embeddings)

    def logits(self, network: Network, sparse: SparseWeights | None, examples: Examples) -> PartLogits:
        """What both parts answer; without an n-gram part it answers 0."""
        lstm = predict_logits(network, examples).numpy()
        ngrams = np.zeros_like(lstm)
        if sparse is not None and self.features is not None:
            ngrams = sparse.logits(self.features, examples)
        return PartLogits(lstm, ngrams, examples.targets)

    def cross_validate(self, say: Callable[[str], None]) -> PartLogits | None:
        """What both parts answer the rows that they did not learn from. None where a fold leaves fewer than
        two labels to learn."""
        shape = (len(self.rows), self.config.logits)
        lstm, sparse = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        for k in range(self.corpus.folds):
            held = np.flatnonzero(self.corpus.fold == k)
            rest = self.corpus.rows.labels[self.corpus.fold != k]
            if not len(held) or rest.any(axis=0).sum() < 2:
                return None
            say(f"cross-validation {k + 1} of {self.corpus.folds}")
            network = self.new_network()
            fit_network(network, self.learnt(k), self.final_loop, self.plan.seed)
            parts = self.logits(network, self.fit_sparse(k), self.rows.subset(held))
            lstm[held], sparse[held] = parts.lstm, parts.sparse
        return PartLogits(lstm, sparse, self.rows.targets)


def put_together(network: Network, stack: Stack, weights: SparseWeights | None) -> None:
    """Fold the weights of both parts into the head, and set the n-gram vectors. Done once, after training."""
    with torch.no_grad():
        pooled = network.config.pooled_dim
        network.head.weight[:, :pooled].mul_(stack.lstm)
        network.head.bias.mul_(stack.lstm).add_(torch.from_numpy(stack.bias))
        if network.ngrams is not None and weights is not None:
            network.ngrams.set_vectors(weights.vectors)
            network.head.weight[:, pooled:] = torch.from_numpy(np.float32(stack.sparse) * weights.head)
            network.head.bias.add_(torch.from_numpy(np.float32(stack.sparse) * weights.bias))


def ask_teachers(
    corpus: Corpus, plan: Plan, teachers: Teachers, say: Callable[[str], None]
) -> EnsemblePredictions:
    """What the plan's teachers predict of rows and pool. Where the folds judge the network too, every fold's
    model is asked for the whole pool; else a text is labelled by a model that saw none of its sources."""
    asked = np.ones((corpus.folds, len(corpus.pool)), np.bool_)
    if not plan.validation.folds:
        asked = (corpus.pool_fold < 0) | (corpus.pool_fold == np.arange(corpus.folds)[:, None])
    loaded = teachers.load()
    for teacher in loaded:
        teacher.read([*corpus.rows.texts, *corpus.pool])
    several = corpus.dataset.several
    return ensemble(loaded, corpus.rows.labels, corpus.fold, asked, several=several, say=say)
