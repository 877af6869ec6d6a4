"""An encoder as a teacher: a linear probe on its frozen vectors, or fine-tuned on the labelled texts.

Frozen it knows what texts are about, fine-tuned what the labels are about. The probe takes seconds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import log_softmax

from edge_lstm.text import spaceless
from edge_lstm_export.train.data import Bools, Floats, Ints
from edge_lstm_export.train.pretrained import PretrainedWords
from edge_lstm_export.train.teachers.base import Say
from edge_lstm_export.train.teachers.fine_tuning import EncoderWithHead, fine_tune
from edge_lstm_export.train.teachers.hub import load_encoder, source_digest
from edge_lstm_export.train.teachers.reader import TextReader, forget
from edge_lstm_export.train.teachers.transformer import Transformer

C = 10.0  # inverse regularisation, for vectors of length 1
UNSEEN = 1e-6  # the probability of a label that no row has
# To be raised with every change that may give a text another prediction.
_VERSION = 1


class EncoderReader:
    """An encoder that several teachers share: loaded once, and its vector of a text computed once."""

    def __init__(self, source: str, say: Say = lambda line: None) -> None:
        """source: a folder, or a name on the hub. Raises what ``hub.load_encoder`` raises."""
        self.source, self.name, self.encoder = source, Path(source).name, load_encoder(source)
        self._reader = TextReader(lambda: self.encoder, say)

    def vectors(self, texts: Sequence[str]) -> tuple[Floats, Floats]:
        """Means of the last layer: scaled to length 1, float32 [n, hidden], and their lengths [n]."""
        means = self._reader.outputs(texts)
        lengths = np.linalg.norm(means, axis=1).clip(1e-9)
        return np.asarray(means / lengths[:, None], np.float32), lengths


@dataclass(frozen=True)
class LogitModel:
    """logits: rows → float32 [rows, L], see base.Model; several: a text may have several labels."""

    logits: Callable[[Ints], Floats]
    several: bool

    def predict_logits(self, rows: Ints) -> Floats:
        logits = self.logits(rows)
        return np.asarray(logits if self.several else log_softmax(logits, axis=1), np.float32)


def fit_layer(x: Floats, labels: Bools, several: bool) -> tuple[Floats, Floats]:
    """A logistic regression as a layer: weights float32 [L, width] and bias [L].

    x: float32 [n, width]; labels: bool [n, L]; several: one regression for each label. A label that no row
    has is as good as impossible, one that all have as good as certain.
    """
    from sklearn.linear_model import LogisticRegression

    weights = np.zeros((labels.shape[1], x.shape[1]), np.float32)
    bias = np.where(labels.all(axis=0), -np.log(UNSEEN), np.log(UNSEEN)).astype(np.float32)
    model = LogisticRegression(C=C, max_iter=300, tol=1e-3)
    if several:
        for column in np.flatnonzero(labels.any(axis=0) & ~labels.all(axis=0)):
            model.fit(x, labels[:, column])
            weights[column], bias[column] = model.coef_[0], model.intercept_[0]
        return weights, bias
    model.fit(x, labels.argmax(axis=1))
    layer = [model.coef_, model.intercept_]
    if len(model.classes_) == 2:  # one logit stands for two
        layer = [np.concatenate([-values / 2, values / 2]) for values in layer]
    weights[model.classes_], bias[model.classes_] = layer
    return weights, bias


class EncoderProbe:
    """A logistic regression on the frozen encoder's vectors, of length 1."""

    asked = True

    def __init__(self, reader: EncoderReader, several: bool) -> None:
        self.reader, self.several = reader, several
        self.name = f"{reader.name}, linear probe"

    def read(self, texts: Sequence[str]) -> None:
        self._texts = list(texts)

    def fit(self, rows: Ints, labels: Bools) -> LogitModel:
        weights, bias = fit_layer(self._vectors(rows), labels, self.several)
        return LogitModel(lambda asked: self._vectors(asked) @ weights.T + bias, self.several)

    def _vectors(self, rows: Ints) -> Floats:
        return self.reader.vectors([self._texts[row] for row in rows])[0]


class FineTunedEncoder:
    """The encoder, fine-tuned anew in each fit. cache: beside this path predictions stay on disk until
    :meth:`forget`, so that an interrupted training fine-tunes none of its encoders twice."""

    asked = True

    def __init__(
        self,
        reader: EncoderReader,
        several: bool,
        *,
        seed: int = 0,
        cache: Path | None = None,
        say: Say = lambda line: None,
    ) -> None:
        self.reader, self.several, self.seed, self.cache, self.say = reader, several, seed, cache, say
        self.name = f"{reader.name}, fine-tuned"

    def read(self, texts: Sequence[str]) -> None:
        self._texts = list(texts)
        self._source = source_digest(self.reader.source) if self.cache else ""

    def fit(self, rows: Ints, labels: Bools) -> LogitModel:
        """Fine-tune when the model first predicts, unless what it predicts is on disk; predictions raise
        OutputError."""
        texts = [self._texts[row] for row in rows]
        made_of = [_VERSION, self._source, self.seed, self.several, texts, labels.tolist()]
        key = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()
        reader = TextReader(lambda: self._tune(texts, labels), self.say, cache=self.cache, key=key)
        return LogitModel(lambda asked: reader.outputs([self._texts[row] for row in asked]), self.several)

    def forget(self) -> None:
        """Remove the predictions on disk."""
        if self.cache is not None:
            forget(self.cache)

    def _tune(self, texts: list[str], labels: Bools) -> EncoderWithHead:
        vectors, lengths = self.reader.vectors(texts)
        weights, bias = fit_layer(vectors, labels, self.several)
        # The head reads means that are not of length 1, but of about one length.
        model = EncoderWithHead(self.reader.encoder, weights / lengths.mean(), bias)
        fine_tune(model, texts, labels, several=self.several, seed=self.seed, say=self.say)
        return model


def encoder_words(encoder: Transformer) -> PretrainedWords | None:
    """The words that the encoder's tokenizer reads as one piece, and the embeddings of its pieces; None where
    it has none. Words are of letters alone, two or more, in scripts that put spaces between them."""
    if encoder.word_table is None:
        return None
    tokenizer, table = encoder.tokenizer, encoder.word_table.detach().float().cpu().numpy()

    def read(words: Sequence[str]) -> list[list[int]]:
        # After a space, since some vocabularies tell a word's beginning by it.
        spaced = [f" {word}" for word in words]
        rows = tokenizer(spaced, add_special_tokens=False)["input_ids"] if spaced else []
        return [[i for i in ids if i != tokenizer.unk_token_id] for ids in rows]

    ids = sorted({*range(min(len(tokenizer), len(table)))} - {*tokenizer.all_special_ids})
    tokens = tokenizer.convert_ids_to_tokens(ids)
    names = [tokenizer.convert_tokens_to_string([token]).strip().lower() for token in tokens]
    usable = [(i, word) for i, word in zip(ids, names) if word[1:] and word.isalpha() and not spaceless(word)]
    place: dict[str, int] = {}
    for (i, word), pieces in zip(usable, read([word for _, word in usable])):
        if pieces == [i]:
            place.setdefault(word, i)
    return PretrainedWords(tuple(place), table, np.array(list(place.values()), np.int64), read)
