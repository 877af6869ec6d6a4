"""``edge-lstm quickstart``: everything once, on support tickets, explained as it goes."""

from __future__ import annotations

import shlex
import textwrap
import time
from pathlib import Path
from typing import Annotated

import typer

from edge_lstm_export.cli.options import option

Folder = Annotated[Path, option("FOLDER", "Where the files are written.", default=True)]
TextsOnly = Annotated[bool, option(None, "Only write the tickets, for the tutorial.", None, "--texts-only")]


def command(folder: Folder = Path("quickstart"), texts_only: TextsOnly = False) -> None:
    """Everything once, in a minute: train on 120 tickets, export, int8, gates, predictions, a scored file,
    accuracy, latency; then the model in the package. Each step shows the command that does it alone.
    """
    from edge_lstm.cli import run
    from edge_lstm.printable import printable
    from edge_lstm_export.cli.display import message
    from edge_lstm_export.quickstart import steps, write_texts

    started = time.perf_counter()
    if texts_only:
        for path in write_texts(folder):
            print(f"wrote {printable(str(path))}")
        return
    for number, step in enumerate(steps(folder), 1):
        # As a person would type it: paths below the working folder are short.
        shown = shlex.join(argument.removeprefix(f"{Path.cwd()}/") for argument in step.arguments)
        print(f"\n{number}. {step.title}\n$ edge-lstm {shown}", flush=True)
        code = run(step.arguments)
        if code:  # interrupted: the later steps would show half a model
            message("start quickstart again to go on")
            raise typer.Exit(code)
        print(textwrap.fill(f"→ {step.shown}", 80, subsequent_indent="  "), flush=True)
    took = time.perf_counter() - started
    print(f"\nDone in {took:.0f} s. {printable(str(folder))}/tickets.onnx is all that a device needs.")
