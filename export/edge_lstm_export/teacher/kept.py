"""The file that keeps a teacher's labels: another training, or a resumed one, need not make them again, and
with the texts alone students are trained without the teacher.

safetensors: for each kind of texts (labelled, unlabelled, spans) uint16 [n, labels - 1], the probabilities of
all labels but the first, times 65,535. Metadata: sha256 of the texts, what made the labels, how many spans a
text has at most and around which words, the seed that parted the texts, and the report.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from edge_lstm.atomic import write_atomically
from edge_lstm.errors import DataError
from edge_lstm_export.teacher.labels import SoftLabels

_TEXTS, _MAKER, _REPORT = "edge_lstm_soft_labels", "made_by", "report"
_EACH, _AROUND, _SPLIT = "spans", "around", "split_seed"
_PARTS = ("labelled", "unlabelled", "spans")
_SCALE = 65_535


def keep_labels(
    path: Path,
    texts: str,
    maker: str,
    labels: SoftLabels,
    spans: int,
    around: Sequence[str],
    split_seed: int,
) -> None:
    """texts: sha256 (hex) of what was labelled; maker: of teacher and options, or their names; spans: most of
    a text; around: words that further ones are around; split_seed: by which the validation part was drawn."""
    arrays = {part: np.rint(getattr(labels, part)[:, 1:] * _SCALE).astype(np.uint16) for part in _PARTS}
    metadata = {_TEXTS: texts, _MAKER: maker, _REPORT: json.dumps(labels.report)}
    metadata |= {_EACH: str(spans), _AROUND: ",".join(around), _SPLIT: str(split_seed)}
    write_atomically(save(arrays, metadata), path, parents=True)


def check_kept(path: Path) -> None:
    """DataError where the file that would keep soft labels is somebody's other file."""
    if path.exists() and _metadata(path) is None:
        raise DataError(f"{path} holds no soft labels and would be overwritten; give another --soft-labels")


def kept_spans(path: Path) -> tuple[int, tuple[str, ...]]:
    """Most spans of a text that the file has labels of, and the words that further ones are around; 0 and
    none where it does not say."""
    around = (_metadata(path) or {}).get(_AROUND, "")
    return _number(path, _EACH), tuple(filter(None, around.split(",")))


def kept_split_seed(path: Path) -> int:
    """The seed by which the validation part was drawn; 0 where it does not say."""
    return _number(path, _SPLIT)


def _number(path: Path, key: str) -> int:
    value = (_metadata(path) or {}).get(key, "0")
    return int(value) if value.isdecimal() else 0


def kept_labels(
    path: Path, texts: str, maker: str | None, rows: tuple[int, int, int], labels: int
) -> SoftLabels | None:
    """The kept labels, or None where there are none for these texts and, unless it is None, of this maker.

    rows: texts with a label, without one, and spans.
    """
    metadata = _metadata(path) if path.is_file() else None
    if metadata is None or metadata[_TEXTS] != texts or maker not in (None, metadata.get(_MAKER)):
        return None
    try:
        with safe_open(path, framework="np") as file:
            labelled, unlabelled, spans = (_probabilities(file.get_tensor(name), labels) for name in _PARTS)
        report = json.loads(metadata[_REPORT])
    except (SafetensorError, OSError, KeyError, ValueError, TypeError):
        return None
    if not isinstance(report, dict) or (len(labelled), len(unlabelled), len(spans)) != rows:
        return None
    return SoftLabels(labelled, unlabelled, spans, report)


def _metadata(path: Path) -> dict[str, str] | None:
    """The metadata of a file of soft labels; None where the file is another one, or damaged."""
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError):
        return None
    return metadata if _TEXTS in metadata else None


def _probabilities(kept: npt.NDArray[Any], labels: int) -> npt.NDArray[np.float32]:
    if kept.dtype != np.uint16 or kept.ndim != 2 or kept.shape[1] != labels - 1:
        raise ValueError("other labels")
    others = kept.astype(np.float32) / _SCALE
    first = 1 - others.sum(axis=1, keepdims=True)
    if first.min(initial=0) < -labels / _SCALE:
        raise ValueError("no probabilities")
    return np.concatenate([first.clip(0), others], axis=1)
