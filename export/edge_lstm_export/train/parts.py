"""The texts of a training, and the two parts of its network: what they learn from, and how each is fitted.

Both parts are fitted on all rows, or without a fold of them, to be judged by it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial

import numpy as np
import torch

from edge_lstm.errors import DataError
from edge_lstm.modelfile import open_model
from edge_lstm.text import FIRST_WORD_ID, OOV_ID, Tokenizer, split_marks
from edge_lstm_export.onnx.size import SPARE, PairRoom, file_parts, without_last_words
from edge_lstm_export.onnx.weights import lstm_weights
from edge_lstm_export.train import ngrams
from edge_lstm_export.train.calibrate import PartLogits, Stack
from edge_lstm_export.train.data import Dataset, Floats, Ints, Split, folds_of, hold_out
from edge_lstm_export.train.examples import Examples
from edge_lstm_export.train.linear import C
from edge_lstm_export.train.loop import fit_network, predict_logits
from edge_lstm_export.train.network import Network, Weights
from edge_lstm_export.train.ngrams import Features, SparseData, SparseWeights
from edge_lstm_export.train.options import LoopOptions
from edge_lstm_export.train.plan import LONG_TEXTS, SENTIMENT_SHAPES, Plan
from edge_lstm_export.train.pretrained import SMALL_SENTIMENT, PretrainedWords
from edge_lstm_export.train.provenance import longest_provenance
from edge_lstm_export.train.stages import NOT_KEPT, TEACHERS, Stage, Stages
from edge_lstm_export.train.teachers import base
from edge_lstm_export.train.teachers.load import Teachers
from edge_lstm_export.train.unlabelled import augment, misspell
from edge_lstm_export.train.vocabulary import build_vocabulary, informative_marks
from edge_lstm_export.train.word_vectors import first_values, word_vectors

TEACHER_FOLDS = 5  # of the cross-fitting, where rows are held out and no folds are planned
CANDIDATES = 4  # n-grams that are tried for each one that gets a vector


class Parts:
    """The two parts of the network, the LSTM and the n-grams, on all rows or without a fold of them.

    split, rows: labelled texts that are learnt from, as texts and as ids; validation: those that judge; fold:
    int64 [rows]. pool: texts without a label, which teachers label: first those of a log, then the augmented
    ones; pool_fold: int64 [pool], the fold of the rows that a text was made of, -1 for none. predictions: the
    teachers'; soft_labels: float32 [pool, L], probabilities in their place.
    """

    def __init__(
        self,
        dataset: Dataset,
        plan: Plan,
        unlabelled: Sequence[str],
        teachers: Teachers,
        soft_labels: Floats | None,
        say: Callable[[str], None],
        stages: Stages = NOT_KEPT,
    ) -> None:
        self.dataset, self.plan, self.soft_labels = dataset, plan, soft_labels
        self.split, self.validation = hold_out(dataset.train, plan.validation.share, plan.seed)
        folds = plan.validation.folds or (TEACHER_FOLDS if plan.teachers else 1)
        self.fold = folds_of(self.split, folds, plan.seed)
        self.folds = int(np.max(self.fold, initial=0)) + 1  # of few texts fewer
        augmented, augmented_fold = augment(self.split.texts, self.fold, plan.augmentation, plan.seed)
        pool = (*unlabelled, *augmented)
        self.pool_fold = np.concatenate([np.full(len(unlabelled), -1, np.int64), augmented_fold])
        words = teachers.words
        self._longest = longest_provenance(self)
        self.tokenizer = tokenizer = self._tokenizer(unlabelled, words)
        self.predictions = self._ask(teachers, pool, say, stages) if plan.teachers else None
        self.embeddings = words.embeddings(tokenizer.words, tokenizer.num_ids) if words else None
        self.rows = self.examples(self.split)
        unknown = np.zeros((len(pool), plan.network.labels), np.float32)
        self.pool = Examples.from_texts(tokenizer, pool, unknown)
        self.features = self._features() if plan.network.ngrams else None
        self.config = replace(plan.network, num_words=self.tokenizer.num_ids)
        if self.features is not None:
            self.config = replace(self.config, ngrams=len(self.features.keys))

    def _tokenizer(self, unlabelled: Sequence[str], words: PretrainedWords | None) -> Tokenizer:
        """The vocabulary is that of the whole training split, the validation part with it: that reads no
        label, and by Keras's rule the ids are then those of Keras's index. The test split is not read."""
        texts, related = self.dataset.train.texts, None
        if words is not None and self.plan.related_words:
            in_texts = sorted({word for text in texts for word in split_marks(text)})
            related = partial(words.related, in_texts)
        marks = informative_marks(self.split.texts, self.split.labels)
        plan = self.plan
        tokenizer = build_vocabulary(texts, unlabelled, plan.text, plan.network.num_words, marks, related)
        while (room := self._room(tokenizer)) < 0 and tokenizer.words:
            tokenizer = without_last_words(tokenizer, plan.network, -room)
        if not tokenizer.words:
            reason = f"the plan's network and labels leave no room for words in {plan.kb:,} kB"
            raise DataError(f"{reason}; give a larger kb, or fewer hidden units")
        return tokenizer

    def _room(self, tokenizer: Tokenizer) -> int:
        """Bytes that the plan's file has left for word pairs; below 0 if already the words are too many."""
        plan, (training, calibration) = self.plan, self._longest
        parts = file_parts(
            *(tokenizer, self.dataset.labels, replace(plan.network, num_words=tokenizer.num_ids), training),
            thresholds=calibration.thresholds,
            curve=calibration.curve,
            long=bool(plan.loop.crops),
        )
        return plan.kb * 1000 - SPARE - sum(parts.values())

    def _ask(
        self, teachers: Teachers, pool: Sequence[str], say: Callable[[str], None], stages: Stages
    ) -> base.EnsemblePredictions:
        """What the teachers predict of rows and pool. Where folds judge the network too, each fold's model is
        asked for the pool, and one of all rows for a log; else those that saw none of a text's sources."""
        if (kept := stages.get(TEACHERS)) is not None:
            return base.EnsemblePredictions.from_stage(kept)
        log, judged = self.pool_fold < 0, bool(self.plan.validation.folds)
        of_folds = judged | log | (self.pool_fold == np.arange(self.folds)[:, None])
        asked = np.vstack([of_folds, judged & log])
        loaded = teachers.load()
        for teacher in loaded:
            teacher.read([*self.split.texts, *pool])
        several = self.dataset.several
        predicted = base.ensemble(loaded, self.split.labels, self.fold, asked, several=several, say=say)
        stages.keep(TEACHERS, predicted.stage())
        return predicted

    def _features(self) -> Features:
        plan, tokenizer, most = self.plan, self.tokenizer, self.plan.network.ngrams
        room = PairRoom(self._room(tokenizer), plan.network.ngram_dim)
        if plan.sparse.fit == "residual":  # others will be chosen, and they may have the longest ids
            words = tokenizer.num_ids - OOV_ID
            longest = np.full((max(0, most - words), 2), tokenizer.num_ids - 1)
            most = min(most, words + room.fitting(longest, words))
        if self.rows.lengths.mean() > LONG_TEXTS:
            targets = self.targets()[0]
            features = ngrams.choose_ngrams(self.rows, most, tokenizer.num_ids, targets, room=room)
        else:
            every = self.rows.joined(self.pool)
            features = ngrams.choose_ngrams(every, most, tokenizer.num_ids, room=room)
            features = ngrams.with_characters(features, tokenizer)
        if self.embeddings is not None and plan.sparse.embeddings:
            features = ngrams.with_embeddings(features, self.embeddings.weighted)
        return features

    def examples(self, split: Split) -> Examples:
        """The split's texts as ids, with hard targets."""
        return Examples.from_texts(self.tokenizer, split.texts, split.labels.astype(np.float32))

    @cached_property
    def _pretrained(self) -> tuple[Weights, Floats]:
        return sentiment_weights(self.config.hidden, self.tokenizer)

    def new_network(self) -> Network:
        """A network with its first weights, drawn by the seed, and its n-grams."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.plan.seed)
            network = Network(self.config)
        if network.ngrams is not None and self.features is not None:
            network.ngrams.choose(self.features.ids)
        vectors, width = None, self.config.embedding_dim
        if self.plan.loop.pretrained:
            lstm, vectors = self._pretrained
            network.load_state_dict({name: torch.from_numpy(w) for name, w in lstm.items()}, strict=False)
        elif self.embeddings is not None:
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
        return loop if len(self.validation) else replace(loop, patience=loop.epochs)

    def targets(self, fold: int | None = None) -> tuple[Floats, Floats]:
        """What is learnt: float32 [rows, L] and [pool, L], probabilities. fold: by teachers that saw no label
        of this fold, for the pool."""
        labels = self.rows.targets
        if self.predictions is None:
            return labels, self.pool.targets if self.soft_labels is None else self.soft_labels
        several, together = self.plan.network.several, self.predictions.predictions
        share, of_rows = np.float32(self.plan.own_labels), base.probabilities(together.labelled, several)
        of_pool = base.probabilities(together.of_others(fold), several)
        return share * labels + (1 - share) * of_rows, of_pool

    def _rows_of(self, fold: int | None) -> tuple[Ints, Ints]:
        """(rows, pool texts) that are learnt from: all, or those that nothing of this fold is in."""
        if fold is None:
            return np.arange(len(self.rows)), np.arange(len(self.pool))
        return np.flatnonzero(self.fold != fold), np.flatnonzero(self.pool_fold != fold)

    def learnt(self, fold: int | None = None) -> Examples:
        """The examples of the LSTM: rows and pool with their targets; of many labels, misspelt copies too."""
        (of_rows, of_pool), (rows, pool) = self.targets(fold), self._rows_of(fold)
        labelled = replace(self.rows.subset(rows), targets=of_rows[rows])
        learnt = labelled.joined(replace(self.pool.subset(pool), targets=of_pool[pool]))
        copied = self.plan.misspelt and self.plan.sparse.fit.startswith("low-rank")
        return self._with_copies(learnt, rows) if copied else learnt

    def _with_copies(self, learnt: Examples, rows: Ints) -> Examples:
        """Add misspelt copies of the rows, which are the first of the examples."""
        texts = misspell([self.split.texts[i] for i in rows], self.plan.misspelt, self.plan.seed)
        return learnt.joined(Examples.from_texts(self.tokenizer, texts, learnt.targets[: len(rows)]))

    def fit_sparse(self, fold: int | None = None, more: Examples | None = None) -> SparseWeights | None:
        """Fit the n-gram part. more: texts beside the rows. Copies change exact columns of subwords alone."""
        if self.features is None:
            return None
        learnt, rows = self.learnt(fold), self._rows_of(fold)[0]
        learnt = learnt.joined(more) if more else learnt
        weights = self._fit_sparse(learnt, len(rows))
        if self.plan.sparse.fit.startswith("low-rank") or not self.plan.misspelt:
            return weights
        both = self._fit_sparse(self._with_copies(learnt, rows), len(rows), C / 2)  # each row counts once
        subword = np.any(self.features.ids >= FIRST_WORD_ID + len(self.tokenizer.words), 1, keepdims=True)
        return replace(weights, vectors=np.where(subword, both.vectors, weights.vectors))

    def _fit_sparse(self, learnt: Examples, rows: int, c: float = C) -> SparseWeights:
        """rows: how many of the examples, the first ones, have a label of their own."""
        data, options = self._sparse_data(learnt), self.plan.sparse
        if options.fit == "svm":
            return ngrams.fit_svm(data, options.bayes, c)
        if options.fit == "logistic":
            return ngrams.fit_logistic(data)
        weights = ngrams.fit_low_rank(data, self.plan.network.ngram_dim, options.epochs, self.plan.seed)
        if options.fit == "low-rank+svm":
            labelled = self._sparse_data(learnt.subset(np.arange(rows)))
            weights = ngrams.merged(weights, ngrams.fit_svm(labelled), labelled)
        return weights

    def fit_residual(self, network: Network) -> SparseWeights:
        """Choose the n-grams anew and fit them, both to what the trained LSTM leaves of the targets."""
        assert self.features is not None and network.ngrams is not None
        learnt, most = self.learnt(), len(self.features.keys)
        beside = predict_logits(network, learnt).numpy()
        candidates = ngrams.choose_ngrams(learnt, CANDIDATES * most, self.config.num_words, learnt.targets)
        if len(candidates.keys) > most:  # else there is nothing to choose from
            self.features = candidates
            data = self._sparse_data(learnt)
            weights = ngrams.fit_logistic(data, beside, ngrams.RIDGE_OF_RESIDUAL)
            self.features = candidates.best(weights.vectors, data.held, most)
            network.ngrams.choose(self.features.ids)
        return ngrams.fit_logistic(self._sparse_data(learnt), beside, ngrams.RIDGE_OF_RESIDUAL)

    def _sparse_data(self, examples: Examples) -> SparseData:
        assert self.features is not None
        return SparseData(self.features, examples, self.plan.network.several, self.plan.sparse.embeddings)

    def logits(self, network: Network, sparse: SparseWeights | None, examples: Examples) -> PartLogits:
        """What both parts answer; without an n-gram part it answers 0."""
        lstm = predict_logits(network, examples).numpy()
        of_ngrams = np.zeros_like(lstm)
        if sparse is not None and self.features is not None:
            of_ngrams = sparse.logits(self.features, examples)
        return PartLogits(lstm, of_ngrams, examples.targets)

    def cross_validate(self, say: Callable[[str], None], stages: Stages = NOT_KEPT) -> PartLogits | None:
        """What both parts answer the rows they did not learn from; None where a fold leaves one label."""
        shape = (len(self.rows), self.config.logits)
        lstm, sparse = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        for k in range(self.folds):
            held_out = np.flatnonzero(self.fold == k)
            rest = self.split.labels[self.fold != k]
            if not len(held_out) or rest.any(axis=0).sum() < 2:
                return None
            stage = f"cross-validation {k + 1} of {self.folds}"
            if (answers := stages.get(stage)) is None:
                say(stage)
                answers = self._judge(k, held_out)
                stages.keep(stage, answers)
            lstm[held_out], sparse[held_out] = answers.arrays["lstm"], answers.arrays["sparse"]
        return PartLogits(lstm, sparse, self.rows.targets)

    def _judge(self, fold: int, held_out: Ints) -> Stage:
        """What both parts answer the rows of a fold that they did not learn from."""
        network = self.new_network()
        fit_network(network, self.learnt(fold), self.final_loop, self.plan.seed)
        parts = self.logits(network, self.fit_sparse(fold), self.rows.subset(held_out))
        return Stage.of({"lstm": parts.lstm, "sparse": parts.sparse})


def sentiment_weights(hidden: int, tokenizer: Tokenizer) -> tuple[Weights, Floats]:
    """What a network begins with, so that it need not learn from few rows what words make of each other: the
    LSTM's weights by PyTorch's names, and float32 [ids, E], the embedding of a vocabulary, NaN where nothing
    is known. hidden: LSTM units, of plan.SENTIMENT_SHAPES: which of the package's models."""
    model = open_model(SMALL_SENTIMENT if hidden == SENTIMENT_SHAPES[0][1] else None)
    weights = lstm_weights(model.data)
    table = weights.pop("embedding.weight")
    vectors = np.full((tokenizer.num_ids, table.shape[1]), np.nan, np.float32)
    vectors[:FIRST_WORD_ID] = table[:FIRST_WORD_ID]
    for row, entry in enumerate((*tokenizer.words, *(tokenizer.pieces or ())), FIRST_WORD_ID):
        ids = [i for i in model.tokenizer.encode_text(entry).ids if i >= FIRST_WORD_ID]
        if ids:
            vectors[row] = table[ids].mean(axis=0)
    return weights, vectors


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
