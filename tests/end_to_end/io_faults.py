"""Each read, write, fsync and rename of a command's own files fails once, the n-th for each n, and
some large allocations.

    LD_PRELOAD=io_faults.so python io_faults.py io_faults.so COMMAND FOLDER

COMMAND: score, page, export, train or turn (train --replace).

Forks for each run, so that nothing is imported twice. Asserts: one line of error or the whole
output; never half an output; the next run, undisturbed, gives the bytes of a straight one. A
library that crashes for want of memory counts as a kill: there is no line, and the rest holds.
Prints the number of faults as JSON.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from edge_lstm.cli import main

OPERATIONS = ("read", "write", "fsync", "rename", "allocation")
EVERY = 32  # which allocations are tried
EVERY_OF_A_TRAINING = 160  # which makes hundreds
MOST = 8000  # of one operation
FIRED = 64  # in the exit code of a run
ROWS = 80
SCORE = ("score", "texts.csv", "-o", "out.csv", "--text-column", "text")
PAGE = ("page", "-o", "out.html")
EXPORT = ("export", "tiny.safetensors", "-o", "out.onnx", "--quantize", "int8")
TRAIN = ("train", "texts.csv", "-o", "out.safetensors", "--plan", "plan.json")
TURN = (*TRAIN, "--replace", "out.onnx")
COMMANDS = {
    "score": (SCORE, ("--resume",)),
    "page": (PAGE, ()),
    "export": (EXPORT, ()),
    "train": (TRAIN, ("--resume",)),
    "turn": (TURN, ()),
}
TRAINED = ("train", "turn")
FILES = ("texts.csv", "plan.json", "tiny.safetensors", "out")
LEFT_TO_RESUME = (".partial", ".resume.json")


def run_command(*arguments: str) -> None:
    sys.argv = ["edge-lstm", *arguments]
    main()


def attempt(
    library: ctypes.CDLL, arguments: Sequence[str], folder: Path, operation: str, at: int
) -> tuple[int, bool, str]:
    """Run in a fork, in ``folder``: (exit code, whether the fault fired, standard error)."""
    log = folder.with_suffix(".stderr")
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), 2)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.chdir(folder)
            library.fault_arm(operation.encode(), at, str(folder).encode())
            run_command(*arguments)
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
        except BaseException:
            traceback.print_exc()  # which no command may leave to its caller
        finally:
            sys.stderr.flush()
            os._exit(code | FIRED * bool(library.fault_fired()))
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code == -signal.SIGSEGV and operation == "allocation":
        return code, True, ""
    assert code >= 0, f"signal {-code}"
    return code & ~FIRED, bool(code & FIRED), log.read_text()


SECONDS = re.compile(rb'"seconds": [0-9.e-]+')  # in a history


def outputs(folder: Path) -> dict[str, bytes]:
    return {path.name: SECONDS.sub(b"", path.read_bytes()) for path in folder.glob("out*")}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def check_error(said: str, operation: str) -> None:
    """One line, which names the file of a failed read."""
    assert "Traceback" not in said, said
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, (operation, said)
    assert operation != "read" or any(name in errors[0] for name in FILES), said


def each_fault(library: ctypes.CDLL, name: str, top: Path) -> dict[str, int]:
    given = top / "given"
    arguments, again = COMMANDS[name]
    prepare(given, name)
    straight = shutil.copytree(given, top / "straight")
    code, _, said = attempt(library, arguments, straight, "none", -1)
    assert code == 0, said
    wanted = outputs(straight)
    old = outputs(given)
    done = dict.fromkeys(OPERATIONS, 0)
    for operation in OPERATIONS:
        every = 1
        if operation == "allocation":
            every = EVERY_OF_A_TRAINING if name in TRAINED else EVERY
        for at in range(1, MOST, every):
            folder = shutil.copytree(given, top / "broken")
            code, fired, said = attempt(library, arguments, folder, operation, at)
            kept = outputs(folder)
            where = (operation, at, code, said[-500:], sorted(kept))
            if code == 0:
                assert kept == wanted, where
            else:
                # A file is read in a child of its own, whose faults only its error shows.
                assert fired or any(name in said for name in FILES), where
                if code != -signal.SIGSEGV:  # a library that does not look, as a kill
                    assert code == 1, where
                    check_error(said, operation)
                to_resume = {key for key in kept if key.endswith(LEFT_TO_RESUME)}
                whole = {key: (wanted[key], old.get(key)) for key in {*kept} - to_resume}
                assert all(kept[key] in of_key for key, of_key in whole.items()), where
                assert {*old} <= {*kept}, where
                if names(folder) != names(given):  # else the next run is the straight one
                    more = again if to_resume else ()
                    code, _, said = attempt(library, (*arguments, *more), folder, "none", -1)
                    assert code == 0 and outputs(folder) == wanted, (*where, said[-500:])
            shutil.rmtree(folder)
            if code == 0 and not fired:
                break
            done[operation] += 1
    return done


def prepare(folder: Path, name: str) -> None:
    """The inputs of all commands: texts with labels, a checkpoint, and the plan of a training."""
    folder.mkdir()
    rows = [
        f"a {('good', 'bad')[i % 2]} film number {i},{('pos', 'neg')[i % 2]}" for i in range(ROWS)
    ]
    (folder / "texts.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    checkpoint = Path(__file__).parents[2] / "examples" / "tiny.safetensors"
    shutil.copy(checkpoint, folder)
    if name == "turn":
        shutil.copy(Path(__file__).parents[1] / "data" / "keras.int8.onnx", folder / "out.onnx")
    if name in TRAINED:
        from train_faults import plan

        (folder / "plan.json").write_text(json.dumps(plan()))


def warm_up(name: str, top: Path) -> None:
    """Import once what each run imports."""
    if name == "export":
        import edge_lstm_export.onnx.exporting  # noqa: F401
    elif name in TRAINED:  # which imports as it goes
        prepare(top / "warm", name)
        os.chdir(top / "warm")
        with contextlib.redirect_stdout(sys.stderr), contextlib.suppress(SystemExit):
            run_command(*COMMANDS[name][0])
    else:
        import numpy  # noqa: F401
        import onnxruntime  # noqa: F401


if __name__ == "__main__":
    shared, name_, top_ = sys.argv[1:]
    library_ = ctypes.CDLL(shared)
    where_ = Path(top_).resolve()
    warm_up(name_, where_)
    print(json.dumps(each_fault(library_, name_, where_)))
