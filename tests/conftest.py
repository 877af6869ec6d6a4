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
