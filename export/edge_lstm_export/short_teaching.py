"""Teachers of short texts: a linear model that knows words and characters, and an encoder beside it.

Both label every labelled text without having seen its label, so how much each counts comes from the labelled
texts themselves, and no text need be kept aside for it. What they say together of texts without labels, of a
log or made from the labelled ones, is what few labelled rows lack.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from edge_lstm_export.cross_validation import FOLDS, folds_of
from edge_lstm_export.distillation import Distillation, Taught
from edge_lstm_export.examples import Examples, one_hot
from edge_lstm_export.fit import Prepared
from edge_lstm_export.made_texts import make_texts
from edge_lstm_export.narrow_vectors import MOST_SVMS, fit_narrow, with_svm
from edge_lstm_export.network import Network
from edge_lstm_export.ngram_features import Features, choose_ngrams, learn_features
from edge_lstm_export.ngram_part import Lesson
from edge_lstm_export.ngram_svm import FEW_TEXTS, Recipe, cross_fit, exact, fit_exact, fit_known_words
from edge_lstm_export.soft_ngrams import fit_soft
from edge_lstm_export.teacher import accuracy_of, adds, blend_weights, blended
from edge_lstm_export.teacher.labels import Floats, Ints
from edge_lstm_export.tuned_encoders import TunedEncoders, can_fine_tune

if TYPE_CHECKING:
    from edge_lstm_export.teacher.transformer import Encoder

Say = Callable[[str], None]

# How much a text's own label counts beside the teachers': above half, so that it stays the largest target.
# It was not tuned further.
OWN_LABELS = 0.6
MOST_IN_FOLD = 5_000  # of the texts without a label, in a training of the cross-validation
_ONE_SVM = (0.5,)  # C, where many labels make many SVMs
# The teachers: how each is named, and the key of its accuracy in the provenance.
LINEAR, FROZEN, FINE_TUNED = "words and characters", "encoder", "encoder, fine-tuned,"
SENTIMENT = "the embedded model"
_KEYS = {
    LINEAR: "linear_accuracy",
    SENTIMENT: "embedded_accuracy",
    FROZEN: "encoder_accuracy",
    FINE_TUNED: "fine_tuned_accuracy",
}


@dataclass(frozen=True)
class Opinions:
    """What the teachers of some rows say: labelled: float32 [rows, labels], of each row without having seen
    it; others: float32 [texts, labels]. weights: of each teacher, by its name above, the linear model first;
    accuracies: theirs on the rows, 0 to 1; together: that of all. recipe: of the linear model. each: what
    each says of the rows, as ``labelled``."""

    labelled: Floats
    others: Floats
    weights: dict[str, float]
    accuracies: dict[str, float]
    together: float
    recipe: Recipe
    each: dict[str, Floats]


class ShortTeachers:
    """The teachers of one training. Each text is read by the frozen encoder once, whatever rows are learnt
    from; of many rows, which fine-tune it, it reads the rows alone."""

    def __init__(
        self,
        prepared: Prepared,
        network: Network,
        distillation: Distillation,
        encoder: Encoder | None,
        own_labels: float,
        seed: int,
        say: Say = lambda line: None,
        *,
        sentiment: bool = False,
        reading: Prepared | None = None,
    ) -> None:
        """sentiment: the embedded model is one of the teachers. reading: what the linear one reads of the
        labelled texts, where that is other words than the network reads."""
        assert network.ngrams is not None
        self.prepared, self.distillation = prepared, distillation
        self.own_labels, self.seed, self.width = own_labels, seed, network.config.ngram_dim
        self.count = len(prepared.dataset.labels)
        self.features = prepared.features(network)
        self.own = prepared.train_examples
        others = [*prepared.further, *prepared.made.texts]
        if prepared.later is not None:
            others += [*prepared.validation.texts, *prepared.later]
        nothing = np.zeros((len(others), self.count), np.float32)
        self.others = Examples.from_texts(prepared.tokenizer, others, nothing)
        self.linear = _read_alone(prepared, network, others, nothing, reading)
        self.vectors: dict[str, tuple[Floats, Floats]] = {}  # of each frozen teacher: of the rows, the others
        self.tuned: TunedEncoders | None = None
        if sentiment:
            from edge_lstm_export.teacher.embedded import sentiments

            say(f"teacher: the embedded model reads {len(self.own) + len(others):,} texts")
            read = sentiments([*prepared.train.texts, *others])
            self.vectors[SENTIMENT] = read[: len(self.own)], read[len(self.own) :]
        if encoder is not None:
            from edge_lstm_export.teacher.transformer import vectors_of

            options = distillation.transformer
            rows = prepared.train.texts
            tunable = can_fine_tune(prepared, seed)
            # Of many rows the fine-tuned encoder takes the place of the frozen one, whose vectors only begin
            # it then: on a part of trec6's training split 85.8 %, of both 85.3; of banking77's 91.7 and 91.7.
            alone = tunable and len(rows) >= FEW_TEXTS
            say(f"teacher: the encoder reads {len(rows) + (0 if alone else len(others)):,} texts")
            of_rows = vectors_of(encoder, rows, options)
            if not alone:
                of_others = vectors_of(encoder, others, options) if others else of_rows[:0]
                self.vectors[FROZEN] = of_rows, of_others
            if tunable:
                self.tuned = TunedEncoders(encoder, of_rows, prepared, others, distillation, seed, say)

    def opinions(self, rows: Ints, texts: Ints) -> Opinions:
        """rows: of the training texts, whose labels are learnt from; texts: numbers of the others."""
        features, own, others = self.linear or (self.features, self.own, self.others)
        labels, own, others = self.prepared.train.labels[rows], own.subset(rows), others.subset(texts)
        choices = None if exact(self.count) else _ONE_SVM
        found = cross_fit(own, features, labels, self.count, self.seed, choices)
        logits = np.zeros((0, 1), np.float32)
        if len(texts):
            svm = fit_exact(own, features, labels, self.count, found.recipe)
            logits = svm.logits(features.held(others), others.lengths)
        parts = {LINEAR: (found.probabilities, _probabilities(logits, self.count))}
        learnable = len(np.unique(labels)) > 1
        for name, (of_rows, of_others) in self.vectors.items() if learnable else ():
            from edge_lstm_export.teacher.frozen import fit_frozen

            frozen = fit_frozen(of_rows[rows], labels, self.count, self.seed)
            answers = frozen.labelled[:0]
            if len(texts):
                answers = frozen.probabilities(of_others[texts])
            parts[name] = (frozen.labelled, answers)
        fine_tuned, all_rows = None, len(rows) == len(self.prepared.train)
        if self.tuned is not None and learnable:
            fine_tuned = self.tuned.of_others(rows)[texts]
            if all_rows:
                parts[FINE_TUNED] = (self.tuned.of_rows, fine_tuned)
        answered = {name: labelled for name, (labelled, _) in parts.items()}
        weights = blend_weights([*answered.values()], labels)
        together = blended([*answered.values()], weights)
        said = [other for _, other in parts.values()]
        answered_others = blended(said, weights)
        if fine_tuned is not None and not all_rows:
            # Of a part of the rows no honest answer of a fine-tuned encoder is at hand: it would take as many
            # encoders for each part. What it says of other texts counts as it does with all rows.
            answered_others = blended([*said, fine_tuned], self._weights)
        return Opinions(
            together,
            answered_others,
            dict(zip(parts, weights)),
            {name: accuracy_of(labelled, labels) or 0 for name, labelled in answered.items()},
            accuracy_of(together, labels) or 0,
            found.recipe,
            answered,
        )

    def encoder_adds(self, alone: Floats | None, say: Say) -> bool:
        """Whether the encoder, frozen or fine-tuned, is worth anything beside the others, by all rows. alone:
        what the linear model would say of them in a training without a teacher; None: what it says here."""
        rows = np.arange(len(self.prepared.train))
        found, labels = self.opinions(rows, rows[:0]), self.prepared.train.labels
        others = {**found.each, **({} if alone is None else {LINEAR: alone})}
        others = {name: said for name, said in others.items() if name not in (FROZEN, FINE_TUNED)}
        without = blended([*others.values()], blend_weights([*others.values()], labels))
        # One standard error is enough: it was asked for.
        if len(others) < len(found.each) and adds(found.labelled, without, labels, errors=1):
            return True
        said = f"{found.together:.1%} with it, {accuracy_of(without, labels) or 0:.1%} without, cross-fitted"
        say(f"note: the encoder adds nothing to {LINEAR} here ({said}): it is left out")
        return False

    @cached_property
    def _weights(self) -> list[float]:
        """Of the teachers, by all rows."""
        rows = np.arange(len(self.prepared.train))
        return [*self.opinions(rows, rows[:0]).weights.values()]

    def lesson(self, rows: Ints, *, made: bool = True, most: int | None = None) -> Lesson:
        """What a network learns from these rows: them, the texts without a label (at most so many) and those
        that were made of the rows, with targets from teachers that know the labels of these rows alone."""
        further, texts = self._texts(rows, made, most)
        labels = self.prepared.train.labels[rows]
        return self._lesson(
            self.own.subset(rows), labels, self.others.subset(texts), self.opinions(rows, texts), further
        )

    def taught(self, say: Say, *, made: bool = True) -> Taught:
        """The same of all rows. Where the validation part is learnt from too, and what was made of it, the
        ``first`` lesson is without them. ``say`` is told what the teachers reached."""
        train, further, validation = self.prepared.train, self.prepared.further, self.prepared.validation
        rows = np.arange(len(train))
        _, texts = self._texts(rows, made, None)
        own, labels, first = self.own, train.labels, None
        if self.prepared.later is None:
            found = self.opinions(rows, texts)
        else:
            held = len(self.prepared.further) + len(self.prepared.made.texts) + np.arange(len(validation))
            made_of_held = np.arange(held[-1] + 1, len(self.others))
            every = self.opinions(rows, np.concatenate([texts, made_of_held, held]))
            known, unknown = np.split(every.others, [len(texts) + len(made_of_held)])
            found = replace(every, others=known[: len(texts)])
            first = self._lesson(own, labels, self.others.subset(texts), found, len(further))
            found = replace(every, labelled=np.concatenate([every.labelled, unknown]), others=known)
            own, labels = own.joined(self.others.subset(held)), np.concatenate([labels, validation.labels])
            texts = np.concatenate([texts, made_of_held])
        lesson = self._lesson(own, labels, self.others.subset(texts), found, len(further))
        for name, accuracy in found.accuracies.items():
            say(f"teacher: {name} {accuracy:.2%}, cross-fitted")
        weights = [*found.weights.values()]
        if weights[1:]:
            of_made = f", and {len(found.others) - len(further):,} made from the labelled ones" * made
            say(
                f"teacher: together {found.together:.2%}; {len(further):,} texts without a label are "
                f"labelled too{of_made}"
            )
            if max(weights[1:]) < 0.01:
                names = " and ".join([*found.weights][1:])
                say(f"note: {names} adds nothing to {LINEAR} here: its weight is 0")
        provenance = {
            "teacher": self.distillation.name,
            "unlabelled": self.distillation.unlabelled,
            "unlabelled_texts": len(further),
            "made_texts": len(found.others) - len(further),
            "cross_fitted_accuracy": round(found.together, 4),
            "own_labels": self.own_labels,
            "models_sha256": [],
            "weights": [round(weight, 3) for weight in weights],
            **{_KEYS[name]: round(accuracy, 4) for name, accuracy in found.accuracies.items()},
        }
        soft = np.concatenate([found.labelled, found.others])
        return Taught(lesson, soft, provenance, first)

    def _texts(self, rows: Ints, made: bool, most: int | None) -> tuple[int, Ints]:
        """(how many have no label, numbers of these and of what was made of the rows)."""
        further = np.arange(len(self.prepared.further))
        if most is not None and len(further) > most:
            further = np.random.default_rng([self.seed, 0x52]).permutation(further)[:most]
        of_rows = self.prepared.made.of(rows) if made else further[:0]
        return len(further), np.concatenate([further, len(self.prepared.further) + of_rows])

    def _lesson(
        self, labelled: Examples, truth: Ints, others: Examples, found: Opinions, further: int
    ) -> Lesson:
        """What a network learns from labelled texts and from others, by what was ``found`` of both. further:
        so many of the others, the first ones, were not made."""
        own = self.own_labels * one_hot(truth, self.count) + (1 - self.own_labels) * found.labelled
        examples = labelled.joined(others)
        examples = replace(examples, targets=np.concatenate([own, found.others]).astype(np.float32))
        # An SVM takes a text for wholly its likeliest label, and a made text is often of none in particular.
        # The vectors of many labels learn from soft ones.
        if not exact(self.count):
            vectors = None
            if len(truth) < FEW_TEXTS and len(others) and not further and self.count <= MOST_SVMS:
                # On a part of banking77's training split 76.7 %, without the rows' SVM 75.3.
                narrow = fit_narrow(examples, self.features, self.width, self.seed)
                vectors = with_svm(narrow, labelled, self.features, truth)
            many = len(truth) >= FEW_TEXTS and len(examples) > len(truth)
            return Lesson(examples, examples, None, vectors, labelled=labelled if many else None)
        linear, _ = examples.split(len(truth) + further)
        # The network's n-grams mean what another teacher's words do, if anything.
        known = replace(found.recipe, meanings=0.0) if not further else None
        vectors, svm = None, None
        if len(others) and self.prepared.meanings is not None:
            of_words = self.features.keys[: self.features.words]
            meant = self.prepared.meanings.vectors
            meanings = np.zeros((len(self.features.keys), meant.shape[1]), np.float32)
            meanings[: self.features.words] = meant[of_words]
            vectors = fit_soft(examples, self.features, meanings)
            if len(self.prepared.train) >= FEW_TEXTS:  # of 200 and 300 rows it is worth nothing
                words = len(self.prepared.tokenizer.words)
                svm = fit_known_words(labelled, self.features, truth, self.count, found.recipe, words)
        return Lesson(examples, linear, known, vectors, svm)


# How many of each row, and passes over these and the rows. On three quarters of the training splits of trec6,
# SST-2, TweetEval's emotions, Chinese orders and spam, the others answered (three of four, of the last two
# sets two): 84.2, 80.4, 72.6, 88.8 and 99.1 %, without made texts 84.1, 80.0, 72.1, 88.6 and 99.1, in half as
# much time again; 14 passes, or eight texts a row, brought no more. Labelled by an encoder too, 14 passes are
# no better than 8: trec6 85.3 and 85.4, banking77 91.7 and 91.7.
MADE_OF_EACH, PASSES_WITH_MADE = 3, 8
MOST_TO_MAKE_OF = 20_000  # rows: so many say themselves what could be made of them, and take their time


def made_examples(
    prepared: Prepared, network: Network, recipe: Recipe, seed: int, each: int = MADE_OF_EACH
) -> Examples:
    """Texts made from the training texts, for the LSTM, as the n-grams label them: each by a linear model
    that learnt from none of those that it was made of. For one label a text, and the part of each logit."""
    assert network.ngrams is not None
    count, own, labels = len(prepared.dataset.labels), prepared.train_examples, prepared.train.labels
    features = prepared.features(network)
    fold = folds_of(prepared.train, FOLDS, seed)
    made = make_texts(prepared.train.texts, fold, each, seed)
    targets = np.zeros((len(made.texts), count), np.float32)
    examples = Examples.from_texts(prepared.tokenizer, made.texts, targets)
    for k in np.unique(fold):
        rows, texts = np.flatnonzero(fold != k), made.of(np.flatnonzero(fold == k))
        if len(rows) and len(texts):
            linear = fit_exact(own.subset(rows), features, labels[rows], count, recipe)
            mine = examples.subset(texts)
            logits = linear.logits(features.held(mine), mine.lengths)
            targets[texts] = _probabilities(logits, count)
    return replace(examples, targets=targets)


def _read_alone(
    prepared: Prepared, network: Network, others: Sequence[str], nothing: Floats, reading: Prepared | None
) -> tuple[Features, Examples, Examples] | None:
    """What the linear teacher reads: features, the labelled texts and the others by the labelled texts' own
    vocabulary, or as ``reading`` has it; None where the network has no other.

    By that of a log it knows every word that two lines have, and has seen one in the labelled texts once or
    never, where it would have read pieces that others have too: of spam, 200 rows, it is right in 92.9 % of
    the held-out rows so, and by their own in 96.9 (three draws)."""
    tokenizer = prepared.alone if reading is None else reading.tokenizer
    if tokenizer is None:
        return None
    labelled = Examples.from_texts(tokenizer, prepared.train.texts, prepared.train_examples.targets)
    ngrams = choose_ngrams(labelled, network.config.ngrams, tokenizer.num_ids)
    if reading is None:
        features = learn_features(ngrams, tokenizer)
    else:
        features = learn_features(ngrams, tokenizer, reading.meanings, reading.alone)
    return features, labelled, Examples.from_texts(tokenizer, others, nothing)


def _probabilities(logits: Floats, count: int) -> Floats:
    """logits: float32 [n, 1 or count] → [n, count]."""
    two = np.concatenate([np.zeros_like(logits), logits], axis=1) if logits.shape[1] == 1 else logits
    shifted = np.exp(two - two.max(axis=1, keepdims=True, initial=-np.inf))
    if len(two) == 0:
        return np.zeros((0, count), np.float32)
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), np.float32)
