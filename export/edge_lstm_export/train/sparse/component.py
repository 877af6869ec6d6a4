"""The n-gram part: its features and its fit."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from edge_lstm.core.text import FIRST_WORD_ID
from edge_lstm_export.network import Examples
from edge_lstm_export.onnx import coded, pair_bytes
from edge_lstm_export.train.data import TrainingData, WordEmbeddings
from edge_lstm_export.train.sparse import ngrams
from edge_lstm_export.train.sparse.ngrams import Features, SparseData, SparsePart


def choose_features(data: TrainingData, embeddings: WordEmbeddings | None) -> Features | None:
    """Choose the n-grams that get a vector, and the other columns that the fit reads."""
    network = data.network
    options = data.plan.sparse
    if not network.ngrams:
        return None
    examples = data.all_examples
    targets = None
    if options.selection == "telling":
        examples = data.row_examples
        targets = data.row_targets()
    words = enumerate(data.tokenizer.words, FIRST_WORD_ID)
    of_fields = [i for i, word in words if word in data.letters]
    features = ngrams.choose_ngrams(
        examples, network.ngram_words, network.ngram_slots, targets, of_fields
    )
    features = replace(features, counts=network.ngram_counts)
    if options.characters:
        features = ngrams.with_characters(features, data.tokenizer, options.shortest)
    if data.letters:
        spelling = [data.letters.get(word, "") for word in data.tokenizer.words]
        features = replace(features, letters=ngrams.spelled(features, spelling, (1, 1)))
    if embeddings is not None and options.embeddings:
        features = ngrams.with_embeddings(features, embeddings.weighted)
    return features


def fit_sparse(
    data: TrainingData,
    features: Features,
    fold: int | None = None,
    more: Examples | None = None,
) -> SparsePart:
    """Fit the n-gram part by the planned method, without the rows of ``fold``.

    more: labelled texts, as well as the rows.
    """
    options = data.plan.sparse
    learning = SparseData(features, data.learnt(fold, more), options, data.network.multi_label)
    fit = _low_rank if options.is_low_rank else _columns
    return fit(data, learning, fold)


def _columns(data: TrainingData, learning: SparseData, fold: int | None) -> SparsePart:
    """Fit a column per logit: SVMs, or a logistic regression.

    Misspelt copies of the rows change the columns of subwords alone.
    """
    options = learning.options
    fit = ngrams.fit_svm if options.fit == "svm" else ngrams.fit_logistic
    weights = fit(learning)
    if not data.plan.augmentation.typos:
        return weights
    # Each row counts once: half in its own spelling, half in the copy's.
    halved = replace(options, regularization=options.regularization / 2)
    copied = data.with_typos(learning.examples, fold)
    both = fit(replace(learning, examples=copied, options=halved))
    first_subword = FIRST_WORD_ID + len(data.tokenizer.words)
    has_subword = np.any(learning.features.ids >= first_subword, axis=1, keepdims=True)
    return replace(weights, vectors=np.where(has_subword, both.vectors, weights.vectors))


def _low_rank(data: TrainingData, learning: SparseData, fold: int | None) -> SparsePart:
    """Fit vectors of a lower rank, by gradient steps; ``+svm``: merged with the rows' SVMs."""
    plan = data.plan
    weights = ngrams.fit_low_rank(learning, data.network.ngram_dim, plan.seed)
    if plan.sparse.fit == "low-rank":
        return weights
    rows = np.arange(len(data.rows_without(fold)))
    labelled = replace(learning, examples=learning.examples.subset(rows))
    return ngrams.merged(weights, ngrams.fit_svm(labelled), labelled)


def within_size(
    data: TrainingData, sparse: SparsePart, excess: Callable[[SparsePart], int]
) -> SparsePart:
    """Return the n-gram part without the word pairs worth least that find no room in the file.

    excess: bytes by which the file with a part is too large. A file without pairs is left so.
    """
    smaller = sparse
    held = None
    while slots := len(smaller.features.pairs):
        over = excess(smaller)
        if over <= 0:
            break
        if held is None:
            held = sparse.features.held(data.learnt())
        slots -= math.ceil(over / pair_bytes(data.network.config))
        smaller = sparse.with_best_pairs(held, slots)
    return smaller


def with_codes(
    data: TrainingData, sparse: SparsePart | None, more: Examples | None = None
) -> SparsePart | None:
    """Return the n-gram part with the vectors of the int8 file, if that keeps them as codes.

    They are chosen by the texts that the part was fitted to, which an export does not have.

    more: as in :func:`fit_sparse`.
    """
    if sparse is None or not data.network.config.codes_ngrams:
        return sparse
    learnt = data.learnt(more=more)
    inputs = learnt.by_length @ sparse.features.held(learnt)
    table = coded(sparse.vectors, inputs)
    return replace(sparse, vectors=table.values * table.scales)
