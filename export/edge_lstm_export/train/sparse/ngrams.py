"""The n-gram part of the network: its columns, and how its vectors are fitted.

If labels are few, an n-gram's vector is its share of each logit; if they are many, a vector of a
lower rank. Character n-grams within a word and word embeddings count in the fit only. Those of a
word are fixed, so they are added into its vector, and a word that came up once still says what its
characters say.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from scipy import sparse
from scipy.optimize import minimize
from torch.nn import functional

from edge_lstm.core.decide import apply_thresholds
from edge_lstm.core.fields import FIELD_WORDS
from edge_lstm.core.text import FIRST_WORD_ID, OOV_ID, Tokenizer
from edge_lstm_export.arrays import Bools, Doubles, Floats, Ints, Matrix
from edge_lstm_export.network import (
    Examples,
    PairTable,
    adamw,
    cross_entropy,
    soft_cross_entropy,
    table_of,
)
from edge_lstm_export.options import LONGEST_CHARACTERS, SparseOptions
from edge_lstm_export.train.sparse.linear import bayes_weights, svm_weights

_TEXTS_AT_A_TIME = 20_000  # memory only
_PAIR_BASE = 2**31  # a pair's key is left id · _PAIR_BASE + right id
_SMALLEST = 1e-9  # divisors are at least this
BAYES = 0.3  # standard deviation of naive Bayes' scores, in the SVMs'
LETTERS = 2.0  # norm of the letters of a row's fields, in norms of its n-grams
# Texts that hold a pair or a character n-gram, at least.
_FEWEST_TEXTS = 2


@dataclass(frozen=True)
class Features:
    """The n-grams of a network and what else its fit reads of a text.

    words: ids that are n-grams, from OOV_ID on. table: of the pairs; they are the n-grams that
        follow, by slot. pairs: int64 [slots, 2], the pair in each slot, 0 in an empty one.
    characters: float32 [n, m], CSR: how often an n-gram holds a character n-gram; None for long
        texts, which hold enough words. letters: float32 [n, k], CSR: the letters of a field word;
        the fit reads them, not the word; None without fields. embeddings: float32 [n, width], what
        a word adds to the meaning of a text; None if nothing is known. counts: what an n-gram
        counts by its occurrences, as the network has it.
    """

    words: int
    table: PairTable
    pairs: Ints
    characters: Matrix | None = None
    letters: Matrix | None = None
    embeddings: Floats | None = None
    counts: tuple[int, ...] = (1,)

    def __len__(self) -> int:
        return self.words + len(self.pairs)

    @property
    def ids(self) -> Ints:
        """The ids of each n-gram, int64 [n, 2].

        The second of a word is 0, and both of an empty slot.
        """
        words = OOV_ID + np.arange(self.words)
        return np.concatenate([np.stack([words, 0 * words], axis=1), self.pairs])

    def held(self, examples: Examples) -> Matrix:
        """Return the n-grams that a text holds, as the model file has them.

        They are float32 [texts, n], CSR: the count of each, as a multiple of a single one.
        """
        blocks = [sparse.csr_matrix((0, len(self)), dtype=np.float32)]
        multiples = np.array(self.counts, np.float32) / np.float32(self.counts[0])
        for texts, owner, ids, pair_owner, pairs in _blocks(examples):
            is_word = (ids >= OOV_ID) & (ids < OOV_ID + self.words)
            owners = [owner[is_word]]
            places = [ids[is_word] - OOV_ID]
            if len(self.pairs):
                slots, is_pair = self.table.find(pairs // _PAIR_BASE, pairs % _PAIR_BASE)
                owners.append(pair_owner[is_pair])
                places.append(self.words + slots[is_pair])
            shape = (texts, len(self))
            rows = np.concatenate(owners)
            block = _occurrences(rows, np.concatenate(places), shape)
            times = np.minimum(block.data, len(multiples)).astype(np.intp)
            block.data = multiples[times - 1]
            blocks.append(block)
        return sparse.vstack(blocks, "csr")

    def matrix(self, counts: Matrix) -> Matrix:
        """Return all columns of the fit: float32 [texts, n + m + k + width], CSR.

        counts: float32 [texts, n].
        """
        more = [sparse.csr_matrix(counts @ part) for part in self._parts()]
        return sparse.hstack([counts, *more]).tocsr()

    def folded(self, weights: Floats) -> Floats:
        """Return the weights of the n-grams, float32 [n, outputs].

        The other columns' weights are added into the words'.

        weights: float32 [n + m + k + width, outputs], of the columns of :meth:`matrix`.
        """
        total, *blocks = np.split(weights, self.ends[:-1])
        for part, block in zip(self._parts(), blocks):
            total = total + part @ block
        return np.asarray(total, np.float32)

    @property
    def ends(self) -> list[int]:
        """The ends of the blocks of :meth:`matrix`: n-grams, characters, letters, embeddings."""
        return [*accumulate((part.shape[1] for part in self._parts()), initial=len(self))]

    def _parts(self) -> list[Any]:
        parts = self.characters, self.letters, self.embeddings
        none = sparse.csr_matrix((len(self), 0), dtype=np.float32)
        return [none if part is None else part for part in parts]


def choose_ngrams(
    examples: Examples,
    words: int,
    most_slots: int,
    targets: Floats | None = None,
    without: Sequence[int] = (),
) -> Features:
    """Choose the n-grams that get a vector.

    words: this many ids from OOV_ID on get one (a word that occurs in no text has its characters).
    most_slots: slots of word pairs; as many pairs are chosen as find room.
    targets: float32 [texts, L]; the pairs that tell labels apart come first. None: the most
        frequent pairs do.
    without: ids that are the second of no pair.
    """
    counts, keys = _pairs_of(examples)
    texts = counts.getnnz(axis=0)
    worth = texts.astype(np.float64) if targets is None else _log_count_ratios(counts, targets)
    worth[(texts < _FEWEST_TEXTS) | np.isin(keys % _PAIR_BASE, without)] = -1
    best = np.argsort(-worth, kind="stable")
    chosen = keys[best[worth[best] > 0]]
    pairs = np.stack([chosen // _PAIR_BASE, chosen % _PAIR_BASE], axis=1)
    return Features(words, *table_of(pairs, most_slots))


def _log_count_ratios(counts: Matrix, targets: Floats) -> Doubles:
    """Return |log-count ratio| times the root of the texts, float64 [columns].

    It is the largest over the labels against the rest (the ratio is NB-SVM's; Wang & Manning,
    2012).
    """
    texts = counts.getnnz(axis=0)
    sizes = targets.sum(axis=0)
    inside = counts.T.astype(np.float64) @ targets + 1
    outside = texts[:, None] - inside + 2
    ratios = np.log(inside / outside) - np.log((sizes + 1) / (len(targets) - sizes + 1))
    return np.asarray(np.abs(ratios).max(axis=1) * np.sqrt(texts), np.float64)


def with_characters(features: Features, tokenizer: Tokenizer, shortest: int) -> Features:
    """Add the character n-grams of words, read as ``<word>``, and of subwords.

    shortest: of the n-grams, in characters.
    """
    words = ["" if FIELD_WORDS.fullmatch(word) else f"<{word}>" for word in tokenizer.words]
    sizes = shortest, LONGEST_CHARACTERS
    return replace(features, characters=spelled(features, [*words, *tokenizer.pieces], sizes))


def spelled(features: Features, entries: Sequence[str], sizes: tuple[int, int]) -> Matrix:
    """Return how often an n-gram holds a character n-gram of these sizes, in the entries' texts."""
    from sklearn.feature_extraction.text import CountVectorizer

    # Pairs have no characters of their own, nor has an unknown word, the first id.
    unknown = [""] * (FIRST_WORD_ID - OOV_ID)
    texts = [*unknown, *entries][: features.words]
    texts += [""] * (len(features) - len(texts))
    counter = CountVectorizer(analyzer="char", ngram_range=sizes, lowercase=False, dtype=np.float32)
    # The vectorizer refuses texts without any.
    return counter.fit_transform([*texts, "<>".ljust(sizes[0], ">")])[:-1]


def with_embeddings(features: Features, embeddings: Floats) -> Features:
    """Add the embeddings of words. embeddings: float32 [ids, width], 0 for unknown ids."""
    table = np.zeros((len(features), embeddings.shape[1]), np.float32)
    table[: features.words] = embeddings[features.ids[: features.words, 0]]
    return replace(features, embeddings=table)


# --- How the vectors are fitted -------------------------------------------------------------------


@dataclass(frozen=True)
class SparsePart:
    """A fitted n-gram part.

    Its logits are (sum of a text's vectors / sqrt(length)) @ head.T + bias.

    vectors: float32 [n, width].
    head: float32 [logits, width].
    bias: float32 [logits].
    """

    features: Features
    vectors: Floats
    head: Floats
    bias: Floats

    def logits(self, examples: Examples) -> Floats:
        """float32 [texts, logits]."""
        total = np.asarray(self.features.held(examples) @ self.vectors)
        return np.asarray(total / examples.roots @ self.head.T + self.bias, np.float32)

    def with_best_pairs(self, held: Matrix, most_slots: int) -> SparsePart:
        """Keep the words, and the pairs that move most logits, as many as find room.

        A pair moves them by the length of its share of them times the root of its texts.

        held: float32 [texts, n]. Characters and embeddings, which count in a fit, are left out.
        """
        words = self.features.words
        worth = np.linalg.norm(self.vectors @ self.head.T, axis=1) * np.sqrt(held.getnnz(axis=0))
        order = np.argsort(-worth[words:], kind="stable")
        pairs = self.features.pairs[order]
        table, kept = table_of(pairs[pairs[:, 0] > 0], most_slots)
        vectors = np.zeros((words + len(kept), self.vectors.shape[1]), np.float32)
        vectors[:words] = self.vectors[:words]
        slots, is_kept = self.features.table.find(kept[:, 0], kept[:, 1])
        vectors[words:][is_kept] = self.vectors[words:][slots[is_kept]]
        return replace(
            self,
            features=Features(words, table, kept, counts=self.features.counts),
            vectors=vectors,
        )


@dataclass(frozen=True)
class SparseData:
    """Data for a fit of the n-gram part. multi_label: a text may have several labels."""

    features: Features
    examples: Examples
    options: SparseOptions
    multi_label: bool = False

    @cached_property
    def held(self) -> Matrix:
        """float32 [texts, n], see :meth:`Features.held`."""
        return self.features.held(self.examples)

    @property
    def labels(self) -> Bools:
        """The labels by the targets, bool [texts, L]: the largest, or all above one half."""
        targets = self.examples.targets
        if self.multi_label:
            return targets > 0.5
        return apply_thresholds(targets)

    @property
    def outputs(self) -> int:
        """Columns of logits: one for two labels of which a text has one."""
        labels = self.examples.targets.shape[1]
        return 1 if labels == 2 and not self.multi_label else labels

    def by_logit(self, weights: Floats, bias: Floats) -> SparsePart:
        """Return the n-gram part of these weights: a column per logit.

        weights: float32 [columns, outputs], see :meth:`Features.folded`.
        """
        identity = np.eye(len(bias), dtype=np.float32)
        return SparsePart(self.features, self.features.folded(weights), identity, bias)

    def weighted(self) -> tuple[Matrix, Floats]:
        """Return the weighted columns, float32 [texts, columns] CSR, and their weights.

        The weights are float32 [columns]. The columns are multiplied by inverse document frequency
        over the root of the text's length. Each block of columns is scaled so that a mean text has
        length 1 in it, else the many characters would drown the n-grams; in the letters, LETTERS. A
        word that has letters is read by these alone, and rare letters count as others do.
        """
        x = self.features.matrix(self.held)
        n, characters, *_ = ends = self.features.ends
        texts = np.bincount(x.indices, minlength=x.shape[1])
        weights = np.log(len(self.examples) / np.maximum(1, texts)) + 1
        weights[texts == 0] = 0
        weights[n:][texts[n:] < _FEWEST_TEXTS] = 0
        weights[characters:] = 1
        if self.features.letters is not None:
            weights[:n][self.features.letters.getnnz(axis=1) > 0] = 0
        by_length = self.examples.by_length @ x
        scaled = (by_length @ sparse.diags(weights)).tocsr()
        squares = np.asarray(scaled.multiply(scaled).sum(axis=0)).ravel() / len(self.examples)
        lengths = 1.0, 1.0, LETTERS, self.options.embeddings
        for start, end, length in zip([0, *ends], ends, lengths):
            square = float(squares[start:end].sum())
            weights[start:end] *= length / max(square, _SMALLEST) ** 0.5
        scaled = (by_length @ sparse.diags(weights)).tocsr()
        return scaled.astype(np.float32), weights.astype(np.float32)


def fit_svm(data: SparseData) -> SparsePart:
    """Fit a linear SVM for each label against the rest: one column per logit.

    If a text has one label, and no fields, naive Bayes is added. Its scores of each label get the
    mean 0 and BAYES of the SVM's standard deviation, however rare the label.
    """
    x, weights = data.weighted()
    coefficients, bias = svm_weights(x, data.labels, data.multi_label, data.options.regularization)
    if not data.multi_label and data.features.letters is None:
        counted = x[:, : data.features.ends[1]]
        naive = bayes_weights(counted, data.labels)
        scores = counted @ naive
        spreads = (x @ coefficients).std(axis=0)
        factors = BAYES * spreads / np.maximum(_SMALLEST, scores.std(axis=0))
        bias = bias - factors * scores.mean(axis=0)
        coefficients[: len(naive)] += np.asarray(factors, np.float32) * naive
    return data.by_logit(coefficients * weights[:, None], bias)


def fit_logistic(data: SparseData, other_logits: Floats | None = None) -> SparsePart:
    """Fit a logistic regression on soft targets: one column per logit.

    It learns from texts that teachers are unsure of, too; an SVM takes a text wholly for its
    likeliest label.
    other_logits: float32 [texts, outputs], to which its own are added.
    """
    x, weights = data.weighted()
    transposed = sparse.csr_matrix(x.T)
    texts = len(data.examples)
    outputs = data.outputs
    # Less where the package's model learns what its LSTM leaves, from many texts (tools/sentiment).
    ridge = 1e-4 if other_logits is None else 1e-6
    if outputs == 1:  # one logit stands for two that are each half of it
        ridge /= 2
    fixed = 0 if other_logits is None else other_logits

    def split(flat: Doubles) -> tuple[Floats, Floats]:
        """Return the weights of the columns, and the bias."""
        rows = flat.reshape(-1, outputs).astype(np.float32)
        return rows[:-1], rows[-1]

    def loss(flat: Doubles) -> tuple[float, Doubles]:
        w, bias = split(flat)
        logits = x @ w + bias + fixed
        nats, slope = cross_entropy(logits, data.examples.targets, multi_label=data.multi_label)
        slope = slope.astype(np.float32)
        of_columns = transposed @ slope / texts + ridge * w
        of_bias = slope.sum(axis=0) / texts
        gradient = np.concatenate([of_columns.ravel(), of_bias]).astype(np.float64)
        return nats / texts + 0.5 * ridge * float((w**2).sum()), gradient

    begin = np.zeros((x.shape[1] + 1) * outputs)
    steps = {"maxiter": 50}  # more label no better
    w, bias = split(minimize(loss, begin, jac=True, method="L-BFGS-B", options=steps).x)
    return data.by_logit(w * weights[:, None], bias.copy())


def fit_low_rank(data: SparseData, width: int, seed: int) -> SparsePart:
    """Fit vectors of ``width`` and a head by AdamW on the targets.

    Each step drops half of a text's n-grams.
    """
    x = data.features.matrix(data.held)
    rng = np.random.default_rng([seed, 0x3A])
    roots = torch.from_numpy(data.examples.roots.astype(np.float32))
    targets = torch.from_numpy(data.examples.targets)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vectors = torch.nn.Parameter(0.1 * torch.randn(x.shape[1], width))  # near zero
        head = torch.nn.Linear(width, targets.shape[1])
    loss_of = partial(functional.cross_entropy, label_smoothing=0.05)  # for all labels alike
    if data.multi_label:
        loss_of = partial(soft_cross_entropy, multi_label=True)
    groups: list[dict[str, Any]] = [
        {"params": [vectors], "weight_decay": 0.0},
        {"params": head.parameters()},
    ]
    rate = 0.01  # the peak
    size = 64  # texts of a step
    epochs = 20
    optimizer = adamw(groups, rate)
    # The schedule of the learning rate needs some steps.
    steps = max(20, epochs * math.ceil(len(targets) / size))
    one_cycle = torch.optim.lr_scheduler.OneCycleLR
    schedule = one_cycle(optimizer, rate, total_steps=steps, pct_start=0.1)
    table = vectors.detach().numpy()  # the same memory
    for _ in range(epochs):
        order = rng.permutation(len(targets))
        shuffled = x[order]
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            batch = _dropped(shuffled[start : start + size], 0.5, rng)
            # PyTorch's embedding_bag takes several times as long for its gradient.
            total = torch.from_numpy(batch @ table).requires_grad_()
            loss = loss_of(head(total / roots[rows]), targets[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            assert total.grad is not None
            vectors.grad = torch.from_numpy(batch.T @ total.grad.numpy())
            optimizer.step()
            schedule.step()
    table[np.bincount(x.indices, minlength=len(table)) == 0] = 0  # in no text, never trained
    weight, bias = (value.detach().numpy() for value in head.parameters())
    return SparsePart(data.features, data.features.folded(table), weight, bias)


def merged(first: SparsePart, second: SparsePart, data: SparseData) -> SparsePart:
    """Return vectors as wide as the first's for the mean of both's logits.

    The second's logits are made as large as the first's. Kept are the directions in which the
    logits of the texts differ most (singular value decomposition).
    """
    count, width = first.head.shape
    roots = data.examples.roots
    total = np.zeros((len(data.features), count), np.float32)
    bias = np.zeros(count, np.float32)
    scale = None
    for weights in (first, second):
        vectors = weights.vectors @ weights.head.T
        if not data.multi_label:
            vectors -= vectors.mean(axis=1, keepdims=True)
        spread = max(_SMALLEST, float(np.std((data.held @ vectors) / roots)))
        scale = scale or spread
        factor = np.float32(0.5 * scale / spread)
        total += factor * vectors
        bias += factor * weights.bias
    _, _, axes = np.linalg.svd((data.held @ total) / roots, full_matrices=False)
    head = np.zeros((count, width), np.float32)
    head[:, : len(axes)] = axes[:width].T
    return SparsePart(data.features, np.asarray(total @ head, np.float32), head, bias)


def _dropped(x: Matrix, share: float, rng: np.random.Generator) -> Matrix:
    """Drop a random share of the CSR matrix's entries in place, and scale up the others."""
    stays = rng.random(x.nnz) >= share
    x.data = np.where(stays, x.data / np.float32(1 - share), np.float32(0))
    x.eliminate_zeros()
    return x


# --- Counting -------------------------------------------------------------------------------------


def _blocks(examples: Examples) -> Iterator[tuple[int, Ints, Ints, Ints, Ints]]:
    """Yield the ids and pairs of some texts at a time: all at once would take gigabytes.

    Each block is (texts, the text of each id, ids, the text of each pair of neighbours, keys of the
    pairs), int64.
    """
    for start in range(0, len(examples), _TEXTS_AT_A_TIME):
        offsets = examples.offsets[start : start + _TEXTS_AT_A_TIME + 1]
        owner = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        ids = examples.ids[offsets[0] : offsets[-1]].astype(np.int64)
        same = owner[:-1] == owner[1:]
        pairs = ids[:-1] * _PAIR_BASE + ids[1:]
        yield len(offsets) - 1, owner, ids, owner[:-1][same], pairs[same]


def _occurrences(rows: Ints, columns: Ints, shape: tuple[int, int]) -> Matrix:
    """float32 CSR: how often each place is named."""
    matrix = sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape)
    matrix.sum_duplicates()
    return matrix


def _named(rows: Ints, columns: Ints, shape: tuple[int, int]) -> Matrix:
    """float32 CSR: 1 for each place that is named."""
    matrix = _occurrences(rows, columns, shape)
    matrix.data[:] = 1
    return matrix


def _pairs_of(examples: Examples) -> tuple[Matrix, Ints]:
    """Return the pairs that each text holds, and the pairs' keys.

    They are float32 [texts, n] CSR with 1 for each pair, and int64 [n], ascending.
    """
    owners = [np.zeros(0, np.int64)]
    keys = [np.zeros(0, np.int64)]
    first = 0
    for texts, _, _, owner, pairs in _blocks(examples):
        different, place = np.unique(pairs, return_inverse=True)
        counts = _named(owner, place.reshape(-1), (texts, len(different))).tocoo()
        owners.append(counts.row.astype(np.int64) + first)
        keys.append(different[counts.col])
        first += texts
    different, column = np.unique(np.concatenate(keys), return_inverse=True)
    shape = (len(examples), len(different))
    return _named(np.concatenate(owners), column.reshape(-1), shape), different
