"""The parts that a cluster's work is divided into: each input file, with the output file it becomes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from edge_lstm.errors import DataError
from edge_lstm.scoring.folder import Folder, Stored
from edge_lstm.tables.compression import split_suffix
from edge_lstm.tables.sources import FORMAT_SUFFIXES, Format

NOTES = "_edge_lstm"  # folder of the notes in the output; names with _ are skipped by readers of Parquet


@dataclass(frozen=True)
class Part:
    """One input file: where it is, where its output goes, and what it was when the run began."""

    source: str
    target: str
    note: str
    size: int
    modified: str


def find_parts(
    inputs: Folder, input_format: Format | None, wanted: Format | None
) -> tuple[list[Part], Format]:
    """The input files of a folder in order, all of one format, with the format.

    Raises DataError where there are none, or of several formats.
    """
    where, kind = inputs.where, inputs.kind()
    if kind == "missing":
        raise DataError(f"no such folder: {where}; check the path")
    if kind == "file":
        raise DataError(
            f"{where} is a file; --engine ray reads folders of files, one engine for one file is local"
        )
    found: dict[Format, list[Stored]] = {}
    for stored in inputs.files():
        hidden = any(step.startswith(("_", ".")) for step in PurePosixPath(stored.name).parts)
        told = input_format or FORMAT_SUFFIXES.get(split_suffix(stored.name)[0])
        if not hidden and told is not None:
            found.setdefault(told, []).append(stored)
    if not found:
        raise DataError(f"{where} holds no text, CSV, TSV, JSONL or Parquet files; check the path")
    if len(found) > 1:
        raise DataError(
            f"{where} holds files of different formats ({', '.join(found)}); name one: --input-format"
        )
    [(common, files)] = found.items()
    parts = [_part(stored, _target_name(stored.name, common, wanted or common)) for stored in files]
    if len({part.target for part in parts}) < len(parts):
        raise DataError(f"{where} holds files that differ in their suffix alone; rename one")
    return parts, common


def _part(stored: Stored, target: str) -> Part:
    return Part(stored.name, target, f"{NOTES}/{target}.json", stored.size, stored.modified)


def _target_name(name: str, source: Format, target: Format) -> str:
    """An input's name, with the suffix of another format where the output has another."""
    if source == target:
        return name
    stem = PurePosixPath(name)
    suffix, compression = split_suffix(name)
    if compression:
        stem = stem.with_suffix("")
    if suffix in FORMAT_SUFFIXES:
        stem = stem.with_suffix("")
    return f"{stem}.{'txt' if target == 'text' else target}"
