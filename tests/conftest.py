"""What marked tests need, and where it is found."""

from __future__ import annotations

import os
import signal
from importlib.util import find_spec
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


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--beyond-device",
        action="store_true",
        help="of tests/device, only what needs a package that a device does not have",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip, with the reason, the tests that need what this machine lacks."""
    if config.getoption("--beyond-device"):
        device = Path(__file__).parent / "device"
        items[:] = [
            item
            for item in items
            if device not in item.path.parents or item.get_closest_marker("needs")
        ]
    for item in items:
        for mark in item.iter_markers("needs"):
            for package in mark.args:
                if find_spec(package) is None:
                    item.add_marker(pytest.mark.skip(reason=f"no {package}"))
        if "imdb" in item.keywords and imdb_folder() is None:
            reason = f"no {ARCHIVE}; set EDGE_LSTM_DATA to its folder"
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder that holds the IMDB archive."""
    folder = imdb_folder()
    if folder is None:
        pytest.skip(f"no {ARCHIVE}")
    return folder
