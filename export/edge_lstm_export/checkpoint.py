"""A checkpoint: weights and everything needed to rebuild, in one safetensors file that runs no code and
holds a digest of its bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from edge_lstm.answering import RiskCoverage
from edge_lstm.atomic import write_atomically
from edge_lstm.errors import DataError
from edge_lstm.model_checks import MAX_LENGTH, thresholds_from
from edge_lstm.text import OOV_ID, Tokenizer
from edge_lstm_export.kept import Kept
from edge_lstm_export.network import Network, NetworkConfig
from edge_lstm_export.thresholds import UNTUNED

# 1 to 4 have no digest.
CHECKPOINT_FORMAT = 5
_KEY = "edge_lstm_checkpoint"
# Metadata stand first in a safetensors file, behind the length of its header. They begin with the digest.
_DIGEST = re.compile(
    rb'.{8}\{"__metadata__":\{"edge_lstm_checkpoint":"\{\\"sha256\\": \\"([0-9a-f]{64})\\"', re.DOTALL
)


@dataclass(frozen=True)
class Checkpoint:
    """A trained network with its tokenizer and labels.

    training: how it was made (data, digest, seed, options, versions, metrics), plain values.
    abstention: which answers to leave out so that few are wrong, from the validation part; None without one.
    kept: what it keeps of its training's rows; None of an unfinished one, and of versions before 0.3.
    thresholds: of a network that gives several labels a text, the probability from which on a text has
        each (thresholds.UNTUNED where they are not chosen yet); None elsewhere.
    state: tensors beside the weights that a resumed training needs (optimizer moments, random state);
        empty in a finished checkpoint.
    """

    network: Network
    tokenizer: Tokenizer
    labels: tuple[str, ...]
    training: dict[str, Any]
    state: Mapping[str, torch.Tensor] = field(default_factory=dict)
    abstention: RiskCoverage | None = None
    kept: Kept | None = None
    thresholds: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.network.config.several and self.thresholds is None:
            object.__setattr__(self, "thresholds", (UNTUNED,) * self.network.config.labels)


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Writes a checkpoint; it appears under its name only when complete."""
    tensors = {
        f"network.{name}": value.contiguous() for name, value in checkpoint.network.state_dict().items()
    }
    tensors |= {f"state.{name}": value.contiguous() for name, value in checkpoint.state.items()}
    if checkpoint.kept is not None:
        tensors |= {f"kept.{name}": value for name, value in checkpoint.kept.to_tensors().items()}
    description = {
        "sha256": "0" * 64,
        "format": CHECKPOINT_FORMAT,
        "network": checkpoint.network.config.to_dict(),
        "words": checkpoint.tokenizer.words,
        "length": checkpoint.tokenizer.length,
        "oov_id": checkpoint.tokenizer.oov_id,
        **({} if checkpoint.tokenizer.pieces is None else {"pieces": checkpoint.tokenizer.pieces}),
        **({"letters": checkpoint.tokenizer.letters} if checkpoint.tokenizer.letters else {}),
        "labels": checkpoint.labels,
        **({} if checkpoint.thresholds is None else {"thresholds": checkpoint.thresholds}),
        "training": checkpoint.training,
        **({} if checkpoint.abstention is None else {"abstention": checkpoint.abstention.to_dict()}),
    }
    data = save(tensors, {_KEY: json.dumps(description, ensure_ascii=False)})
    write_atomically(sealed(data), path, parents=True)


def sealed(data: bytes) -> bytes:
    """Return a checkpoint's bytes with the SHA-256 of all others in its place.

    Raises ValueError where they have no place for it.
    """
    place = _DIGEST.match(data)
    if place is None:
        raise ValueError("no digest")
    before, after = data[: place.start(1)], data[place.end(1) :]
    return before + hashlib.sha256(before + after).hexdigest().encode() + after


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint. Raises DataError where the file is missing, damaged or of another kind."""
    if not path.is_file():
        raise DataError(f"no checkpoint at {path}; make one with 'edge-lstm train'")
    try:
        data = path.read_bytes()
        tensors = load(data)
        metadata = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]).get("__metadata__", {})
        if _KEY not in metadata:
            raise DataError(
                f"{path} is a safetensors file of another project; give a checkpoint of 'edge-lstm train'"
            )
        described = json.loads(metadata[_KEY])
        if described["format"] > CHECKPOINT_FORMAT:
            raise DataError(
                f"{path} was written by a newer version; upgrade with: pip install -U 'edge-lstm[train]'"
            )
        if not _DIGEST.match(data) or sealed(data) != data:
            raise DataError(f"{path} is damaged, or of an earlier version; train it again")
        network = _network(described["network"], _with_prefix(tensors, "network."))
        tokenizer = _tokenizer(described, network.config)
        labels, training = described["labels"], described["training"]
        if not isinstance(labels, list) or not isinstance(training, dict):
            raise TypeError("its labels are a list, its training an object")
        curve = described.get("abstention")
        abstention = None if curve is None else RiskCoverage.from_dict(curve)
        kept = Kept.from_tensors(_with_prefix(tensors, "kept."), network.config.labels)
        if kept is not None and kept.ngrams is not None:
            held = 0 if network.ngrams is None else len(network.ngrams.ids)
            if len(kept.ngrams.vectors) != held:
                raise ValueError(f"{len(kept.ngrams.vectors)} kept vectors for {held} n-grams")
        if len(labels) != network.config.labels or len(set(labels)) != len(labels):
            raise ValueError(f"{len(set(labels))} labels for {network.config.labels} answers")
        if not all(type(label) is str for label in labels):
            raise ValueError("its labels are text")
        thresholds = None
        if network.config.several:
            thresholds = thresholds_from({"thresholds": described["thresholds"]}, labels)
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path} is no checkpoint, or cut short ({error}); train it again") from None
    except (KeyError, ValueError, TypeError, RuntimeError, RecursionError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{path}: its description does not fit its weights ({reason}); train it again"
        ) from None
    state = _with_prefix(tensors, "state.")
    return Checkpoint(network.eval(), tokenizer, tuple(labels), training, state, abstention, kept, thresholds)


def _network(described: Mapping[str, Any], weights: Mapping[str, torch.Tensor]) -> Network:
    """The network with its weights. Shapes are compared before memory is taken for what is described."""
    try:
        config = NetworkConfig.from_dict(described)
    except DataError as error:
        raise ValueError(str(error)) from None
    network = Network(config, blank=True)
    for name, value in weights.items():
        wanted = torch.int64 if name == "ngrams.ids" else torch.float32
        if value.dtype != wanted:
            raise ValueError(f"{name} is {value.dtype}, not {wanted}".replace("torch.", ""))
        if not torch.isfinite(value).all():
            raise ValueError(f"{name} holds values that are no numbers")
    network.load_state_dict(weights, assign=True)
    if network.ngrams is not None:
        network.ngrams.check()
    return network


def _tokenizer(described: Mapping[str, Any], config: NetworkConfig) -> Tokenizer:
    words, length, oov_id = described["words"], described["length"], described["oov_id"]
    pieces = described.get("pieces")
    for name, entries in (("words", words), ("pieces", [] if pieces is None else pieces)):
        if not isinstance(entries, list) or not all(
            type(entry) is str and entry and "\n" not in entry for entry in entries
        ):
            raise ValueError(f"its {name} are no list of {name}")
        if len(set(entries)) != len(entries):
            raise ValueError(f"a {name[:-1]} stands twice in its vocabulary")
    if type(length) is not int or not 1 <= length <= MAX_LENGTH:
        raise ValueError(f"a text of {length!r:.40} ids")
    if oov_id is not None and (type(oov_id) is not int or oov_id != OOV_ID):
        raise ValueError(f"{oov_id!r:.40} as the id of unknown words")
    letters = described.get("letters", "")
    if type(letters) is not str or (letters and pieces is None):
        raise ValueError("its letters are not those of a vocabulary with pieces")
    tokenizer = Tokenizer(tuple(words), length, oov_id, None if pieces is None else tuple(pieces), letters)
    if tokenizer.num_ids > config.num_words + 1:
        raise ValueError(f"{len(words):,} words for {config.num_words + 1:,} rows of the embedding")
    return tokenizer


def _with_prefix(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def describe_checkpoint(path: Path) -> dict[str, Any]:
    """What a checkpoint says of itself, with its parameter table, as plain values."""
    checkpoint = load_checkpoint(path)
    return {
        "path": str(path),
        "bytes": path.stat().st_size,
        "labels": list(checkpoint.labels),
        **(
            {"thresholds": dict(zip(checkpoint.labels, checkpoint.thresholds))}
            if checkpoint.thresholds
            else {}
        ),
        "vocabulary": {
            "words": len(checkpoint.tokenizer.words),
            "first": list(checkpoint.tokenizer.words[:10]),
        },
        "length": checkpoint.tokenizer.length,
        "network": checkpoint.network.config.to_dict(),
        "training": checkpoint.training,
        "layers": [
            {"layer": layer, "output_shape": shape, "parameters": count}
            for layer, shape, count in checkpoint.network.parameter_table()
        ],
    }
