"""Few texts, and no part of them to spare: every text is judged by a network that did not learn from it.

A validation part of twenty texts says nothing (77 % of 20 is 54 to 91 %), and is missing in the training.
So where texts are few the whole training is done FOLDS times, each time without another part of the texts;
the answers for what was left out weigh the parts of the network against each other, calibrate it, and are
the accuracy that is said. The network itself learns from all texts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from edge_lstm_export.datasets import Split
from edge_lstm_export.examples import Examples
from edge_lstm_export.fit import Prepared, begin_with_meanings
from edge_lstm_export.network import Network
from edge_lstm_export.ngram_features import Ints
from edge_lstm_export.ngram_part import Lesson, PartLogits, part_logits, silence
from edge_lstm_export.ngram_svm import Recipe
from edge_lstm_export.presets import TrainingOptions
from edge_lstm_export.teacher.nbsvm import stratified_folds
from edge_lstm_export.training import train_network

FOLDS = 3  # each is a training
FEWEST_TEXTS_TO_CROSS_FIT = 10


def folds_of(split: Split, folds: int, seed: int) -> Ints:
    """A fold for each text, int64 [n]: labels spread evenly, texts of the same words together."""
    _, first, same = np.unique(split.keys, return_index=True, return_inverse=True)
    fold = stratified_folds(split.labels[first], folds, np.random.default_rng([seed, 0xCF]))
    return fold[same.reshape(-1)]


def part_of(split: Split, rows: Ints, most: int, seed: int) -> Ints:
    """At most so many of the rows, each label in its proportion, drawn by ``seed``; a smaller part is within
    every larger one. In their order."""
    rng = np.random.default_rng([seed, 0xC0])
    place = np.empty(len(rows))  # of a row among those of its label, from 0 to 1
    for label in np.unique(split.labels[rows]):
        own = rng.permutation(np.flatnonzero(split.labels[rows] == label))
        place[own] = (np.arange(len(own)) + rng.random()) / len(own)
    return np.sort(rows[np.argsort(place, kind="stable")[:most]])


def in_both_readings(prepared: Prepared, own: Examples, rows: Ints | None = None) -> Examples:
    """``own``, which are these rows of the training texts (all of them), and where words that occur once are
    known the same as pieces too: so an LSTM learns to read what the next text brings."""
    if not prepared.rare:
        return own
    as_new = prepared.train_as_new if rows is None else prepared.train_as_new.subset(rows)
    return own.joined(replace(as_new, targets=own.targets))


def cross_validate(
    prepared: Prepared,
    network: Network,
    options: TrainingOptions,
    recipe: Recipe | None,
    say: Callable[[str], None],
    *,
    lesson: Callable[[Ints], Lesson] | None = None,
    most: int | None = None,
    sized: Callable[[int], TrainingOptions] | None = None,
) -> PartLogits | None:
    """What networks of this shape answer the training texts that they did not learn from, in their order.

    The words are those of all texts (that reads no label). None where some fold leaves nothing to learn
    from, as where all texts are the same. lesson: what is learnt from some rows of the training texts; their
    own labels without one. most: so many rows a network learns from, at most. sized: the options for so
    many examples, where they are to follow their number.
    """
    train = prepared.train
    fold = folds_of(train, FOLDS, options.seed)
    parts = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(FOLDS)]
    if most is not None:
        parts = [(part_of(train, rest, most, options.seed), held) for rest, held in parts]
    if not all(len(rest) and len(held) for rest, held in parts) or network.ngrams is None:
        return None
    shape = len(fold), network.config.logits
    lstm, linear, beside = (np.zeros(shape, np.float32) for _ in range(3))
    soft, has_svm = False, False
    for number, (rest, held) in enumerate(parts, 1):
        say(f"cross-validation: {number} of {FOLDS}")
        if lesson:
            learnt = lesson(rest)
        else:
            own = prepared.train_examples.subset(rest)
            learnt = Lesson(in_both_readings(prepared, own, rest), own, recipe)
        chosen = sized(len(learnt.examples)) if sized else options
        found = _answers(prepared, network, chosen, learnt, prepared.train_as_new.subset(held))
        lstm[held], linear[held], soft = found.lstm, found.ngrams, found.soft
        if found.svm is not None:
            beside[held], has_svm = found.svm, True
    svm = beside if has_svm else None
    return PartLogits(lstm, linear, prepared.examples(train).targets, soft=soft, svm=svm)


def hold_out_validate(
    prepared: Prepared, network: Network, options: TrainingOptions, lesson: Lesson
) -> PartLogits:
    """What a network of this shape answers the validation part, where its lesson is of the training
    part alone. The one that is written may then learn from both (see ShortTeachers.taught)."""
    return _answers(prepared, network, options, lesson, prepared.examples(prepared.validation))


def _answers(
    prepared: Prepared, network: Network, options: TrainingOptions, lesson: Lesson, left_out: Examples
) -> PartLogits:
    """What a network of this shape answers that learnt all its passes, and from none of these."""
    assert network.ngrams is not None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        one = Network(network.config)
    assert one.ngrams is not None
    one.ngrams.choose(network.ngrams.ids.numpy())
    begin_with_meanings(one, prepared.meanings)
    silence(one)
    train_network(one, lesson.examples, replace(options, patience=options.epochs))
    found = part_logits(one, lesson, left_out, prepared.features(one), options.seed)
    return replace(found, vectors=None)  # those of the network that is written are others
