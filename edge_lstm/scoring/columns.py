"""Options of a scoring run, and the columns that it adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edge_lstm.checked import check_fields, instance
from edge_lstm.core.decide import Policy
from edge_lstm.core.modelfile import EMBEDDED, ModelFile
from edge_lstm.errors import DataError
from edge_lstm.printable import listed, shorten
from edge_lstm.tables.format import OutputColumns
from edge_lstm.tables.labelled import labels_in
from edge_lstm.tables.reader import FORMATS, Chunk, Inputs
from edge_lstm.tables.schema import Schema, distinct, holds_labels

# Begins the names of all added columns if an input has a column with one of their names.
PREFIX = "edge_lstm_"


@dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """Options that can change the output.

    only_columns: columns to write, by the names that they have in an output without this option:
        columns of the input, and added ones. None for all.
    all_probabilities: add a column for the probability of each label.
    threshold: a label whose probability is lower is left out, and the row's status is
        ``abstained``.
    abstain: the share of labels that may be wrong, for which the model file has a threshold; it
        replaces ``threshold``. If neither is given, the model file's default counts, or 0.
    unfamiliar: give the status ``unfamiliar`` to texts unlike the model's training texts, and to at
        most this share of the others; None for no text.
    windows: read texts that are longer than the model reads in windows; see Classifier.predict.
    top: labels to give, the most probable first. Each label after the first has a column, and
        another for its probability.

    If the input already has a column with one of the added names, all added names begin with
    ``edge_lstm_``. A model that gives a score has the columns ``score``, ``score_low`` and
    ``score_high`` instead of the label and its probability.
    """

    only_columns: tuple[str, ...] | None = None
    all_probabilities: bool = False
    threshold: float | None = None
    abstain: float | None = None
    unfamiliar: float | None = None
    windows: bool = False
    top: int = 1

    def policy(self, model: ModelFile) -> Policy:
        """Return the policy for a model. The errors are as in Policy.of."""
        return Policy.of(
            model,
            abstain=self.abstain,
            threshold=self.threshold,
            unfamiliar=self.unfamiliar,
            windows=self.windows,
            top=self.top,
        )


DEFAULT_SCORE_OPTIONS = ScoreOptions()


def plan_output(
    schema: Schema,
    models: Mapping[str, ModelFile],
    options: ScoreOptions,
    format: str,  # noqa: A002
) -> tuple[dict[str, ScoreOptions], OutputColumns]:
    """Return the resolved options of each question, and the columns of the output.

    schema: of the input.
    models: name of the question → its file. A single model has an empty name.
    format: the name of the output's format.

    Raises DataError if an option does not fit the models or the input.
    """
    single = models.get("") if len(models) == 1 else None
    resolved = {name: resolve_options(options, model) for name, model in models.items()}
    columns = schema.columns
    if not FORMATS[format].may_repeat_names:
        columns = distinct(columns)
    prefixes: Sequence[str] = ("", PREFIX)
    if single is not None and single.thresholds is not None and holds_labels(columns):
        # The input has several labels per text. Without a prefix, evaluate would take the
        # predictions for more of them.
        prefixes = (PREFIX,)
    output = OutputColumns(
        schema=schema,
        format=format,
        kept=None,
        columns=columns,
        added=_without_clash(_added_columns(models, resolved), columns, prefixes),
    )
    if options.only_columns is not None:
        output = _only(output, tuple(map(str, options.only_columns)))
    return resolved, output


def _only(output: OutputColumns, names: Sequence[str]) -> OutputColumns:
    """Return the columns of an output that have these names.

    Raises DataError for a name that no column has.
    """
    all_names = [*output.columns, *output.added]
    for name in names:
        if all_names.count(name) != 1:
            how_many = "two columns" if name in all_names else "no column"
            columns = listed([repr(shorten(each)) for each in all_names], 20)
            raise DataError(f"the output has {how_many} {name!r}; its columns are {columns}")
    indexes = [output.columns.index(name) for name in names if name not in output.added]
    return replace(
        output,
        kept=tuple(indexes),
        columns=tuple(output.columns[index] for index in indexes),
        added={name: is_number for name, is_number in output.added.items() if name in names},
        places=tuple(place for place, name in enumerate(output.added) if name in names),
    )


def check_default_model(chunk: Chunk, inputs: Inputs, model: ModelFile) -> None:
    """Check that the model gives at least one of the labels that the rows have.

    Nobody chose this model, and it is for other texts. A column with a single value holds
    something else.
    Raises DataError if not.
    """
    labels = sorted(labels_in(inputs.parse(chunk), inputs.schema))
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
    check_fields(options)
    if options.only_columns is not None:
        names = [*map(str, options.only_columns)]
        if not names or len(set(names)) < len(names):
            raise DataError(f"--only-columns names no column, or one twice: {','.join(names)!r}")
    policy = options.policy(model)
    if options.top > 1 and model.is_score:
        raise DataError(f"{model.path} gives a score; leave --top out, or take --all-probabilities")
    return replace(options, threshold=policy.threshold, abstain=None)


def _added_columns(
    models: Mapping[str, ModelFile], options: Mapping[str, ScoreOptions]
) -> dict[str, bool]:
    """Return the names of the added columns, in order, and whether each holds numbers.

    answers.Predictions holds the values. Raises DataError if two columns have one name.
    """
    names: dict[str, bool] = {}
    for question, model in models.items():
        for column, is_number in _names(question, model, options[question]).items():
            if column in names or column == "error":
                raise DataError(f"the output would have two columns {column!r}; rename a question")
            names[column] = is_number
    return {**names, "error": False}


def _names(question: str, model: ModelFile, options: ScoreOptions) -> dict[str, bool]:
    """Return the names of a model's columns, in order, and whether each holds numbers."""
    label = question or ("score" if model.is_score else "label")
    prefix = question and f"{question}_"
    names = {label: model.is_score}
    if model.is_score:
        names[f"{label}_low"] = True
        names[f"{label}_high"] = True
    if not model.is_score:
        names[f"{prefix}probability"] = True
    for k in range(2, options.top + 1):
        names[f"{prefix}label_{k}"] = False
        # Not probability_2: a label may be called 2.
        names[f"{prefix}p_{k}"] = True
    if options.all_probabilities:
        for name in model.labels:
            names[f"{prefix}probability_{name}"] = True
    names[f"{prefix}status"] = False
    return names


def _without_clash(
    names: Mapping[str, bool], columns: Sequence[str], prefixes: Sequence[str]
) -> dict[str, bool]:
    """Return the names with the first prefix that makes none of them one of ``columns``."""
    for prefix in prefixes:
        added = {prefix + name: is_number for name, is_number in names.items()}
        clash = sorted(added.keys() & set(columns))
        if not clash:
            return added
    raise DataError(f"the input already has a column {clash[0]!r}; rename it")
