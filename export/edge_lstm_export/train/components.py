"""The two components of the network, the LSTM and the n-gram part: how each is fitted and judged.

Both are fitted on all rows, or without a fold of them, to be judged by it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from edge_lstm.core.layers import NetworkConfig
from edge_lstm_export.checkpoint import Stage, Stages
from edge_lstm_export.network import Examples, Network, predict_logits
from edge_lstm_export.train.calibrate import ComponentLogits, Stack
from edge_lstm_export.train.data import TrainingData, WordEmbeddings
from edge_lstm_export.train.lstm import first_values, first_weights, fit_lstm
from edge_lstm_export.train.sparse import Features, SparsePart, fit_sparse


def new_network(
    data: TrainingData, features: Features | None, embeddings: WordEmbeddings | None
) -> Network:
    """Return a network with its first weights and its n-grams.

    The seed decides random values.
    """
    plan = data.plan
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed)
        network = Network(network_config(data, features), dropout=data.network.dropout)
    if network.ngrams is not None and features is not None:
        network.ngrams.choose(features.table)
    if not network.layers:
        return network
    vectors = None
    if plan.start.source:
        lstm, vectors = first_weights(plan.start, data.tokenizer)
        tensors = {name: torch.from_numpy(weights) for name, weights in lstm.items()}
        network.load_state_dict(tensors, strict=False)
    elif embeddings is not None:
        vectors = first_values(embeddings.vectors, data.network.embedding_dim)
    if vectors is not None:
        with torch.no_grad():
            values = torch.from_numpy(vectors)
            table = network.embedding.weight[: len(values), : values.shape[1]]
            table.copy_(torch.where(values.isnan(), table, values))
    return network


def network_config(data: TrainingData, features: Features | None) -> NetworkConfig:
    """Return the planned network with the sizes of the chosen vocabulary and n-grams."""
    config = data.network.config
    if features is None:
        return config
    return replace(config, ngram_slots=len(features.pairs))


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
    shape = (len(data.row_examples), data.network.logits)
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
