"""A report → its table and its pictures.

python -m benchmarks.pages FOLDER    writes them again from FOLDER's latest.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks import picture, table


def write_from(report: dict[str, Any], output: Path) -> None:
    """The table and the pictures of a report."""
    (output / "table.md").write_text(table.markdown(report), encoding="utf-8")
    for name, drawn in picture.all_of(report).items():
        (output / name).write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    write_from(json.loads((folder / "latest.json").read_text(encoding="utf-8")), folder)
