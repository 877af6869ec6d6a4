"""One HTML file with a model in it, which classifies what is typed: page, engine and model, no
network.

``page.html`` is the page. The engine, as WebAssembly, and the module that calls it are those of
``engine/js``; the installed package has them beside this file.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from edge_lstm.modelfile import ModelFile
from edge_lstm.printable import printable
from edge_lstm.tables.schema import LABEL_NAMES, TEXT_NAMES

_HERE = Path(__file__).parent


def build_page(model: ModelFile, title: str | None = None, examples: Sequence[str] = ()) -> str:
    """Return the whole document for a model file. title: None for the file's name. examples: texts
    to try; without any, those that a person put into the model file."""
    parts = {
        "{title}": escape(printable(title or model.path.name)),
        "{examples}": json.dumps([text for text in examples if text.strip()]).replace(
            "<", "\\u003c"
        ),
        "{model}": _base64(model.data),
        "{engine}": _base64(gzip.compress(_part("edge-lstm.wasm"), mtime=0)),
        "{module}": _part("edge-lstm.mjs").decode(),
        "{text_names}": json.dumps(TEXT_NAMES),
        "{label_names}": json.dumps(LABEL_NAMES),
    }
    page = (_HERE / "page.html").read_text(encoding="utf-8")
    return re.sub("|".join(map(re.escape, parts)), lambda mark: parts[mark[0]], page)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _part(name: str) -> bytes:
    """A file of engine/js, which an installed package has beside this one."""
    installed = _HERE / name
    return (
        installed if installed.is_file() else _HERE.parents[1] / "engine" / "js" / name
    ).read_bytes()
