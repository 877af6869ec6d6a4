"""``edge-lstm page``: one HTML file that classifies typed texts, without a network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from edge_lstm.cli.options import ModelArguments, ModelsOption, check_outputs, option
from edge_lstm.printable import printable


def command(
    files: ModelArguments = None,
    model: ModelsOption = None,
    output: Annotated[Path, option("FILE", "Page to write.", "--output", "-o")] = Path("page.html"),
    title: Annotated[
        str | None, option("TEXT", "Heading.  [default: the model file's name, or the questions]")
    ] = None,
    examples: Annotated[
        Path | None,
        option("FILE", "Texts to try, instead of the model file's: one per line, or a table."),
    ] = None,
) -> None:
    """Write a web page that runs the model in the browser, as one HTML file without network access.

    Type a text to see its label, the probabilities and the words that drive them, in colour. Drop a
    model file on the page to use that one, or a CSV to score its rows.

    With -m team=team.onnx -m urgent=urgent.onnx, the page answers all questions about a text.

    The page shows the example texts that 'export --examples' put into the model file, and no other
    text of the data. A line on standard error says how many.
    """
    from edge_lstm.cli.questions import one_or_several
    from edge_lstm.core.modelfile import open_model
    from edge_lstm.live_page import build_page
    from edge_lstm.system.atomic import is_stream, write_atomically
    from edge_lstm.tables.examples import read_examples

    models = one_or_several([*(files or ()), *(model or ())])
    paths = models if isinstance(models, dict) else {"": models}
    opened = {name: open_model(path) for name, path in paths.items()}
    check_outputs([output], [examples, *(each.path for each in opened.values())])
    shown = read_examples(examples) if examples else ()
    page = build_page(opened if isinstance(models, dict) else opened[""], title, shown)
    write_atomically(page, output)
    if count := len({text for each in opened.values() for text in each.examples}):
        texts = "the example text" if count == 1 else f"the {count} example texts"
        holders = "model file" if len(opened) == 1 else "model files"
        print(f"note: anyone who has the page can read {texts} of the {holders}", file=sys.stderr)
    # A page that goes to a pipe or a device is the output itself.
    if not is_stream(output):
        held = "the model" if len(opened) == 1 else f"{len(opened)} models"
        print(f"{printable(str(output))}: {len(page.encode()):,} bytes, with {held}")
