"""Tables in the working folder, written and read by Python's own modules."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def write_jsonl(name: str | Path, rows: Iterable[object]) -> None:
    """Write a row per line; a text alone is a row with the column ``text``."""
    whole = (row if isinstance(row, Mapping) else {"text": row} for row in rows)
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in whole))


def read_jsonl(name: str | Path) -> list[Any]:
    """The value of each line."""
    return [json.loads(line) for line in Path(name).read_text(encoding="utf-8").splitlines()]


def read_csv(name: str | Path, delimiter: str = ",") -> list[dict[str, str]]:
    """The rows, by the names of their columns."""
    with Path(name).open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
        return list(csv.DictReader(file, delimiter=delimiter))
