"""Linear models on sparse columns.

The n-gram part and the linear teacher fit them, and a network is compared with one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_lstm.core.decide import apply_thresholds
from edge_lstm.core.fields import FIELD_WORDS, without_fields
from edge_lstm.metrics import SetScores, set_scores
from edge_lstm_export.arrays import Bools, Floats, Matrix
from edge_lstm_export.network import two_columns
from edge_lstm_export.options import LONGEST_CHARACTERS
from edge_lstm_export.train.data import LabelledRows, TrainingData
from edge_lstm_export.train.sources import Dataset, Split

# C of SVMs on TF-IDF of words, word pairs and characters.
SVM_C = 0.5
SVM_PASSES = 500  # passes of liblinear, at most


def counters(
    vectorizer: Callable[..., Any], token: str, *, characters: bool, **settings: Any
) -> list[Any]:
    """Return scikit-learn's vectorizers of words and word pairs, and of characters if they count.

    vectorizer: their class.
    token: regular expression of a word.
    characters: whether character n-grams within words count. In long texts they take minutes and
        gigabytes.
    """
    settings["dtype"] = np.float32
    made = [vectorizer(token_pattern=token, ngram_range=(1, 2), **settings)]
    if characters:
        made.append(vectorizer(analyzer="char_wb", ngram_range=(2, LONGEST_CHARACTERS), **settings))
    return made


def svm_weights(
    x: Matrix, labels: Bools, multi_label: bool, c: float, passes: int = SVM_PASSES
) -> tuple[Floats, Floats]:
    """Fit a linear SVM for each label against the rest.

    For two labels of which a text has one, there is a single one.

    x: float32 [texts, columns].
    labels: bool [texts, L].
    c: inverse regularization.
    passes: of liblinear, at most.

    Return weights, float32 [columns, outputs], and bias, float32 [outputs]. A label that all texts
    have, or that no text has, gets a constant score.
    """
    from sklearn.svm import LinearSVC

    targets = labels[:, 1:] if labels.shape[1] == 2 and not multi_label else labels
    x = x.astype(np.float64)
    x.sum_duplicates()  # as liblinear wants it: else each label does both again
    weights = np.zeros((x.shape[1], targets.shape[1]), np.float32)
    bias = np.where(targets.all(axis=0), 1, -1).astype(np.float32)
    for column in np.flatnonzero(targets.any(axis=0) & ~targets.all(axis=0)):
        # Labels do not change with a smaller tolerance.
        model = LinearSVC(C=c, tol=1e-2, random_state=0, max_iter=passes)
        model.fit(x, targets[:, column])
        weights[:, column] = model.coef_[0]
        bias[column] = model.intercept_[0]
    return weights, bias


def bayes_weights(x: Matrix, labels: Bools) -> Floats:
    """Return the weights of complement naive Bayes: float32 [columns, outputs].

    As Rennie et al. (2003) have it.

    x: float32 [texts, columns], none below 0.
    labels: bool [texts, L], one per text.
    """
    from sklearn.naive_bayes import ComplementNB

    model = ComplementNB(alpha=0.1)  # a rare label has few rows, so its counts are small
    model.partial_fit(x, labels.argmax(axis=1), np.arange(labels.shape[1]))
    weights = model.feature_log_prob_.T.astype(np.float32)  # columns, L
    weights -= weights.mean(axis=1, keepdims=True)
    return np.asarray(weights[:, 1:] if weights.shape[1] == 2 else weights)


# --- The linear model that a network is compared with ---------------------------------------------

TOKEN = r"\w+|[^\w\s]"  # every text has one, unless it is blank
FLOAT32_BYTES = 4
# A fit of more labels, or of more characters of all texts times the SVMs and 12 for counting,
# takes more than a few per cent of a training, or a gigabyte.
MOST_LABELS = 100
MOST_WORK = 100_000_000
COUNTING = 12  # an estimate
PASSES = 5  # of liblinear; more change no more labels than another order of the rows


@dataclass(frozen=True)
class Baseline:
    """A linear model, judged by the rows that judge the network.

    scores: of those rows.
    size: bytes of its weights as float32 and of its vocabulary, a byte between two entries.
    part: of the parts of rows with fields, the one that it reads, for people; else empty.
    name: for people.
    """

    scores: SetScores
    size: int
    part: str
    name: str = "linear SVM on TF-IDF"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        figures = self.scores.to_dict()
        del figures["labels"]
        return {"name": self.name, "bytes": self.size, **figures}


def fit_baseline(
    dataset: Dataset,
    rows: LabelledRows,
    *,
    characters: bool = True,
    read: Callable[[str], str] = str,
    part: str = "",
) -> Baseline | None:
    """Fit a linear SVM on TF-IDF of words, pairs of words and characters, and judge it.

    It learns from what the network learns from, for each fold if these judge. It is a few lines of
    scikit-learn.

    read: makes the read form of a text.
    part: see Baseline.
    characters: see counters. None if that would take long, or texts are blank.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_union

    rounds = _rounds(dataset, rows)
    labels = len(dataset.labels)
    size_of_texts = sum(len(text) for learnt, _ in rounds for text in learnt.texts)
    if labels > MOST_LABELS or size_of_texts * (COUNTING + labels) > MOST_WORK:
        return None
    answers = []
    for learnt, judged in rounds:
        made = counters(TfidfVectorizer, TOKEN, characters=characters, sublinear_tf=True)
        union = make_union(*made)
        try:
            x = union.fit_transform(list(map(read, learnt.texts)))
        except ValueError:  # scikit-learn's, of blank texts
            return None
        weights, bias = svm_weights(x, learnt.labels, dataset.multi_label, SVM_C, PASSES)
        asked = union.transform(list(map(read, judged.texts)))
        answers.append(np.asarray(asked @ weights + bias, np.float32))
    logits = np.concatenate(answers)
    given = logits > 0
    if not dataset.multi_label:
        given = apply_thresholds(two_columns(logits))
    truth = np.concatenate([judged.labels for _, judged in rounds])
    scores = set_scores(truth, given, dataset.labels)
    entries = sum(len(entry.encode()) + 1 for each in made for entry in each.vocabulary_)
    return Baseline(scores, entries + FLOAT32_BYTES * (weights.size + bias.size), part)


def fit_baselines(dataset: Dataset, data: TrainingData) -> tuple[Baseline, ...]:
    """Judge a linear model; of rows with fields, on the texts alone, on the fields alone, on both.

    The words of numbers are read by their letters, as the n-gram part reads them. A fit that would
    take long, or of blank texts, is left out.
    """
    letters = data.letters

    def of_both(text: str) -> str:
        return FIELD_WORDS.sub(lambda word: " ".join(letters[word[0]]), text)

    def of_fields(text: str) -> str:
        return " ".join(FIELD_WORDS.findall(of_both(text)))

    readings: dict[str, Callable[[str], str]] = {"": str}
    if dataset.fields is not None:
        readings = {"text alone": without_fields, "fields alone": of_fields, "both": of_both}
    has_characters = dataset.fields is None and not data.plan.is_long
    found = (
        fit_baseline(dataset, data.rows, characters=has_characters, read=read, part=part)
        for part, read in readings.items()
    )
    return tuple(filter(None, found))


def _rounds(dataset: Dataset, rows: LabelledRows) -> list[tuple[Split, Split]]:
    """Return (texts to learn from, texts that judge), once or for each fold."""
    if dataset.test is not None:
        return [(dataset.train, dataset.test)]
    if len(rows.validation):
        return [(rows.learnt, rows.validation)]
    folds = [rows.fold == k for k in range(rows.folds)]
    subset = rows.learnt.subset
    return [(subset(np.flatnonzero(~fold)), subset(np.flatnonzero(fold))) for fold in folds]
