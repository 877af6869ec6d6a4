"""What marked tests need, and where it is found."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

import edge_lstm  # noqa: F401 - it turns ONNX Runtime's telemetry off, before a test imports it

# A shell starts what runs in the background with Ctrl-C ignored, and every command would inherit
# that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ARCHIVE = "aclImdb_v1.tar.gz"

# A property holds or not; how long a case takes on a busy machine says nothing of it.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


def imdb_folder() -> Path | None:
    """The folder that holds the IMDB archive: EDGE_LSTM_DATA, or ../shared/data beside the
    checkout."""
    for folder in (os.environ.get("EDGE_LSTM_DATA"), Path(__file__).parents[2] / "shared" / "data"):
        if folder and (Path(folder) / ARCHIVE).is_file():
            return Path(folder)
    return None


LONGEST_NAME = 40  # characters of a value in the name of a test


def pytest_make_parametrize_id(val: object) -> str:
    """Name a case by its values, so that what fails says which one."""
    if isinstance(val, (list, tuple)):
        name = ",".join(map(pytest_make_parametrize_id, val))
    elif isinstance(val, dict):
        name = ",".join(f"{key}={pytest_make_parametrize_id(each)}" for key, each in val.items())
    elif isinstance(val, bytes):
        name = val.decode("ascii", "backslashreplace")
    elif isinstance(val, signal.Signals):
        name = val.name
    else:
        name = getattr(val, "__name__", str(val))
    name = name.encode("unicode_escape").decode()
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that need what this machine lacks are skipped with the reason."""
    if imdb_folder() is None:
        for item in items:
            if "imdb" in item.keywords:
                item.add_marker(
                    pytest.mark.skip(reason=f"no {ARCHIVE}; set EDGE_LSTM_DATA to its folder")
                )


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder that holds the IMDB archive."""
    folder = imdb_folder()
    if folder is None:
        pytest.skip(f"no {ARCHIVE}")
    return folder
