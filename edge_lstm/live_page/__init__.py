"""One HTML file with a model in it, which classifies what is typed: page, module and model, no network.

``page.html`` is the page; the module that runs the model is ``ports/js/edge-lstm.mjs``, which the installed
package has beside it.
"""

from __future__ import annotations

import base64
import json
import re
from html import escape
from pathlib import Path

from edge_lstm.modelfile import ModelFile
from edge_lstm.printable import printable
from edge_lstm.tables.schema import LABEL_NAMES, TEXT_NAMES

_HERE = Path(__file__).parent
MODULE = "edge-lstm.mjs"


def build_page(model: ModelFile) -> str:
    """The whole document for a model file."""
    parts = {
        "{title}": escape(printable(model.path.name)),
        "{model}": base64.b64encode(model.data).decode("ascii"),
        "{module}": _module(),
        "{text_names}": json.dumps(TEXT_NAMES),
        "{label_names}": json.dumps(LABEL_NAMES),
    }
    page = (_HERE / "page.html").read_text(encoding="utf-8")
    return re.sub("|".join(map(re.escape, parts)), lambda mark: parts[mark[0]], page)


def _module() -> str:
    """The JavaScript port: beside this file in an installed package, in ports/ of a checkout."""
    installed = _HERE / MODULE
    path = installed if installed.is_file() else _HERE.parents[1] / "ports" / "js" / MODULE
    return path.read_text(encoding="utf-8")
