"""Tables in the working folder, written and read by other modules than the package's own."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def write_jsonl(name: str | Path, rows: Iterable[object]) -> None:
    """Write a row per line; a text alone is a row with the column ``text``."""
    whole = (row if isinstance(row, Mapping) else {"text": row} for row in rows)
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in whole))


def read_rows(name: str | Path) -> list[dict[str, Any]]:
    """The rows of a CSV, TSV, JSONL or Parquet file, perhaps compressed by gzip."""
    path = Path(name)
    if path.suffix == ".parquet":
        from pyarrow.parquet import read_table

        return list(read_table(path).to_pylist())
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
        path = path.with_suffix("")
    text = data.decode("utf-8-sig", "surrogateescape")
    if path.suffix == ".jsonl":
        return [json.loads(line, parse_constant=_refuse) for line in text.split("\n") if line]
    lines = io.StringIO(text, newline="")
    return list(csv.DictReader(lines, delimiter="\t" if path.suffix == ".tsv" else ","))


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def zstd(data: bytes) -> bytes:
    """A frame with a checksum."""
    from zstandard import ZstdCompressor

    return bytes(ZstdCompressor(write_checksum=True).compress(data))
