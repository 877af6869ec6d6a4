"""Faults at random moments of ``train`` and ``export``, as a program that imports once and forks.

    python train_faults.py kills FOLDER SEED COUNT     SIGKILL, then the same command again, or with --resume
    python train_faults.py full FOLDER                 file systems of every size that is too small (root)
    python train_faults.py pairs FOLDER COUNT          two runs of one output at once

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
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file

from edge_lstm.cli import main

TRAIN = ("train", "../d.csv", "-o", "m.safetensors", "--preset", "tiny", "--epochs", "6", "--teacher", "none")
EXPORT = ("export", "../straight/m.safetensors", "-o", "m.onnx", "--quantize", "int8")
CLONE_NEWNS, MS_REC, MS_PRIVATE, MS_RDONLY = 0x20000, 0x4000, 1 << 18, 1
NAMES = {"m.history.json", "m.safetensors"}


def start(arguments: Sequence[str], folder: Path) -> int:
    """Start the command in ``folder``, its standard error in a file beside it → its process id."""
    folder.mkdir(exist_ok=True)
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        log = os.open(f"{folder}.{os.getpid()}.stderr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(log, 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.chdir(folder)
        sys.argv = ["edge-lstm", *arguments]
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
    """The output of an undisturbed run, in the folder "straight", and how long it takes, in seconds."""
    folder, begin = top / "straight", time.perf_counter()
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
    rng, (wanted, seconds) = random.Random(seed), straight(top)
    folder, done = top / "broken", {"kills": 0, "resumed": 0, "anew": 0, "trainings": 0, "exports": 0}
    while done["kills"] < count or folder.exists():
        resume = (folder / "m.safetensors.partial").exists()
        pid = start([*TRAIN, *(["--resume"] if resume else [])], folder)
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
        kill_after(rng.uniform(0, 1.2 * seconds), pid)
        end(pid, folder)
        if (folder / "m.onnx").exists():
            assert (folder / "m.onnx").read_bytes() == wanted, "half-written, or other bytes"
            (folder / "m.onnx").unlink()
            done["exports"] += 1
    code, said = end(start(EXPORT, folder), folder)
    assert (code, names(folder)) == (0, {"m.onnx"}), (said, names(folder))
    return done


def full(top: Path) -> dict[str, int]:
    """``train`` on file systems of 4 kB and more, until it fits; then ``--resume`` after making room."""
    wanted, _ = straight(top)
    libc, done = ctypes.CDLL(None, use_errno=True), {"refused": 0, "resumed": 0, "fits_kb": 0}
    folder = top / "small"
    folder.mkdir()
    os.chdir(top)
    if libc.unshare(CLONE_NEWNS) or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None):
        return {"skipped": 1}
    small = (4, 64, 256, 400, 500, 600, 700, 800, 900, 1100, 1300, 1600, 2000, 8000)
    for kilobytes, flags in [*((kb, 0) for kb in small), (8000, MS_RDONLY)]:
        assert not libc.mount(b"none", b"small", b"tmpfs", flags, b"size=%dk" % kilobytes), "cannot mount"
        code, said = end(start(TRAIN, folder), folder)
        errors = [line for line in said.splitlines() if line.startswith(("error:", "Traceback", "  File"))]
        assert code == 0 or (code, len(errors)) == (1, 1), (kilobytes, said[-500:])
        partial = folder / "m.safetensors.partial"
        if code == 0:
            done["fits_kb"] = done["fits_kb"] or kilobytes
            assert (folder / "m.safetensors").read_bytes() == wanted
        elif flags:
            assert said.startswith("error: cannot write") and said.count("\n") == 1, said
        else:
            assert "no space left" in errors[0] and names(folder) <= {*NAMES, partial.name}, names(folder)
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


def pairs(top: Path, count: int) -> dict[str, int]:
    """Two trainings of one output, started within 10 ms."""
    wanted, _ = straight(top)
    for number in range(count):
        folder = top / f"pair{number}"
        ended = [end(pid, folder) for pid in [start(TRAIN, folder) for _ in range(2)]]
        (done, _), (refused, said) = sorted(ended)
        assert (done, refused) == (0, 1), ended
        assert said.startswith("error: another training is writing") and said.count("\n") == 1, said
        assert (folder / "m.safetensors").read_bytes() == wanted
        assert names(folder) == NAMES, names(folder)
    return {"pairs": count}


if __name__ == "__main__":
    torch.set_num_threads(1)
    what, top, *numbers = sys.argv[1:]  # top: an absolute path
    rng, rows = random.Random(0), ["text,label"]
    for i in range(120):
        words = [f"word{rng.randrange(30)}" for _ in range(rng.randint(2, 9))]
        rows.append(f"{' '.join([*words, 'about' + 'ny'[i % 2]])},{'ny'[i % 2]}")
    (Path(top) / "d.csv").write_text("\n".join(rows) + "\n")
    warm_up(Path(top) / "straight")
    print(json.dumps({"kills": kills, "full": full, "pairs": pairs}[what](Path(top), *map(int, numbers))))
