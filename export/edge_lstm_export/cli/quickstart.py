"""``edge-lstm quickstart``: the whole road on the embedded checkpoint, explained as it goes."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Annotated

import typer


def command(
    folder: Annotated[
        Path, typer.Option("--folder", metavar="FOLDER", help="Where the files are written.")
    ] = Path("quickstart"),
) -> None:
    """The whole road on the embedded checkpoint, in seconds: network, export, int8, gates, a prediction,
    a scored file, latency of fp32 and int8 side by side. Each step shows the command that does it alone.
    """
    from edge_lstm.cli import run
    from edge_lstm_export.quickstart import steps

    started = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    for number, step in enumerate(steps(folder), 1):
        print(f"\n{number}. {step.title}\n$ edge-lstm {_shown(step.arguments)}", flush=True)
        run(step.arguments)
    took = time.perf_counter() - started
    print(
        f"\nDone in {took:.0f} s. The files are in {folder}/; "
        f"{folder}/sentiment.int8.onnx is all that a device needs."
    )


def _shown(arguments: tuple[str, ...]) -> str:
    """Arguments as a person would type them, with paths below the working folder made short."""
    here = Path.cwd()
    short = [a.removeprefix(f"{here}/") for a in arguments]
    return shlex.join(short)
