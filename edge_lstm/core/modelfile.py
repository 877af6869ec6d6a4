"""Model files: open, check and describe them.

One ``.onnx`` file holds the network and, in ``metadata_props`` under the keys below, everything
else that a device needs. Nothing here runs the model (see classifier.py) or needs ONNX Runtime.

**The digest** (docs/file-format.md) covers every byte, so that no change of an answer goes unseen.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_lstm.core import model_checks, onnx_file
from edge_lstm.core.fields import Fields
from edge_lstm.core.layers import NetworkConfig, padding_in_words, sentinels
from edge_lstm.core.model_checks import Room
from edge_lstm.core.question import ANY_CHOICE, CHOICE, SCORE, Question
from edge_lstm.core.risk_coverage import RiskCoverage
from edge_lstm.core.text import Tokenizer
from edge_lstm.errors import (
    DamagedModelFileError,
    DataError,
    NewerFormatError,
    NotAModelFileError,
    read_error,
)
from edge_lstm.system.os_file import open_regular

# The only format so far.
FORMAT_VERSION = 1
PRODUCER = "edge-lstm"
INPUT_NAME = "input_ids"
OUTPUT_NAME = "probabilities"

KEY_FORMAT = "edge_lstm.format"

# JSON, see Tokenizer.to_metadata.
KEY_TOKENIZER = "edge_lstm.tokenizer"

# The words in the order of their ids, see text.uncoded and text.front_coded.
KEY_VOCABULARY = "edge_lstm.vocabulary"

# JSON list, in the order of the output's columns.
KEY_LABELS = "edge_lstm.labels"

# JSON: the architecture.
KEY_NETWORK = "edge_lstm.network"

# JSON: data, digest, seed, versions, measured accuracy. Figures of labels are in their order.
KEY_TRAINING = "edge_lstm.training"

# JSON; absent in an fp32 file.
KEY_QUANTIZATION = "edge_lstm.quantization"

# JSON, see RiskCoverage.to_dict; absent if the model has no curve.
KEY_ABSTENTION = "edge_lstm.abstention"

# JSON: {"thresholds": [...]}, for each label the least probability of a text that has it; absent if
# a text has one label.
KEY_MULTI_LABEL = "edge_lstm.multi_label"

# JSON object: {"type": "score"}, or {"type": "yes_no", "yes": LABEL}, see Question.to_dict; absent
# if the question is a choice, or a text may have several labels.
KEY_QUESTION = "edge_lstm.question"

# JSON object, see Fields.to_dict; absent if the model reads a text.
KEY_FIELDS = "edge_lstm.fields"

# JSON list of {text, ids, probabilities}; some have "example": true.
KEY_GOLDEN = "edge_lstm.golden"

# The last entry: its value ends the file, see above.
KEY_DIGEST = "edge_lstm.digest"

# The most JSON in each entry: many times as much as the export writes. A label has a count, scores
# on two parts of the data, and an answer in each golden row.
_ROOM = {
    KEY_TOKENIZER: Room(2**16),
    KEY_LABELS: Room(8 * 2**20),
    KEY_NETWORK: Room(2**16),
    KEY_TRAINING: Room(2**20, each=(512, 14, 12)),
    KEY_QUANTIZATION: Room(2**16),
    KEY_ABSTENTION: Room(2**16),
    KEY_MULTI_LABEL: Room(2**16, each=(32, 1, 0)),
    KEY_QUESTION: Room(2**10),
    KEY_FIELDS: Room(2**20),
    KEY_GOLDEN: Room(2**20),
}

# Digits of a SHA-256 in hexadecimal.
DIGEST_DIGITS = 64

# The digest's entry up to its value: field 14, of 84 bytes. It holds field 1 (the key, 16 bytes)
# and field 2 (the value, 64 bytes).
_DIGEST_ENTRY = b"\x72\x54\x0a\x10" + KEY_DIGEST.encode() + b"\x12\x40"
_FORMAT = re.compile("[1-9][0-9]{0,8}")

# Far above any model of this kind: a larger file is refused before it is read.
MAX_FILE_BYTES = 512 * 2**20


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """An opened and checked model file.

    path: the file, for errors; its bytes are in ``data``.
    data: the file's bytes, as ONNX Runtime takes them.
    onnx: the file's outermost message.
    graph: its graph.
    tokenizer: the text rule with its vocabulary.
    labels: in the order of the output's columns.
    network: the architecture.
    training: facts about the training; may be empty.
    quantization: facts about the quantization; None for fp32.
    golden: texts with the answers that they had when the file was made.
    abstention: the risk–coverage curve; None if the file has none.
    thresholds: of a model that gives several labels per text, one for each label: the least
        probability of a text that has it, above 0 to 1. None: each text has one label, the most
        probable.
    question: its type.
    fields: of a model that reads rows; None if it reads texts.
    """

    path: Path
    data: bytes
    onnx: onnx_file.OnnxFile
    graph: onnx_file.Graph
    tokenizer: Tokenizer
    labels: tuple[str, ...]
    network: NetworkConfig
    training: dict[str, Any]
    quantization: dict[str, Any] | None
    golden: tuple[model_checks.GoldenRow, ...]
    abstention: RiskCoverage | None = None
    thresholds: tuple[float, ...] | None = None
    question: Question = ANY_CHOICE
    fields: Fields | None = None

    def as_text(self, row: Any) -> str:
        """Return what the text rule reads of a text, or of a row if the model has fields.

        Raises DataError, see :meth:`Fields.read`.
        """
        if self.fields is not None:
            return self.fields.read(row)
        return str(row)

    @property
    def is_score(self) -> bool:
        """Whether its answer is a number on a scale."""
        return self.question.type == SCORE

    @property
    def name(self) -> str:
        """Its name for people: the path, or words for the model in the package."""
        return "the embedded sentiment model" if self.path == embedded_model() else str(self.path)

    @property
    def padding_line(self) -> str:
        """The cost of padding in words; empty if the network reads none."""
        starts = self.graph.constants.get("lstm0_h")
        rows = 0 if starts is None else starts.shape[1]
        more = sentinels(self.quantization is not None)
        return padding_in_words(self.network, self.tokenizer.length, rows, more)

    @property
    def precision(self) -> str:
        """``fp32`` or ``int8``."""
        return "fp32" if self.quantization is None else "int8"

    @property
    def warnings(self) -> list[str]:
        """The warnings of the training about its data and result."""
        warnings = self.training.get("warnings")
        if not isinstance(warnings, list):
            return []
        return [each for each in warnings if isinstance(each, str)]

    @property
    def examples(self) -> tuple[str, ...]:
        """The texts that a person put into the file to be shown; none by default."""
        return tuple(row.text for row in self.golden if row.example)

    def sha256(self) -> str:
        """Return the digest of the whole file, by which a result names its model."""
        return hashlib.sha256(self.data).hexdigest()

    def facts(self) -> dict[str, Any]:
        """Return the facts that identify the file in a result: path, digest, bytes, precision."""
        return {
            "path": str(self.path),
            "sha256": self.sha256(),
            "bytes": len(self.data),
            "precision": self.precision,
        }


# Stands for the path of the embedded model.
EMBEDDED = "sentiment"


def embedded_model() -> Path:
    """Return the path of the model that is installed with the package."""
    return Path(__file__).parents[1] / "models" / "sentiment.int8.onnx"


def short_names(paths: Sequence[Path]) -> list[str]:
    """Return names that tell model files apart: the last parts of each path, as few as that takes.

    paths: at least one.
    """
    names: list[str] = []
    # Depths up to the longest path, and at least 1: "." has no parts.
    for depth in range(1, max(len(path.parts) for path in paths) + 2):
        names = [Path(*path.parts[-depth:]).as_posix() for path in paths]
        if len(set(names)) == len(names):
            break
    return names


def read_file(path: Path) -> bytes:
    """Read a model file's bytes, or the first byte of another file.

    Raises DataError if it cannot be read, NotAModelFileError if it is too large.
    """
    try:
        with open_regular(path) as file:
            # Every ONNX file begins with its IR version, field 1. Another file may be very large.
            if file.peek(1)[:1] != b"\x08":
                return file.read(1)
            size = os.fstat(file.fileno()).st_size
            if size > MAX_FILE_BYTES:
                raise NotAModelFileError(
                    f"{path} is too large; give a file made by 'edge-lstm export'"
                )
            return file.read(size)
    except FileNotFoundError:
        raise DataError(f"no model file at {path}; make one with 'edge-lstm export'") from None
    except OSError as error:
        raise read_error(path, error) from None


def model_path(given: Path | str) -> Path:
    """Return the path of a model file. EMBEDDED stands for the embedded model if no file has it."""
    path = Path(given)
    return embedded_model() if str(given) == EMBEDDED and not path.exists() else path


def open_model(path: Path | str | None = None) -> ModelFile:
    """Open and check a model file.

    path: see model_path; None for the embedded model.

    Raises DataError if the file cannot be read; else as :func:`parse_model`.
    """
    path = embedded_model() if path is None else model_path(path)
    return parse_model(read_file(path), path)


def parse_model(data: bytes, path: Path) -> ModelFile:
    """Make a :class:`ModelFile` of a file's bytes.

    path: the file's name in errors.

    Raises NotAModelFileError, DamagedModelFileError or NewerFormatError if the file is unusable.
    """
    onnx = _parse_whole(data, path)
    try:
        graph = onnx_file.parse_graph(onnx.graph)
        _check_input(graph, path)
        model_checks.check_graph(onnx, graph)
        model = _read_metadata(data, path, onnx, graph)
        model_checks.check_fit(
            graph,
            model.tokenizer,
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
    """Parse a model file's outermost message, and check its format and digest."""
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
            f"{path} is not an ONNX file; give a file that 'edge-lstm export' wrote"
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
    data: bytes, path: Path, onnx: onnx_file.OnnxFile, graph: onnx_file.Graph
) -> ModelFile:
    """Check the metadata, and make a model file of them.

    Raises ValueError, KeyError or TypeError if something does not fit.
    """
    metadata = onnx.metadata
    labels_json = metadata[KEY_LABELS]
    _ROOM[KEY_LABELS].check("list of labels", labels_json)
    labels = model_checks.labels_from(model_checks.load_json(labels_json))
    values: dict[str, Any] = {}
    for key, room in _ROOM.items():
        if key in metadata and key != KEY_LABELS:
            room.check(key.removeprefix("edge_lstm."), metadata[key], labels_json, len(labels))
            values[key] = model_checks.load_json(metadata[key])
    tokenizer = model_checks.tokenizer_from(values[KEY_TOKENIZER], metadata[KEY_VOCABULARY])
    if graph.inputs[0].shape[1] != tokenizer.length:
        raise ValueError("the length of its input differs from that of its text rule")
    network = NetworkConfig.from_dict(values[KEY_NETWORK])
    training = values.get(KEY_TRAINING, {})
    thresholds = None
    if KEY_MULTI_LABEL in values:
        thresholds = model_checks.thresholds_from(values[KEY_MULTI_LABEL], labels)
    question = Question.from_dict(values.get(KEY_QUESTION, {"type": CHOICE}), labels)
    if thresholds is not None and question.type != CHOICE:
        raise ValueError("its question allows one answer, but its texts have several labels")
    model_checks.check_metadata(
        tokenizer,
        labels,
        network,
        training,
        values.get(KEY_QUANTIZATION, {}),
        multi_label=thresholds is not None,
    )
    golden = model_checks.golden_from(values.get(KEY_GOLDEN, []), labels, tokenizer)
    fields = None
    if KEY_FIELDS in values:
        fields = Fields.from_dict(values[KEY_FIELDS])
        if tokenizer.rule.keeps != "last" or fields.width >= tokenizer.length:
            raise ValueError("its text rule keeps too few ids for its fields")
    curve = None
    if KEY_ABSTENTION in values:
        curve = RiskCoverage.from_dict(values[KEY_ABSTENTION])
    return ModelFile(
        path=path,
        data=data,
        onnx=onnx,
        graph=graph,
        tokenizer=tokenizer,
        labels=labels,
        network=network,
        training=training,
        quantization=values.get(KEY_QUANTIZATION),
        golden=golden,
        abstention=curve,
        thresholds=thresholds,
        question=question,
        fields=fields,
    )


def seal(data: bytes) -> bytes:
    """Return a model file's bytes with their digest at the end. data: all before its entry."""
    data += _DIGEST_ENTRY
    return data + _digest(data)


def _digest(data: bytes | memoryview) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()


def _check_format(version: str, path: Path) -> None:
    """Check that this version reads the file's format, and raise ModelFileError if not."""
    if not _FORMAT.fullmatch(version):
        raise DamagedModelFileError(
            f"{path}: format version {version[:20]!r} is not numeric; export it again"
        )
    if int(version) > FORMAT_VERSION:
        raise NewerFormatError(
            f"{path} has format version {version}, this edge-lstm reads version {FORMAT_VERSION}; "
            "upgrade edge-lstm, or export the model again with this version"
        )


def _check_input(graph: onnx_file.Graph, path: Path) -> None:
    """Check that the input is input_ids int32 [batch, length], of a free batch."""
    inputs = graph.inputs
    kinds = [(v.name, v.dtype, *map(type, v.shape)) for v in inputs]
    if kinds != [(INPUT_NAME, "int32", str, int)]:
        described = ", ".join(f"{v.name} {v.dtype} {list(v.shape)}" for v in inputs) or "nothing"
        raise NotAModelFileError(
            f"{path} has the wrong input ({described[:200]}); a model file has {INPUT_NAME} int32 "
            "[batch, length]: make one with 'edge-lstm export'"
        )
