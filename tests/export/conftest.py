"""What several modules share: a trained checkpoint, a made encoder, one thread."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from commands import Result, train
from made import FILLERS, WORDS, multi_label_rows, rows, write_csv

# These networks are tiny: a second thread only waits, and on a busy machine it spins.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working folder of a test, with nothing in it."""
    monkeypatch.chdir(tmp_path)


@dataclass(frozen=True)
class Trained:
    """A folder with the labelled rows and the checkpoint, and what the command said."""

    rows: Path
    checkpoint: Path
    result: Result


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """60 rows of two labels, by the plan, two passes."""
    folder = tmp_path_factory.mktemp("trained")
    source = write_csv(folder / "rows.csv", rows(60))
    output = folder / "m.safetensors"
    return Trained(source, output, train(source, "-o", output, "--preset", "tiny", "--epochs", "2"))


@pytest.fixture(scope="session")
def trained_multi_label(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """80 rows that may have several of three labels, with a test file."""
    folder = tmp_path_factory.mktemp("sets")
    source = write_csv(folder / "rows.csv", multi_label_rows(80))
    test = write_csv(folder / "test.csv", multi_label_rows(30, seed=1))
    options = ("--preset", "tiny", "--epochs", "2", "--label-separator", "|", "--test", test)
    return Trained(
        source, folder / "m.safetensors", train(source, "-o", folder / "m.safetensors", *options)
    )


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A transformer of random weights that knows the words of :func:`made.rows`."""
    pytest.importorskip("transformers")
    from transformers_made import make_transformer

    words = [*FILLERS, *(word for own in WORDS.values() for word in own)]
    return make_transformer(tmp_path_factory.mktemp("encoder"), words)
