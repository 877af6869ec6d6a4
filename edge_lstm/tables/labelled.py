"""Labelled data → texts and labels, for training and for measuring accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from edge_lstm.errors import DataError
from edge_lstm.tables.format import Row, Rows
from edge_lstm.tables.reader import DEFAULT_OPTIONS, Inputs, open_inputs
from edge_lstm.tables.schema import ReadOptions, Schema, column_index, find_label_column
from edge_lstm.tables.values import Number
from edge_lstm.text import LABEL_JOINT

FASTTEXT_PREFIX = "__label__"
UNLABELLED = "unsup"  # the folder of texts without a label, of the reviews
_NO_LABEL = (
    f"the line does not begin with {FASTTEXT_PREFIX}NAME; a text file needs it on every line"
)
_FLAGS = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}

LabelledText = tuple[str, tuple[str, ...]]


class Columns(NamedTuple):
    """The columns of a table that are read: that of the text, and those of the labels."""

    text: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Labelled:
    """Texts with the names of their labels, each once per text, in the order of the data.

    several: whether a text may have several labels, or none; else each has one. columns: those that
    were read; None if the labels stand in no column.
    """

    texts: list[str]
    labels: list[tuple[str, ...]]
    several: bool = False
    columns: Columns | None = field(default=None, compare=False)

    @property
    def names(self) -> list[str]:
        """The label of each text, where each has one."""
        return [names[0] for names in self.labels]


def read_labelled(
    paths: str | Path | Sequence[str | Path],
    *,
    options: ReadOptions = DEFAULT_OPTIONS,
    label_separator: str | None = None,
    label_columns: Sequence[str] = (),
    several: bool | None = None,
) -> Labelled:
    """Read CSV, TSV, JSONL or Parquet with a text and a label column, text files of ``__label__x
    text`` lines (fastText), or a folder with one folder of ``.txt`` files per label (as
    ``aclImdb/test``: the label is the name of a file's first folder; ``unsup`` is left out).

    Several labels per text are: a label column whose texts ``label_separator`` joins, lists in the
    label column (JSONL, Parquet), a column of 0 and 1 for each label (``label_columns``), or
    several ``__label__x``
    at the beginning of a line. several: whether they are wanted; None: as the data are. Where they
    are wanted, labels in one text are joined by LABEL_JOINT unless another separator is given.

    Of two columns the one that is not the text holds the labels, whatever its name.

    Raises DataError with file and row where a row has no text, or no label and each needs one, or
    where its labels have no known form.
    """
    given = [paths] if isinstance(paths, (str, Path)) else list(paths)
    inputs, reader = _open(given, options, label_separator, label_columns, several=several)
    texts: list[str] = []
    labels: list[tuple[str, ...]] = []
    first = ""  # without a label
    for row in inputs.rows():
        labelled = reader.read(row)
        if labelled is not None:
            texts.append(labelled[0])
            labels.append(labelled[1])
            first = first or (
                "" if labelled[1] else f"{row.source} row {row.number}: {reader.lacking}"
            )
    unlabelled = labels.count(())
    if len(texts) == unlabelled and (reader.several or not texts):
        raise DataError(f"{inputs.sources[0].name} has no labelled row; check the file")
    if reader.several:
        return Labelled(texts, labels, several=True, columns=reader.columns)
    if unlabelled:
        more = f" (and in {unlabelled - 1:,} more of {len(texts):,} rows)" if unlabelled > 1 else ""
        raise DataError(f"{first}{more}; remove or label the row{'s' if more else ''}")
    return Labelled(texts, [names[:1] for names in labels], columns=reader.columns)


def check_columns(
    path: str | Path,
    *,
    options: ReadOptions = DEFAULT_OPTIONS,
    label_separator: str | None = None,
    label_columns: Sequence[str] = (),
) -> None:
    """Raise what :func:`read_labelled` would raise of the columns of a file, without its rows being
    read."""
    _open([path], options, label_separator, label_columns, several=None)


def _open(
    paths: Sequence[str | Path],
    options: ReadOptions,
    label_separator: str | None,
    label_columns: Sequence[str],
    *,
    several: bool | None,
) -> tuple[Inputs, _LabelReader]:
    # 'text' for a file without a known suffix would be a guess: open_inputs refuses it.
    inputs = open_inputs(paths, options=options)
    flags = tuple(label_columns)
    return inputs, _LabelReader(
        inputs, options.label_column, label_separator, flags, several=several
    )


def has_labels(path: Path, *, options: ReadOptions = DEFAULT_OPTIONS) -> bool:
    """Return whether a file has a column with the name of labels, or a line with a label. Raises
    DataError if unreadable."""
    inputs = open_inputs([path], options=options)
    own_labels = _OWN_LABELS.get(inputs.format.name)
    if own_labels is not None:
        return any(
            (own_labels(row) or ("", ()))[1] for row in inputs.rows() if row.text is not None
        )
    try:
        return find_label_column(inputs.schema.columns, None, inputs.sources[0].name) >= 0
    except DataError:
        return False


def labels_in(rows: Rows, schema: Schema) -> set[str]:
    """Return the different labels of rows, from the column with the name of labels; none without
    one."""
    try:
        column = find_label_column(schema.columns, None, "")
    except DataError:
        return set()
    labels = set[str]()
    for value in rows.columns[column]:
        labels.update(map(_label, value) if isinstance(value, list) else [_label(value)])
    return labels - {""}


class _LabelReader:
    """How the rows of an input have their labels. several: whether they may have several; where the
    data
    decide, whether a row read so far had them. lacking: what to say of a row without a label.
    columns: those that are read, if labels stand in columns."""

    def __init__(
        self,
        inputs: Inputs,
        column: str | None,
        separator: str | None,
        flags: tuple[str, ...],
        *,
        several: bool | None,
    ) -> None:
        schema, where = inputs.schema, inputs.sources[0].name
        if separator is not None and not separator.strip():
            raise DataError(
                "the label separator is empty or blank; give a character that no label holds"
            )
        if flags and (column is not None or separator is not None):
            raise DataError(
                "--label-columns are of 0 and 1; leave --label-column and --label-separator out"
            )
        if not all(flags):
            raise DataError(
                f"a label column in {','.join(flags)!r} has no name; give names, as in joy,anger"
            )
        if len(set(flags)) < len(flags):
            raise DataError(f"a label column is named twice in {', '.join(flags)}; name each once")
        self.several = bool(several or flags or separator is not None)
        self._separator = separator or (LABEL_JOINT if several else None)
        self.lacking = _NO_LABEL
        self._own_labels = _OWN_LABELS.get(schema.format)
        self._column, self._flags = "", list[str]()  # of the label, or those of 0 and 1
        self.columns: Columns | None = None
        if self._own_labels is not None:
            if flags or separator is not None:
                hint = "leave --label-columns and --label-separator out"
                raise DataError(f"{where} is {schema.format}, which has no label columns; {hint}")
            return
        indexes = [column_index(schema.columns, name, where) for name in flags]
        self._flags = [schema.columns[i] for i in indexes]
        if not flags:
            indexes = [find_label_column(schema.columns, column, where, text=schema.text)]
            self._column = schema.columns[indexes[0]]
            self.lacking = f"no label in {self._column!r}"
        if schema.text in indexes:
            raise DataError(
                f"{where}: {schema.text_column!r} cannot be both the text and the label; "
                "name the other with --text-column or --label-column"
            )
        self.columns = Columns(schema.text_column, tuple(schema.columns[i] for i in indexes))

    def read(self, row: Row) -> LabelledText | None:
        """Return text and labels, each once; None for what is no row of the data."""
        if self._own_labels is None:
            text, names = row.required_text(), tuple(self._names(row))
        elif (labelled := self._own_labels(row)) is not None:
            text, names = labelled
            self.several = self.several or len(set(names)) > 1
        else:
            return None
        return text, tuple(dict.fromkeys(names))

    def _names(self, row: Row) -> Sequence[str]:
        where = f"{row.source} row {row.number}"
        if self._flags:
            return [name for name in self._flags if _flag(row.values[name], name, where)]
        value = row.values[self._column]
        if isinstance(value, list):
            self.several = True
            if not all(names := list(map(_label, value))):
                raise DataError(
                    f"{where}: an entry of {self._column!r} is not a label; give strings"
                )
            return names
        if self.several and isinstance(value, dict):
            raise DataError(
                f"{where}: {self._column!r} holds an object; give a text, or a list of texts"
            )
        parts = _label(value).split(self._separator) if self._separator else [_label(value)]
        return [part.strip() for part in parts if part.strip()]


def _line_labels(row: Row) -> LabelledText:
    """``__label__x text``, or several labels before the text."""
    names, rest = [], row.required_text().lstrip()
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


def _folder_labels(row: Row) -> LabelledText | None:
    """The label is the first folder of the path. Files beside the folders belong to no label."""
    path = Path(row.values["path"])
    if len(path.parts) == 1 or path.parts[0] == UNLABELLED:
        return None
    if row.text is None:
        raise DataError(f"{Path(row.source, path)}: {row.error}; correct or remove the file")
    return row.text, path.parts[:1]


# The formats whose rows have their labels in no column.
_OWN_LABELS = {"text": _line_labels, "folder": _folder_labels}


def _flag(value: Any, name: str, where: str) -> bool:
    try:
        return _FLAGS[_label(value).lower()]
    except KeyError:
        raise DataError(
            f"{where}: {name!r} is {str(value)[:40]!r}, not 0 or 1; correct the row"
        ) from None


def _label(value: Any) -> str:
    if value is None or isinstance(value, (list, dict)):
        return ""
    if value != value or (isinstance(value, Number) and value == "NaN"):
        return ""  # how pandas writes a missing label
    return str(value).lower() if isinstance(value, bool) else str(value).strip()
