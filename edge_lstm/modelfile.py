"""A model file: open it, check it, describe it.

One ``.onnx`` file holds the network and, in ``metadata_props``, everything else a device needs: the
keys below. Nothing here runs the model (see classifier.py) or needs ONNX Runtime.

**The digest** (docs/file-format.md) covers every byte, so that nothing an answer depends on changes
unseen.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_lstm import model_checks, onnx_file
from edge_lstm.answering import (
    SHOWN_RISKS,
    RiskCoverage,
    choose_threshold,
    choose_unfamiliar_threshold,
)
from edge_lstm.errors import (
    DamagedModelFileError,
    DataError,
    ModelFileError,
    NewerFormatError,
    NotAModelFileError,
)
from edge_lstm.figures import by_label
from edge_lstm.model_checks import Room
from edge_lstm.text import FIRST_WORD_ID, Tokenizer

FORMAT_VERSION = 10  # of release 1.0; the formats 1 to 3 are those of the versions before it
PRODUCER = "edge-lstm"
INPUT_NAME = "input_ids"
OUTPUT_NAME = "probabilities"

KEY_FORMAT = "edge_lstm.format"
KEY_TOKENIZER = "edge_lstm.tokenizer"  # JSON, see Tokenizer.to_metadata
KEY_VOCABULARY = "edge_lstm.vocabulary"  # the words in id order, one a line; the first has id 4
KEY_LABELS = "edge_lstm.labels"  # JSON list, in the order of the output's columns
KEY_NETWORK = "edge_lstm.network"  # JSON: the architecture
# JSON: data, digest, seed, versions, measured accuracy; see figures.py
KEY_TRAINING = "edge_lstm.training"
KEY_QUANTIZATION = "edge_lstm.quantization"  # JSON; absent in an fp32 file
KEY_ABSTENTION = "edge_lstm.abstention"  # JSON, see RiskCoverage.to_dict; absent: no curve
# JSON: {"thresholds": [...]}, the probability of each label from which on a text has it.
# Absent: one label per text.
KEY_SEVERAL = "edge_lstm.several"
KEY_GOLDEN = "edge_lstm.golden"  # JSON list of {text, ids, probabilities}; "example": true in some
KEY_DIGEST = "edge_lstm.digest"  # the last entry: its value ends the file, see above

# How much JSON each entry may hold: many times what the export writes. A label has a count, scores
# of two parts of the data, and an answer in each golden row.
_ROOM = {
    KEY_TOKENIZER: Room(2**16),
    KEY_LABELS: Room(8 * 2**20),
    KEY_NETWORK: Room(2**16),
    KEY_TRAINING: Room(2**20, each=(512, 14, 12)),
    KEY_QUANTIZATION: Room(2**16),
    KEY_ABSTENTION: Room(2**16),
    KEY_SEVERAL: Room(2**16, each=(32, 1, 0)),
    KEY_GOLDEN: Room(2**20, each=(512, 20, 0)),
}

DIGEST_DIGITS = 64  # of a SHA-256 in hexadecimal
# The entry up to its value: field 14 of 84 bytes, in it field 1 (the key, 16 bytes) and field 2 (64
# bytes).
_DIGEST_ENTRY = b"\x72\x54\x0a\x10" + KEY_DIGEST.encode() + b"\x12\x40"
_FORMAT = re.compile("[1-9][0-9]{0,8}")

# far above any model of this kind: another file is refused before it is read
MAX_FILE_BYTES = 512 * 2**20
_FIRST_BYTE, _CHUNK = b"\x08", 16 * 2**20  # every ONNX file begins with its IR version, field 1


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """An opened and checked model file.

    data: the file's bytes, as ONNX Runtime takes them.
    network, training, quantization: what the file says of itself (``quantization`` is None for
        fp32).
    abstention: which answers are left out so that few are wrong; None where the file does not say.
    thresholds: of a model that gives several labels per text, the probability from which on a text
        has each label, above 0 to 1; None: each text has one label, the most probable.
    """

    path: Path
    data: bytes
    onnx: onnx_file.OnnxFile
    tokenizer: Tokenizer
    labels: tuple[str, ...]
    network: dict[str, Any]
    training: dict[str, Any]
    quantization: dict[str, Any] | None
    golden: tuple[model_checks.GoldenRow, ...]
    abstention: RiskCoverage | None = None
    thresholds: tuple[float, ...] | None = None

    def choose_threshold(self, *, abstain: float | None, threshold: float | None) -> float:
        """The probability below which a text is unsure, see answering.choose_threshold; never one
        of a model that gives several labels. DataError."""
        if self.thresholds is None:
            return choose_threshold(
                self.abstention, self.path, abstain=abstain, threshold=threshold
            )
        if abstain is not None or threshold:
            raise DataError(
                f"{self.path} gives several labels per text, each with a threshold of its own; "
                "leave --abstain and --threshold out"
            )
        return 0.0

    def choose_unfamiliar_threshold(self, share: float | None) -> float:
        """The score of familiarity.py above which a text is unfamiliar, and at most this share of
        texts like the held-out ones; infinite for None. DataError."""
        return (
            math.inf
            if share is None
            else choose_unfamiliar_threshold(self.abstention, self.path, share)
        )

    @property
    def name(self) -> str:
        """What a person knows it by: its path, or the words for the model in the package."""
        return EMBEDDED_NAME if self.path == embedded_model() else str(self.path)

    @property
    def precision(self) -> str:
        """``fp32`` or ``int8``."""
        return "fp32" if self.quantization is None else "int8"

    @property
    def warnings(self) -> list[str]:
        """What the training reported about its data and result."""
        warnings = self.training.get("warnings")
        return (
            [each for each in warnings if isinstance(each, str)]
            if isinstance(warnings, list)
            else []
        )

    @property
    def examples(self) -> tuple[str, ...]:
        """The texts that a person put into the file to be shown; none by default."""
        return tuple(row.text for row in self.golden if row.example)

    def sha256(self) -> str:
        """Digest of the whole file: what a result names to say which model gave it."""
        return hashlib.sha256(self.data).hexdigest()

    def facts(self) -> dict[str, Any]:
        """What a result says of the file: path, digest, size in bytes and precision."""
        size = len(self.data)
        return {
            "path": str(self.path),
            "sha256": self.sha256(),
            "bytes": size,
            "precision": self.precision,
        }


EMBEDDED = "sentiment"  # stands for the path of the embedded model
EMBEDDED_NAME = "the embedded sentiment model"


def embedded_model() -> Path:
    """Path of the model that is installed with the package."""
    return Path(__file__).parent / "models" / "sentiment.int8.onnx"


def short_names(paths: Sequence[Path]) -> list[str]:
    """Names that tell model files apart: each file's, with as many folders before it as that
    takes."""
    names: list[str] = []
    for depth in range(1, max(len(path.parts) for path in paths) + 2):  # "." has no parts
        names = [Path(*path.parts[-depth:]).as_posix() for path in paths]
        if len(set(names)) == len(names):
            break
    return names


def read_file(path: Path) -> bytes:
    """The bytes of a model file; DataError where it cannot be read, with the reason."""
    try:
        if path.is_dir():
            raise DataError(f"{path} is a folder; give the path of a model file (.onnx)")
        with path.open("rb") as file:
            # What cannot be a model file is not read on: it may be a device without an end.
            if file.peek(1)[:1] != _FIRST_BYTE:
                return file.read(1)
            size = os.fstat(file.fileno()).st_size
            parts: list[bytes] = []
            most = max(size, _CHUNK)  # all of a file at once: it is not copied
            while size <= MAX_FILE_BYTES and (more := file.read(most)):
                parts.append(more)
                size = max(size, sum(map(len, parts)))
                most = _CHUNK
        if size > MAX_FILE_BYTES:
            raise NotAModelFileError(f"{path} is too large; give a file made by 'edge-lstm export'")
        return b"".join(parts)
    except FileNotFoundError:
        raise DataError(f"no model file at {path}; make one with 'edge-lstm export'") from None
    except OSError as error:
        raise DataError(
            f"cannot read {path}: {error.strerror}; check the path and its permissions"
        ) from None


def open_model(path: Path | str | None = None) -> ModelFile:
    """Open and check a model file; without a path, or with EMBEDDED if no file has that name, the
    embedded model.

    Raises DataError (no such file) or ModelFileError, a subclass but for files of versions before
    1.0.
    """
    is_embedded = path is None or (str(path) == EMBEDDED and not Path(path).exists())
    path = embedded_model() if path is None or is_embedded else Path(path)
    return parse_model(read_file(path), path)


def parse_model(data: bytes, path: Path) -> ModelFile:
    """A model file's bytes → :class:`ModelFile`; ``path`` is what errors call it. Raises as
    open_model."""
    onnx = _parse_whole(data, path)
    try:
        graph = onnx_file.parse_graph(onnx.graph)
        length = _check_input(graph, path)
        model_checks.check_graph(onnx, graph)
        model = _read_metadata(data, path, onnx, length, model_checks.rows_of_embedding(graph))
        model_checks.check_fit(
            graph,
            model.tokenizer,
            model.labels,
            model.network,
            quantized=model.quantization is not None,
        )
    except (KeyError, ValueError, TypeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise DamagedModelFileError(
            f"{path}: its parts do not fit together ({reason[:200]}); copy or export it again"
        ) from None
    return model


def _parse_whole(data: bytes, path: Path) -> onnx_file.OnnxFile:
    """A model file's bytes → its outermost message, once format and digest are right."""
    if not data:
        raise NotAModelFileError(f"{path} is empty; make a model file with 'edge-lstm export'")
    try:
        onnx = onnx_file.parse(data)
    except onnx_file.OnnxFileError as error:
        if onnx_file.producer_of(data) == PRODUCER:
            raise DamagedModelFileError(
                f"{path} is cut short or damaged ({error}); copy it again"
            ) from None
        raise NotAModelFileError(
            f"{path} is not an ONNX file; give one of 'edge-lstm export'"
        ) from None
    if KEY_FORMAT not in onnx.metadata:
        if onnx.producer == PRODUCER:
            raise DamagedModelFileError(
                f"{path} is cut short: its metadata is missing; copy it again"
            )
        raise NotAModelFileError(
            f"{path} is not a model file of edge-lstm (no {KEY_FORMAT} in its metadata); "
            "give one made by 'edge-lstm export'"
        )
    _check_format(onnx.metadata[KEY_FORMAT], path)
    if _digest(memoryview(data)[:-DIGEST_DIGITS]) != data[-DIGEST_DIGITS:]:
        raise DamagedModelFileError(
            f"{path} was cut short or changed after export; copy or export it again"
        )
    return onnx


def _read_metadata(
    data: bytes, path: Path, onnx: onnx_file.OnnxFile, length: int, rows: int
) -> ModelFile:
    """What the metadata say, checked. length: of the input; rows: of the embedding.

    Raises ValueError, KeyError or TypeError where something does not fit.
    """
    metadata = onnx.metadata
    _ROOM[KEY_LABELS].check("list of labels", metadata[KEY_LABELS])
    labels = model_checks.labels_from(model_checks.load_json(metadata[KEY_LABELS]))
    values: dict[str, Any] = {}
    for key, room in _ROOM.items():
        if key in metadata and key != KEY_LABELS:
            room.check(
                key.removeprefix("edge_lstm."), metadata[key], metadata[KEY_LABELS], len(labels)
            )
            values[key] = model_checks.load_json(metadata[key])
    vocabulary = metadata[KEY_VOCABULARY]
    if vocabulary.count("\n") + 1 + FIRST_WORD_ID > rows:
        raise ValueError("the vocabulary has more words than the embedding")
    tokenizer = model_checks.tokenizer_from(values[KEY_TOKENIZER], vocabulary)
    if length != tokenizer.length:
        raise ValueError("its input has another length than its text rule")
    network, training = values[KEY_NETWORK], values.get(KEY_TRAINING, {})
    quantization = values.get(KEY_QUANTIZATION)
    thresholds = (
        model_checks.thresholds_from(values[KEY_SEVERAL], labels) if KEY_SEVERAL in values else None
    )
    model_checks.check_metadata(
        tokenizer,
        labels,
        network,
        training,
        values.get(KEY_QUANTIZATION, {}),
        several=thresholds is not None,
    )
    return ModelFile(
        path=path,
        data=data,
        onnx=onnx,
        tokenizer=tokenizer,
        labels=labels,
        network=network,
        training=by_label(training, labels),
        quantization=quantization,
        golden=model_checks.golden_from(values.get(KEY_GOLDEN, []), labels, tokenizer),
        abstention=RiskCoverage.from_dict(values[KEY_ABSTENTION])
        if KEY_ABSTENTION in values
        else None,
        thresholds=thresholds,
    )


def seal(data: bytes) -> bytes:
    """A model file's bytes without a digest → the same with the digest at their end."""
    data += _DIGEST_ENTRY
    return data + _digest(data)


def _digest(data: bytes | memoryview) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()


def _check_format(version: str, path: Path) -> None:
    """Raise where a file is of another format than this version reads."""
    if not _FORMAT.fullmatch(version):
        raise DamagedModelFileError(
            f"{path}: format version {version[:20]!r} is not numeric; export it again"
        )
    if int(version) > FORMAT_VERSION:
        raise NewerFormatError(
            f"{path} has format version {version}, this edge-lstm reads version {FORMAT_VERSION}; "
            "upgrade edge-lstm, or export the model again with this version"
        )
    if int(version) < FORMAT_VERSION:
        raise ModelFileError(f"{path} was made by a version before 1.0; export it again")


def _check_input(graph: onnx_file.Graph, path: Path) -> int:
    """The graph's input must be input_ids int32 [batch, length], of a free batch. → length"""
    inputs = graph.inputs
    if [(v.name, v.dtype, len(v.shape)) for v in inputs] == [(INPUT_NAME, "int32", 2)]:
        batch, length = inputs[0].shape
        if isinstance(length, int) and length > 0 and isinstance(batch, str):
            return length
    asks = (
        ", ".join(f"{value.name} {value.dtype} {list(value.shape)}" for value in inputs)
        or "nothing"
    )
    raise NotAModelFileError(
        f"{path} has another input ({asks[:200]}); a model file takes {INPUT_NAME} int32 "
        "[batch, length]: make one with 'edge-lstm export'"
    )


def describe(model: ModelFile) -> dict[str, Any]:
    """Everything the file says of itself, as plain values: the answer of ``edge-lstm inspect
    --json``."""
    graph = onnx_file.parse_graph(model.onnx.graph)
    return {
        **model.facts(),
        "format": int(model.onnx.metadata[KEY_FORMAT]),
        "ir_version": model.onnx.ir_version,
        "opsets": {domain or "ai.onnx": version for domain, version in model.onnx.opsets.items()},
        "inputs": [
            {"name": v.name, "dtype": v.dtype, "shape": list(v.shape)} for v in graph.inputs
        ],
        "outputs": [
            {"name": v.name, "dtype": v.dtype, "shape": list(v.shape)} for v in graph.outputs
        ],
        "labels": list(model.labels),
        **(
            {}
            if model.thresholds is None
            else {"thresholds": dict(zip(model.labels, model.thresholds))}
        ),
        "tokenizer": json.loads(model.onnx.metadata[KEY_TOKENIZER]),
        "vocabulary": {
            "words": len(model.tokenizer.words),
            "first": list(model.tokenizer.words[:10]),
        },
        "network": model.network,
        "training": model.training,
        "quantization": model.quantization,
        "golden_rows": len(model.golden),
        "examples": list(model.examples),
        **({"abstention": _abstention(model.abstention)} if model.abstention else {}),
        "operators": Counter(f"{node.domain}.{node.op_type}".lstrip(".") for node in graph.nodes),
    }


def _abstention(curve: RiskCoverage) -> dict[str, Any]:
    """The threshold for some shares of wrong answers, and the share of texts that is answered
    then."""
    promised = [(share, point) for share in SHOWN_RISKS if (point := curve.operating_point(share))]
    return {
        "data": curve.data,
        "texts": curve.texts,
        "default": curve.default,
        "unfamiliar": [{"at most": share, "threshold": score} for share, score in curve.unfamiliar],
        "wrong": [
            {
                "at most": share,
                "threshold": p.threshold,
                "answered": round(p.answered / curve.texts, 3),
            }
            for share, p in promised
        ],
    }
