"""Extras: packages beyond the device's install, and the commands that add them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edge_lstm.errors import MissingPackageError

# Extra of pyproject.toml → the import packages that it brings.
EXTRAS = {
    "train": ("torch", "onnx", "safetensors", "sklearn", "scipy", "threadpoolctl"),
    "import": ("h5py",),
    "transformers": ("transformers",),
    "native": ("edge_lstm_native",),
    "parquet": ("pyarrow",),
    "zstd": ("zstandard",),
    "serve": ("uvicorn", "httpx"),
    "ray": ("ray", "pyarrow"),
}


@contextmanager
def needs(extra: str, what: str) -> Iterator[None]:
    """Turn the error of a missing package in the block into one that says how to install it.

    extra: the extra with the package.
    what: the work that needs it, such as "Parquet files".

    Raise MissingPackageError. The ImportError of an installed but broken package is passed on.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise missing_package(error, extra, what) or error from None


def missing_package(
    error: ImportError, extra: str | None = None, what: str = "this"
) -> MissingPackageError | None:
    """Return the error that says which extra to install; None if no package of an extra is missing.

    extra: the only one to look at; None for all.
    what: the work that needs the package.
    """
    if not isinstance(error, ModuleNotFoundError):
        return None
    if error.name == "onnxruntime":
        return MissingPackageError(
            "onnxruntime is not installed; where there is none for this machine, use the native "
            "engine: --engine native, or EDGE_LSTM_ENGINE=native"
        )
    for name in [extra] if extra else EXTRAS:
        # The names are compared as a whole: a missing 'torch._C' is a broken torch.
        if error.name in EXTRAS[name]:
            return MissingPackageError(f"{what} needs {error.name}; run: {install_command(name)}")
    return None


def install_command(extra: str) -> str:
    """Return the command that adds an extra to this install.

    pip keeps the installed edge-lstm, and adds the missing packages.
    """
    if extra == "native":  # a package of its own, which only the repository has
        return "pip install ./engine/python, in a clone of edge-lstm"
    return f"pip install 'edge-lstm[{extra}]'"


def check_installed(extra: str, what: str) -> None:
    """Check that the packages of an extra are installed.

    what: the work that needs it.

    No package is imported.
    Raises MissingPackageError if not.
    """
    from importlib.util import find_spec

    with needs(extra, what):
        for package in EXTRAS[extra]:
            if find_spec(package) is None:
                raise ModuleNotFoundError(f"No module named {package!r}", name=package)
