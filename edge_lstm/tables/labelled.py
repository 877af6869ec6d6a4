"""Texts with labels, for training and for measuring accuracy."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain, compress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from edge_lstm.errors import DataError
from edge_lstm.printable import LABEL_JOINT, counted, cut, json_text, listed, shorten
from edge_lstm.tables.encoding import NAME_IT
from edge_lstm.tables.format import Row, Rows
from edge_lstm.tables.reader import Inputs, open_inputs
from edge_lstm.tables.schema import WHOLE_ROW, ReadOptions, Schema, column_index, find_column
from edge_lstm.tables.values import BAD_BYTE, cell_text, json_value

if TYPE_CHECKING:  # score reads labels of columns without NumPy
    import numpy as np
    import numpy.typing as npt

FASTTEXT_PREFIX = "__label__"
_FLAGS = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}

# How far the sum of probabilities may be from 1. Nearer ones are rounded, others normalised.
SUM_TOLERANCE = 0.1
_ROUNDED = 1e-3

TextAndLabels = tuple[str, tuple[str, ...]]
Shares = Mapping[str, float]


@dataclass(frozen=True)
class LabelOptions(ReadOptions):
    """Options for reading labelled inputs.

    label_separator: between labels in one value.
    indicator_columns: the names or numbers of the columns of 0 and 1.
    multi_label: whether texts may have several labels; None: as the data are. If true,
        LABEL_JOINT is the default separator.
    skip_unlabelled: leave rows without a label out even if a text may have no label: they
        answer other questions.
    confidence_column: the name or number of the column with the confidence in each label.
    group_column: the column of each row's group, as its author, document or day.
    labels: of a model with one label per text: if no column is clearly the label's, it is the one
        column that holds exactly these. Empty: they are not known.
    """

    label_separator: str | None = None
    indicator_columns: Sequence[str] = ()
    multi_label: bool | None = None
    skip_unlabelled: bool = False
    confidence_column: str | None = None
    group_column: str | None = None
    labels: Sequence[str] = ()


DEFAULT_LABEL_OPTIONS = LabelOptions()


class Columns(NamedTuple):
    """The columns of a table that are read.

    text: its name; empty for whole rows. labels: the names of the columns with labels.
    """

    text: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class LabelledTexts:
    """Texts with the names of their labels, in the order of the data.

    texts: as they stand in the data.
    labels: the different labels of each text.
    multi_label: whether a text may have any number of labels; else each has one.
    shares: for each text, label → probability; labels that it does not name share the rest. None
        for a text whose label is certain. Empty if all are.
    columns: the columns that were read; None if the labels do not stand in columns.
    groups: the group of each text; None without a column of groups.
    numbers: of each text's row in its file, from 1.
    left_out: number of rows that are not among them, since they have no label.
    normalised: number of texts whose probabilities did not add up to 1.
    is_found: whether the label column was found by what it holds.
    """

    texts: list[str]
    labels: list[tuple[str, ...]]
    multi_label: bool = False
    shares: list[Shares | None] = field(default_factory=list)
    columns: Columns | None = field(default=None, compare=False)
    groups: list[str] | None = None
    numbers: list[int] = field(default_factory=list, compare=False)
    left_out: int = field(default=0, compare=False)
    normalised: int = field(default=0, compare=False)
    is_found: bool = field(default=False, compare=False)

    @property
    def names(self) -> list[str]:
        """The label of each text, if each has one."""
        return [names[0] for names in self.labels]

    def notes(self, source: str) -> Iterator[str]:
        """Yield a line for each of the things that a person should know of the rows.

        source: where the texts come from.
        """
        yield from self.notes_of_column(source)
        rows = counted(len(self.texts) + self.left_out, "row")
        if self.left_out:
            yield f"{source}: no label, or NaN, in {self.left_out:,} of {rows}: they are left out"
        if empty := sum(not text.strip() for text in self.texts):
            yield (
                f"{source}: no text in {empty:,} of {rows}: they count as empty texts; "
                "remove them if their texts were lost"
            )
        if self.normalised:
            yield f"{source}: {normalised_note(self.normalised, rows)}"

    def notes_of_column(self, source: str) -> Iterator[str]:
        """Yield a line about a label column that was found by what it holds."""
        if self.is_found and self.columns is not None:
            name = cut(self.columns.labels[0], 40)
            yield f"{source}: the label is read from {name!r}, which holds the model's labels"


def read_labelled(
    paths: str | Path | Sequence[str | Path], *, options: LabelOptions = DEFAULT_LABEL_OPTIONS
) -> LabelledTexts:
    """Read labelled data.

    They are CSV, TSV, JSONL or Parquet with a text and a label column; text files of ``__label__x
    text`` lines (fastText); or a folder with a folder of ``.txt`` files for each label, as
    ``aclImdb/test`` has them (a file's first folder is its label; ``unsup`` is left out). If a
    table has two columns, the one that is not the text has the labels, whatever its name.

    A text may have several labels: in a list (JSONL, Parquet), in a value of the label column that
    joins them, in a column of 0 and 1 for each label, or as several ``__label__x`` before the text.

    Instead of a label, the label column may hold an object of label → probability: a distribution,
    whose most probable label counts as the text's. Or another column says how sure a label is.

    paths: files, globs, folders, or ``-`` for standard input.

    A row without a label is left out, unless a text may have several labels: then it has none.

    Raises DataError with file and row if a row has no text, or labels of an unknown form, and if no
    row has a label; TypeError if an option has the wrong type.
    """
    given = [paths] if isinstance(paths, (str, Path)) else list(paths)
    inputs = open_inputs(given, options=options)
    found = _column_of_labels(inputs, options)
    reader = _LabelReader(
        inputs, options if found is None else replace(options, label_column=found)
    )
    texts: list[str] = []
    labels: list[tuple[str, ...]] = []
    shares: list[Shares | None] = []
    groups: list[str] = []
    numbers: list[int] = []
    bad: list[tuple[Row, DataError]] = []  # rows without a text
    for row in inputs.rows():
        try:
            labelled = reader.read(row)
        except DataError as error:
            if row.text is not None:
                raise
            bad.append((row, error))
            continue
        if labelled is None:
            continue
        text, names = labelled
        texts.append(text)
        labels.append(names)
        shares.append(reader.shares if names else None)
        if reader.group_column:
            groups.append(group_in(row, reader.group_column))
        numbers.append(row.number)
    if bad:
        raise _without_text(bad, "path" if inputs.format.name == "folder" else None)
    if not any(labels):
        raise DataError(
            f"{inputs.sources[0].name} has no labelled row; a label stands in {reader.place}"
        )
    needs_label = options.skip_unlabelled or not reader.multi_label
    kept = [bool(names) or not needs_label for names in labels]
    has_shares = any(shares) and not reader.multi_label
    return LabelledTexts(
        [*compress(texts, kept)],
        [*compress(labels, kept)],
        multi_label=reader.multi_label,
        shares=[*compress(shares, kept)] if has_shares else [],
        columns=reader.columns,
        groups=[*compress(groups, kept)] or None,
        numbers=[*compress(numbers, kept)],
        left_out=kept.count(False),
        normalised=reader.normalised,
        is_found=found is not None,
    )


def _column_of_labels(inputs: Inputs, options: LabelOptions) -> str | None:
    """Return the number of the one column that holds exactly the labels of the model.

    None if the options or the names say which column it is, if no column or several hold them, or
    if the input can be read only once.
    """
    is_told = options.label_column is not None or options.indicator_columns or not options.labels
    if is_told or inputs.once or inputs.schema.format in _OWN_LABELS:
        return None
    with suppress(DataError):
        _LabelReader(inputs, options)
        return None
    labels = {*options.labels}
    held: dict[int, set[str]] = {i: set() for i, _ in enumerate(inputs.schema.columns)}
    held.pop(inputs.schema.text, None)
    for chunk in inputs.chunks():
        columns = inputs.parse(chunk).columns
        for i in [*held]:
            held[i].update(map(_label, columns[i]))
            if not held[i] <= {*labels, ""}:
                del held[i]
    found = [i for i, values in held.items() if values - {""} == labels]
    return str(found[0] + 1) if len(found) == 1 else None


def _without_text(bad: Sequence[tuple[Row, DataError]], name: str | None) -> DataError:
    """Return the error for rows without a text: its reason, and the names of the other rows.

    name: the column with the names of rows; None: they have numbers.
    """
    names = [str(row.values[name] if name else row.number) for row, _ in bad[1:]]
    others = f" (and {len(names):,} more: {listed(names, most=5)})" if names else ""
    hint = ""
    if any(BAD_BYTE in str(row.error) for row, _ in bad):
        hint = f", or {NAME_IT}"
    return DataError(f"{bad[0][1]}{others}{hint}")


def group_in(row: Row, column: str) -> str:
    """Return the group of a row.

    Raises DataError if the row names none.
    """
    group = _label(row.values[column])
    if not group:
        raise DataError(
            f"{row.source} row {row.number}: no group in {column!r}; fill it in, or remove the row"
        )
    return group


def check_columns(path: str | Path, options: LabelOptions) -> None:
    """Check the columns of a file, without its rows.

    Raises as :func:`read_labelled`.
    """
    _LabelReader(open_inputs([path], options=options), options)


def labels_in(rows: Rows, schema: Schema) -> set[str]:
    """Return the different labels of rows.

    They are in the column with the name of labels; without such a column, the set is empty.
    """
    column = _label_column(schema)
    if column is None:
        return set()
    labels: set[str] = set()
    for value in rows.columns[column]:
        values = value if isinstance(value, list) else [value]
        labels.update(map(_label, values))
    return labels - {""}


def _label_column(schema: Schema) -> int | None:
    try:
        return find_column(schema.columns, None, "", "label")
    except DataError:
        return None


def _check_options(options: LabelOptions) -> None:
    """Check that the options are possible, and that no two exclude each other.

    Raises DataError if not.
    """
    separator = options.label_separator
    flags = options.indicator_columns
    if separator is not None and not separator.strip():
        raise DataError(
            "the label separator is empty or blank; give a character that no label holds"
        )
    if flags and (options.label_column is not None or separator is not None):
        raise DataError(
            "--indicator-columns name columns of 0 and 1; leave out --label-column and "
            "--label-separator"
        )
    if not all(flags):
        raise DataError(
            f"a label column in {','.join(flags)!r} has no name; give names, as in joy,anger"
        )
    if len(set(flags)) < len(flags):
        raise DataError(f"a label column is named twice in {', '.join(flags)}; name each once")
    is_multi_label = options.multi_label or flags or separator is not None
    if options.confidence_column is not None and is_multi_label:
        raise DataError(
            "--confidence-column is for one label per text; leave it out, or the options for "
            "several"
        )


def _check_no_columns(options: LabelOptions, what: str) -> None:
    """Check that no option names a column of a format that has none.

    Raises DataError if not.
    """
    is_separated = options.label_separator is not None or options.confidence_column is not None
    if options.indicator_columns or is_separated:
        raise DataError(
            f"{what} no label columns; "
            "leave --indicator-columns, --label-separator and --confidence-column out"
        )
    if options.group_column is not None:
        raise DataError(f"{what} no columns; leave --group-column out")


class _LabelReader:
    """A reader of the labels of rows.

    multi_label: whether rows may have several labels, or a row that was read had several.
    place: of the labels, for people.
    columns: the columns that are read, if labels stand in columns.
    shares: of the row that was read last, see LabelledTexts; None if its label is certain.
    normalised: number of rows whose shares did not add up to 1.
    group_column: the name of the column of groups; "" without one.
    """

    def __init__(self, inputs: Inputs, options: LabelOptions) -> None:
        _check_options(options)
        separator = options.label_separator
        flags = options.indicator_columns
        schema = inputs.schema
        where = inputs.sources[0].name
        self.multi_label = bool(options.multi_label or flags or separator is not None)
        self._separator = separator or (LABEL_JOINT if options.multi_label else None)
        self.shares: Shares | None = None
        self.normalised = 0
        self._own_labels = _OWN_LABELS.get(schema.format)
        if self._own_labels is not None:
            _check_no_columns(options, f"{where} is {schema.format}, which has")
            self.place = _PLACES[schema.format]
            self.columns: Columns | None = None
            self.group_column = ""
            return
        self.group_column = _column_name(schema, options.group_column, where)
        self._confidence = _column_name(schema, options.confidence_column, where)
        if flags:
            indexes = [column_index(schema.columns, name, where) for name in flags]
        else:
            text = None if schema.text == WHOLE_ROW else schema.text
            indexes = [find_column(schema.columns, options.label_column, where, "label", text)]
        names = tuple(schema.columns[i] for i in indexes)
        if schema.text in indexes:
            raise DataError(
                f"{where}: {schema.text_column!r} cannot be both the text and the label; "
                "name the other with --text-column or --label-column"
            )
        self.columns = Columns(schema.text_column, names)
        self._flags = names if flags else ()
        self._column = names[0]
        what = "column" if len(names) == 1 else "columns"
        self.place = f"the {what} {listed([repr(name) for name in names], most=8)}"
        if self._confidence and self._confidence in (schema.text_column, self._column):
            raise DataError(
                f"{where}: {self._confidence!r} cannot be the confidence too; "
                "name another --confidence-column"
            )

    def read(self, row: Row) -> TextAndLabels | None:
        """Return the text and its different labels; None if the row does not belong to the data.

        Raises DataError.
        """
        self.shares = None
        if self._own_labels is None:
            text = row.required_text()
            names = self._names(row)
        else:
            labelled = self._own_labels(row)
            if labelled is None:
                return None
            text, names = labelled
        labels = tuple(dict.fromkeys(names))
        self.multi_label = self.multi_label or len(labels) > 1
        return text, labels

    def _names(self, row: Row) -> Sequence[str]:
        """Return the labels in the columns of a row.

        Raises DataError.
        """
        where = f"{row.source} row {row.number}"
        if self._flags:
            return [name for name in self._flags if _flag(row.values[name], name, where)]
        value = row.values[self._column]
        if isinstance(value, list):
            self.multi_label = True
            names = [_label(each) for each in value]
            if not all(names):
                raise DataError(
                    f"{where}: an entry of {self._column!r} is not a label; give strings"
                )
            return names
        value = _object_in(value)
        if isinstance(value, dict):
            if self.multi_label or self._confidence:
                raise DataError(
                    f"{where}: {self._column!r} holds an object; give a text, or a list of texts"
                )
            self.shares, is_normalised = distribution(value, f"{where}: {self._column!r}")
            self.normalised += is_normalised
            # Of equal ones the first.
            return [max(self.shares, key=self.shares.__getitem__)]
        label = _label(value)
        if self._confidence:
            confidence = _confidence(row.values[self._confidence], self._confidence, where)
            self.shares = {label: confidence} if confidence < 1 else None
            return [label] if label else []
        parts = label.split(self._separator) if self._separator else [label]
        return [part.strip() for part in parts if part.strip()]


def _column_name(schema: Schema, column: str | None, where: str) -> str:
    """Return the name of a column that is given by name or number; "" for None.

    Raises DataError if no column has it.
    """
    return "" if column is None else schema.columns[column_index(schema.columns, column, where)]


def _line_labels(row: Row) -> TextAndLabels:
    """Read a line ``__label__x text``, with one or several labels."""
    names: list[str] = []
    rest = row.required_text().lstrip()
    while rest.startswith(FASTTEXT_PREFIX):
        first, _, rest = rest.partition(" ")
        if first == FASTTEXT_PREFIX:
            raise DataError(
                f"{row.source} row {row.number}: {FASTTEXT_PREFIX} without a name; name it"
            )
        names.append(first.removeprefix(FASTTEXT_PREFIX))
        if rest.lstrip().startswith(FASTTEXT_PREFIX):
            rest = rest.lstrip()
    return rest, tuple(names)


def _folder_labels(row: Row) -> TextAndLabels | None:
    """Read a file whose label is the first folder of its path, if it lies in one."""
    path = Path(row.values["path"])
    # The IMDB reviews without a label are in this folder.
    if len(path.parts) == 1 or path.parts[0] == "unsup":
        return None
    if row.text is None:
        raise DataError(f"{Path(row.source, path)}: {row.error}; correct or remove the file")
    return row.text, path.parts[:1]


# The formats whose rows do not have their labels in columns.
_OWN_LABELS = {"text": _line_labels, "folder": _folder_labels}
_PLACES = {"text": f"{FASTTEXT_PREFIX}NAME before a text", "folder": "the folder of a text"}


def _flag(value: Any, name: str, where: str) -> bool:
    """Return a value of a column of 0 and 1.

    Raises DataError.
    """
    try:
        return _FLAGS[_label(value).lower()]
    except KeyError:
        raise DataError(
            f"{where}: {name!r} is {str(value)[:40]!r}, not 0 or 1; correct the row"
        ) from None


def _object_in(value: Any) -> Any:
    """Return the object that a cell holds as JSON; any other value as it is."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        with suppress(ValueError, RecursionError):
            return json_value(value)
    return value


def distribution(value: Mapping[str, Any], where: str) -> tuple[Shares, bool]:
    """Return label → probability, which add up to 1, and whether those given did not.

    Raises DataError if they are far from it.
    """
    shares: dict[str, float] = {}
    for name, given in value.items():
        label = name.strip()
        share = _probability(given)
        if share is None or not label or label in shares:
            raise DataError(
                f"{where} holds an object that does not map different labels to numbers from 0 "
                f"to 1: {cut(json_text(value), 60)}; correct the row"
            )
        shares[label] = share
    total = math.fsum(shares.values())
    off = round(abs(total - 1), 9)
    if off > SUM_TOLERANCE:
        raise DataError(
            f"{where} holds probabilities that add up to {total:.4g}, not 1; correct the row"
        )
    return {label: share / total for label, share in shares.items()}, off > _ROUNDED


def normalised_note(count: int, of: str) -> str:
    """Return the note for rows whose probabilities did not add up to 1."""
    return f"probabilities that add up to 0.9 to 1.1, not 1, in {count:,} of {of}: they are scaled"


def _confidence(value: Any, column: str, where: str) -> float:
    """Return how sure a label is, 0 to 1; an empty cell is 1.

    Raises DataError.
    """
    if value is None or value == "":
        return 1.0
    confidence = _probability(value)
    if confidence is None:
        raise DataError(
            f"{where}: {column!r} is {cut(cell_text(value), 40)!r}, not a number from 0 to 1; "
            "correct the row"
        )
    return confidence


def _probability(value: Any) -> float | None:
    """Return a number from 0 to 1, also in a string; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if 0 <= number <= 1 else None


def _label(value: Any) -> str:
    """Return a value as a label; a missing one is empty."""
    if value is None or isinstance(value, (list, dict)):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    label = str(value).strip()
    # What pandas writes for a missing value, if it is told to write something.
    return "" if label in {"NaN", "nan", "NaT", "<NA>"} else label


def label_matrix(
    labels: Sequence[Sequence[str]], names: Sequence[str], data: str
) -> npt.NDArray[np.bool_]:
    """Return bool [n, names], the labels of each text.

    labels: label names in the data, of each text.
    names: labels of the model.
    data: name of the texts' source, for errors.

    Raise DataError if a label is unknown to the model.
    """
    import numpy as np

    index = {name: i for i, name in enumerate(names)}
    present = sorted(set(chain.from_iterable(labels)))
    if not index.keys() >= {*present}:
        raise DataError(
            f"{data} has the labels {listed_labels(present)}, the model has "
            f"{listed_labels(names)}; rename the data's, or give a model with these labels"
        )

    matrix = np.zeros((len(labels), len(names)), dtype=np.bool_)
    for row, of_text in zip(matrix, labels):
        row[[index[label] for label in of_text]] = True
    return matrix


def listed_labels(labels: Sequence[str]) -> str:
    """Return the first labels, shortened, for an error."""
    return listed([shorten(label, 40) for label in labels], most=8)
