"""Linear models of short texts: an SVM for each label, naive Bayes beside it, and what suits the texts.

A text is few words, so what they are decides most, and a linear model on words, word pairs and parts of
words decides it best: with TF-IDF weights and a linear SVM it passes fastText and a small LSTM on most sets.
It is fitted here in a form that the network can hold: with few labels an n-gram's vector is its part of each
logit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import sparse
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, softmax

from edge_lstm.text import FIRST_WORD_ID, START_ID
from edge_lstm_export.datasets.dataset import rarest
from edge_lstm_export.examples import Examples
from edge_lstm_export.ngram_features import (
    FEWEST_TEXTS,
    PAIR_BASE,
    Features,
    Floats,
    Ints,
    Matrix,
    Truth,
    held_in,
)
from edge_lstm_export.presets import MOST_EXACT_LABELS
from edge_lstm_export.teacher.labels import adds
from edge_lstm_export.teacher.nbsvm import stratified_folds

FOLDS = 5
REGULARISATIONS = (0.1, 0.5, 2.0)  # C of the SVM
FEW_TEXTS = 2000  # below, naive Bayes, which needs fewer texts, has half of the say beside the SVM
# C beside naive Bayes where texts are few. The least log loss of so few is that of 0.1, which is the worst:
# mean of trec6, SST-2, TweetEval's emotions, spam and Chinese orders, 1,500 held-out rows of the training
# split, four draws of 200: 69.5 %, with 0.5 71.8, with 1 71.9, with 2 71.9; of 50 and of 1,000 alike.
FEW_C = 1.0
# What naive Bayes counts beside the SVM where there are more texts, as cross-validation chooses: on parts of
# the training texts it is worth 0.7 points of SST-2 and 0.3 of TweetEval's emotions and of Chinese orders,
# and would cost 0.4 of trec6, where it is not taken.
BAYES_SHARES = (0.0, 1 / 3, 1.0)
BAYES_SMOOTHING = 0.3
# From so many texts on the borders of words may be read. On other rows of trec6's training split files of 500
# and 1,000 rows are 0.5 points better with them (five draws), of 200 rows 0.5 worse (five).
FEWEST_FOR_BORDERS = 500
# The length of what a text means beside its n-grams, of few texts and of more.
MEANT_OF_FEW, MEANT = 1.5, 0.5
TOLERANCE = 1e-2


@dataclass(frozen=True)
class Weighting:
    """What an SVM reads: columns times inverse document frequency, over the square root of the text's length.

    weights: float32 [columns]: the inverse document frequencies, so scaled that the n-grams of a mean
    training text have length 1, and the parts of its words too; else the many parts drown the n-grams. What
    it means has the length that it is read with.
    """

    weights: Floats

    @classmethod
    def of(cls, x: Matrix, lengths: Ints, features: Features) -> Weighting:
        """From what the features read of the training texts."""
        ngrams, meant = len(features.keys), x.shape[1] - features.width
        in_texts = np.bincount(x.indices, minlength=x.shape[1])
        weights = np.log(x.shape[0] / np.maximum(1, in_texts)) + 1
        weights[in_texts == 0] = 0
        weights[ngrams:][in_texts[ngrams:] < FEWEST_TEXTS] = 0
        weights[meant:] = 1
        weighted = cls(weights.astype(np.float32)).apply(x, lengths)
        squares = np.asarray(weighted.multiply(weighted).sum(axis=0)).ravel() / max(1, x.shape[0])
        for block, size in (
            (slice(ngrams), 1.0),
            (slice(ngrams, meant), 1.0),
            (slice(meant, None), features.meant),
        ):
            weights[block] *= size / max(float(squares[block].sum()), 1e-9) ** 0.5
        return cls(weights.astype(np.float32))

    def apply(self, x: Matrix, lengths: Ints) -> Matrix:
        """float32 [texts, columns]."""
        by_length = sparse.diags((1 / np.sqrt(lengths)).astype(np.float32))
        return (by_length @ x @ sparse.diags(self.weights)).tocsr().astype(np.float32)


@dataclass(frozen=True)
class Recipe:
    """What cross-validation found of the linear model: C of the SVM, what its scores are multiplied by to be
    logits, and what naive Bayes counts beside it: 0 nothing, 1 as much. borders: the characters at the
    borders of words are read too (Features.with_borders); meanings: how long what a text means is beside its
    n-grams and the parts of its words, which have length 1 each; 0: it is not read."""

    c: float
    scale: float
    bayes: float = 0.0
    borders: bool = False
    meanings: float = 0.0

    def reads(self, features: Features) -> Features:
        """The features with what this recipe has beside n-grams and parts of words."""
        features = features.with_borders if self.borders else features
        return features.with_meanings(self.meanings)


@dataclass(frozen=True)
class CrossFitted:
    """probabilities: float32 [n, labels], of models that did not see the text; accuracy: of them, 0 to 1 (of
    several labels the share of texts with all of them right at 0.5)."""

    probabilities: Floats
    recipe: Recipe
    accuracy: float

    def or_surer(self, other: CrossFitted, labels: Ints) -> CrossFitted:
        """The other where it is surer of the labels by a standard error (see :func:`adds`), else this one."""
        return other if adds(other.probabilities, self.probabilities, labels, errors=1) else self


@dataclass(frozen=True)
class Vectors:
    """Logits of an n-gram part: (sum of a text's vectors / sqrt(length)) @ head.T + bias. vectors: float32
    [n, width]; head: float32 [logits, width]; bias: float32 [logits]."""

    vectors: Floats
    head: Floats
    bias: Floats

    def logits(self, held: Matrix, lengths: Ints) -> Floats:
        """held: float32 [texts, n], what each text holds → float32 [texts, logits]."""
        total = np.asarray(held @ self.vectors)
        return np.asarray(total / np.sqrt(lengths)[:, None] @ self.head.T + self.bias, np.float32)


def exact(labels: int) -> bool:
    """Whether a vector is the n-gram's part of each logit, fitted by SVM."""
    return labels <= MOST_EXACT_LABELS


def cross_fit(
    examples: Examples,
    features: Features,
    labels: Truth,
    count: int,
    seed: int,
    regularisations: Sequence[float] | None = None,
    as_new: Examples | None = None,
) -> CrossFitted:
    """Chooses by cross-validation the SVM's C (the lowest log loss), what naive Bayes counts (the highest
    accuracy: its probabilities are extreme), whether the borders of words are read and what they mean (see
    :func:`adds`), and gives what the models say of the texts left out. regularisations: of which C is one;
    None: what suits so many texts, and borders are tried. as_new: the examples as a model reads them that did
    not learn from them, where that is not the same."""
    several = labels.ndim == 2
    few = len(labels) < FEW_TEXTS and not several
    with_borders = regularisations is None and not several and len(labels) >= FEWEST_FOR_BORDERS
    if regularisations is None:
        regularisations = (FEW_C,) if few else REGULARISATIONS
    texts = _InFolds(examples, examples if as_new is None else as_new, features, labels, count, seed)
    best = texts.most_right(regularisations, Recipe(1.0, 1.0))
    if with_borders and features.words < len(features.keys):
        # It wants no other C: half of the time is enough. By one standard error: SST-2, where borders are
        # worth nothing, had them by chance with one seed.
        best = best.or_surer(texts.most_right((best.recipe.c,), replace(best.recipe, borders=True)), labels)
    if features.meanings is not None and not several:
        knowing = cross_fit_meanings(best, examples, features, labels, count, seed, as_new)
        best = best.or_surer(knowing, labels)
    return best


def cross_fit_meanings(
    found: CrossFitted,
    examples: Examples,
    features: Features,
    labels: Ints,
    count: int,
    seed: int,
    as_new: Examples | None = None,
) -> CrossFitted:
    """What models say of the texts that read what words mean too, beside what was ``found`` of the same texts
    and seed without: its C and its borders, which are not searched again. features: with meanings."""
    texts = _InFolds(examples, examples if as_new is None else as_new, features, labels, count, seed)
    meant = MEANT_OF_FEW if len(labels) < FEW_TEXTS else MEANT
    return texts.most_right((found.recipe.c,), replace(found.recipe, meanings=meant))


@dataclass(frozen=True)
class _InFolds:
    """Labelled texts in folds, see :func:`cross_fit`."""

    examples: Examples
    as_new: Examples
    features: Features
    labels: Truth
    count: int
    seed: int

    @cached_property
    def fold(self) -> Ints:
        """Of each text."""
        strata = rarest(self.labels.astype(np.bool_)) if self.labels.ndim == 2 else self.labels
        folds = max(2, min(FOLDS, len(self.labels)))
        return stratified_folds(strata, folds, np.random.default_rng([self.seed, 0x57]))

    def most_right(self, regularisations: Sequence[float], recipe: Recipe) -> CrossFitted:
        """What models with the parts of ``recipe`` say of texts that they did not see, with the C and the
        share of naive Bayes that suit them."""
        several = self.labels.ndim == 2
        if several:
            shares: Sequence[float] = (0.0,)  # complement naive Bayes tells labels from each other
        else:
            shares = (1.0,) if len(self.labels) < FEW_TEXTS else BAYES_SHARES
        answers = self._left_out(regularisations, shares, recipe)
        recipe, logits = answers[int(np.argmax([share_right(one, self.labels) for _, one in answers]))]
        probabilities = expit(logits) if several else softmax(two_columns(logits), axis=1)
        return CrossFitted(probabilities.astype(np.float32), recipe, share_right(logits, self.labels))

    def _left_out(
        self, regularisations: Sequence[float], shares: Sequence[float], parts: Recipe
    ) -> list[tuple[Recipe, Floats]]:
        """What models of the other folds say of each text, logits [n, outputs], and their recipe: for each
        share of naive Bayes with the C of the lowest log loss."""
        features, labels, lengths = parts.reads(self.features), self.labels, self.examples.lengths
        x = features.matrix(self.examples)
        # It reads no labels, so once for all folds.
        weighting = Weighting.of(x, lengths, features)
        x = weighting.apply(x, lengths)
        left_out = x
        if self.as_new is not self.examples:
            left_out = weighting.apply(features.matrix(self.as_new), self.as_new.lengths)
        outputs = 1 if self.count == 2 and labels.ndim == 1 else self.count
        best: dict[float, tuple[float, Recipe, Floats]] = {}  # of each share: loss, recipe, scores
        for c in regularisations:
            scores = np.zeros((len(shares), len(labels), outputs), np.float32)
            for k in np.unique(self.fold):
                own = self.fold == k
                if not own.all():
                    svm = fit_svm(x[~own], labels[~own], self.count, c)
                    for share, of_share in zip(shares, scores):
                        weights, bias = _beside_bayes(
                            x[~own], labels[~own], self.count, svm, share, features.width
                        )
                        of_share[own] = left_out[own] @ weights + bias
            for share, of_share in zip(shares, scores):
                scale, loss = _scale_of_least_loss(of_share, labels)
                if share not in best or loss < best[share][0]:
                    best[share] = loss, replace(parts, c=c, scale=scale, bayes=share), of_share
        return [(recipe, scores * recipe.scale) for _, recipe, scores in best.values()]


def share_right(logits: Floats, labels: Truth) -> float:
    """Of the texts whose answer is right, from 0 to 1; of several labels, all of them at 0.5."""
    if labels.ndim == 2:
        return float(((logits > 0) == labels).all(axis=1).mean())
    return float((two_columns(logits).argmax(axis=1) == labels).mean())


def fit_svm(x: Matrix, labels: Truth, count: int, c: float) -> tuple[Floats, Floats]:
    """(weights [columns, outputs], bias [outputs]): a linear SVM for each label against the rest, one for two
    labels. A label that all texts have, or none, gets a constant score."""
    from sklearn.svm import LinearSVC

    outputs = [1] if count == 2 and labels.ndim == 1 else list(range(count))
    x = x.astype(np.float64)
    x.sum_duplicates()  # as liblinear wants it: else each label does both again, a third of the time
    weights = np.zeros((x.shape[1], len(outputs)), np.float32)
    bias = np.zeros(len(outputs), np.float32)
    for column, label in enumerate(outputs):
        target = labels[:, label].astype(np.bool_) if labels.ndim == 2 else labels == label
        if target.all() or not target.any():
            bias[column] = 1.0 if target.any() else -1.0
            continue
        model = LinearSVC(C=c, tol=TOLERANCE, random_state=0, max_iter=500).fit(x, target)
        weights[:, column], bias[column] = model.coef_[0], model.intercept_[0]
    return weights, bias


def fit_bayes(x: Matrix, labels: Ints, count: int) -> tuple[Floats, Floats]:
    """(weights [columns, outputs], bias [outputs]) of complement naive Bayes (Rennie et al., 2003): a label's
    score is how little a text's n-grams occur in the texts of all others. One output for two labels."""
    targets = sparse.csr_matrix(
        (np.ones(len(labels), np.float32), (labels, np.arange(len(labels)))), (count, len(labels))
    )
    others = np.asarray(x.sum(axis=0)) - (targets @ x).toarray() + BAYES_SMOOTHING
    weights = -np.log(others / others.sum(axis=1, keepdims=True)).T.astype(np.float32)
    weights -= weights.mean(axis=1, keepdims=True)
    if count == 2:
        weights = weights[:, 1:] - weights[:, :1]
    return weights, np.zeros(weights.shape[1], np.float32)


def fit_linear(x: Matrix, labels: Truth, count: int, recipe: Recipe, meant: int = 0) -> tuple[Floats, Floats]:
    """(weights [columns, outputs], bias [outputs]), before the recipe's scale. meant: so many of the columns,
    the last ones, are of meanings, which are no counts."""
    return _beside_bayes(x, labels, count, fit_svm(x, labels, count, recipe.c), recipe.bayes, meant)


def _beside_bayes(
    x: Matrix, labels: Truth, count: int, svm: tuple[Floats, Floats], share: float, meant: int
) -> tuple[Floats, Floats]:
    """The SVM as it is, or the SVM and ``share`` times naive Bayes, each divided by the spread of its scores
    on the texts."""
    if not share:
        return svm
    weights, bias = fit_bayes(x[:, : x.shape[1] - meant], labels, count)
    bayes = np.pad(weights, ((0, meant), (0, 0))), bias
    total, offset = np.zeros_like(svm[0]), np.zeros_like(svm[1])
    for times, (part, shift) in ((1.0, svm), (share, bayes)):
        scores = np.asarray(x @ part + shift)
        centre = scores.mean(axis=1, keepdims=True) if count > 2 else 0.0
        spread = max(float((scores - centre).std()), 1e-6)
        total += np.float32(times) * (part / spread)
        offset += np.float32(times) * (shift / spread)
    return total, offset


def two_columns(logits: Floats) -> Floats:
    """[n, 1 or labels] → [n, labels]."""
    return np.concatenate([np.zeros_like(logits), logits], axis=1) if logits.shape[1] == 1 else logits


def _scale_of_least_loss(scores: Floats, labels: Truth) -> tuple[float, float]:
    def loss(scale: float) -> float:
        if labels.ndim == 2:
            return float((np.logaddexp(0, scores * scale) - labels * scores * scale).sum(axis=1).mean())
        logs = log_softmax(two_columns(scores * scale), axis=1)
        return -float(logs[np.arange(len(labels)), labels].mean())

    found = minimize_scalar(loss, bounds=(0.05, 30), method="bounded")
    return float(found.x), float(found.fun)


def fit_exact(examples: Examples, features: Features, labels: Truth, count: int, recipe: Recipe) -> Vectors:
    """The SVM's weights as vectors: one column a logit."""
    features = recipe.reads(features)
    x, lengths = features.matrix(examples), examples.lengths
    weighting = Weighting.of(x, lengths, features)
    weights, bias = fit_linear(weighting.apply(x, lengths), labels, count, recipe, features.width)
    weights *= (weighting.weights * recipe.scale)[:, None]
    return Vectors(features.folded(weights), np.eye(len(bias), dtype=np.float32), bias * recipe.scale)


def fit_known_words(
    examples: Examples, features: Features, labels: Truth, count: int, recipe: Recipe, words: int
) -> Vectors:
    """The SVM's weights, without naive Bayes, of words that two of the texts hold or more and of pairs of
    these; 0 of pieces and whatever else the features have. words: of the vocabulary, which come before its
    pieces.

    Beside n-grams and an LSTM that a teacher taught, it is to say what those do not: on parts of the training
    splits of trec6 and TweetEval's emotions 87.2 and 75.6 % are right with it, 86.9 and 75.1 where it has
    pieces too, 85.8 and 75.2 without it.
    """
    ids, texts = np.unique(held_in(examples)[0][:, 1], return_counts=True)
    is_word = (ids == START_ID) | (ids >= FIRST_WORD_ID) & (ids < FIRST_WORD_ID + words)
    known = ids[is_word & (texts >= FEWEST_TEXTS)]
    left, right = np.divmod(features.keys, PAIR_BASE)
    rows = np.flatnonzero(np.isin(right, known) & ((left == 0) | np.isin(left, known)))
    if not len(rows):  # as where characters stand for words
        outputs = 1 if count == 2 else count
        nothing = np.zeros((len(features.keys), outputs), np.float32)
        return Vectors(nothing, np.eye(outputs, dtype=np.float32), np.zeros(outputs, np.float32))
    found = fit_exact(examples, features.subset(rows), labels, count, replace(recipe, bayes=0.0))
    vectors = np.zeros((len(features.keys), found.vectors.shape[1]), np.float32)
    vectors[rows] = found.vectors
    return replace(found, vectors=vectors)
