"""Each hostile model file is refused in one line, by every command, and none does harm."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest
from hostile import Case, check, run_here
from model_files import DATA, edited, loaded

from edge_lstm import EdgeLSTMError
from tests.commands import finished
from tests.hostile_files import DAMAGED, EVERY_KIND, HARMFUL, Hostile, asks_for_memory, graph

TEXTS = [
    "A wonderful, moving film.",
    "Dull, and far too long.",
    "The cast is fine, the script is not.",
]
COMMANDS = ["inspect -m m.onnx", "explain a -m m.onnx", "score t.txt -m m.onnx -o o -w 1"]


@pytest.mark.parametrize("hostile", [*DAMAGED, *HARMFUL], ids=str)
def test_predict_says_in_one_line_what_is_wrong(
    hostile: Hostile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = hostile.data()
    case = Case(
        name=hostile.name,
        arguments=("predict", "-m", "m.onnx", *TEXTS),
        given=lambda folder: (folder / "m.onnx").write_bytes(data),
        says=hostile.says,
    )
    start = time.monotonic()
    done = check(case, tmp_path, monkeypatch)
    assert done.stdout == b""
    assert time.monotonic() - start < 60  # a hang, not a slow day


@pytest.mark.parametrize("hostile", EVERY_KIND, ids=str)
@pytest.mark.parametrize("line", COMMANDS)
def test_so_does_every_command(
    line: str, hostile: Hostile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "m.onnx").write_bytes(hostile.data())
    (tmp_path / "t.txt").write_text("fine\n")
    check(Case(name="", arguments=tuple(line.split()), says=hostile.says), tmp_path, monkeypatch)


@pytest.mark.parametrize("hostile", EVERY_KIND, ids=str)
def test_doctor_calls_it_not_fit(hostile: Hostile, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(hostile.data())
    done = run_here(["doctor", "--in-process", "-m", str(path), "--json"])
    assert done.exit == 1 and hostile.says in json.loads(done.out)["verdict"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("predict", "-m", "m.onnx", *TEXTS),
        ("predict", "-m", "m.onnx", *TEXTS, "--json"),
        ("explain", "-m", "m.onnx", TEXTS[0]),
        ("inspect", "-m", "m.onnx"),
        ("inspect", "-m", "m.onnx", "--json"),
    ],
)
def test_a_label_that_steers_the_terminal_is_shown_as_an_escape(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = json.dumps(["\u202eneg", "\u2066pos"])
    (tmp_path / "m.onnx").write_bytes(edited({"labels": labels}))
    shown = check(Case(name="", arguments=arguments, exit=0), tmp_path, monkeypatch).stdout.decode()
    assert all(line.isprintable() for line in shown.replace("\t", " ").splitlines()), shown


@pytest.mark.parametrize("step", [997, pytest.param(20, marks=pytest.mark.slow)])
def test_a_file_that_is_cut_anywhere_is_refused(
    step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    entries = [at for at in range(len(DATA)) if DATA.startswith(b"edge_lstm.", at)]
    assert len(entries) > 5
    between = {at - back for at in entries for back in range(9)}
    for size in between | set(range(0, len(DATA) - 1, step)):
        with pytest.raises(EdgeLSTMError):
            loaded(DATA[:size])


# On a machine of 400 MiB: a program that ends with "fine", or with what the package says.
SMALL_MACHINE = """
import pickle, sys
from edge_lstm import EdgeLSTMError
from edge_lstm.system import machine
machine.memory_to_use = lambda: 400 * 2**20
from edge_lstm import Classifier, OnnxRuntime, RunOptions, score_files

def load(path, engine=None):
    return Classifier.load(path, engine=engine)

try:
    exec(sys.argv[1])
    print("fine")
except EdgeLSTMError as error:
    print(error)
"""
SCORE = "score_files('t.txt', 'o.csv', model='m.onnx', run=RunOptions(chunk_rows=4, {}))"


@pytest.mark.parametrize(
    ("code", "share"),
    [
        ("load('m.onnx').predict(['fine'])", 200),
        ("load(None); load('m.onnx').predict(['fine'])", 200),
        (SCORE.format("workers=1"), 200),
        (SCORE.format("workers=2"), 100),
        (
            "pickle.loads(pickle.dumps(load('m.onnx', OnnxRuntime(processes=4)))).predict(['a'])",
            50,
        ),
        (SCORE.format("workers=2").replace("'m.onnx'", "load('m.onnx')"), 150),
    ],
)
def test_a_run_takes_its_share_of_half_of_the_memory_in_every_mode(
    code: str, share: int, tmp_path: Path
) -> None:
    (tmp_path / "t.txt").write_text("fine\n" * 40)
    said = []
    for megabytes in (share * 2 // 3, share * 4 // 3):
        values = int((megabytes * 2**20 / 4) ** 0.5)
        (tmp_path / "m.onnx").write_bytes(graph("", "", asks_for_memory(values)).data())
        line = [sys.executable, "-c", SMALL_MACHINE, code]
        done = finished(line, cwd=tmp_path)
        said.append(done.stdout + done.stderr)
    assert said[0] == "fine\n"
    assert said[1] == (
        "m.onnx needs more memory than a run may take; "
        "use smaller batches, fewer --workers, or another model\n"
    )
