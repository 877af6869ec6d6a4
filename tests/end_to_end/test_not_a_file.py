"""A pipe, a device or a socket in the place of a model, a words file or a checkpoint.

Each is refused at once: nothing waits for a writer, and nothing reads what has no end.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cases import rows
from hostile import run_here
from model_files import SMALL

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs pipes with names")

SECONDS = 600  # far more than a refusal takes on a busy machine


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch = pytest.importorskip("torch")
    path: Path = tmp_path_factory.mktemp("weights") / "m.pt"
    layers = torch.nn.ModuleDict(
        {"emb": torch.nn.Embedding(9, 4), "lstm": torch.nn.LSTM(4, 4), "fc": torch.nn.Linear(4, 2)}
    )
    torch.save(layers.state_dict(), path)
    return path


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: Path) -> Iterator[None]:
    """Things that are no files, good files beside them, and an end to waiting."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    Path("device").symlink_to("/dev/zero")
    Path("t.csv").write_text("text,label\na good film,pos\na bad film,neg\n")
    shutil.copy(weights, "m.pt")
    shutil.copy(SMALL, "m.onnx")

    def end(number: int, frame: Any) -> None:
        raise TimeoutError("it was not refused at once")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(SECONDS)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("given", ["pipe", "device", "socket"])
@pytest.mark.parametrize(
    ("command",),
    rows(
        """
        predict -m GIVEN hi
        explain -m GIVEN hi
        evaluate -m m.onnx -m GIVEN t.csv
        score t.csv -m GIVEN -o out
        serve -m GIVEN
        latency -m GIVEN
        inspect -m GIVEN
        page -m GIVEN -o out
        doctor -m GIVEN
        suggest t.csv -m GIVEN -o out
        export GIVEN -o out
        import GIVEN -o out --state last
        import m.pt --words GIVEN -o out --state last
        train t.csv -o out.safetensors --start GIVEN
        train t.csv -o out.safetensors --teacher GIVEN
        """
    ),
)
def test_it_is_refused_at_once(command: str, given: str) -> None:
    done = run_here(command.replace("GIVEN", given).split())
    assert done.exit == 1
    (line,) = done.err.splitlines() or [done.out]  # doctor's report
    assert given in line
    assert not any(Path.cwd().glob("out*"))
