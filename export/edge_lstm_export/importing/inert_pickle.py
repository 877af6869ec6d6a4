"""Pickles of tokenizers, read without running anything of them.

A pickle is a program: it can name any function and call it. This one reader knows the few classes
that a tokenizer's pickle needs, makes inert objects of them, and refuses every other name.
"""

from __future__ import annotations

import copyreg
import io
import pickle
from collections import OrderedDict, defaultdict
from typing import Any

from edge_lstm.errors import DataError, first_line


class _RefusedError(Exception):
    """A pickle asks for something that is refused."""


class _Fixed(type):
    """A class that a pickle cannot change for the pickles that follow."""

    def __setattr__(cls, name: str, value: Any) -> None:
        raise _RefusedError("a change of a class")


class TokenizerState(metaclass=_Fixed):
    """Keras's Tokenizer as a pickle has it: attributes alone."""


class _DType(metaclass=_Fixed):
    """NumPy's type of a string, such as U5."""

    def __init__(self, name: Any = "", *_: Any) -> None:
        self.name = str(name)

    def __setstate__(self, state: Any) -> None:
        pass


def _scalar(dtype: Any, data: Any) -> str:
    """Return a string of NumPy."""
    kind = dtype.name if isinstance(dtype, _DType) else ""
    if kind[:1] not in ("U", "S") or not isinstance(data, (bytes, str)):
        raise _RefusedError(f"a number of NumPy ({kind[:20]}) instead of a word")
    if isinstance(data, str):  # an older protocol
        data = data.encode("latin-1")
    word: str = data.decode("utf-32-le" if kind[0] == "U" else "utf-8")
    return word.rstrip("\0")


def _load_type(name: Any) -> Any:
    """Return a plain type by the name that dill has for it."""
    plain = {"int": int, "dict": dict, "OrderedDict": OrderedDict, "defaultdict": defaultdict}
    if not isinstance(name, str) or name not in plain:
        raise _RefusedError(f"the type {name!s:.40}, which is not made")
    return plain[name]


def _reconstruct(kind: Any, base: Any, state: Any) -> Any:
    """Make an object as Python 2 writes it."""
    if kind is not TokenizerState or base is not object or state is not None:
        raise _RefusedError("an object that is not a Keras tokenizer")
    return TokenizerState()


_TOKENIZER_MODULES = (
    "keras_preprocessing.text",
    "keras.preprocessing.text",
    "keras.src.preprocessing.text",
    "keras.src.legacy.preprocessing.text",
    "tensorflow.keras.preprocessing.text",
    "tensorflow.python.keras.preprocessing.text",
)
_CLASSES: dict[tuple[str, str], Any] = {
    **{(module, "Tokenizer"): TokenizerState for module in _TOKENIZER_MODULES},
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): defaultdict,
    **{
        (module, kind.__name__): kind
        for module in ("builtins", "__builtin__")
        for kind in (int, dict, object)
    },
    ("__builtin__", "long"): int,
    ("copy_reg", "_reconstructor"): _reconstruct,
    ("copyreg", "_reconstructor"): _reconstruct,
    ("dill._dill", "_load_type"): _load_type,
    ("numpy", "dtype"): _DType,
    ("numpy", "str_"): str,
    **{(f"numpy.{core}.multiarray", "scalar"): _scalar for core in ("core", "_core")},
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _CLASSES[module, name]
        except KeyError:
            raise _RefusedError(f"{module}.{name}, which is not run") from None


def load(data: bytes, name: str) -> Any:
    """Return what a pickle holds: numbers, texts, lists, dicts and :class:`TokenizerState`.

    name: of the file, for errors. Raises DataError if it names anything else, or is damaged.
    """
    advice = "give the tokenizer's to_json(), or a JSON file of word to id"
    # Nor does find_class hear of a class that a number stood for in a pickle before.
    copyreg.clear_extension_cache()
    try:
        return _Unpickler(io.BytesIO(data), encoding="utf-8", errors="surrogateescape").load()
    except _RefusedError as error:
        raise DataError(f"{name} holds {first_line(error)[:120]}; {advice}") from None
    except Exception as error:  # a damaged pickle can raise anything
        reason = first_line(error)[:80]
        raise DataError(f"{name} is cut short or damaged ({reason}); {advice}") from None
