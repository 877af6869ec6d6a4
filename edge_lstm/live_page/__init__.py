"""One HTML file that classifies typed texts: page, engine and model, without a network.

``page.html`` is the page. The engine, as WebAssembly, and the module that calls it come from
``engine/js``; the installed package has copies in this folder.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from edge_lstm.core.modelfile import ModelFile
from edge_lstm.errors import DataError
from edge_lstm.printable import printable
from edge_lstm.tables.schema import TEXT_NAMES

_HERE = Path(__file__).parent


def build_page(
    models: ModelFile | Mapping[str, ModelFile],
    title: str | None = None,
    examples: Sequence[str] = (),
) -> str:
    """Return the whole document for a model file, or for several.

    models: a file, or name of the question → its file. The page asks all questions of a text.
    title: heading; None for the file's name, or the names of the questions.
    examples: texts to try; without any, the page shows the example texts of the model files.
    """
    named = models if isinstance(models, Mapping) else {"": models}
    if len({model.fields is None for model in named.values()}) > 1:
        raise DataError("some models read fields and others a text; give each a page of its own")
    own_title = models.path.name if isinstance(models, ModelFile) else ", ".join(named)
    held = [
        f'<script type="text/plain" class="model" data-question="{escape(name)}">'
        f"{_base64(model.data)}</script>"
        for name, model in named.items()
    ]
    parts = {
        "{title}": escape(printable(title or own_title)),
        "{examples}": json.dumps(examples).replace("<", "\\u003c"),
        "{models}": "\n".join(held),
        "{engine}": _base64(gzip.compress(_part("edge-lstm.wasm"), mtime=0)),
        "{module}": _part("edge-lstm.mjs").decode(),
        "{text_names}": json.dumps(TEXT_NAMES),
    }
    page = (_HERE / "page.html").read_text(encoding="utf-8")
    return re.sub("|".join(map(re.escape, parts)), lambda mark: parts[mark[0]], page)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _part(name: str) -> bytes:
    """Return the bytes of a file of engine/js, of the installed copy if there is one."""
    path = _HERE / name
    if not path.is_file():
        path = _HERE.parents[1] / "engine" / "js" / name
    return path.read_bytes()
