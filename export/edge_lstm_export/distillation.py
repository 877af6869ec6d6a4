"""Training a small network on a teacher's soft labels, of the training texts and of unlabelled ones.

The teacher sees the training part only: neither the labels of the validation part nor the test split
reach it, and a linear teacher's label of a training text is not decided by that text's own (see teacher/).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edge_lstm.errors import DataError
from edge_lstm.printable import shorten
from edge_lstm_export.datasets import DataOptions, read_dataset
from edge_lstm_export.datasets.dataset import file_digest
from edge_lstm_export.datasets.sources import holds_splits
from edge_lstm_export.examples import Examples, one_hot
from edge_lstm_export.fit import Prepared
from edge_lstm_export.negation import negated_clauses
from edge_lstm_export.ngram_part import Lesson
from edge_lstm_export.spans import random_spans, spans_around
from edge_lstm_export.teacher import (
    TEACHER_VERSION,
    SoftLabels,
    TeacherOptions,
    accuracy_of,
    blend_weights,
    blended,
    can_learn,
    keep_labels,
    kept_labels,
    kept_spans,
    soft_labels,
)

if TYPE_CHECKING:
    from edge_lstm_export.teacher.answers import Taught as Transformer
    from edge_lstm_export.teacher.transformer import TransformerOptions

NB_SVM, KEPT, EMBEDDED = "nb-svm", "kept", "embedded"
SPANS = 2
Say = Callable[[str], None]


@dataclass(frozen=True)
class Distillation:
    """How texts get soft labels.

    teacher: "nb-svm"; a transformer: a folder, or a name on the Hugging Face hub, whose labels are blended
        with NB-SVM's; "embedded": of short texts, the embedded model beside a linear one; or "kept": the
        labels that ``kept`` holds, whatever made them.
    unlabelled: a SOURCE of further texts, or None.
    kept: the file that keeps the soft labels, so that another training, or a resumed one, need not make them
        again.
    own_labels: how much a training text's own label counts beside the teacher's: 0 = only the teacher's, 1 =
        only its own.
    split_seed: by which the validation part was drawn.
    models: model files that label the unlabelled texts together with the teacher.
    teacher_labels: a classifier's label → the data's, where they differ.
    spans: sentences and runs of them, so many a text, that a transformer labels for themselves.
    around: words, around which a transformer labels a few words of a text too (spans.spans_around).
    windows: parts of a long text that a transformer reads; None for its default; 0: it labels spans alone,
        and NB-SVM whole texts.
    steps, layers: it is fine-tuned for at most so many steps, and only its last layers.
    longest: word pieces of the longest span that it is fine-tuned on.
    earlier: labels of the same texts that another teacher made; those of spans that are not longer than
        ``longest`` are made anew.
    negate: English clauses are learnt with a negation too, their label turned (negation.py); of two labels
        that are opposites.
    """

    teacher: str
    unlabelled: str | None
    kept: Path
    options: TeacherOptions = field(default_factory=TeacherOptions)
    own_labels: float = 0.0
    split_seed: int = 0
    models: tuple[Path, ...] = ()
    teacher_labels: Mapping[str, str] = field(default_factory=dict)
    spans: int = SPANS
    around: tuple[str, ...] = ()
    windows: int | None = None
    steps: int | None = None
    layers: int | None = None
    longest: int | None = None
    earlier: Path | None = None
    negate: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.own_labels <= 1:
            raise DataError(f"--own-labels must be from 0 to 1, not {self.own_labels}")
        if self.windows is not None and not 0 <= self.windows <= 1000:
            raise DataError(f"teacher-windows must be from 0 to 1,000, not {self.windows}")
        if self.is_transformer:
            _ = self.transformer  # which checks its own
        if not 0 <= self.spans <= 1000:
            raise DataError(f"spans must be from 0 to 1,000, not {self.spans}")
        if self.teacher == KEPT and not self.kept.is_file():
            raise DataError(
                f"no soft labels in {self.kept}; give --set soft-labels=FILE, or another --teacher"
            )

    @property
    def is_transformer(self) -> bool:
        """Whether the teacher is a folder or a name on the hub."""
        return self.teacher not in (NB_SVM, KEPT, EMBEDDED)

    @property
    def name(self) -> str:
        """The teacher, without the folder that it lies in."""
        return Path(self.teacher).name if self.is_transformer else self.teacher

    @property
    def transformer(self) -> TransformerOptions:
        """How the transformer is fine-tuned and reads."""
        from edge_lstm_export.teacher.transformer import TransformerOptions

        given = {
            "windows": None if self.windows is None else max(1, self.windows),
            "most_steps": self.steps,
            "layers": self.layers,
            "span": self.longest,
        }
        chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        return TransformerOptions(seed=self.options.seed, **chosen)

    @property
    def weights(self) -> Path:
        """Where the fine-tuned transformer is kept, beside the labels."""
        stem = self.kept.name.removesuffix(".safetensors").removesuffix(".soft-labels")
        return self.kept.with_name(f"{stem}.teacher.safetensors")


@dataclass(frozen=True)
class Taught:
    """lesson: what the network learns from. soft: the teacher's labels alone, float32 [n, labels], rows as in
    the lesson's examples. provenance: how the texts were labelled. judged: spans of the validation part, with
    the teacher's labels; the network does not learn from them. first: what a network learns that the
    validation part judges, where it is learnt from afterwards."""

    lesson: Lesson
    soft: npt.NDArray[np.float32]
    provenance: dict[str, Any]
    first: Lesson | None = None
    judged: Examples | None = None


def unlabelled_texts(source: str, data: DataOptions) -> Iterator[str]:
    """The texts of a source without their labels: IMDB's unlabelled part, or every text of a file.

    Raises DataError where there is none.
    """
    some = False
    if holds_splits(source):
        texts: Iterable[str] = read_dataset(source, replace(data, unlabelled=True)).unlabelled
    else:
        from edge_lstm.tables import read_rows

        texts = (row.text for row in read_rows([source]) if row.text and not row.text.isspace())
    for text in texts:
        some = True
        yield text
    if not some:
        raise DataError(f"{source} has no unlabelled text; give another --unlabelled, or leave it out")


def can_teach(prepared: Prepared) -> bool:
    """Whether there are enough training texts for a teacher."""
    return can_learn(prepared.train.counts(len(prepared.dataset.labels)), TeacherOptions())


class ByTeacher:
    """Labels texts that have none with a classifier's: a datasets.sources.Labeller. probabilities: of each
    text, float32 [labels]."""

    def __init__(self, distillation: Distillation, say: Say) -> None:
        self._distillation, self._say = distillation, say
        self.probabilities: dict[str, npt.NDArray[np.float32]] = {}

    def __call__(self, texts: Sequence[str]) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
        from edge_lstm_export.teacher.hub import classifier_labels

        teacher, names = self._distillation.teacher, self._distillation.teacher_labels
        known = classifier_labels(teacher)
        if known is None:
            raise DataError(
                f"the texts have no labels, and the teacher {teacher} is an encoder, which has none either; "
                "label some texts, or give a classifier"
            )
        labels = tuple(dict.fromkeys(names.get(name, name) for name in known))
        self._say(f"teacher: {teacher} labels {len(texts):,} texts as {', '.join(map(shorten, labels))}")
        maker = _maker(self._distillation) or ""
        transformer = _classifier(self._distillation, labels, maker, texts, self._say)
        found = transformer.probabilities(texts, "texts", self._say)
        chosen = np.bincount(found.argmax(axis=1), minlength=len(labels)) > 0
        if chosen.sum() < 2:
            raise DataError(
                f"the teacher {teacher} gives every text the label {shorten(labels[int(chosen.argmax())])}; "
                "give texts of several labels"
            )
        found = found[:, chosen] / found[:, chosen].sum(axis=1, keepdims=True)
        self.probabilities = dict(zip(texts, found))
        return tuple(label for label, used in zip(labels, chosen) if used), found.argmax(axis=1)


def teach(
    prepared: Prepared,
    unlabelled: Sequence[str],
    distillation: Distillation,
    say: Say,
    known: Mapping[str, npt.NDArray[np.float32]] | None = None,
) -> Taught:
    """The examples that the student learns from, and their provenance: how they were labelled.

    known: what the teacher said of the training texts, where their labels are its own. Texts that stand in
    the validation part or in the test split are left out of the unlabelled ones.
    """
    seen = {*prepared.validation.texts, *(prepared.dataset.test.texts if prepared.dataset.test else ())}
    further = [text for text in unlabelled if text not in seen]
    train, count = prepared.train, len(prepared.dataset.labels)
    if distillation.negate and count != 2:
        raise DataError(
            f"negate=yes turns one of two labels into the other, and there are {count}; leave it out"
        )
    spans, held, each = [], [], 0
    around: tuple[str, ...] = ()
    if distillation.earlier is not None:
        each, around = kept_spans(distillation.earlier)
    elif distillation.is_transformer:
        each, around = distillation.spans, distillation.around
    elif distillation.teacher == KEPT:
        each, around = kept_spans(distillation.kept)
    if each:
        spans = random_spans([*train.texts, *further], each, distillation.options.seed)
        held = random_spans(prepared.validation.texts, 1, distillation.options.seed)
    if around:
        there = set(spans)
        drawn = spans_around([*train.texts, *further], around, distillation.options.seed)
        spans += [span for span in drawn if span not in there]
    texts = _digest(train.texts, train.labels.tolist(), further, each, *([around] if around else []))
    maker = _maker(distillation)
    rows = len(train), len(further), len(spans) + len(held)
    labels = kept_labels(distillation.kept, texts, maker, rows, count)
    if labels is not None:
        say(f"teacher: soft labels from {distillation.kept}")
    elif distillation.teacher == KEPT:
        raise _of_other_texts(distillation.kept)
    else:
        if distillation.earlier is not None:
            labels = kept_labels(distillation.earlier, texts, None, rows, count)
            if labels is None:
                raise _of_other_texts(distillation.earlier)
            labels = _spans_anew(prepared, [*spans, *held], labels, distillation, maker or "", say)
        elif known:
            labels = _own_labels(prepared, further, [*spans, *held], distillation, maker or "", known, say)
        elif distillation.is_transformer:
            labels = _transformer_labels(prepared, further, [*spans, *held], distillation, maker or "", say)
        else:
            labels = soft_labels(train.texts, train.labels, further, count, distillation.options, say)
        keep_labels(distillation.kept, texts, maker or "", labels, each, around, distillation.split_seed)
        # As they come back from the file: a resumed training learns from the same numbers.
        labels = kept_labels(distillation.kept, texts, maker, rows, count) or labels
    opinions = [labels.unlabelled]
    for model in distillation.models if further else ():
        say(f"teacher: {model} labels {len(further):,} unlabelled texts too")
        opinions.append(_answers(model, further, prepared.dataset.labels))
    together = blended(opinions, [1 / len(opinions)] * len(opinions)) if opinions[1:] else opinions[0]
    soft = np.concatenate([labels.labelled, together, labels.spans[: len(spans)]]).astype(np.float32)
    own = distillation.own_labels
    targets = soft.copy()
    targets[: len(train)] *= 1 - own
    targets[: len(train)] += own * one_hot(train.labels, count)
    negated: list[str] = []
    if distillation.negate:
        negated, turned = negated_clauses(spans, labels.spans[: len(spans)])
        say(f"teacher: {len(negated):,} clauses are learnt with a negation too")
        soft, targets = np.concatenate([soft, turned]), np.concatenate([targets, turned])
    texts_of_all = [*train.texts, *further, *spans, *negated]
    examples = Examples.from_texts(prepared.tokenizer, texts_of_all, targets)
    provenance = {
        "teacher": distillation.name,
        "unlabelled": distillation.unlabelled,
        "unlabelled_texts": len(further),
        "spans": len(spans),
        "negated": len(negated),
        "own_labels": own,
        "models_sha256": [file_digest(model) for model in distillation.models],
        "options": distillation.options.to_dict(),
        **labels.report,
    }
    judged = Examples.from_texts(prepared.tokenizer, held, labels.spans[len(spans) :]) if held else None
    return Taught(Lesson.of(examples, None), soft, provenance, judged=judged)


def _transformer_labels(
    prepared: Prepared,
    further: Sequence[str],
    spans: Sequence[str],
    distillation: Distillation,
    maker: str,
    say: Say,
) -> SoftLabels:
    """The labels of a transformer, fine-tuned on the training part, and of NB-SVM, for whole texts as the
    validation part weighs them; of the transformer alone for spans, which NB-SVM does not know."""
    train, validation = prepared.train, prepared.validation
    count = len(prepared.dataset.labels)
    spans_only = distillation.windows == 0
    read = validation.texts if spans_only else (*train.texts, *further, *validation.texts)
    transformer = _learnt(prepared, distillation, maker, [*read, *spans], say)
    linear = soft_labels(
        train.texts, train.labels, [*further, *validation.texts], count, distillation.options, say
    )
    whole = transformer.probabilities(read, "texts", say)
    n, m = (0, 0) if spans_only else (len(train), len(train) + len(further))
    held = [linear.unlabelled[len(further) :], whole[m:]]
    weights = [1.0, 0.0] if spans_only else blend_weights(held, validation.labels)
    [alone] = blend_weights(held[1:], validation.labels)  # what makes its own answers probabilities
    together = blended(held, weights)
    reached = [accuracy_of(opinion, validation.labels) for opinion in (*held, together)]
    report = {
        **linear.report,
        "validation_accuracy": dict(
            zip((NB_SVM, "transformer", "blended"), (one and round(one, 4) for one in reached))
        ),
        "weights": [round(weight, 3) for weight in (*weights, alone)],
    }
    if None not in reached:
        say(
            f"teacher: NB-SVM {reached[0]:.2%}, transformer {reached[1]:.2%}, blended {reached[2]:.2%} "
            f"of {len(validation):,} validation texts"
        )
    if weights[1] < 0.01 and not spans_only:
        say("note: the transformer adds nothing to NB-SVM here: its weight is 0")
    of_spans = blended([transformer.probabilities(spans, "spans", say)], [alone]) if spans else whole[:0]
    labelled, unlabelled = linear.labelled, linear.unlabelled[: len(further)]
    if not spans_only:
        labelled = blended([labelled, whole[:n]], weights)
        unlabelled = blended([unlabelled, whole[n:m]], weights)
    return SoftLabels(labelled, unlabelled, of_spans, report)


def _spans_anew(
    prepared: Prepared,
    spans: Sequence[str],
    earlier: SoftLabels,
    distillation: Distillation,
    maker: str,
    say: Say,
) -> SoftLabels:
    """Those of an earlier teacher, and a transformer's for the spans that are short enough."""
    validation = prepared.validation
    # No span has fewer pieces than words.
    most = distillation.transformer.span
    few = np.array([i for i, span in enumerate(spans) if len(span.split()) <= most], np.int64)
    then = [*validation.texts, *(spans[i] for i in few.tolist())]
    transformer = _learnt(prepared, distillation, maker, then, say)
    anew = few[transformer.reads_whole([spans[i] for i in few.tolist()])]
    whole = transformer.probabilities(validation.texts, "validation texts", say)
    [alone] = blend_weights([whole], validation.labels)  # what makes its answers probabilities
    reached = accuracy_of(whole, validation.labels)
    if reached is not None:
        say(f"teacher: right on {reached:.2%} of {len(validation):,} validation texts")
    of_spans = earlier.spans.copy()
    found = transformer.probabilities([spans[i] for i in anew.tolist()], "spans", say)
    of_spans[anew] = blended([found], [alone])
    report = {
        "teacher": distillation.name,
        "spans": len(anew),
        "validation_accuracy": reached and round(reached, 4),
        "weight": round(alone, 3),
    }
    return replace(earlier, spans=of_spans, report={**earlier.report, "spans_anew": report})


def _of_other_texts(path: Path) -> DataError:
    return DataError(
        f"{path} holds labels of other texts; train with the data, --unlabelled, seed and "
        "settings that they were made with, or make them anew with --teacher"
    )


def _own_labels(
    prepared: Prepared,
    further: Sequence[str],
    spans: Sequence[str],
    distillation: Distillation,
    maker: str,
    known: Mapping[str, npt.NDArray[np.float32]],
    say: Say,
) -> SoftLabels:
    """A classifier's labels alone, where there are no others that could tell it right from wrong."""
    transformer = _classifier(distillation, prepared.dataset.labels, maker, [*further, *spans], say)
    of_further = transformer.probabilities(further, "texts", say)
    of_spans = transformer.probabilities(spans, "spans", say)
    return SoftLabels(np.stack([known[text] for text in prepared.train.texts]), of_further, of_spans)


def _learnt(
    prepared: Prepared, distillation: Distillation, maker: str, then: Sequence[str], say: Say
) -> Transformer:
    """A classifier as it is; an encoder fine-tuned on the training part. then: what it is to label."""
    from edge_lstm_export.teacher.answers import taught
    from edge_lstm_export.teacher.hub import classifier_labels, source_digest
    from edge_lstm_export.teacher.transformer import TRANSFORMER_VERSION

    labels, train = prepared.dataset.labels, prepared.train
    if classifier_labels(distillation.teacher) is not None:
        return _classifier(distillation, labels, maker, then, say)
    return taught(
        distillation.teacher,
        train.texts,
        train.labels,
        len(labels),
        distillation.transformer,
        kept=distillation.weights,
        key=_digest(
            TRANSFORMER_VERSION,
            source_digest(distillation.teacher),
            distillation.transformer.of_fine_tuning(),
            train.texts,
            train.labels.tolist(),
        ),
        then=then,
        say=say,
    )


def _classifier(
    distillation: Distillation, labels: Sequence[str], maker: str, then: Sequence[str], say: Say
) -> Transformer:
    """A classifier as it is."""
    from edge_lstm_export.teacher.answers import Taught as Transformer
    from edge_lstm_export.teacher.answers import say_cost
    from edge_lstm_export.teacher.hub import load_classifier

    model = load_classifier(distillation.teacher, labels, distillation.teacher_labels)
    say_cost(model, (), then, distillation.transformer, say)
    partial = distillation.weights.with_name(f"{distillation.weights.name}.partial")
    return Transformer(model, distillation.transformer, partial, maker)


def _answers(path: Path, texts: Sequence[str], labels: tuple[str, ...]) -> npt.NDArray[np.float32]:
    """What a model file answers: float32 [n, labels]. DataError where its labels are other ones."""
    from edge_lstm import Classifier

    classifier = Classifier.load(path)
    if classifier.labels != labels:
        raise DataError(
            f"{path} answers {', '.join(classifier.labels)}, the data have {', '.join(labels)}; "
            "give a --teacher-model with these labels"
        )
    return classifier.probabilities(texts)


def _maker(distillation: Distillation) -> str | None:
    """What makes the labels; None where any will do."""
    if distillation.teacher == KEPT:
        return None
    parts: list[Any] = [TEACHER_VERSION, distillation.options.to_dict()]
    if distillation.is_transformer:
        from edge_lstm_export.teacher.hub import source_digest
        from edge_lstm_export.teacher.transformer import TRANSFORMER_VERSION

        parts += [
            TRANSFORMER_VERSION,
            source_digest(distillation.teacher),
            distillation.transformer.to_dict(),
        ]
    if distillation.earlier is not None:
        parts.append(file_digest(distillation.earlier))
    return _digest(*parts)


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
