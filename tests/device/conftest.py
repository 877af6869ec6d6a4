"""What the tests of the device side share: a folder of their own, and the embedded model."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_lstm import Classifier


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of a test, with nothing in it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def classifier() -> Classifier:
    """The embedded model."""
    return Classifier.load()
