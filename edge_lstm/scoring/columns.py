"""Options of a scoring run: the columns that it adds, the rows that it writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from edge_lstm.answering import check_label, check_top
from edge_lstm.errors import DataError
from edge_lstm.modelfile import EMBEDDED, ModelFile
from edge_lstm.parameters import check_numbers, instance, whole
from edge_lstm.printable import listed, shorten
from edge_lstm.tables.format import OutputColumns
from edge_lstm.tables.labelled import labels_in
from edge_lstm.tables.reader import FORMATS, Chunk, Inputs
from edge_lstm.tables.schema import Schema, column_index, distinct, holds_labels

# Begins the names of all added columns if an input has a column with one of their names.
PREFIX = "edge_lstm_"


@dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """Options that can change the output.

    keep: input columns to write (names or numbers from 1); None for all, as they came.
    all_probabilities: add a column for the probability of each label.
    threshold: a label whose probability is lower is left out, and the row's status is
        ``abstained``.
    abstain: the share of labels that may be wrong, for which the model file has a threshold; it
        replaces ``threshold``. If neither is given, the model file's default counts, or 0.
    unfamiliar: give the status ``unfamiliar`` to texts unlike the model's training texts, and to at
        most this share of the others; None for no text.
    top: labels to give, the most probable first. Beyond the first, each has a column, and one for
        its probability.
    only_label: write only rows that got one of these labels; empty for all rows.
    only_abstained: write only the abstained rows, with the label that was left out as
        ``predicted``.

    If a name of an added column is taken, all of them begin with ``edge_lstm_``.
    """

    keep: tuple[str, ...] | None = None
    all_probabilities: bool = False
    threshold: float | None = None
    abstain: float | None = None
    unfamiliar: float | None = None
    top: int = 1
    only_label: tuple[str, ...] = ()
    only_abstained: bool = False


DEFAULT_SCORE_OPTIONS = ScoreOptions()


def plan_output(
    schema: Schema,
    model: ModelFile,
    options: ScoreOptions,
    format: str,  # noqa: A002
    where: str,
) -> tuple[ScoreOptions, OutputColumns]:
    """Return the resolved options and the columns of the output.

    schema: of the input.
    format: the name of the output's format.
    where: the input's name.

    Raises DataError if an option does not fit the model or the input.
    """
    options = resolve_options(options, model)
    indexes = None
    columns = schema.columns
    if options.keep is not None:
        indexes = tuple(column_index(schema.columns, str(name), where) for name in options.keep)
        if len(set(indexes)) < len(indexes):
            twice = next(index for index in indexes if indexes.count(index) > 1)
            raise DataError(
                f"the column {schema.columns[twice]!r} is in --keep twice; name it once"
            )
        columns = tuple(schema.columns[i] for i in indexes)
    if not FORMATS[format].may_repeat_names:
        columns = distinct(columns)
    prefixes: Sequence[str] = ("", PREFIX)
    if model.thresholds is not None and holds_labels(columns):
        # The input has several labels per text. Without a prefix, evaluate would take the
        # predictions for more of them.
        prefixes = (PREFIX,)
    output = OutputColumns(
        schema=schema,
        format=format,
        kept=indexes,
        columns=columns,
        added=added_columns(columns, model.labels, options, prefixes),
    )
    return options, output


def check_default_model(chunk: Chunk, inputs: Inputs, model: ModelFile) -> None:
    """Raise DataError if rows have labels, and the model gives none of them.

    Nobody chose this model, and it is for other texts. A column with a single value holds
    something else.
    """
    rows = inputs.format.parse(chunk.rows, inputs.schema, lambda _: None)
    labels = sorted(labels_in(rows, inputs.schema))
    if len(labels) > 1 and not set(labels) & set(model.labels):
        shown = listed([shorten(label) for label in labels], 3)
        raise DataError(
            f"{chunk.source} has the labels {shown}, "
            f"and {model.name} gives {', '.join(model.labels)}; "
            f"give your model with -m MODEL, or -m {EMBEDDED} for this one"
        )


def resolve_options(options: ScoreOptions, model: ModelFile) -> ScoreOptions:
    """Return the options as plain values, with the threshold of this model for ``abstain``.

    Raises DataError if a value is out of range or does not fit the model, and TypeError if it is of
    another type.
    """
    instance("options", options, ScoreOptions)
    _check_names("keep", options.keep)
    _check_names("only_label", options.only_label)
    top = whole("top", options.top, least=0)
    check_numbers(
        abstain=options.abstain, threshold=options.threshold, unfamiliar=options.unfamiliar
    )
    for option in ("all_probabilities", "only_abstained"):
        instance(option, getattr(options, option), bool)
    for label in options.only_label:
        check_label(label, model.labels)
    check_top(top, len(model.labels))
    model.choose_unfamiliar_threshold(options.unfamiliar)
    threshold = model.choose_threshold(abstain=options.abstain, threshold=options.threshold)
    if options.only_abstained:
        _check_only_abstained(options, model, threshold)
    return replace(
        options,
        top=top,
        threshold=float(threshold),
        abstain=None,
        unfamiliar=None if options.unfamiliar is None else float(options.unfamiliar),
    )


def _check_names(option: str, names: Any) -> None:
    if isinstance(names, str):
        raise DataError(
            f"{option} is one string, {names!r}; give a tuple of names, as in ({names!r},)"
        )
    if option != "keep" or names is not None:
        instance(option, names, Sequence, "a tuple of names")


def _check_only_abstained(options: ScoreOptions, model: ModelFile, threshold: float) -> None:
    if options.only_label:
        raise DataError(
            "an abstained row has no label; leave out --only-abstained, or --only-label"
        )
    if model.thresholds is not None:
        raise DataError(
            f"{model.path} gives several labels per text and never abstains; "
            "leave --only-abstained out, --all-probabilities shows which come near a threshold"
        )
    if not threshold and options.abstain is None:
        raise DataError(f"{model.path} does not abstain by default; add --abstain or --threshold")


def added_columns(
    columns: Sequence[str],
    labels: Sequence[str],
    options: ScoreOptions,
    prefixes: Sequence[str] = ("", PREFIX),
) -> dict[str, bool]:
    """Return the names of the added columns, in order, and whether each holds numbers.

    columns: the names of the input's columns that are written.
    labels: of the model.
    prefixes: the first one with which the input has none of the names is taken.

    worker.Predictions holds the values. Raises DataError if the names are taken with every prefix.
    """
    names = {"label": False}
    if options.only_abstained:
        names["predicted"] = False
    names["probability"] = True
    for k in range(2, options.top + 1):
        names[f"label_{k}"] = False
        # Not probability_2: a label may be called 2.
        names[f"p_{k}"] = True
    if options.all_probabilities:
        for label in labels:
            names[f"probability_{label}"] = True
    names["status"] = False
    names["error"] = False
    for prefix in prefixes:
        added = {prefix + name: is_number for name, is_number in names.items()}
        clash = sorted(added.keys() & set(columns))
        if not clash:
            return added
    raise DataError(
        f"the input has a column {clash[0]!r} of its own; rename it, or leave it out with --keep"
    )
