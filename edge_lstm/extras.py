"""Packages that are not part of the device's install, and which extra brings them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edge_lstm.errors import MissingPackageError

# Extra of pyproject.toml → the import packages that it brings.
EXTRAS = {
    "train": ("torch", "onnx", "safetensors", "sklearn", "scipy", "threadpoolctl", "tqdm"),
    "transformers": ("transformers",),
    "native": ("edge_lstm_native",),
    "report": ("matplotlib",),
    "parquet": ("pyarrow",),
    "ray": ("ray", "pyarrow"),
}


@contextmanager
def needs(extra: str, what: str) -> Iterator[None]:
    """Imports in the block may miss what the extra brings: then MissingPackageError says how to install it.

    what: what cannot be done without it, such as "Parquet files". A package that is there and broken is
    another matter: its ImportError is passed on.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise missing_package(error, extra, what) or error from None


def missing_package(
    error: ImportError, extra: str | None = None, what: str = "this"
) -> MissingPackageError | None:
    """The error that says which extra to install, or None where the import failed for another reason."""
    if isinstance(error, ModuleNotFoundError) and error.name == "onnxruntime":
        return MissingPackageError(
            "onnxruntime is not installed; where there is none for this machine, use the native engine: "
            "--engine native, or EDGE_LSTM_ENGINE=native"
        )
    extras = [name for name in ([extra] if extra else EXTRAS) if error.name in EXTRAS[name]]
    # 'torch._C' missing is a broken torch, not a missing one.
    if not isinstance(error, ModuleNotFoundError) or not extras:
        return None
    source = f"'edge-lstm[{extras[0]}]'"
    if extras[0] == "native":
        source = "./engine/python, in a clone of edge-lstm"
    return MissingPackageError(f"{what} needs {error.name}; run: pip install {source}")


def check_installed(extra: str, what: str) -> None:
    """MissingPackageError where a package of the extra is not installed. None of them is imported for it."""
    from importlib.util import find_spec

    with needs(extra, what):
        for package in EXTRAS[extra]:
            if find_spec(package) is None:
                raise ModuleNotFoundError(f"No module named {package!r}", name=package)
