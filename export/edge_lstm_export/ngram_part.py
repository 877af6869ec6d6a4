"""The n-gram part of a network for short texts, and what it counts beside the LSTM.

A linear model on n-grams decides most (see ngram_svm.py, and of many labels narrow_vectors.py). Beside it
the LSTM learns alone, from the texts' labels mixed with what the linear model says of texts that it did not
see; together they are better than either (banking77: 91.3 and 90.3, together 92.5).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from edge_lstm_export.evaluation import predict_logits
from edge_lstm_export.examples import Examples
from edge_lstm_export.linear_part import least_loss
from edge_lstm_export.narrow_vectors import EPOCHS_OF_ALL, MOST_SVMS, fit_narrow, merged, with_svm
from edge_lstm_export.network import Network, NetworkConfig
from edge_lstm_export.ngram_features import Features, Floats, Truth
from edge_lstm_export.ngram_svm import FEW_TEXTS, Recipe, Vectors, cross_fit, exact, fit_exact, share_right

# What the LSTM is expected to be worth beside the n-grams, before there is a validation text, where it learnt
# from so many texts; of fewer, less. Some hundred validation texts move it too little from a wrong beginning:
# with 0.5 for it, on quarters of the training splits (four, four, and two each), trec6 86.4, TweetEval's
# emotions 72.6, Chinese orders 89.0, SST-2 80.2, banking77 91.0, spam 98.9 %; with 0.15 86.6, 73.0, 89.2,
# 80.1, 91.0, 98.9; with 0.25 between them.
LSTM_SHARE, ENOUGH_TEXTS = 0.15, 2000
# Of LSTM, n-grams and the SVM where one stands beside what teachers taught both: with 0.15, 0.85 and 0, on
# parts of the training splits, 87.2 % of trec6 are right (four quarters) and 80.9 of SST-2 (one, MiniLM), so
# 87.4 and 81.6. Where there is none, the LSTM that teachers taught is worth no more than above: 75.4 % of
# TweetEval's emotions (four quarters), with 0.3 for it 75.1.
BESIDE_SVM = (0.3, 0.3, 0.6)


@dataclass(frozen=True)
class Lesson:
    """What a network learns from: examples for the LSTM; linear: for its n-gram part, whose recipe is None
    where it is to be found. vectors: of the n-gram part, where the teachers have fitted it; svm: of an SVM on
    the labelled texts alone that stands beside it. labelled: the labelled texts with their own labels, where
    the n-gram part learns from these too (see :func:`_fit`)."""

    examples: Examples
    linear: Examples
    recipe: Recipe | None
    vectors: Vectors | None = None
    svm: Vectors | None = None
    labelled: Examples | None = None

    @classmethod
    def of(cls, examples: Examples, recipe: Recipe | None) -> Lesson:
        """The same for both parts."""
        return cls(examples, examples, recipe)

    def with_rows(self, rows: Examples) -> Lesson:
        """The same, and for the n-gram part these labelled texts too."""
        labelled = None if self.labelled is None else self.labelled.joined(rows)
        return replace(self, linear=self.linear.joined(rows), labelled=labelled)


def vector_width(config: NetworkConfig, width: int) -> int:
    """The width of the vectors, where the preset's is ``width``."""
    return config.logits if exact(config.labels) else width


@dataclass(frozen=True)
class Finished:
    """What a network's answer consists of: the n-gram part times ``ngrams``, the SVM beside it times ``svm``
    (see Lesson), the LSTM's logits times ``lstm``, and a bias, float32 [logits]. accuracies: of n-grams and
    LSTM alone on the validation part, 0 to 1."""

    vectors: Vectors
    ngrams: float
    lstm: float
    bias: Floats
    recipe: Recipe | None
    accuracies: tuple[float, float] | None
    svm: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for the provenance."""
        found: dict[str, Any] = {"ngrams": round(self.ngrams, 4), "lstm": round(self.lstm, 4)}
        if self.svm:
            found["svm"] = round(self.svm, 4)
        if self.recipe is not None:
            found |= {"svm_c": self.recipe.c, "naive_bayes": round(self.recipe.bayes, 3)}
            if self.recipe.borders:
                found["borders"] = True
            if self.recipe.meanings:
                found["meanings"] = self.recipe.meanings
        if self.accuracies is not None:
            found |= dict(zip(("ngrams_accuracy", "lstm_accuracy"), (round(a, 4) for a in self.accuracies)))
        return found


def silence(network: Network) -> None:
    """While the LSTM learns, the n-grams say nothing, and their vectors get no gradient."""
    assert network.ngrams is not None
    network.ngrams.vectors.weight.requires_grad_(False)
    network.ngrams.silent = True
    with torch.no_grad():
        network.ngrams.vectors.weight.zero_()
        network.head.weight[:, network.config.pooled_dim :] = 0


@dataclass(frozen=True)
class PartLogits:
    """What the parts of a network answer for texts that none learnt from: lstm, ngrams, and svm where one
    stands beside them: float32 [n, logits]; targets: float32 [n, labels]. vectors: of the n-gram part that
    answered, where it is the one of all training texts; soft: whether the n-gram part learnt soft labels too
    (soft_ngrams.py)."""

    lstm: Floats
    ngrams: Floats
    targets: Floats
    vectors: Vectors | None = None
    soft: bool = False
    svm: Floats | None = None

    def together(self, finished: Finished) -> Floats:
        """float32 [n, logits]: the parts as ``finished`` weighs them."""
        total = finished.lstm * self.lstm + finished.ngrams * self.ngrams + finished.bias
        return total if self.svm is None else total + finished.svm * self.svm


def part_logits(
    network: Network,
    lesson: Lesson,
    held_out: Examples,
    features: Features,
    seed: int,
    begin: Vectors | None = None,
) -> PartLogits:
    """The answers of the trained LSTM, of the n-gram part: the lesson's vectors, or without them those that
    are fitted to it, and of the SVM beside it, if any. begin: see narrow_vectors.fit_narrow.
    """
    soft = lesson.vectors is not None and exact(network.config.labels)
    vectors = lesson.vectors or _fit(network, lesson, features, seed, begin)
    held = features.held(held_out)
    linear = vectors.logits(held, held_out.lengths)
    beside = None if lesson.svm is None else lesson.svm.logits(held, held_out.lengths)
    lstm = predict_logits(network, held_out).numpy()
    return PartLogits(lstm, linear, held_out.targets, vectors, soft, beside)


def _expected(texts: int) -> tuple[float, float]:
    """The weights of the LSTM and of the n-grams that learnt from so many texts, as far as that tells."""
    share = LSTM_SHARE * min(1.0, texts / ENOUGH_TEXTS)
    return share, 1 - share


def weigh(judged: PartLogits, texts: int, *, several: bool = False) -> tuple[float, float, float, Floats]:
    """What the parts are best multiplied by, and the bias: (lstm, ngrams, svm, float32 [logits]). texts: that
    the LSTM learnt from."""
    lstm, linear = judged.lstm, judged.ngrams
    # A network that knows few texts by heart answers new ones with large logits: their size has to
    # prove itself.
    size = max(1.0, float(np.sqrt(np.mean(lstm**2)) / max(1e-6, np.sqrt(np.mean(linear**2)))))
    # N-grams that learnt of the made texts what the LSTM did know more than so few texts tell.
    expected: tuple[float, ...] = _expected(ENOUGH_TEXTS if judged.soft else texts)
    parts = [lstm / np.float32(size), linear]
    if judged.svm is not None:
        parts.append(judged.svm)
        expected = BESIDE_SVM
    best, _ = least_loss(parts, judged.targets, expected, several=several)
    svm = float(best[2]) if judged.svm is not None else 0.0
    return float(best[0]) / size, float(best[1]), svm, best[len(parts) :].astype(np.float32)


def answers_of(judged: PartLogits, texts: int) -> Floats:
    """float32 [n, logits]: both parts as they are best weighed. texts: that the LSTM learnt from."""
    share, other, beside, bias = weigh(judged, texts)
    total = share * judged.lstm + other * judged.ngrams + bias
    return total if judged.svm is None else total + beside * judged.svm


def finish_ngram_part(
    network: Network,
    lesson: Lesson,
    judged: PartLogits | None,
    features: Features,
    seed: int,
    begin: Vectors | None = None,
) -> Finished:
    """Fits the n-gram part to the lesson's labels (the largest target of each), where it has not been, and
    weighs it and the trained LSTM by what both answered other texts; both come into the network. begin: see
    narrow_vectors.fit_narrow. An SVM beside it, of the same width, comes into the same vectors."""
    several, svm, texts = network.config.several, lesson.svm, len(lesson.examples)
    vectors = lesson.vectors
    if vectors is None and judged is not None:
        vectors = judged.vectors
    if vectors is None:
        vectors = _fit(network, lesson, features, seed, begin)
    share, other, accuracies = *_expected(texts), None
    beside, bias = 0.0, np.zeros(network.config.logits, np.float32)
    if judged is not None:
        share, other, beside, bias = weigh(judged, texts, several=several)
        truth = judged.targets > 0.5 if several else judged.targets.argmax(axis=1)
        accuracies = share_right(judged.ngrams, truth), share_right(judged.lstm, truth)
    finished = Finished(vectors, other, share, bias, lesson.recipe, accuracies, beside)
    if svm is not None:  # both are a number a logit
        of_both = other * vectors.vectors + beside * svm.vectors
        vectors, other = Vectors(of_both, vectors.head, other * vectors.bias + beside * svm.bias), 1.0
    with torch.no_grad():
        network.head.weight.mul_(share)
        network.head.bias.mul_(share).add_(torch.from_numpy(other * vectors.bias + bias))
    _set(network, vectors, other)
    return finished


def learn_ngrams_from_all(
    network: Network,
    finished: Finished,
    lesson: Lesson,
    features: Features,
    temperature: float,
    seed: int,
    begin: Vectors | None = None,
) -> None:
    """Fits the n-gram part again, to a lesson of more texts, and puts it in the place of the one that was
    weighed.

    temperature: what the logits were divided by since. begin: see narrow_vectors.fit_narrow.
    It is the one of before again, not what was weighed: of that, some passes with all examples lose as much
    as they bring.
    """
    vectors = _fit(network, lesson, features, seed, begin)
    share = finished.ngrams / temperature
    _set(network, vectors, share)
    with torch.no_grad():
        network.head.bias.add_(torch.from_numpy(share * (vectors.bias - finished.vectors.bias)))


def truth_of(network: Network, examples: Examples) -> Truth:
    """The examples' labels, by their targets: int64 [n], the largest; of several, bool [n, labels]."""
    return examples.targets > 0.5 if network.config.several else examples.targets.argmax(axis=1)


def _fit(network: Network, lesson: Lesson, features: Features, seed: int, begin: Vectors | None) -> Vectors:
    """Where the lesson has the labelled texts alone too, vectors of many labels are those of both, halved. On
    parts of banking77's training split, 6,000 rows, three seeds, beside the LSTM 90.8 % are right so, 90.5 by
    the rows alone with a teacher's say in their labels, or by all."""
    config, examples, labelled = network.config, lesson.linear, lesson.labelled
    labels = truth_of(network, examples)
    if exact(config.labels):
        recipe = lesson.recipe or cross_fit(examples, features, labels, config.labels, seed).recipe
        return fit_exact(examples, features, labels, config.labels, recipe)
    width = config.ngram_dim
    if labelled is not None:
        fitted = fit_narrow(examples, features, width, seed, passes=EPOCHS_OF_ALL)
        own = fit_narrow(labelled, features, width, seed)
        return merged(fitted, own, labelled, features)
    fitted = fit_narrow(examples, features, width, seed, several=config.several, begin=begin)
    if begin is None and not config.several and len(examples) < FEW_TEXTS and config.labels <= MOST_SVMS:
        fitted = with_svm(fitted, examples, features, labels)
    return fitted


def _set(network: Network, vectors: Vectors, share: float) -> None:
    assert network.ngrams is not None
    network.ngrams.silent = False
    with torch.no_grad():
        network.ngrams.vectors.weight[1:] = torch.from_numpy(vectors.vectors)
        network.head.weight[:, network.config.pooled_dim :] = torch.from_numpy(share * vectors.head)
