"""The journal of an unfinished run: how far it is, and what it was a run of."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_lstm import __version__
from edge_lstm.atomic import sync_folder
from edge_lstm.errors import DataError
from edge_lstm.scoring.plan import Plan
from edge_lstm.tables.blocks import Position
from edge_lstm.tables.compression import Compression
from edge_lstm.tables.sources import Source

_ENDS = 2**16


@dataclass(frozen=True)
class Entry:
    """A point to go on from: rows up to ``position`` are in the first ``output_bytes`` of the output."""

    position: Position
    output_bytes: int
    counts: dict[str, Any]


def identity(
    sources: tuple[Source, ...], model_sha256: str, plan: Plan, settings: dict[str, Any]
) -> dict[str, Any]:
    """Everything that decides the bytes of the output. Two runs with the same one can be one run."""
    return {
        "inputs": [_fingerprint(source) for source in sources],
        "model": model_sha256,
        "choices": asdict(plan.choices),
        "reading": [
            plan.layout.format,
            list(plan.layout.columns),
            plan.layout.text,
            None if plan.layout.dialect is None else asdict(plan.layout.dialect),
            None if plan.layout.header is None else plan.layout.header.hex(),
        ],
        "output format": [plan.format, asdict(plan.dialect)],
        "settings": settings,
        "versions": {
            "edge-lstm": __version__,
            "onnxruntime": _onnxruntime_version(),
        },
    }


def _onnxruntime_version() -> str:
    """From the installed files where they say it: importing the package costs as much as 1,000 rows."""
    from importlib.metadata import PackageNotFoundError, version  # workers have no use for it

    try:
        return version("onnxruntime")
    except PackageNotFoundError:  # installed under another name, as onnxruntime-openvino
        import onnxruntime

        return str(onnxruntime.__version__)


def _fingerprint(source: Source) -> list[Any]:
    """Path, size, time and a digest of both ends: enough to see that a file was changed or swapped."""
    path = Path(source.path).absolute()
    if source.format == "folder":
        digest = hashlib.sha256()
        for name in source.files:
            digest.update(name.encode("utf-8", "surrogateescape") + b"\0")
            try:
                state = (path / name).stat()
                digest.update(f"{state.st_size} {state.st_mtime_ns}\0".encode())
            except OSError:
                digest.update(b"?\0")
        return [str(path), len(source.files), digest.hexdigest()]
    state = path.stat()
    with path.open("rb") as file:
        digest = hashlib.sha256(file.read(_ENDS))
        file.seek(max(0, state.st_size - _ENDS))
        digest.update(file.read(_ENDS))
    return [str(path), state.st_size, state.st_mtime_ns, digest.hexdigest()]


class Journal:
    """The file ``<output>.resume.json``, replaced as a whole at each step."""

    def __init__(self, path: Path, run: dict[str, Any]) -> None:
        self.path = path
        self._run = run

    def write(self, entry: Entry) -> None:
        """Notes a point. What it says must be on the disk before."""
        text = json.dumps(
            {
                "run": self._run,
                "position": asdict(entry.position),
                "output_bytes": entry.output_bytes,
                "counts": entry.counts,
            }
        )
        new = self.path.with_name(self.path.name + ".new")
        with new.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)
        sync_folder(self.path.parent)

    def read(self) -> Entry:
        """The last point. DataError where the journal is of another run, and says what is different."""
        try:
            data = json.loads(self.path.read_text(encoding="utf-8"))
            run = data["run"]
            entry = Entry(Position(**data["position"]), int(data["output_bytes"]), dict(data["counts"]))
        except (ValueError, KeyError, TypeError):
            raise DataError(f"{self.path} is damaged; delete it and start again") from None
        # Through JSON, as what was written went: tuples are lists there.
        mine = json.loads(json.dumps(self._run))
        for key, value in mine.items():
            if run.get(key) != value:
                raise DataError(
                    f"cannot resume: {_difference(key, run.get(key), value)}; "
                    f"run with what it was started with, or delete {self.path} and start again"
                )
        return entry

    def remove(self) -> None:
        """The run is complete."""
        self.path.unlink(missing_ok=True)


def _difference(key: str, then: Any, now: Any) -> str:
    if key == "inputs":
        if then and [row[0] for row in then] == [row[0] for row in now]:
            changed = next(new[0] for old, new in zip(then, now) if old != new)
            return f"the input {changed} was changed since the run was started"
        return "the inputs are not those the run was started with"
    if key == "model":
        return "the model is not the one the run was started with"
    if isinstance(then, dict):
        for name, value in now.items():
            if then.get(name) != value:
                return f"{name.replace('_', '-')} was {then.get(name)!r} and is {value!r}"
    return f"the {key} is not that of the run that was started"


def compression_settings(compression: Compression | None, rows: int, size: int) -> dict[str, Any]:
    """What decides where the pieces of an output end."""
    return {"compression": compression, "window_rows": rows, "window_bytes": size}
