"""What a scoring run does to every row: the columns it adds, the rows it writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edge_lstm.answering import check_top
from edge_lstm.errors import DataError
from edge_lstm.modelfile import EMBEDDED, ModelFile
from edge_lstm.parameters import check_numbers, instance, whole
from edge_lstm.printable import listed, shorten
from edge_lstm.tables.format import OutputColumns
from edge_lstm.tables.labelled import labels_in
from edge_lstm.tables.reader import FORMATS, Chunk, Inputs
from edge_lstm.tables.schema import Schema, column_index, distinct, holds_labels

PREFIX = "edge_lstm_"  # of the added columns, where an input has a column of the same name


@dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """The options of a run; every one of them can change the output.

    keep: input columns to write (names or numbers from 1); None for all, as they came.
    all_probabilities: a column for the probability of each label.
    threshold: a label whose probability is lower is left out, and the row's status is
        ``abstained``.
    abstain: the share of labels that may be wrong, which the model file has a threshold for; in
        place of ``threshold``. With neither the model file's own default counts, which is 0 where
        it says none.
    unfamiliar: give the status ``unfamiliar`` to texts unlike those that the model learnt from, and
        to at most this share of the others; None: to none.
    top: labels to give, the most probable first; beyond the first each has a column and one for its
        probability.
    only_label: write only rows that got one of these labels; empty for all rows.
    only_abstained: write only the abstained rows, with the label that was left out as
        ``predicted``.

    The added columns have names of their own: with ``edge_lstm_`` before all of them where one is
        taken.
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
    """What is asked for, and what the input is → the options settled, and the columns of the
    output.

    format: the name of the output's. where: the input's name. Raises DataError.
    """
    options, indexes, columns = settled(options, model), None, schema.columns
    if options.keep is not None:
        indexes = tuple(column_index(schema.columns, str(name), where) for name in options.keep)
        if len(set(indexes)) < len(indexes):
            twice = next(index for index in indexes if indexes.count(index) > 1)
            raise DataError(
                f"the column {schema.columns[twice]!r} is in --keep twice; name it once"
            )
        columns = tuple(schema.columns[i] for i in indexes)
    columns = columns if FORMATS[format].may_repeat_names else distinct(columns)
    # Of several labels per text, evaluate would take the answers for labels that a column holds
    # already.
    is_taken = model.thresholds is not None and holds_labels(columns)
    added = added_columns(
        columns, model.labels, options, prefixes=(PREFIX,) if is_taken else ("", PREFIX)
    )
    return options, OutputColumns(
        schema=schema, format=format, kept=indexes, columns=columns, added=added
    )


def check_default_model(chunk: Chunk, inputs: Inputs, model: ModelFile) -> None:
    """Raise DataError where rows have labels, none of which the model gives: nobody chose this
    model, and it is for other texts. A column with a single value holds something else."""
    rows = inputs.format.parse(chunk.rows, inputs.schema, lambda _: None)
    labels = sorted(labels_in(rows, inputs.schema))
    if len(labels) > 1 and not set(labels) & set(model.labels):
        raise DataError(
            f"{chunk.source} has the labels {listed([*map(shorten, labels)], 3)}, and {model.name} gives "
            f"{', '.join(model.labels)}; give your model with -m MODEL, or -m {EMBEDDED} for this one"
        )


def settled(options: ScoreOptions, model: ModelFile) -> ScoreOptions:
    """The options with the threshold that they come to with this model, in place of ``abstain``.

    DataError where a choice does not fit the model, or is none; TypeError where one is of another
    type.
    """
    instance("options", options, ScoreOptions)
    labels = model.labels
    for option, names in (("keep", options.keep), ("only_label", options.only_label)):
        if isinstance(names, str):
            raise DataError(
                f"{option} is one string, {names!r}; give a tuple of names, as in ({names!r},)"
            )
        if not (option == "keep" and names is None):
            instance(option, names, Sequence, "a tuple of names")
    top = whole("top", options.top, least=0)
    share = options.unfamiliar
    check_numbers(abstain=options.abstain, threshold=options.threshold, unfamiliar=share)
    for option in ("all_probabilities", "only_abstained"):
        instance(option, getattr(options, option), bool)
    for label in options.only_label:
        if label not in labels:
            raise DataError(f"the model has no label {label!r}; its labels are {', '.join(labels)}")
    check_top(top, len(labels))
    model.choose_unfamiliar_threshold(options.unfamiliar)
    threshold = model.choose_threshold(abstain=options.abstain, threshold=options.threshold)
    if options.only_abstained and options.only_label:
        raise DataError(
            "an abstained row has no label; leave out --only-abstained, or --only-label"
        )
    if options.only_abstained and model.thresholds is not None:
        raise DataError(
            f"{model.path} gives several labels per text and never abstains; leave --only-abstained out, "
            "--all-probabilities shows which come near a threshold"
        )
    if options.only_abstained and not threshold and options.abstain is None:
        raise DataError(f"{model.path} does not abstain by default; add --abstain or --threshold")
    share = None if share is None else float(share)  # plain values, for the journal
    return replace(options, top=top, threshold=float(threshold), abstain=None, unfamiliar=share)


def added_columns(
    columns: Sequence[str],
    labels: Sequence[str],
    options: ScoreOptions,
    prefixes: Sequence[str] = ("", PREFIX),
) -> dict[str, bool]:
    """Names of the added columns in order (their values: worker.Answer), with the first prefix that
    gives none which the input has, and whether they hold numbers. Raises DataError.

    ``p_2``, since a label may be called 2.
    """
    names = {
        "label": False,
        **({"predicted": False} if options.only_abstained else {}),
        "probability": True,
    }
    for k in range(2, options.top + 1):
        names |= {f"label_{k}": False, f"p_{k}": True}
    if options.all_probabilities:
        names |= {f"probability_{label}": True for label in labels}
    names |= {"status": False, "error": False}
    for prefix in prefixes:
        added = {prefix + name: is_number for name, is_number in names.items()}
        clash = sorted(added.keys() & set(columns))
        if not clash:
            return added
    raise DataError(
        f"the input has a column {clash[0]!r} of its own; rename it, or leave it out with --keep"
    )
