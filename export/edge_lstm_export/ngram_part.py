"""The n-gram part of a network for short texts: which n-grams, and their vectors from a linear model.

A text is few words, so what they are decides most, and a linear model on words, word pairs and parts of
words (characters 2 to 5 within a word) decides it best: with TF-IDF weights and a linear SVM it passes
fastText and a small LSTM on most sets. It is fitted here in a form that the network can hold. The parts
of words count in training only: a word's are known beforehand, so they are added into the word's own
vector, and a word that came up once still says what its parts say. With few labels a vector is the
n-gram's part of each logit, by SVM. With many labels vectors of a fixed width and a head are fitted to
the labels with half of a text's n-grams dropped at each step, which is as good (banking77, 32 wide: 91.6,
the SVM: 90.6).

Beside it the LSTM learns alone, from the texts' labels mixed with what the linear model says of texts
that it did not see; together they are better than either (banking77: 91.3 and 90.3, together 92.5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, softmax
from torch.nn import functional

from edge_lstm.text import FIRST_WORD_ID, PAD_ID, START_ID, Tokenizer, spaceless
from edge_lstm_export.datasets.dataset import rarest
from edge_lstm_export.evaluation import predict_logits, soft_cross_entropy
from edge_lstm_export.examples import Examples
from edge_lstm_export.linear_part import least_loss
from edge_lstm_export.network import Network, NetworkConfig
from edge_lstm_export.optimizer import AdamW, one_cycle, set_rate
from edge_lstm_export.presets import MOST_EXACT_LABELS
from edge_lstm_export.pretrained import Meanings
from edge_lstm_export.teacher.labels import adds
from edge_lstm_export.teacher.nbsvm import stratified_folds

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Truth = npt.NDArray[Any]  # int64 [n], or of texts with several labels bool [n, labels]
Matrix = Any  # scipy.sparse.csr_matrix, float32

CHARACTERS = (2, 3, 4, 5)
FEWEST_TEXTS = 2  # that a pair, or a part of a word, is to occur in
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
# The length of what a text means beside its n-grams, of few texts and of more; and the characters of a piece
# that a word which the texts do not teach is read as (see learn_features).
MEANT_OF_FEW, MEANT = 1.5, 0.5
FEWEST_CHARACTERS = 3
TOLERANCE = 1e-2
# Of the vectors of many labels: epochs, texts a step, learning rate, what is dropped in a step, and how much
# of a target goes to all labels.
EPOCHS, BATCH, RATE, DROPPED, SMOOTHING = 20, 64, 0.01, 0.5, 0.05
# Passes over the labelled texts and what a teacher said of three times as many: no better than EPOCHS.
EPOCHS_OF_ALL = 12
# Where they begin with those of a checkpoint (benchmarks/going_on.md): passes, most texts a step, and as many
# steps a pass as there are at least before a step has more texts.
EPOCHS_FROM, BATCH_FROM, STEPS_FROM = 6, 128, 30
# What the LSTM is expected to be worth beside the n-grams, before there is a validation text, where it learnt
# from so many texts; of fewer, less. Some hundred validation texts move it too little from a wrong beginning:
# with 0.5 for it, on quarters of the training splits (four, four, and two each), trec6 86.4, TweetEval's
# emotions 72.6, Chinese orders 89.0, SST-2 80.2, banking77 91.0, spam 98.9 %; with 0.15 86.6, 73.0, 89.2,
# 80.1, 91.0, 98.9; with 0.25 between them.
LSTM_SHARE, ENOUGH_TEXTS = 0.15, 2000
# C of the SVM beside vectors of many labels, where texts are few, and the most labels (of more, SVMs would
# take minutes). On parts of banking77's training split, 10 rows a label, three draws: the vectors 70.6 %, the
# SVM 70.9, both in vectors of the same width 73.4.
SVM_BESIDE, MOST_SVMS = 0.5, 300


def choose_ngrams(examples: Examples, most: int, num_ids: int) -> Ints:
    """The n-grams that get a vector: int64 [n, 2] as network.NGramVectors wants them, n at most ``most``.

    Every id below ``num_ids`` that is not the padding's or the start's (one that occurs in no text has its
    parts), then the pairs that occur in most texts, in two or more. Labels are not read.
    """
    _, pairs = _held(examples)
    used = np.setdiff1d(np.arange(num_ids), (PAD_ID, START_ID))[:most]
    keys, texts = np.unique(pairs[:, 1], return_counts=True)
    keys, texts = keys[texts >= FEWEST_TEXTS], texts[texts >= FEWEST_TEXTS]
    kept = np.sort(keys[np.argsort(-texts, kind="stable")[: most - len(used)]])
    words = np.stack([used, np.zeros_like(used)], axis=1)
    return np.concatenate([words, np.stack(np.divmod(kept, _BASE), axis=1)]).astype(np.int64)


_BASE = 2**31  # a pair's key: left id · _BASE + right id


def _held(examples: Examples) -> tuple[Ints, Ints]:
    """(text, id) and (text, key of a pair), int64 [n, 2] each, each once a text."""
    owner = np.repeat(np.arange(len(examples)), examples.lengths)
    ids = examples.ids.astype(np.int64)
    same = owner[:-1] == owner[1:]
    pairs = (ids[:-1] * _BASE + ids[1:])[same]
    return _each_once(owner, ids), _each_once(owner[:-1][same], pairs)


def _each_once(owner: Ints, keys: Ints) -> Ints:
    """(owner, key), int64 [n, 2] in ascending order, each once."""
    known, place = np.unique(keys, return_inverse=True)
    both = np.sort(owner * len(known) + place.reshape(-1))
    both = both[np.diff(both, prepend=-1) != 0]  # numpy's unique hashes, which takes several times as long
    return np.stack([both // max(1, len(known)), known[both % max(1, len(known))]], axis=1)


@dataclass(frozen=True)
class Features:
    """What the linear model reads of a text: the n-grams that it holds, and parts of its words.

    keys: int64 [n] ascending, words' ids and pairs' keys, a row of the network's vectors each; words: how
    many of them are words. parts: float32 [n, parts], CSR: how often an n-gram has a part. entries: the
    words and pieces, by id. meanings: float32 [n, width], what a word adds to the meaning of a text, 0 for
    pairs (pretrained.Meanings.weighted); None where nothing is known. meant: the length of what a text means;
    0: it is not read. read_as: float32 [n, n], CSR: what n-grams each is to the linear model; None: itself.
    """

    keys: Ints
    words: int
    parts: Matrix
    entries: tuple[str, ...]
    meanings: Floats | None = None
    meant: float = 0.0
    read_as: Matrix | None = None

    def subset(self, rows: Ints) -> Features:
        """Of some of the n-grams, rows in ascending order."""
        words = int((rows < self.words).sum())
        meanings = None if self.meanings is None else self.meanings[rows]
        read_as = None if self.read_as is None else self.read_as[rows][:, rows]
        some = replace(self, keys=self.keys[rows], words=words, parts=self.parts[rows])
        return replace(some, meanings=meanings, read_as=read_as)

    def with_meanings(self, length: float) -> Features:
        """The same with what the words mean beside them: columns that words share which mean something alike,
        those of the labelled texts and others. length: of a text's meaning; 0, or where nothing is known,
        these as they are."""
        return replace(self, meant=length) if length and self.meanings is not None else self

    @property
    def width(self) -> int:
        """Of the meanings, where they are read."""
        return self.meanings.shape[1] if self.meanings is not None and self.meant else 0

    @cached_property
    def with_borders(self) -> Features:
        """The same with parts of pairs beside those of words: the characters around the space between two.
        So a pair that came up twice says what pairs say that end and begin alike. Two pieces count as two
        words, though they may be of one."""
        parts = _Parts(len(self.keys))
        for row, key in enumerate(self.keys[self.words :].tolist(), self.words):
            left, right = (self.entries[i] for i in divmod(key, _BASE))
            if not (spaceless(left) or spaceless(right)):  # between these there is no space
                parts.add(row, f"{left} {right}", around=len(left))
        return replace(self, parts=sparse.hstack([self.parts, parts.matrix()]).tocsr())

    def matrix(self, examples: Examples) -> Matrix:
        """float32 [texts, n + parts + width], CSR: what each text holds, as the linear model reads it."""
        held = self.held(examples)
        blocks = [held if self.read_as is None else held @ self.read_as, held @ self.parts]
        if self.width:
            blocks.append(sparse.csr_matrix(held @ self.meanings))
        return sparse.hstack(blocks).tocsr()

    def held(self, examples: Examples) -> Matrix:
        """float32 [texts, n], CSR: the n-grams that each text holds."""
        found = np.concatenate(_held(examples))
        place = np.searchsorted(self.keys, found[:, 1]).clip(max=len(self.keys) - 1)
        known = self.keys[place] == found[:, 1]
        ones = np.ones(int(known.sum()), np.float32)
        places = found[known, 0], place[known]
        return sparse.csr_matrix((ones, places), shape=(len(examples), len(self.keys)))

    def folded(self, weights: Floats) -> Floats:
        """weights: float32 [n + parts + width, outputs], of the matrix's columns → [n, outputs], parts and
        meanings added in."""
        count, meant = len(self.keys), len(weights) - self.width
        total = weights[:count] if self.read_as is None else self.read_as @ weights[:count]
        total = total + self.parts @ weights[count:meant]
        if self.meanings is not None and self.width:
            total = total + self.meanings @ weights[meant:]
        return np.asarray(total, np.float32)


def learn_features(
    ngrams: Ints, tokenizer: Tokenizer, meanings: Meanings | None = None, alone: Tokenizer | None = None
) -> Features:
    """The features of a network with these n-grams (see :func:`choose_ngrams`). meanings: of each id.

    alone: with the words that the labelled texts teach, where the tokenizer has others after these: to the
    linear model, another word is the pieces that it would be without. Else words that one text holds or none
    would be strangers, where their pieces are not."""
    words = int((ngrams[:, 1] == 0).sum())
    keys = np.concatenate([ngrams[:words, 0], ngrams[words:, 0] * _BASE + ngrams[words:, 1]])
    marked = ["", "", "", "", *(f"<{word}>" for word in tokenizer.words), *(tokenizer.pieces or ())]
    parts, read_as = _Parts(len(keys)), None
    taught = len(tokenizer.words) if alone is None else len(alone.words)
    others = range(FIRST_WORD_ID + taught, FIRST_WORD_ID + len(tokenizer.words))
    for row, i in enumerate(keys[:words].tolist()):
        if i not in others:
            parts.add(row, marked[i])
    if alone is not None and len(others):
        rows: list[int] = []
        columns: list[int] = []
        for row, i in enumerate(keys.tolist()):
            ids = [i]
            if row < words and i in others:
                found = alone.encode_text(tokenizer.words[i - FIRST_WORD_ID]).ids[1:]
                ids = [one + len(others) if one >= others.start else one for one in found]
                ids = [one for one in ids if len(marked[one]) >= FEWEST_CHARACTERS]
                for one in ids:
                    parts.add(row, marked[one])
            places = np.searchsorted(keys, ids)
            columns += [
                int(place) for place, one in zip(places, ids) if keys[min(place, len(keys) - 1)] == one
            ]
            rows += [row] * (len(columns) - len(rows))
        ones = np.ones(len(rows), np.float32)
        read_as = sparse.csr_matrix((ones, (rows, columns)), (len(keys), len(keys)))
    entries = ("", "<", "", "", *tokenizer.words, *(tokenizer.pieces or ()))
    known = None
    if meanings is not None:
        known = np.zeros((len(keys), meanings.vectors.shape[1]), np.float32)
        known[:words] = meanings.weighted[keys[:words]]
    return Features(keys, words, parts.matrix(), entries, known, read_as=read_as)


class _Parts:
    """Gathers which characters an n-gram has."""

    def __init__(self, ngrams: int) -> None:
        self.ngrams = ngrams
        self.number: dict[str, int] = {}
        self.rows: list[int] = []
        self.columns: list[int] = []

    def add(self, row: int, text: str, around: int | None = None) -> None:
        """The parts of ``text``; around: those alone that hold the character of this index, and one before or
        behind it."""
        for size in CHARACTERS:
            last = len(text) - size
            first = 0
            if around is not None:
                first, last = max(0, around - size + 1), min(around, last)
            for start in range(first, last + 1):
                self.rows.append(row)
                self.columns.append(self.number.setdefault(text[start : start + size], len(self.number)))

    def matrix(self) -> Matrix:
        """float32 [n-grams, parts], CSR; one empty column where there are none."""
        ones = np.ones(len(self.rows), np.float32)
        shape = (self.ngrams, max(1, len(self.number)))
        return sparse.coo_matrix((ones, (self.rows, self.columns)), shape=shape).tocsr()


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


def vector_width(config: NetworkConfig, width: int) -> int:
    """The width of the vectors, where the preset's is ``width``."""
    return config.logits if exact(config.labels) else width


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
    ids, texts = np.unique(_held(examples)[0][:, 1], return_counts=True)
    is_word = (ids == START_ID) | (ids >= FIRST_WORD_ID) & (ids < FIRST_WORD_ID + words)
    known = ids[is_word & (texts >= FEWEST_TEXTS)]
    left, right = np.divmod(features.keys, _BASE)
    rows = np.flatnonzero(np.isin(right, known) & ((left == 0) | np.isin(left, known)))
    if not len(rows):  # as where characters stand for words
        outputs = 1 if count == 2 else count
        nothing = np.zeros((len(features.keys), outputs), np.float32)
        return Vectors(nothing, np.eye(outputs, dtype=np.float32), np.zeros(outputs, np.float32))
    found = fit_exact(examples, features.subset(rows), labels, count, replace(recipe, bayes=0.0))
    vectors = np.zeros((len(features.keys), found.vectors.shape[1]), np.float32)
    vectors[rows] = found.vectors
    return replace(found, vectors=vectors)


def fit_narrow(
    examples: Examples,
    features: Features,
    width: int,
    seed: int,
    *,
    several: bool = False,
    begin: Vectors | None = None,
    passes: int = EPOCHS,
) -> Vectors:
    """Vectors and head for many labels, by AdamW on the targets; steps drop half of a text's n-grams.

    passes: over the texts, where nothing is begun with. begin: vectors of the features' n-grams, and a head,
    that were fitted to some of these texts before: a few passes from there are better than many from nothing.
    What the parts of words say is in a word's vector.
    """
    x, rng = features.matrix(examples), np.random.default_rng([seed, 0x3A, 0])
    root = torch.from_numpy(np.sqrt(examples.lengths).astype(np.float32)).unsqueeze(1)
    targets = torch.from_numpy(examples.targets)
    batch, rate = BATCH, RATE
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vectors = torch.nn.Parameter(0.1 * torch.randn(x.shape[1], width))
        head = torch.nn.Linear(width, targets.shape[1])
    if begin is not None:
        passes, batch = EPOCHS_FROM, min(BATCH_FROM, max(BATCH, len(targets) // STEPS_FROM))
        rate = RATE * (batch / BATCH) ** 0.5
        with torch.no_grad():
            vectors.zero_()[: len(begin.vectors)] = torch.from_numpy(begin.vectors)
            head.weight.copy_(torch.from_numpy(begin.head))
            head.bias.copy_(torch.from_numpy(begin.bias))
    groups: list[dict[str, Any]] = [
        {"params": [vectors], "weight_decay": 0.0},
        {"params": list(head.parameters())},
    ]
    optimizer, step = AdamW(groups, rate, fused=True), 0
    steps = passes * -(-len(targets) // batch)
    table = vectors.detach().numpy()  # the same memory
    for _ in range(passes):
        order = rng.permutation(len(targets))
        mixed = x[order]
        for start in range(0, len(order), batch):
            set_rate(optimizer, *one_cycle(step, steps, rate))
            rows = order[start : start + batch]
            ends = mixed.indptr[start : start + len(rows) + 1]
            inside = slice(ends[0], ends[-1])
            kept = rng.random(inside.stop - inside.start) >= DROPPED
            data = mixed.data[inside][kept] / np.float32(1 - DROPPED)
            counts = np.concatenate([[0], np.cumsum(kept)])
            parts = data, mixed.indices[inside][kept], counts[ends - ends[0]]
            held = sparse.csr_matrix(parts, (len(rows), len(table)))
            # PyTorch's embedding_bag takes several times as long for its gradient.
            total = torch.from_numpy(held @ table).requires_grad_()
            logits = head(total / root[rows])
            if several:
                loss = soft_cross_entropy(logits, targets[rows], several=True)
            else:
                loss = functional.cross_entropy(logits, targets[rows], label_smoothing=SMOOTHING)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            assert total.grad is not None
            vectors.grad = torch.from_numpy(held.T @ total.grad.numpy())
            optimizer.step()
            step += 1
    table[np.bincount(x.indices, minlength=len(table)) == 0] = 0  # in no text, never trained
    return Vectors(
        features.folded(table), head.weight.detach().numpy().copy(), head.bias.detach().numpy().copy()
    )


def with_svm(narrow: Vectors, examples: Examples, features: Features, labels: Ints) -> Vectors:
    """The narrow vectors and an SVM's, see :func:`merged`."""
    recipe = Recipe(SVM_BESIDE, 1.0, meanings=MEANT_OF_FEW)
    svm = fit_exact(examples, features, labels, len(narrow.head), recipe)
    return merged(narrow, svm, examples, features)


def merged(narrow: Vectors, other: Vectors, examples: Examples, features: Features) -> Vectors:
    """Vectors as wide as the narrow ones for the mean of both's logits, the other's as large as theirs: those
    directions are kept in which the logits of the texts differ most (singular value decomposition)."""
    count, width = narrow.head.shape
    held = features.held(examples)
    by_length = np.sqrt(examples.lengths)[:, None]
    total = np.zeros((len(features.keys), count), np.float32)
    bias, scale = np.zeros(count, np.float32), None
    for one in (narrow, other):
        vectors = one.vectors @ one.head.T
        centred = vectors - vectors.mean(axis=1, keepdims=True)  # a softmax does not see the mean
        spread = max(1e-6, float(np.std((held @ centred) / by_length)))
        scale = scale or spread
        total += np.float32(0.5 * scale / spread) * centred
        bias += np.float32(0.5 * scale / spread) * one.bias
    _, _, axes = np.linalg.svd((held @ total) / by_length, full_matrices=False)
    head = np.zeros((count, width), np.float32)
    head[:, : len(axes)] = axes[:width].T
    return Vectors(np.asarray(total @ head, np.float32), head, bias)


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
    train: Examples,
    held_out: Examples,
    features: Features,
    recipe: Recipe | None,
    seed: int,
    begin: Vectors | None = None,
    vectors: Vectors | None = None,
    svm: Vectors | None = None,
    labelled: Examples | None = None,
) -> PartLogits:
    """The answers of the trained LSTM, of the n-gram part: ``vectors``, or without them one that is fitted to
    ``train`` (and ``labelled``, see Lesson), and of the SVM beside it, if any. begin: see :func:`fit_narrow`.
    """
    soft = vectors is not None and exact(network.config.labels)
    if vectors is None:
        truth = truth_of(network, train)
        vectors = _fit(network.config, train, features, truth, recipe, seed, begin, labelled)
    held = features.held(held_out)
    linear = vectors.logits(held, held_out.lengths)
    beside = None if svm is None else svm.logits(held, held_out.lengths)
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
        expected = (*expected, 0.0)
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
    examples: Examples,
    judged: PartLogits | None,
    features: Features,
    recipe: Recipe | None,
    seed: int,
    texts: int | None = None,
    begin: Vectors | None = None,
    fitted: Vectors | None = None,
    svm: Vectors | None = None,
) -> Finished:
    """Fits the n-gram part to the examples' labels (the largest target of each) and weighs it and the trained
    LSTM by what both answered other texts; both come into the network. texts: that the LSTM learnt from,
    where these are others. begin: see :func:`fit_narrow`. fitted: the n-gram part, where it is known; svm:
    what stands beside it, of the same width, and comes into the same vectors."""
    several = network.config.several
    vectors = judged.vectors if judged is not None and fitted is None else fitted
    if vectors is None:
        truth = truth_of(network, examples)
        vectors = _fit(network.config, examples, features, truth, recipe, seed, begin)
    share, other, accuracies = *_expected(texts or len(examples)), None
    beside, bias = 0.0, np.zeros(network.config.logits, np.float32)
    if judged is not None:
        share, other, beside, bias = weigh(judged, texts or len(examples), several=several)
        truth = judged.targets > 0.5 if several else judged.targets.argmax(axis=1)
        accuracies = share_right(judged.ngrams, truth), share_right(judged.lstm, truth)
    finished = Finished(vectors, other, share, bias, recipe, accuracies, beside)
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
    examples: Examples,
    features: Features,
    temperature: float,
    seed: int,
    begin: Vectors | None = None,
    labelled: Examples | None = None,
) -> None:
    """Fits the n-gram part again, to more examples, and puts it in the place of the one that was weighed.

    temperature: what the logits were divided by since. begin: see :func:`fit_narrow`; labelled: see Lesson.
    It is the one of before again, not what was weighed: of that, some passes with all examples lose as much
    as they bring.
    """
    labels = truth_of(network, examples)
    vectors = _fit(network.config, examples, features, labels, finished.recipe, seed, begin, labelled)
    share = finished.ngrams / temperature
    _set(network, vectors, share)
    with torch.no_grad():
        network.head.bias.add_(torch.from_numpy(share * (vectors.bias - finished.vectors.bias)))


def truth_of(network: Network, examples: Examples) -> Truth:
    """The examples' labels, by their targets: int64 [n], the largest; of several, bool [n, labels]."""
    return examples.targets > 0.5 if network.config.several else examples.targets.argmax(axis=1)


def _fit(
    config: NetworkConfig,
    examples: Examples,
    features: Features,
    labels: Truth,
    recipe: Recipe | None,
    seed: int,
    begin: Vectors | None,
    labelled: Examples | None = None,
) -> Vectors:
    """labelled: the labelled texts with their own labels, where the examples are more: vectors of many labels
    are those of both, halved. On parts of banking77's training split, 6,000 rows, three seeds, beside the
    LSTM 90.8 % are right so, 90.5 by the rows alone with a teacher's say in their labels, or by all."""
    if exact(config.labels):
        recipe = recipe or cross_fit(examples, features, labels, config.labels, seed).recipe
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


def carried_over(old: Vectors, held: Ints, ngrams: Ints, labels: int) -> Vectors | None:
    """The vectors and the head of an n-gram part for other n-grams and more labels, zero for what is new;
    None where so few labels are fitted from nothing. held: int64 [n, 2], the old n-grams; ngrams: int64
    [m, 2]."""
    if exact(labels):
        return None
    row = {pair: i for i, pair in enumerate(map(tuple, held.tolist()))}
    places = np.array([row.get(pair, -1) for pair in map(tuple, ngrams.tolist())], np.int64)
    vectors = np.where(places[:, None] >= 0, old.vectors[places], 0).astype(np.float32)
    more = labels - len(old.head)
    return Vectors(vectors, np.pad(old.head, ((0, more), (0, 0))), np.pad(old.bias, (0, more)))


def _set(network: Network, vectors: Vectors, share: float) -> None:
    assert network.ngrams is not None
    network.ngrams.silent = False
    with torch.no_grad():
        network.ngrams.vectors.weight[1:] = torch.from_numpy(vectors.vectors)
        network.head.weight[:, network.config.pooled_dim :] = torch.from_numpy(share * vectors.head)
