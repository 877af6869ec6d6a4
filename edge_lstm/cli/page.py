"""``edge-lstm page``: one HTML file that classifies what is typed, without a network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from edge_lstm.cli.streams import is_closed
from edge_lstm.printable import printable


def command(
    model: Annotated[
        Path | None,
        typer.Argument(
            metavar="MODEL", help="Model file.  [default: the embedded model]", show_default=False
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The page to write.")] = Path(
        "page.html"
    ),
) -> None:
    """Write one HTML file with the model in it, for anyone with a browser.

    It opens from the disk and needs no network: type, and label, probabilities and coloured words follow.
    Another model file dropped on it takes the model's place; a CSV comes back with its rows scored.
    """
    from edge_lstm.atomic import check_distinct, check_writable, is_stream, write_atomically
    from edge_lstm.live_page import build_page
    from edge_lstm.modelfile import open_model

    check_writable(output)
    opened = open_model(model)
    check_distinct([output], [opened.path])
    page = build_page(opened)
    write_atomically(page, output)
    # A page that goes to a pipe or device is the output itself; a file is there though nobody reads the line.
    if not (is_stream(output) or is_closed(sys.stdout)):
        print(f"wrote {printable(str(output))}: {len(page.encode()):,} bytes, the model in it")
