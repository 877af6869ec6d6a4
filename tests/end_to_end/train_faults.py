"""Faults at random moments of ``train`` and ``export``, as a program that imports once and forks.

    python train_faults.py kills FOLDER SEED COUNT     SIGKILL at a random moment, then --resume
    python train_faults.py full FOLDER                 file systems that are too small (root)
    python train_faults.py steps FOLDER                SIGKILL at each of STEPS, then --resume; and
                                                       at each of TURN_STEPS, then the next turn

Prints what happened as JSON.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType

import edge_lstm_export
import torch
from edge_lstm_export.options import TeacherOptions, TrainingRequest
from edge_lstm_export.train.plan.decisions import make_plan
from edge_lstm_export.train.plan.stats import DatasetStats
from safetensors.torch import load_file

import edge_lstm
from edge_lstm.cli import main

EXPORT = ("export", "../straight/m.safetensors", "-o", "m.onnx", "--quantize", "int8")
CLONE_NEWNS = 0x20000
MS_REC = 0x4000
MS_PRIVATE = 1 << 18
MS_RDONLY = 1
NAMES = {"m.history.json", "m.safetensors"}
TRAIN = ("train", "../d.csv", "-o", "m.safetensors", "--plan", "../p.json")
# Where a training of TRAIN is killed: module, function, its call; and what is kept then.
STEPS = {
    "the first teacher": ("linear", "fit", 3, ()),
    "keeping the teachers": ("sealed", "sealed", 1, ()),
    "after the teachers": ("component", "choose_features", 1, ("teachers",)),
    "the second fold": ("component", "fit_sparse", 2, ("teachers", "fold 1")),
    "before the loop": ("components", "new_network", 4, ("teachers", "fold 3")),
    "the loop": ("loop", "step", 80, ("teachers", "fold 3", "loop")),
    "calibration": ("calibrate", "fit_stack", 1, ("teachers", "fold 3", "loop")),
    "writing the checkpoint": ("checkpoint", "save_checkpoint", 1, ("teachers", "fold 3", "loop")),
    "writing the history": ("history", "write_history", 1, ("teachers", "fold 3", "loop")),
}
TURN = (*TRAIN, "--replace", "m.onnx")
# Where a turn is killed: in the training, before the two files are compared, and before the new
# file has the name of the old one. The calls are counted after the one of the last column.
TURN_STEPS = (
    ("loop", "step", 60, ""),
    ("turn", "answered_well", 1, ""),
    ("atomic", "give_name", 1, "answered_well"),
)
OLD = Path(__file__).parents[1] / "data" / "keras.int8.onnx"
# the folders whose functions are steps of a training
TRAINING = tuple(str(Path(each.__file__).parent) for each in (edge_lstm_export, edge_lstm))
Profiler = Callable[[FrameType, str, object], None]


def start(arguments: Sequence[str], folder: Path, profiler: Profiler | None = None) -> int:
    """Start the command in ``folder``, its standard error in a file beside it → its process id.
    profiler: see sys.setprofile."""
    folder.mkdir(exist_ok=True)
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        log = os.open(
            f"{folder}.{os.getpid()}.stderr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644
        )
        os.dup2(log, 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.chdir(folder)
        sys.argv = ["edge-lstm", *arguments]
        sys.setprofile(profiler)
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    finally:
        sys.stderr.flush()
        os._exit(code)


def end(pid: int, folder: Path) -> tuple[int, str]:
    """(the exit code of a command, its standard error)"""
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    log = Path(f"{folder}.{pid}.stderr")
    return code, log.read_text() if log.exists() else ""


def warm_up(folder: Path) -> None:
    """Train and export once in this process: whatever that imports, no forked one imports again."""
    folder.mkdir()
    os.chdir(folder)
    for arguments in (TRAIN, EXPORT):
        sys.argv = ["edge-lstm", *arguments]
        with contextlib.redirect_stdout(sys.stderr), contextlib.suppress(SystemExit):
            main()


def straight(top: Path, arguments: Sequence[str] = TRAIN) -> tuple[bytes, float]:
    """The output of an undisturbed run, in the folder "straight", and how long it takes, in
    seconds."""
    folder = top / "straight"
    begin = time.perf_counter()
    code, said = end(start(arguments, folder), folder)
    assert code == 0, said
    return (folder / arguments[3]).read_bytes(), time.perf_counter() - begin


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def kill_after(seconds: float, pid: int) -> None:
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)


def kills(top: Path, seed: int, count: int) -> dict[str, int]:
    """SIGKILL ``count`` times each at a random moment of trainings and of exports."""
    rng = random.Random(seed)
    wanted, seconds = straight(top)
    folder = top / "broken"
    done = {"kills": 0, "resumed": 0, "anew": 0, "trainings": 0, "exports": 0}
    while done["kills"] < count or folder.exists():
        resume = (folder / "m.safetensors.partial").exists()
        pid = start([*TRAIN, *(["--resume"] if folder.exists() else [])], folder)
        if done["kills"] < count:
            kill_after(rng.uniform(0, seconds), pid)
        code, said = end(pid, folder)
        if code == -signal.SIGKILL:
            done["kills"] += 1
            done["resumed" if resume else "anew"] += 1
            continue
        assert code == 0, said
        assert (folder / "m.safetensors").read_bytes() == wanted, "other bytes"
        assert names(folder) == NAMES, names(folder)
        done["trainings"] += 1
        shutil.rmtree(folder)
    wanted, seconds = straight(top, EXPORT)
    for _ in range(count):
        pid = start(EXPORT, folder)
        kill_after(rng.uniform(0, 1.5 * seconds), pid)
        end(pid, folder)
        if (folder / "m.onnx").exists():
            assert (folder / "m.onnx").read_bytes() == wanted, "half-written, or other bytes"
            (folder / "m.onnx").unlink()
            done["exports"] += 1
    code, said = end(start(EXPORT, folder), folder)
    assert (code, names(folder)) == (0, {"m.onnx"}), (said, names(folder))
    return done


def full(top: Path) -> dict[str, int]:
    """``train`` on file systems of 4 kB and more, until it fits; then ``--resume`` after making
    room."""
    wanted, _ = straight(top)
    libc = ctypes.CDLL(None, use_errno=True)
    done = {"refused": 0, "resumed": 0, "fits_kb": 0}
    folder = top / "small"
    folder.mkdir()
    os.chdir(top)
    if libc.unshare(CLONE_NEWNS) or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None):
        return {"skipped": 1}
    small = (4, 40, 80, 120, 200)
    for kilobytes, flags in [*((kb, 0) for kb in small), (8000, MS_RDONLY)]:
        assert not libc.mount(b"none", b"small", b"tmpfs", flags, b"size=%dk" % kilobytes), (
            "cannot mount"
        )
        code, said = end(start(TRAIN, folder), folder)
        errors = [
            line for line in said.splitlines() if line.startswith(("error:", "Traceback", "  File"))
        ]
        assert code == 0 or (code, len(errors)) == (1, 1), (kilobytes, said[-500:])
        partial = folder / "m.safetensors.partial"
        if code == 0:
            done["fits_kb"] = done["fits_kb"] or kilobytes
            assert (folder / "m.safetensors").read_bytes() == wanted
        elif flags:
            assert said.startswith("error: cannot write") and said.count("\n") == 1, said
        else:
            assert "no space left" in errors[0] and names(folder) <= {*NAMES, partial.name}, names(
                folder
            )
            done["refused"] += 1
            for path in folder.glob("m.safetensors*"):
                load_file(path)  # whole, or it raises
            if partial.exists():
                kept = shutil.copytree(folder, top / f"kept{kilobytes}")
                assert end(start([*TRAIN, "--resume"], kept), kept)[0] == 0
                assert (kept / "m.safetensors").read_bytes() == wanted
                done["resumed"] += 1
        libc.umount(b"small")
    return done


def kill_at(module: str, function: str, number: int, after: str = "") -> Profiler:
    """A profiler that kills its process at a call of a function of the training.

    after: a function; calls before it do not count.
    """
    calls = 0
    counts = not after

    def seen(frame: FrameType, event: str, _: object) -> None:
        nonlocal calls, counts
        code = frame.f_code
        counts = counts or code.co_name == after
        if event != "call" or code.co_name != function or not code.co_filename.startswith(TRAINING):
            return
        calls += counts and Path(code.co_filename).stem == module
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return seen


def killed(folder: Path, module: str, function: str, number: int, wanted: bytes) -> tuple[str, str]:
    """A training that is killed there, and resumed → what the resumed one says, and what it went on
    from."""
    step = f"{module}.{function}, call {number}"
    code, said = end(start(TRAIN, folder, kill_at(module, function, number)), folder)
    assert code == -signal.SIGKILL, f"{step} does not come: {said}"
    partial = folder / "m.safetensors.partial"
    kept = ""
    if partial.exists():
        kept = partial.read_bytes()[:10_000].decode("latin-1")
    code, said = end(start([*TRAIN, "--resume"], folder), folder)
    assert code == 0, (step, said)
    assert (folder / "m.safetensors").read_bytes() == wanted, f"other bytes after {step}"
    assert names(folder) == NAMES, (step, names(folder))
    assert ("nothing to resume" in said) == (not kept), (step, said)
    shutil.rmtree(folder)
    return said, kept


def steps(top: Path) -> dict[str, int]:
    """SIGKILL at each of STEPS, and --resume."""
    wanted, _ = straight(top)
    for name, (module, function, number, stages) in STEPS.items():
        said, kept = killed(top / "broken", module, function, number, wanted)
        assert bool(kept) == bool(stages), (name, kept)
        assert ("teacher:" in said) == ("teachers" not in stages), (name, said)
        assert ("cross-validation 1" in said) == (not any("fold" in stage for stage in stages)), (
            name,
            said,
        )
        assert ("cross-validation 3" in said) == ("fold 3" not in stages), (name, said)
    return {"kills": len(STEPS), **turn(top)}


def begin_turn(folder: Path, profiler: Profiler | None = None) -> int:
    """Start a turn in ``folder``, which has a file in use → its process id."""
    folder.mkdir(exist_ok=True)
    if not (folder / "m.onnx").exists():
        shutil.copy(OLD, folder / "m.onnx")
    return start(TURN, folder, profiler)


def check_killed(folder: Path, wanted: bytes) -> None:
    """A whole file is in use, with at most one other beginning of it."""
    assert (folder / "m.onnx").read_bytes() in (OLD.read_bytes(), wanted)
    assert len(list(folder.glob(".m.onnx*"))) <= 1, names(folder)


def finish_turn(folder: Path, wanted: bytes) -> None:
    """The next turn needs nobody, and leaves nothing of the one before."""
    code, said = end(begin_turn(folder), folder)
    assert code == 0 and (folder / "m.onnx").read_bytes() == wanted, said
    assert names(folder) == {*NAMES, "m.onnx"}, names(folder)
    shutil.rmtree(folder)


def straight_turn(top: Path) -> bytes:
    """The new file of an undisturbed turn."""
    folder = top / "whole"
    code, said = end(begin_turn(folder), folder)
    assert code == 0 and said.count("; replaced; ") == 1, said
    return (folder / "m.onnx").read_bytes()


def turn(top: Path) -> dict[str, int]:
    """SIGKILL at each of TURN_STEPS, and the next turn."""
    wanted = straight_turn(top)
    folder = top / "broken"
    for step in TURN_STEPS:
        code, said = end(begin_turn(folder, kill_at(*step)), folder)
        assert code == -signal.SIGKILL, (step, said)
        assert (folder / "m.onnx").read_bytes() == OLD.read_bytes(), step
        check_killed(folder, wanted)
        finish_turn(folder, wanted)
    return {"turns": len(TURN_STEPS)}


def plan() -> dict[str, object]:
    """With two teachers, augmented texts and a cross-validation, in a second."""
    planned = make_plan(DatasetStats(60, 2), TrainingRequest("tiny", "none", epochs=2))
    network = replace(planned.network, num_words=60, embedding_dim=6, hidden=6)
    loop = replace(planned.loop, batch_size=16)
    return replace(
        planned,
        network=network,
        loop=loop,
        teachers=(TeacherOptions(), TeacherOptions("sentiment", kind="model")),
        augmentation=replace(planned.augmentation, texts_per_row=1),
        hard_label_weight=0.6,
    ).to_dict()


if __name__ == "__main__":
    torch.set_num_threads(1)
    what, top, *numbers = sys.argv[1:]  # top: an absolute path
    rng = random.Random(0)
    rows = ["text,label"]
    for i in range(120):
        words = [f"word{rng.randrange(30)}" for _ in range(rng.randint(2, 9))]
        rows.append(f"{' '.join([*words, 'about' + 'ny'[i % 2]])},{'ny'[i % 2]}")
    (Path(top) / "d.csv").write_text("\n".join(rows) + "\n")
    (Path(top) / "p.json").write_text(json.dumps(plan()))
    warm_up(Path(top) / "straight")
    faults = {"kills": kills, "full": full, "steps": steps}
    print(json.dumps(faults[what](Path(top), *map(int, numbers))))
