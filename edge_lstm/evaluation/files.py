"""An evaluation of files: its models and texts are read, then it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from edge_lstm.core.classifier import Classifier
from edge_lstm.core.decide import Policy
from edge_lstm.core.engine import Engine
from edge_lstm.core.modelfile import open_model
from edge_lstm.evaluation.evaluate import evaluate
from edge_lstm.evaluation.result import Evaluation
from edge_lstm.evaluation.sources import load_labelled, read_foreign
from edge_lstm.tables.labelled import LabelOptions
from edge_lstm.tables.schema import with_fields


def evaluate_files(
    models: Sequence[str | None],
    data: str,
    reading: LabelOptions,
    engine: Engine,
    *,
    foreign: str | None,
    progress: Callable[[int], AbstractContextManager[Any]],
    say: Callable[[str], None],
    abstain: float | None,
    threshold: float | None,
    **options: Any,
) -> Evaluation:
    """Evaluate model files on the labelled texts of a source.

    models: paths; None for the embedded model.
    data: see load_labelled. reading: how it is read.
    foreign: source of texts that belong to none of the labels.
    progress: makes a progress line, such as cli.progress.ProgressCount, of the number of texts to
        classify, a text once for each model.
    say: takes a line about how the data is read.
    options: these and the others of evaluate().

    Raise DataError, ModelFileError, or MissingPackageError.
    """
    # Models first: an error of theirs comes before the data is read, which may take long.
    classifiers = [Classifier(open_model(path), engine) for path in models]
    for each in classifiers:
        Policy.of(each.model, abstain=abstain, threshold=threshold)
    reading = with_fields(reading, [each.model.fields for each in classifiers])
    others = read_foreign(foreign, reading) if foreign else ()
    first = classifiers[0].model
    if first.thresholds is None:
        reading = replace(reading, labels=first.labels)
    else:
        reading = replace(reading, multi_label=True)
    labelled = load_labelled(data, options=reading)
    for line in labelled.notes_of_column(data):
        say(f"note: {line}")
    with progress((len(labelled.texts) + len(others)) * len(classifiers)) as line:
        return evaluate(
            classifiers,
            labelled,
            data=data,
            foreign=others,
            abstain=abstain,
            threshold=threshold,
            progress=line.advance,
            **options,
        )
