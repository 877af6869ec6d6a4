"""``edge-lstm page``: one HTML file that classifies what is typed, without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


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
    from edge_lstm.atomic import check_distinct, check_writable, write_atomically
    from edge_lstm.live_page import build_page
    from edge_lstm.modelfile import open_model

    check_writable(output)
    opened = open_model(model)
    check_distinct([output], [opened.path])
    write_atomically(build_page(opened), output)
