"""Training options, and the presets: a network's shape with the options that train it well."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from edge_lstm.errors import DataError
from edge_lstm_export.network import NetworkConfig

NO_TEACHER = "none"


@dataclass(frozen=True)
class TrainingOptions:
    """What decides a training, beside the data and the network's shape.

    epochs: at most so many passes; patience: stop after so many without a better validation loss.
    learning_rate: the peak; it rises over the first ``warmup`` share of the steps and falls to zero
        along a cosine.
    weight_decay: AdamW's, on matrices, not on biases.
    clip: largest norm of the gradient.
    adversarial: moves every embedded text by this share of its own norm in the direction that raises
        its loss most, and trains on both (Miyato et al., 2017); 0 = off. Doubles the time of a step.
    bfloat16: run the LSTM in bfloat16 in training where the CPU has such products.
    word_vectors: start the embedding from the words' neighbours in all texts (see word_vectors.py).
    embedding_rate: the embedding's learning rate, as a share of the others': below 1 it keeps more of its
        first values.
    word_dropout: share of a text's ids that are read as unknown in a training step.
    crops: share of a step's texts of which only a random part is read (see examples.cropped).
    """

    epochs: int = 6
    batch_size: int = 32
    learning_rate: float = 2e-3
    warmup: float = 0.05
    weight_decay: float = 0.01
    clip: float = 1.0
    patience: int = 3
    adversarial: float = 0.0
    bfloat16: bool = False
    word_vectors: bool = False
    embedding_rate: float = 1.0
    word_dropout: float = 0.0
    crops: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience"):
            if getattr(self, name) < 1:
                raise DataError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("learning_rate", "embedding_rate", "clip"):
            if not 0 < getattr(self, name) < math.inf:
                raise DataError(f"{name} must be above 0, not {getattr(self, name)}")
        for name in ("weight_decay", "adversarial"):
            if not 0 <= getattr(self, name) < math.inf:
                raise DataError(f"{name} must be at least 0, not {getattr(self, name)}")
        for name in ("warmup", "word_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise DataError(f"{name} must be at least 0 and below 1, not {getattr(self, name)}")
        if not 0 <= self.crops <= 1:
            raise DataError(f"crops must be from 0 to 1, not {self.crops}")
        if not 0 <= self.seed < 2**63:
            raise DataError(f"seed must be at least 0 and below 2**63, not {self.seed}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Preset:
    """A network's shape and what trains it; ``labels`` and the words that there are follow the data.

    vocabulary: by the names of fit.VocabularyOptions. teacher, own_labels: see
    distillation.Distillation.
    """

    summary: str
    network: NetworkConfig
    options: TrainingOptions = field(default_factory=TrainingOptions)
    vocabulary: Mapping[str, Any] = field(default_factory=dict)
    teacher: str = NO_TEACHER
    own_labels: float = 1.0


# A training of fewer steps than this has not seen enough, whatever the number of passes.
_FEWEST_STEPS = 500
_MOST_EPOCHS = 40


def fitted_to_size(options: TrainingOptions, texts: int) -> TrainingOptions:
    """The options for so many training texts: with few, smaller batches (20 or more an epoch, each of at
    least 8 texts), more passes, and more patience, since their validation loss is noisy.
    """
    batch_size = options.batch_size
    while batch_size > 8 and texts < 20 * batch_size:
        batch_size //= 2
    steps = math.ceil(texts / batch_size)
    epochs = min(
        max(options.epochs, math.ceil(_FEWEST_STEPS / max(1, steps))), max(options.epochs, _MOST_EPOCHS)
    )
    patience = max(options.patience, epochs // 4)
    return replace(options, batch_size=batch_size, epochs=epochs, patience=patience)


def _distilled(summary: str, network: NetworkConfig, epochs: int, words: str = "frequent") -> Preset:
    """A preset whose widths suit SIMD: with the two sentinels of the int8 file, embedding and LSTM are
    multiples of 16. Telling words are read without what stands between them.
    """
    return Preset(
        summary,
        replace(network, pooling="mean+max", dropout=0.3),
        TrainingOptions(
            epochs=epochs,
            batch_size=32,
            learning_rate=4e-3,
            bfloat16=True,
            word_vectors=True,
            embedding_rate=0.25,
            word_dropout=0.1,
            crops=0.7,
        ),
        {"choice": words, "drop_unknown": words == "telling"},
        teacher="nb-svm",
    )


PRESETS: Mapping[str, Preset] = {
    "seed": Preset(
        "Keras's IMDB example: embedding 32, LSTM 100, last state (213,333 parameters)",
        NetworkConfig(num_words=5000, embedding_dim=32, hidden=100, dropout=0.3),
        TrainingOptions(epochs=6, batch_size=64, learning_rate=4e-3),
    ),
    "tiny": _distilled(
        "embedding 14, LSTM 30, telling words only, 24,000 word pairs: under 100 kB",
        NetworkConfig(num_words=2400, embedding_dim=14, hidden=30, pair_buckets=24_000),
        epochs=12,
        words="telling",
    ),
    "small": _distilled(
        "embedding 30, LSTM 62, 100,000 word pairs: under 300 kB",
        NetworkConfig(num_words=4000, embedding_dim=30, hidden=62, pair_buckets=100_000),
        epochs=8,
    ),
    "medium": _distilled(
        "embedding 62, LSTM 126, 130,000 word pairs: some 600 kB",
        NetworkConfig(num_words=5000, embedding_dim=62, hidden=126, pair_buckets=130_000),
        epochs=6,
    ),
    "base": _distilled(
        "embedding 62, LSTM 94 in both directions, 250,000 word pairs: under 1 MB",
        NetworkConfig(num_words=8000, embedding_dim=62, hidden=94, bidirectional=True, pair_buckets=250_000),
        epochs=5,
    ),
}


def preset(name: str) -> Preset:
    """A preset by name. DataError, with the names there are, where it is unknown."""
    try:
        return PRESETS[name]
    except KeyError:
        raise DataError(f"no preset {name!r}; choose one of {', '.join(PRESETS)}, or auto") from None
