"""Teachers of short texts: a linear model that knows words and characters, and a frozen encoder beside it.

Both label every labelled text without having seen its label, so how much each counts comes from the labelled
texts themselves, and no text need be kept aside for it. What they say together of texts without labels is
what few labelled rows lack.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edge_lstm_export.distillation import Distillation, Taught
from edge_lstm_export.examples import Examples, one_hot
from edge_lstm_export.fit import Prepared
from edge_lstm_export.network import Network
from edge_lstm_export.ngram_part import cross_fit, exact, fit_exact, learn_features
from edge_lstm_export.teacher import accuracy_of, blend_weights, blended
from edge_lstm_export.teacher.labels import Floats, Ints

Say = Callable[[str], None]

# How much a text's own label counts beside the teachers': above half, so that it stays the largest target.
# It was not tuned further.
OWN_LABELS = 0.6
MOST_FURTHER = 20_000  # texts without a label that are read: of more, a random part
# Below so many labelled texts each of them is learnt from, and a tenth of the texts that the teachers
# labelled judges the epochs, at most so many.
FEW_ROWS, FEWEST_FURTHER, MOST_JUDGES = 2_000, 400, 500
_ONE_SVM = (0.5,)  # C, where many labels make many SVMs


def sample(texts: Sequence[str], seed: int) -> tuple[str, ...]:
    """The different texts, at most MOST_FURTHER of them, drawn by ``seed``; in their order."""
    different = list(dict.fromkeys(texts))
    if len(different) <= MOST_FURTHER:
        return tuple(different)
    rows = np.random.default_rng([seed, 0x51]).permutation(len(different))[:MOST_FURTHER]
    return tuple(different[row] for row in np.sort(rows))


def has_judges(labelled: int, further: Sequence[str]) -> bool:
    """Whether texts without a label take the place of the validation part."""
    return labelled < FEW_ROWS and len(further) >= FEWEST_FURTHER


def teach_short(
    prepared: Prepared, network: Network, distillation: Distillation, own_labels: float, seed: int, say: Say
) -> Taught:
    """The labelled texts and ``prepared.further`` with targets from the teachers."""
    assert network.ngrams is not None
    train, further, count = prepared.train, prepared.further, len(prepared.dataset.labels)
    own = prepared.examples(train)
    features = learn_features(network.ngrams.ids.numpy(), prepared.tokenizer)
    choices = {} if exact(count) else {"regularisations": _ONE_SVM}
    found = cross_fit(own, features, train.labels, count, seed, **choices)
    say(f"teacher: words and characters {found.accuracy:.2%}, cross-fitted")
    of_further = Examples.from_texts(prepared.tokenizer, further, np.zeros((len(further), count), np.float32))
    svm = fit_exact(own, features, train.labels, count, found.recipe)
    logits = (
        svm.logits(features.matrix(of_further), of_further.lengths)
        if further
        else np.zeros((0, 1), np.float32)
    )
    opinions = [(found.probabilities, _probabilities(logits, count))]
    report: dict[str, Any] = {"linear_accuracy": round(found.accuracy, 4)}
    if distillation.is_transformer:
        opinions.append(_of_encoder(distillation, train.texts, train.labels, further, count, seed))
        reached = accuracy_of(opinions[1][0], train.labels)
        say(f"teacher: encoder {reached or 0:.2%}, cross-fitted")
        report["encoder_accuracy"] = round(reached or 0, 4)
    weights = blend_weights([labelled for labelled, _ in opinions], train.labels)
    labelled = blended([one for one, _ in opinions], weights)
    unlabelled = blended([other for _, other in opinions], weights)
    together = accuracy_of(labelled, train.labels) or 0
    if opinions[1:]:
        say(f"teacher: together {together:.2%}; {len(further):,} texts without a label are labelled too")
        if weights[1] < 0.01:
            say("note: the encoder adds nothing to words and characters here: its weight is 0")
    judges = 0 if len(prepared.validation) else min(MOST_JUDGES, len(further) // 10)
    soft = np.concatenate([labelled, unlabelled])
    targets = soft.copy()
    targets[: len(train)] = own_labels * one_hot(train.labels, count) + (1 - own_labels) * labelled
    examples = replace(own.joined(of_further) if further else own, targets=targets)
    examples, judged = examples.split(len(examples) - judges)
    provenance = {
        "teacher": distillation.name,
        "unlabelled": distillation.unlabelled,
        "unlabelled_texts": len(further),
        "cross_fitted_accuracy": round(together, 4),
        "own_labels": own_labels,
        "models_sha256": [],
        "weights": [round(weight, 3) for weight in weights],
        **report,
    }
    return Taught(examples, soft[: len(examples)], provenance, judged if judges else None)


def _of_encoder(
    distillation: Distillation,
    texts: Sequence[str],
    labels: Ints,
    further: Sequence[str],
    count: int,
    seed: int,
) -> tuple[Floats, Floats]:
    from edge_lstm_export.teacher.frozen import fit_frozen
    from edge_lstm_export.teacher.transformer import load_encoder, vectors_of

    encoder, options = load_encoder(distillation.teacher, count), distillation.transformer
    frozen = fit_frozen(vectors_of(encoder, texts, options), labels, count, seed)
    if not further:
        return frozen.labelled, frozen.labelled[:0]
    return frozen.labelled, frozen.probabilities(vectors_of(encoder, further, options))


def _probabilities(logits: Floats, count: int) -> Floats:
    """logits: float32 [n, 1 or count] → [n, count]."""
    two = np.concatenate([np.zeros_like(logits), logits], axis=1) if logits.shape[1] == 1 else logits
    shifted = np.exp(two - two.max(axis=1, keepdims=True, initial=-np.inf))
    if len(two) == 0:
        return np.zeros((0, count), np.float32)
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), np.float32)
