"""Packages that are not part of the device's install, and which extra brings them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_lstm.errors import MissingPackageError

# Extra of pyproject.toml → the import packages that it brings.
EXTRAS = {
    "train": ("torch", "onnx", "safetensors", "sklearn", "scipy", "threadpoolctl"),
    "transformers": ("transformers",),
    "native": ("edge_lstm_native",),
    "report": ("matplotlib",),
    "parquet": ("pyarrow",),
    "ray": ("ray", "pyarrow"),
}


@contextmanager
def needs(extra: str, what: str) -> Iterator[None]:
    """Imports in the block may miss what the extra brings: then MissingPackageError says how to
    install it.

    what: what cannot be done without it, such as "Parquet files". A package that is there and
        broken is
    another matter: its ImportError is passed on.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise missing_package(error, extra, what) or error from None


def missing_package(
    error: ImportError, extra: str | None = None, what: str = "this"
) -> MissingPackageError | None:
    """The error that says which extra to install, or None where the import failed for another
    reason."""
    if isinstance(error, ModuleNotFoundError) and error.name == "onnxruntime":
        return MissingPackageError(
            "onnxruntime is not installed; where there is none for this machine, use the native engine: "
            "--engine native, or EDGE_LSTM_ENGINE=native"
        )
    extras = [name for name in ([extra] if extra else EXTRAS) if error.name in EXTRAS[name]]
    # 'torch._C' missing is a broken torch, not a missing one.
    if not isinstance(error, ModuleNotFoundError) or not extras:
        return None
    return MissingPackageError(f"{what} needs {error.name}; run: {install_command(extras[0])}")


def install_command(extra: str) -> str:
    """Return the command that adds an extra to this install: from the checkout, folder, wheel or
    repository that it came from, else by the name."""
    import shlex

    checkout = Path(__file__).resolve().parents[1]
    if extra == "native":  # a package of its own, in the repository alone
        return "pip install ./engine/python, in a clone of edge-lstm"
    if (checkout / "pyproject.toml").is_file():
        return f"pip install -e {shlex.quote(f'{checkout}[{extra}]')}"
    origin = _origin()
    if origin is None:
        return f"pip install 'edge-lstm[{extra}]'"
    if origin == "":
        return f"pip install '.[{extra}]', in a clone of edge-lstm"
    is_path = Path(origin).is_absolute()
    return f"pip install {shlex.quote(f'{origin}[{extra}]' if is_path else f'edge-lstm[{extra}] @ {origin}')}"


def _origin() -> str | None:
    """Return what this install was made from: a path, or the URL of a repository or file as pip
    takes it; nothing for a path that is gone, and None for a name."""
    import json
    from importlib.metadata import PackageNotFoundError, distribution
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    try:
        written = distribution("edge-lstm").read_text("direct_url.json")
    except PackageNotFoundError:
        return ""
    if written is None:
        return None
    record = json.loads(written)
    if "vcs_info" in record:
        return f"{record['vcs_info']['vcs']}+{record['url']}"
    url = urlsplit(record["url"])
    if url.scheme != "file":
        return str(record["url"])
    path = url2pathname(url.path)
    return path if Path(path).exists() else ""


def check_installed(extra: str, what: str) -> None:
    """MissingPackageError where a package of the extra is not installed. None of them is imported
    for it."""
    from importlib.util import find_spec

    with needs(extra, what):
        for package in EXTRAS[extra]:
            if find_spec(package) is None:
                raise ModuleNotFoundError(f"No module named {package!r}", name=package)
