"""``edge-lstm quickstart``: everything once, on texts that are installed, explained as it goes."""

from __future__ import annotations

import shlex
import textwrap
import time
from pathlib import Path
from typing import Annotated

import typer

from edge_lstm_export.cli.options import option

Folder = Annotated[Path, option("FOLDER", "Folder for the files.", default=True)]
TextsOnly = Annotated[bool, option(None, "Write only the example tickets.", None, "--texts-only")]

# Support tickets, written for this project: tickets.csv (120, labelled), few.csv (60 of them),
# log.txt (600 without a label), labelled.csv (some of the log, with their labels) and test.csv (60
# others, labelled).
TICKETS = Path(__file__).parents[1] / "tickets"
NEW_TICKETS = (
    "Why was I charged twice this month?",
    "The screen stays black after I log in.",
    "Can I export my notes as PDF?",
)


def command(folder: Folder = Path("quickstart"), texts_only: TextsOnly = False) -> None:
    """Try every step on example tickets, in a minute.

    The steps are train, export to int8, predict, score a file, evaluate, and measure latency. Each
    step shows its command.
    """
    from edge_lstm.cli import run
    from edge_lstm.printable import printable
    from edge_lstm_export.progress import message

    started = time.perf_counter()
    if texts_only:
        for path in _write_texts(folder):
            print(f"wrote {printable(str(path))}")
        return
    for number, (title, arguments, shown) in enumerate(_steps(folder), 1):
        # As a person would type it: paths below the working folder are short.
        typed = shlex.join(argument.removeprefix(f"{Path.cwd()}/") for argument in arguments)
        print(f"\n{number}. {title}\n$ edge-lstm {typed}", flush=True)
        if code := run(arguments):  # interrupted: the later steps would show half a model
            message("run quickstart again to continue")
            raise typer.Exit(code)
        print(textwrap.fill(f"→ {shown}", 80, subsequent_indent="  "), flush=True)
    took = time.perf_counter() - started
    print(
        f"\nDone in {took:.0f} s. {printable(str(folder))}/tickets.onnx is all that a device needs."
    )


def _write_texts(folder: Path) -> list[Path]:
    """Write the example tickets into a folder → the files.

    Raise OutputError; DataError, before anything is written, if a file of such a name holds
    something else.
    """
    from edge_lstm.errors import DataError
    from edge_lstm.system.atomic import write_atomically

    texts = {folder / path.name: path.read_bytes() for path in sorted(TICKETS.iterdir())}
    for path, data in texts.items():
        if path.exists() and not (path.is_file() and path.read_bytes() == data):
            raise DataError(
                f"{path} differs from the example file; give another --folder, or delete it"
            )
    for path, data in texts.items():
        write_atomically(data, path, parents=True)
    return list(texts)


def _steps(folder: Path) -> list[tuple[str, tuple[str, ...], str]]:
    """Return the steps from labelled tickets to a measured model in ``folder``.

    A step: its title, its arguments of ``edge-lstm``, and a sentence about the result.
    """
    from edge_lstm.system.atomic import JOURNAL, PARTIAL

    _write_texts(folder)
    names = (
        "tickets.csv",
        "test.csv",
        "log.txt",
        "scored.csv",
        "tickets.safetensors",
        "tickets.onnx",
    )
    tickets, test, log, scored, checkpoint, model = (str(folder / name) for name in names)
    train_on = ["--resume"] if Path(checkpoint + PARTIAL).exists() else []
    score_on = ["--resume"] if Path(scored + JOURNAL).exists() else []
    to_int8 = ("--quantize", "int8", "--data", test)
    return [
        (
            "Train on 120 support tickets",
            ("train", tickets, "-o", checkpoint, *train_on),
            "Cross-validated: each ticket was predicted by a network that had not seen it.",
        ),
        (
            "Export to one int8 ONNX file",
            ("export", checkpoint, "-o", model, *to_int8),
            "One int8 file is all a device needs. It agrees with PyTorch, or nothing is written.",
        ),
        (
            "Classify texts",
            ("predict", "-m", model, *NEW_TICKETS),
            "Label, probability and status of each text.",
        ),
        (
            "Score a file",
            ("score", log, "-o", scored, "-m", model, *score_on),
            "One row out for each row in, on all cores. --resume continues an interrupted run.",
        ),
        (
            "Evaluate on 60 other tickets",
            ("evaluate", test, "-m", model),
            "Accuracy with its interval, and which labels are confused.",
        ),
        (
            "Measure latency on this machine",
            ("latency", "-m", model, "--texts", tickets, "--runs", "1200"),
            "Cold start, time per text and time per token.",
        ),
    ]
