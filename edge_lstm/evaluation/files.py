"""An evaluation of files: its request, its models and texts, and its run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from edge_lstm.core.classifier import Classifier
from edge_lstm.core.decide import Policy
from edge_lstm.core.engine import Engine
from edge_lstm.core.modelfile import ModelFile, open_model
from edge_lstm.evaluation.evaluate import evaluate
from edge_lstm.evaluation.result import Evaluation
from edge_lstm.evaluation.sources import load_labelled, read_foreign
from edge_lstm.tables.labelled import DEFAULT_LABEL_OPTIONS, LabelledTexts, LabelOptions
from edge_lstm.tables.schema import with_fields


@dataclass(frozen=True, kw_only=True)
class Request:
    """The files of an evaluation, and its options.

    models: name of a question → paths of its model files, None for the embedded one. The name is
        also the question's label column. A single question may have an empty name; its label column
        is found.
    data: source of the labelled texts, see load_labelled.
    reading: how it is read.
    label_map: label in the data → label of the model.
    foreign: source of texts that belong to none of the labels.
    abstain, threshold: see Policy.of.
    windows: see evaluate().
    engine: runs the models.
    """

    models: Mapping[str, Sequence[str | None]]
    data: str
    reading: LabelOptions = DEFAULT_LABEL_OPTIONS
    label_map: Mapping[str, str]
    foreign: str | None = None
    abstain: float | None = None
    threshold: float | None = None
    windows: bool = False
    engine: Engine


def evaluate_files(
    request: Request, progress: Callable[[int], AbstractContextManager[Any]]
) -> dict[str, Evaluation]:
    """Return the evaluation of each question.

    progress: makes a progress bar, such as cli.progress.ProgressCount, of the number of texts to
        classify, a text once for each model.

    Raise DataError, ModelFileError, or MissingPackageError.
    """
    # Models first: an error of theirs comes before the data is read, which may take long.
    classifiers = {name: _load(request, paths) for name, paths in request.models.items()}
    every = [each.model.fields for of in classifiers.values() for each in of]
    request = replace(request, reading=with_fields(request.reading, every))
    foreign = read_foreign(request.foreign, request.reading) if request.foreign else ()
    data = {name: _read(request, name, of[0].model) for name, of in classifiers.items()}
    texts = 0
    for name, labelled in data.items():
        texts += (len(labelled.texts) + len(foreign)) * len(classifiers[name])
    evaluations = {}
    with progress(texts) as bar:
        for name, labelled in data.items():
            evaluations[name] = evaluate(
                classifiers[name],
                labelled,
                data=request.data,
                label_map=request.label_map,
                foreign=foreign,
                abstain=request.abstain,
                threshold=request.threshold,
                windows=request.windows,
                progress=bar.advance,
            )
    return evaluations


def _load(request: Request, paths: Sequence[str | None]) -> list[Classifier]:
    classifiers = []
    for path in paths:
        classifier = Classifier(open_model(path), request.engine)
        Policy.of(classifier.model, abstain=request.abstain, threshold=request.threshold)
        classifiers.append(classifier)
    return classifiers


def _read(request: Request, name: str, model: ModelFile) -> LabelledTexts:
    """Return the texts of a question."""
    options = replace(
        request.reading,
        label_column=name or request.reading.label_column,
        multi_label=None if model.thresholds is None else True,
        skip_unlabelled=bool(name),
    )
    return load_labelled(request.data, options=options)
