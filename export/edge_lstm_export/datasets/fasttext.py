"""fastText's training files: ``__label__NAME text``, one example a line."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from edge_lstm.errors import DataError

PREFIX = "__label__"


@dataclass(frozen=True)
class FastTextFile:
    """texts and labels belong together, unlabelled stands alone; digest: sha256 of the file."""

    texts: list[str]
    labels: list[str]
    unlabelled: list[str]
    digest: str


def looks_like_fasttext(path: Path) -> bool:
    """Whether the file's first line that is not blank starts with a label."""
    with path.open("rb") as file:
        start = file.read(1 << 16)
    return start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(PREFIX.encode())


def read_fasttext(path: Path) -> FastTextFile:
    """Reads a file; blank lines are skipped, lines without a label are unlabelled texts. DataError
    where a line has several labels, as this classifier gives one answer a text.
    """
    digest = hashlib.sha256()
    read = FastTextFile([], [], [], "")
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            digest.update(raw)
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8", "replace").strip()
            if not line:
                continue
            first, _, text = line.partition(" ")
            if not first.startswith(PREFIX):
                read.unlabelled.append(line)
                continue
            text = text.lstrip()
            if text.startswith(PREFIX):
                raise DataError(f"{path}, line {number} has several labels; keep one label a line")
            if first == PREFIX:
                raise DataError(f"{path}, line {number} has a label without a name; write {PREFIX}NAME text")
            read.labels.append(first.removeprefix(PREFIX))
            read.texts.append(text)
    return FastTextFile(read.texts, read.labels, read.unlabelled, digest.hexdigest())
