"""Keras's ``imdb.npz``: word ranks instead of text, turned back into words by the word index.

The file holds ``x_train`` and ``x_test`` (object arrays of lists of ranks; the special ids of
``load_data`` are not in it) and ``y_train`` and ``y_test`` (0 or 1).

NumPy stores such an object array as a pickle; a pickle is a program, and running one from a file that
somebody sent is running their program. This reader walks the program's instructions itself. It knows those
that such an array needs, builds nothing but integers, strings, tuples, lists and inert markers, and calls
nothing; any other instruction is refused.
"""

from __future__ import annotations

import ast
import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
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
        raise DataError(f"{path} is no complete .npz file ({error}); download it again") from None
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
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),  # protocol 2 writes bytes as encode("b", "latin1")
}
_MARK = object()


class UnexpectedPickleError(ValueError):
    """The pickle is cut short or does something that an array of integer lists does not need."""


class _Named:
    """Stands for a name in the program; calling it is what never happens."""

    def __init__(self, module: str, name: str) -> None:
        self.name = name
        if (module, name) not in _NAMES:
            raise UnexpectedPickleError(f"it refers to {module}.{name}")


class _Made:
    """Stands for the result of a call: an array or a dtype, with the state that was set on it."""

    def __init__(self, by: str) -> None:
        self.by = by
        self.state: Any = None


def read_int_lists(data: bytes) -> IntLists:
    """The array's lists. Raises UnexpectedPickleError where the pickle is anything else."""
    try:
        return _int_lists(_Walk(data).result())
    except (IndexError, KeyError, struct.error, UnicodeDecodeError, OverflowError, TypeError):
        raise UnexpectedPickleError("it is cut short or damaged") from None


def _int_lists(array: Any) -> IntLists:
    """Checks that the result is a one-dimensional object array of integer lists."""
    made = isinstance(array, _Made) and array.by == "_reconstruct"
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


class _Walk:
    """One pass over the instructions. Sizes are little endian; names of instructions as in pickletools."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def result(self) -> Any:
        data, actions, stack = self.data, self._actions(), self.stack
        append = stack.append
        at = self.at
        while True:
            code = data[at]
            # Nearly all instructions are these three, so they are here and not in the table.
            if code == 0x4D:  # M  BININT2
                append(data[at + 1] | data[at + 2] << 8)
                at += 3
            elif code == 0x4B:  # K  BININT1
                append(data[at + 1])
                at += 2
            elif code == 0x4A:  # J  BININT
                append(int.from_bytes(data[at + 1 : at + 5], "little", signed=True))
                if at + 5 > len(data):
                    raise IndexError
                at += 5
            elif code == 0x2E:  # .  STOP
                if len(stack) != 1:
                    raise UnexpectedPickleError("it leaves more than one value")
                return stack[0]
            else:
                action = actions.get(code)
                if action is None:
                    raise UnexpectedPickleError(f"it uses the instruction {bytes([code])!r}")
                self.at = at + 1
                action()
                at = self.at

    def _actions(self) -> dict[int, Callable[[], object]]:
        push = self.stack.append
        table: dict[bytes, Callable[[], object]] = {
            b"\x80": lambda: self._take(1),  # PROTO
            b"\x95": lambda: self._take(8),  # FRAME
            b"(": lambda: push(_MARK),
            b"]": lambda: push([]),
            b")": lambda: push(()),
            b"N": lambda: push(None),
            b"\x88": lambda: push(True),
            b"\x89": lambda: push(False),
            b"\x8a": lambda: push(int.from_bytes(self._take(self._size(1)), "little", signed=True)),  # LONG1
            b"C": lambda: push(self._take(self._size(1))),  # SHORT_BINBYTES
            b"B": lambda: push(self._take(self._size(4))),  # BINBYTES
            b"U": lambda: push(self._take(self._size(1)).decode("latin-1")),  # SHORT_BINSTRING, of Python 2
            b"T": lambda: push(self._take(self._size(4)).decode("latin-1")),  # BINSTRING
            b"\x8c": lambda: push(self._take(self._size(1)).decode()),  # SHORT_BINUNICODE
            b"X": lambda: push(self._take(self._size(4)).decode()),  # BINUNICODE
            b"t": lambda: push(tuple(self._above_mark())),
            b"\x85": lambda: self._tuple(1),
            b"\x86": lambda: self._tuple(2),
            b"\x87": lambda: self._tuple(3),
            b"a": lambda: self._extend([self.stack.pop()]),  # APPEND
            b"e": lambda: self._extend(self._above_mark()),  # APPENDS
            b"q": lambda: self._remember(self._size(1)),  # BINPUT
            b"r": lambda: self._remember(self._size(4)),  # LONG_BINPUT
            b"\x94": lambda: self._remember(len(self.memo)),  # MEMOIZE
            b"h": lambda: push(self.memo[self._size(1)]),  # BINGET
            b"j": lambda: push(self.memo[self._size(4)]),  # LONG_BINGET
            b"c": lambda: push(_Named(self._line(), self._line())),  # GLOBAL
            b"\x93": self._stack_global,
            b"R": self._reduce,
            b"b": self._build,
        }
        return {code[0]: action for code, action in table.items()}

    def _take(self, count: int) -> bytes:
        taken = self.data[self.at : self.at + count]
        if len(taken) < count:
            raise IndexError
        self.at += count
        return taken

    def _size(self, count: int) -> int:
        return int.from_bytes(self._take(count), "little")

    def _line(self) -> str:
        end = self.data.find(b"\n", self.at, self.at + 200)
        if end < 0:
            raise IndexError
        return self._take(end + 1 - self.at)[:-1].decode()

    def _above_mark(self) -> list[Any]:
        stack = self.stack
        at = len(stack) - 1
        while stack[at] is not _MARK:  # from the top: lists end in marks that are near
            at -= 1
            if at < 0:
                raise IndexError
        items = stack[at + 1 :]
        del stack[at:]
        return items

    def _tuple(self, count: int) -> None:
        if len(self.stack) < count:
            raise IndexError
        items = tuple(self.stack[-count:])
        del self.stack[-count:]
        self.stack.append(items)

    def _extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise UnexpectedPickleError("it appends to what is no list")
        target.extend(items)

    def _remember(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def _stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.stack.append(_Named(str(module), str(name)))

    def _reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, _Named) or not isinstance(arguments, tuple):
            raise UnexpectedPickleError("it calls what is no known function")
        if function.name not in ("_reconstruct", "dtype", "encode"):
            raise UnexpectedPickleError(f"it calls {function.name}")
        self.stack.append(_Made(function.name))

    def _build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if not isinstance(target, _Made):
            raise UnexpectedPickleError("it sets the state of what is no array")
        target.state = state
