"""The two components of the network, the LSTM and the n-gram part: how each is fitted and judged.

Both are fitted on all rows, or without a fold of them, to be judged by it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from edge_lstm.layers import NetworkConfig
from edge_lstm.text import FIRST_WORD_ID, OOV_ID
from edge_lstm_export.graph.weights import coded
from edge_lstm_export.onnx.size import slots_in
from edge_lstm_export.options import LoopOptions
from edge_lstm_export.train import ngrams
from edge_lstm_export.train.calibrate import ComponentLogits, Stack
from edge_lstm_export.train.examples import Examples
from edge_lstm_export.train.loop import (
    SILENT,
    Callbacks,
    LoopResult,
    fit_network,
    predict_logits,
)
from edge_lstm_export.train.network import Network
from edge_lstm_export.train.ngrams import Features, SparseData, SparsePart
from edge_lstm_export.train.pretrained import WordEmbeddings
from edge_lstm_export.train.stages import Stage, Stages
from edge_lstm_export.train.start import first_weights
from edge_lstm_export.train.training_data import TrainingData
from edge_lstm_export.train.word_vectors import first_values, word_vectors

# --- The LSTM -------------------------------------------------------------------------------------


def new_network(
    data: TrainingData, features: Features | None, embeddings: WordEmbeddings | None
) -> Network:
    """Return a network with its first weights and its n-grams.

    The seed decides random values.
    """
    plan = data.plan
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed)
        config = network_config(data, features)
        network = Network(config, dropout=plan.network.dropout)
    if network.ngrams is not None and features is not None:
        network.ngrams.choose(features.table)
    if not network.layers:
        return network
    vectors = None
    width = plan.network.embedding_dim
    if plan.start.source:
        lstm, vectors = first_weights(plan.start, data.tokenizer)
        tensors = {name: torch.from_numpy(weights) for name, weights in lstm.items()}
        network.load_state_dict(tensors, strict=False)
    elif embeddings is not None:
        vectors = first_values(embeddings.vectors, width)
    elif plan.loop.word_vectors:
        ids = data.tokenizer.num_ids
        vectors = word_vectors(data.all_examples, ids, width, plan.seed)
    if vectors is not None:
        with torch.no_grad():
            values = torch.from_numpy(vectors)
            table = network.embedding.weight[: len(values), : values.shape[1]]
            table.copy_(torch.where(values.isnan(), table, values))
    return network


def network_config(data: TrainingData, features: Features | None) -> NetworkConfig:
    """Return the planned network with the sizes of the chosen vocabulary and n-grams."""
    config = replace(data.plan.network.config, num_words=data.tokenizer.num_ids)
    if features is None:
        return config
    return replace(config, ngram_words=features.words, ngram_slots=len(features.pairs))


def fit_lstm(
    data: TrainingData,
    network: Network,
    fold: int | None = None,
    callbacks: Callbacks = SILENT,
    resume: Stage | None = None,
) -> LoopResult:
    """Train the LSTM in place, without the rows of ``fold``; a network without one is left alone.

    resume: the state of an interrupted run.
    """
    if not network.layers:
        return LoopResult("finished", ())
    return fit_network(
        network,
        lstm_examples(data, fold),
        loop_options(data),
        data.plan.seed,
        data.validation_examples if fold is None else None,
        callbacks,
        resume,
    )


def lstm_examples(data: TrainingData, fold: int | None = None) -> Examples:
    """Return what the LSTM learns from; if labels are many, misspelt copies of the rows too."""
    learnt = data.learnt(fold)
    if data.plan.augmentation.typos and data.plan.sparse.fit.startswith("low-rank"):
        return data.with_typos(learnt, fold)
    return learnt


def loop_options(data: TrainingData) -> LoopOptions:
    """Return the loop's options.

    Without validation texts no epoch is known to be better than the last.
    """
    loop = data.plan.loop
    if data.validation_examples is None:
        return replace(loop, patience=loop.epochs)
    return loop


# --- The n-gram part ------------------------------------------------------------------------------


def choose_features(data: TrainingData, embeddings: WordEmbeddings | None) -> Features | None:
    """Choose the n-grams that get a vector, and the other columns that the fit reads."""
    plan = data.plan
    options = plan.sparse
    if not plan.network.ngrams:
        return None
    words = min(plan.network.ngram_words, data.tokenizer.num_ids - OOV_ID)
    slots = min(plan.network.ngram_slots, slots_in(data.vocabulary.room, plan.network))
    examples = data.all_examples
    targets = None
    if options.selection == "telling":
        examples = data.row_examples
        targets = data.row_targets()
    features = ngrams.choose_ngrams(examples, words, slots, targets)
    features = replace(features, counts=plan.network.ngram_counts)
    if options.characters:
        features = ngrams.with_characters(features, data.tokenizer, options.shortest)
    if embeddings is not None and options.embeddings:
        features = ngrams.with_embeddings(features, embeddings.weighted)
    return features


def fit_sparse(
    data: TrainingData,
    features: Features,
    fold: int | None = None,
    more: Examples | None = None,
) -> SparsePart:
    """Fit the n-gram part, without the rows of ``fold``.

    more: labelled texts, as well as the rows. Misspelt copies change exact columns of subwords
        alone.
    """
    plan = data.plan
    learnt = data.learnt(fold, more)
    rows = len(data.rows_without(fold))
    options = plan.sparse
    fitted = SparseData(features, learnt, options, plan.network.multi_label)
    weights = _fit_columns(fitted, rows, plan.network.ngram_dim, plan.seed)
    if options.fit.startswith("low-rank") or not plan.augmentation.typos:
        return weights
    # Each row counts once: half in its own spelling, half in the copy's.
    options = replace(options, regularization=options.regularization / 2)
    copied = SparseData(features, data.with_typos(learnt, fold), options, plan.network.multi_label)
    both = _fit_columns(copied, rows, plan.network.ngram_dim, plan.seed)
    first_subword = FIRST_WORD_ID + len(data.tokenizer.words)
    has_subword = np.any(features.ids >= first_subword, axis=1, keepdims=True)
    return replace(weights, vectors=np.where(has_subword, both.vectors, weights.vectors))


def _fit_columns(data: SparseData, rows: int, width: int, seed: int) -> SparsePart:
    """Fit by the planned method.

    rows: examples, from the first on, that have a label of their own.
    """
    fit = data.options.fit
    if fit == "svm":
        return ngrams.fit_svm(data)
    if fit == "logistic":
        return ngrams.fit_logistic(data)
    weights = ngrams.fit_low_rank(data, width, seed)
    if fit == "low-rank+svm":
        labelled = replace(data, examples=data.examples.subset(np.arange(rows)))
        weights = ngrams.merged(weights, ngrams.fit_svm(labelled), labelled)
    return weights


def fit_ngrams(
    data: TrainingData, features: Features | None, network: Network
) -> SparsePart | None:
    """Fit the planned n-gram part, if there is one; a residual fit chooses other n-grams.

    network: whose LSTM is trained.
    """
    if features is None:
        return None
    if data.plan.sparse.fit == "residual":
        return _fit_residual(data, features, network)
    return fit_sparse(data, features)


def _fit_residual(data: TrainingData, features: Features, network: Network) -> SparsePart:
    """Choose the n-grams anew and fit them, both to what the trained LSTM leaves of the targets."""
    plan = data.plan
    options = plan.sparse
    learnt = data.learnt()
    lstm = predict_logits(network, learnt).numpy()
    slots = len(features.pairs)
    # Four n-grams are tried for each one that gets a vector.
    tries = 4 * len(features)
    candidates = ngrams.choose_ngrams(learnt, features.words, tries, learnt.targets)
    if len(candidates.pairs) > slots:  # else there is nothing to choose from
        tried = SparseData(candidates, learnt, options, plan.network.multi_label)
        weights = ngrams.fit_logistic(tried, lstm)
        features = candidates.best(weights.vectors, tried.held, slots)
    fitted = SparseData(features, learnt, options, plan.network.multi_label)
    return ngrams.fit_logistic(fitted, lstm)


def with_codes(
    data: TrainingData, sparse: SparsePart | None, more: Examples | None = None
) -> SparsePart | None:
    """Return the n-gram part with the vectors of the int8 file, if that keeps them as codes.

    They are chosen by the texts that the part was fitted to, which an export does not have.

    more: as in :func:`fit_sparse`.
    """
    if sparse is None or not data.plan.network.config.codes_ngrams:
        return sparse
    learnt = data.learnt(more=more)
    inputs = learnt.by_length @ sparse.features.held(learnt)
    table = coded(sparse.vectors, inputs)
    return replace(sparse, vectors=table.values * table.scales)


# --- Both -----------------------------------------------------------------------------------------


def component_logits(
    network: Network, sparse: SparsePart | None, examples: Examples
) -> ComponentLogits:
    """Return the logits of both components; without an n-gram part, its are 0."""
    lstm = predict_logits(network, examples).numpy()
    ngram_logits = np.zeros_like(lstm) if sparse is None else sparse.logits(examples)
    return ComponentLogits(lstm, ngram_logits, examples.targets)


def cross_validate(
    data: TrainingData,
    features: Features | None,
    embeddings: WordEmbeddings | None,
    stages: Stages,
    say: Callable[[str], None],
) -> ComponentLogits | None:
    """Fit both components without each fold in turn, and let them answer that fold.

    stages: keeps each fold, and has the folds of an interrupted training.

    Return logits of all rows, by components that did not learn from them; None if a fold leaves
    fewer than two labels, or is empty.
    """
    shape = (len(data.row_examples), data.plan.network.logits)
    lstm = np.zeros(shape, np.float32)
    sparse = np.zeros(shape, np.float32)
    folds = data.rows.folds
    for k in range(folds):
        held_out = np.flatnonzero(data.rows.fold == k)
        rest = data.rows.learnt.labels[data.rows.fold != k]
        if not len(held_out) or rest.any(axis=0).sum() < 2:
            return None
        name = f"cross-validation {k + 1} of {folds}"
        stage = stages.get(name)
        if stage is None:
            say(name)
            network = new_network(data, features, embeddings)
            fit_lstm(data, network, k)
            fitted = None if features is None else fit_sparse(data, features, k)
            asked = data.row_examples.subset(held_out)
            logits = component_logits(network, fitted, asked)
            stage = Stage.of({"lstm": logits.lstm, "sparse": logits.sparse})
            stages.keep(name, stage)
        lstm[held_out] = stage.arrays["lstm"]
        sparse[held_out] = stage.arrays["sparse"]
    return ComponentLogits(lstm, sparse, data.row_examples.targets)


def assembled(network: Network, stack: Stack, sparse: SparsePart | None) -> Network:
    """Return the network with the weights of both components and the n-gram vectors."""
    whole = copy.deepcopy(network)
    pooled = whole.config.layer_values()
    with torch.no_grad():
        whole.head.weight[:, :pooled].mul_(stack.lstm)
        whole.head.bias.mul_(stack.lstm).add_(torch.from_numpy(stack.bias))
        if whole.ngrams is not None and sparse is not None:
            features = sparse.features
            factor = np.float32(stack.sparse)
            whole.config = replace(whole.config, ngram_slots=len(features.pairs))
            whole.ngrams.choose(features.table)
            whole.ngrams.set_vectors(sparse.vectors)
            # The fit had once as 1.
            unit = np.float32(features.counts[0])
            whole.head.weight[:, pooled:] = torch.from_numpy(factor / unit * sparse.head)
            whole.head.bias.add_(torch.from_numpy(factor * sparse.bias))
    return whole
