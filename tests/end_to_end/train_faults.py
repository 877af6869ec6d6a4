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
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file

from edge_lstm.cli import main

OPTIONS = ("--preset", "tiny", "--epochs", "6", "--teacher", "none")
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 1 << 18
NAMES = {"m.history.json", "m.history.png", "m.safetensors"}


def data(folder: Path) -> Path:
    """A labelled file of 120 short texts."""
    rng, path = random.Random(0), folder / "d.csv"
    rows = ["text,label"]
    for i in range(120):
        words = [f"word{rng.randrange(30)}" for _ in range(rng.randint(2, 9))]
        rows.append(f"{' '.join([*words, 'about' + 'ny'[i % 2]])},{'ny'[i % 2]}")
    path.write_text("\n".join(rows) + "\n")
    return path


def fork(arguments: Sequence[str], folder: Path, before: Callable[[], None] = lambda: None) -> int:
    """Starts the command in ``folder``, its standard error in ``stderr`` beside it → its process id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        log = os.open(f"{folder}.{os.getpid()}.stderr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(log, 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        before()
        os.chdir(folder)
        sys.argv = ["edge-lstm", *arguments]
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    finally:
        sys.stderr.flush()
        os._exit(code)


def wait(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def warm_up(folder: Path) -> None:
    """Train and export once in this process: whatever that imports, no forked one imports again."""
    folder.mkdir()
    checkpoint = str(folder / "m.safetensors")
    for arguments in (
        ["train", str(data(folder)), "-o", checkpoint, *OPTIONS],
        ["export", checkpoint, "-o", str(folder / "m.onnx"), "--quantize", "int8"],
    ):
        sys.argv = ["edge-lstm", *arguments]
        with contextlib.redirect_stdout(sys.stderr), contextlib.suppress(SystemExit):
            main()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def _said(top: Path) -> list[str]:
    return [path.read_text()[-2000:] for path in top.glob("*.stderr")]


def train(source: Path) -> list[str]:
    return ["train", str(source), "-o", "m.safetensors", *OPTIONS]


def straight(folder: Path, arguments: Sequence[str], name: str) -> tuple[Path, float]:
    """An undisturbed run → its output and how long it takes, in seconds."""
    folder.mkdir()
    begin = time.perf_counter()
    assert wait(fork(arguments, folder)) == 0, _said(folder.parent)
    return folder / name, time.perf_counter() - begin


def kills(top: Path, seed: int, count: int) -> dict[str, int]:
    """SIGKILL ``count`` times each at a random moment of trainings and of exports."""
    rng, source = random.Random(seed), data(top)
    wanted, seconds = straight(top / "straight", train(source), "m.safetensors")
    folder, done = top / "broken", {"kills": 0, "resumed": 0, "anew": 0, "trainings": 0, "exports": 0}
    folder.mkdir()
    while done["kills"] < count or names(folder):
        resume = (folder / "m.safetensors.partial").exists()
        pid = fork([*train(source), *(["--resume"] if resume else [])], folder)
        if done["kills"] < count:
            time.sleep(rng.uniform(0, seconds))
            os.kill(pid, signal.SIGKILL)
        code = wait(pid)
        if code == -signal.SIGKILL:
            done["kills"] += 1
            done["resumed" if resume else "anew"] += 1
            continue
        assert code == 0, (code, _said(top))
        assert (folder / "m.safetensors").read_bytes() == wanted.read_bytes(), "other bytes"
        assert names(folder) == NAMES, sorted(names(folder))
        done["trainings"] += 1
        shutil.rmtree(folder)
        folder.mkdir()
    return {**done, "exports": _killed_exports(top, wanted, rng, count)}


def _killed_exports(top: Path, checkpoint: Path, rng: random.Random, count: int) -> int:
    arguments = ["export", str(checkpoint), "-o", "m.onnx", "--quantize", "int8"]
    wanted, seconds = straight(top / "exported", arguments, "m.onnx")
    folder, whole = top / "export", 0
    folder.mkdir()
    for _ in range(count):
        pid = fork(arguments, folder)
        time.sleep(rng.uniform(0, 1.2 * seconds))
        os.kill(pid, signal.SIGKILL)
        wait(pid)
        if (folder / "m.onnx").exists():
            assert (folder / "m.onnx").read_bytes() == wanted.read_bytes(), "half-written, or other bytes"
            (folder / "m.onnx").unlink()
            whole += 1
    return whole


def full(top: Path) -> dict[str, int]:
    """``train`` on file systems of 4 kB and more, until it fits; then ``--resume`` after making room."""
    source = data(top)
    wanted, _ = straight(top / "straight", train(source), "m.safetensors")
    libc, done = ctypes.CDLL(None, use_errno=True), {"refused": 0, "resumed": 0, "fits_kb": 0}

    def mount(kilobytes: int, flags: int = 0) -> None:
        if libc.mount(b"none", b"small", b"tmpfs", flags, b"size=%dk" % kilobytes):
            raise OSError(ctypes.get_errno(), "mount")

    os.chdir(top)
    Path("small").mkdir()
    if libc.unshare(CLONE_NEWNS) or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None):
        return {"skipped": 1}
    for kilobytes in (4, 64, 256, 400, 500, 600, 700, 800, 900, 1100, 1300, 1600, 2000, 8000):
        mount(kilobytes)
        folder = top / "small"
        pid = fork(train(source), folder)
        code = wait(pid)
        said = Path(f"{folder}.{pid}.stderr").read_text()
        errors = [line for line in said.splitlines() if line.startswith(("error:", "Traceback", "  File"))]
        left = names(folder)
        if code == 0:
            done["fits_kb"] = done["fits_kb"] or kilobytes
            assert (folder / "m.safetensors").read_bytes() == wanted.read_bytes()
        else:
            assert (code, len(errors)) == (1, 1) and "no space left" in errors[0], (kilobytes, said[-500:])
            assert left <= {*NAMES, "m.safetensors.partial"}, (kilobytes, left)
            done["refused"] += 1
            for name in left & {"m.safetensors", "m.safetensors.partial"}:
                load_file(folder / name)  # whole, or it raises
            if "m.safetensors.partial" in left:
                kept = shutil.copytree(folder, top / f"kept{kilobytes}")
                assert wait(fork([*train(source), "--resume"], kept)) == 0
                assert (kept / "m.safetensors").read_bytes() == wanted.read_bytes()
                done["resumed"] += 1
        libc.umount(b"small")
    mount(8000, flags=1)  # read-only
    pid = fork(train(source), top / "small")
    assert wait(pid) == 1
    said = Path(f"{top / 'small'}.{pid}.stderr").read_text()
    assert said.startswith("error: cannot write") and said.count("\n") == 1, said
    libc.umount(b"small")
    return done


def pairs(top: Path, count: int) -> dict[str, int]:
    """Two trainings of one output, started within 10 ms."""
    source, done = data(top), {"pairs": 0, "refused": 0}
    wanted, _ = straight(top / "straight", train(source), "m.safetensors")
    for number in range(count):
        folder = top / f"pair{number}"
        folder.mkdir()
        both = [fork(train(source), folder) for _ in range(2)]
        codes = [wait(pid) for pid in both]
        assert sorted(codes) == [0, 1], codes
        said = Path(f"{folder}.{both[codes.index(1)]}.stderr").read_text()
        assert said.startswith("error: another training is writing") and said.count("\n") == 1, said
        assert (folder / "m.safetensors").read_bytes() == wanted.read_bytes()
        assert names(folder) == NAMES, sorted(names(folder))
        done["pairs"] += 1
        done["refused"] += codes.count(1)
        shutil.rmtree(folder)
    return done


if __name__ == "__main__":
    torch.set_num_threads(1)
    what, top, *numbers = sys.argv[1:]
    warm_up(Path(top) / "warm")
    print(json.dumps({"kills": kills, "full": full, "pairs": pairs}[what](Path(top), *map(int, numbers))))
