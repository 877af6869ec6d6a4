"""Keras's ``imdb.npz``: word ranks instead of text, turned back into words by the word index.

The file holds ``x_train`` and ``x_test`` (object arrays of lists of ranks; the special ids of
``load_data`` are not in it) and ``y_train`` and ``y_test`` (0 or 1).

NumPy stores such an object array as a pickle; a pickle is a program, and running one from a file that
somebody sent is running their program. Here pickletools decodes its instructions and nothing executes them:
those that such an array needs build integers, strings, tuples, lists and inert markers; any other is refused.
"""

from __future__ import annotations

import ast
import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from pickletools import genops
from typing import Any

import numpy as np

from edge_lstm.errors import DataError
from edge_lstm_export.datasets.dataset import Dataset, Labels, Split, file_digest
from edge_lstm_export.vocabulary import read_word_index

WORD_INDEX = "imdb_word_index.json"
LABELS = ("neg", "pos")  # as the folders of the reviews are called
_LARGEST_MEMBER = 1 << 30  # bytes

IntLists = list[list[int]]


def read_keras_npz(path: Path, word_index: Path | None = None) -> Dataset:
    """Ranks → texts of words, joined by spaces. The word index is the file given, or
    ``imdb_word_index.json`` beside the data. DataError where it is not there or the data are not
    Keras's; pickled code is not run.
    """
    index_path = word_index or path.with_name(WORD_INDEX)
    if not index_path.is_file():
        raise DataError(
            f"{path} holds word numbers, no words; give Keras's word index with --word-index, "
            f"or put it beside the data as {WORD_INDEX}"
        )
    words = read_word_index(index_path)
    try:
        with zipfile.ZipFile(path) as archive:
            train, test = (_split(archive, part, words, path) for part in ("train", "test"))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{path} is not a complete .npz file ({error}); download it again") from None
    return Dataset(path.name, LABELS, train, test, file_digest(path))


def _split(archive: zipfile.ZipFile, part: str, words: tuple[str, ...], path: Path) -> Split:
    rows, labels = _lists(archive, f"x_{part}", path), _labels(archive, f"y_{part}", path)
    if len(rows) != len(labels):
        raise DataError(f"{path}: {len(rows)} texts but {len(labels)} labels in {part}; download it again")
    texts = []
    for row in rows:
        if row and not 1 <= min(row) <= max(row) <= len(words):
            raise DataError(
                f"{path}: x_{part} has word numbers outside 1 to {len(words)}; "
                "give the word index that belongs to it"
            )
        texts.append(" ".join([words[rank - 1] for rank in row]))
    return Split(tuple(texts), labels)


def _lists(archive: zipfile.ZipFile, name: str, path: Path) -> IntLists:
    header, data = _array(archive, name, path)
    if header["descr"] != "|O":
        raise DataError(
            f"{path}: {name} holds {header['descr']}, not lists of word numbers; download it again"
        )
    try:
        return read_int_lists(data)
    except UnexpectedPickleError as error:
        raise DataError(
            f"{path}: {name} holds no lists of integers ({error}); do not use this file"
        ) from None


def _labels(archive: zipfile.ZipFile, name: str, path: Path) -> Labels:
    _, data = _array(archive, name, path, whole=True)
    try:
        labels = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataError(f"{path}: {name} cannot be read ({error}); download the file again") from None
    if labels.ndim != 1 or labels.dtype.kind not in "iub" or not np.isin(labels, (0, 1)).all():
        raise DataError(f"{path}: {name} must hold the labels 0 and 1; download the file again")
    if len(np.unique(labels)) < 2:
        raise DataError(f"{path}: {name} has one label only; a classifier needs texts of two labels")
    return np.asarray(labels, dtype=np.int64)


def _array(
    archive: zipfile.ZipFile, name: str, path: Path, *, whole: bool = False
) -> tuple[dict[str, Any], bytes]:
    """One .npy of the archive: its header, and the bytes after it (or all of them)."""
    try:
        member = archive.getinfo(f"{name}.npy")
    except KeyError:
        raise DataError(f"{path} has no {name}; it is not Keras's imdb.npz") from None
    if member.file_size > _LARGEST_MEMBER:
        raise DataError(
            f"{path}: {name} is larger than {_LARGEST_MEMBER >> 20} MiB; it is not Keras's imdb.npz"
        )
    data = archive.read(member)
    # Magic, version, length of the header, header: a dictionary as Python source, padded.
    size_bytes = 2 if data[6:7] == b"\x01" else 4
    start = 8 + size_bytes
    end = start + int.from_bytes(data[8:start], "little")
    try:
        if not data.startswith(b"\x93NUMPY") or end > len(data) or end - start > 10_000:
            raise ValueError
        header = ast.literal_eval(data[start:end].decode("latin-1"))
        header["descr"].upper()
    except (KeyError, TypeError, AttributeError, ValueError, SyntaxError, MemoryError, RecursionError):
        raise DataError(f"{path}: {name} is no NumPy array; download the file again") from None
    return header, data if whole else data[end:]


# The only names that such an array refers to. They are compared as text and never looked up.
_NAMES = {
    "numpy.core.multiarray _reconstruct",
    "numpy._core.multiarray _reconstruct",
    "numpy ndarray",
    "numpy dtype",
    "_codecs encode",  # protocol 2 writes bytes as encode("b", "latin1")
}
_VALUES = {
    *("BININT", "BININT1", "BININT2", "LONG1"),
    *("SHORT_BINBYTES", "BINBYTES", "SHORT_BINSTRING", "BINSTRING", "SHORT_BINUNICODE", "BINUNICODE"),
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_MARK = object()


class UnexpectedPickleError(ValueError):
    """The pickle is cut short or does something that an array of integer lists does not need."""


@dataclass
class _Named:
    """Stands for a name in the program; calling it is what never happens."""

    name: str


@dataclass
class _Made:
    """Stands for the result of a call: an array or a dtype, with the state that was set on it."""

    by: str
    state: Any = None


def read_int_lists(data: bytes) -> IntLists:
    """The array's lists. Raises UnexpectedPickleError where the pickle is anything else."""
    try:
        return _int_lists(_walk(data))
    except UnexpectedPickleError:
        raise
    except (
        IndexError,
        KeyError,
        ValueError,
        OverflowError,
        TypeError,
    ):  # what genops raises, and a short stack
        raise UnexpectedPickleError("it is cut short or damaged") from None


def _int_lists(array: Any) -> IntLists:
    """Checks that the result is a one-dimensional object array of integer lists."""
    made = isinstance(array, _Made) and array.by.endswith(" _reconstruct")
    if not made or not isinstance(array.state, tuple) or len(array.state) != 5:
        raise UnexpectedPickleError("it holds no NumPy array")
    _, shape, dtype, fortran, items = array.state
    kind = dtype.state if isinstance(dtype, _Made) else None
    if kind is None or len(shape) != 1 or fortran is True or not isinstance(items, list):
        raise UnexpectedPickleError("its array is not a one-dimensional array of lists")
    if len(items) != shape[0]:
        raise UnexpectedPickleError(f"its array has {len(items)} of {shape[0]} items")
    for i, item in enumerate(items):
        # type(), not isinstance(): True is an int to isinstance. set(map(…)) is one pass in C.
        if type(item) is not list or not set(map(type, item)) <= {int}:
            raise UnexpectedPickleError(f"item {i} of its array is no list of integers")
    return items


def _walk(data: bytes) -> Any:
    """What the instructions leave, as pickletools decodes them; none of them is executed."""
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    value: Any  # what follows an instruction: of each the same kind
    for instruction, value, _ in genops(data):
        name = instruction.name
        if name in _VALUES:
            stack.append(value)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name == "EMPTY_LIST":
            stack.append([])
        elif name == "MARK":
            stack.append(_MARK)
        elif name == "APPENDS":
            items = _above_mark(stack)
            _list_on(stack).extend(items)
        elif name == "APPEND":
            item = stack.pop()
            _list_on(stack).append(item)
        elif name in ("BINPUT", "LONG_BINPUT"):
            memo[value] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[value])
        elif name == "TUPLE":
            stack.append(tuple(_above_mark(stack)))
        elif name in _TUPLES:
            stack.append(tuple(reversed([stack.pop() for _ in range(_TUPLES[name])])))
        elif name == "GLOBAL":
            stack.append(_named(value))
        elif name == "STACK_GLOBAL":
            last = stack.pop()
            stack.append(_named(f"{stack.pop()} {last}"))
        elif name == "REDUCE":
            _, function = stack.pop(), stack.pop()
            if not isinstance(function, _Named) or function.name == "numpy ndarray":
                raise UnexpectedPickleError("it calls an unknown function")
            stack.append(_Made(function.name))
        elif name == "BUILD":
            state = stack.pop()
            if not isinstance(stack[-1], _Made):
                raise UnexpectedPickleError("it sets the state of something other than an array")
            stack[-1].state = state
        elif name not in ("PROTO", "FRAME", "STOP"):
            raise UnexpectedPickleError(f"it uses the instruction {name}")
    (result,) = stack
    return result


def _named(name: str) -> _Named:
    if name not in _NAMES:
        raise UnexpectedPickleError(f"it refers to {name.replace(' ', '.')}")
    return _Named(name)


def _list_on(stack: list[Any]) -> list[Any]:
    if type(stack[-1]) is not list:
        raise UnexpectedPickleError("it appends to something other than a list")
    return stack[-1]


def _above_mark(stack: list[Any]) -> list[Any]:
    at = len(stack) - 1
    while stack[at] is not _MARK:  # from the top: lists end in marks that are near
        at -= 1
        if at < 0:
            raise IndexError
    items = stack[at + 1 :]
    del stack[at:]
    return items
