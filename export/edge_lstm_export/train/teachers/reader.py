"""The outputs of a transformer for texts: each text read once, and kept on disk while a training is
unfinished, where reading it again would be slow."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from edge_lstm.atomic import write_atomically
from edge_lstm_export.train.data import Floats
from edge_lstm_export.train.teachers.base import Say
from edge_lstm_export.train.teachers.transformer import Transformer, read_texts

_SAY_EVERY = 30.0  # seconds
# To be raised with every change that may give a text another output.
_VERSION = 1


class TextReader:
    """load: gives the transformer, called only if a text must be read. cache: beside this path outputs stay
    on disk under ``key``, which names what made the transformer, until :func:`forget`."""

    def __init__(
        self, load: Callable[[], Transformer], say: Say, *, cache: Path | None = None, key: str = ""
    ) -> None:
        self._load, self._say, self._cache, self._key = lru_cache(load), say, cache, key
        self._memo: dict[str, Floats] = {}

    def outputs(self, texts: Sequence[str]) -> Floats:
        """float32 [n, width], see transformer.read_texts. Raises OutputError."""
        if new := [text for text in dict.fromkeys(texts) if text not in self._memo]:
            self._memo.update(zip(new, self._outputs(new)))
        if not texts:
            return np.zeros((0, self._load().width), np.float32)
        return np.stack([self._memo[text] for text in texts])

    def _outputs(self, texts: list[str]) -> Floats:
        key = hashlib.sha256(json.dumps([_VERSION, self._key, texts]).encode()).hexdigest()
        path = self._cache and self._cache.with_name(f"{self._cache.name}.{key[:12]}.partial")
        outputs = _stored(path, key) if path else None
        if outputs is None:
            outputs = read_texts(self._load(), texts, Progress(f"reading {len(texts):,} texts", self._say).at)
            if path:
                write_atomically(save({"outputs": outputs}, {"key": key}), path, parents=True)
        return outputs


def _stored(path: Path, key: str) -> Floats | None:
    """The outputs in a file; None where it holds others, or nothing that can be read."""
    try:
        with safe_open(path, framework="np") as file:
            outputs: Floats = file.get_tensor("outputs")
            return outputs if (file.metadata() or {}).get("key") == key else None
    except (SafetensorError, OSError):
        return None


def forget(cache: Path) -> None:
    """Remove what any :class:`TextReader` left beside ``cache``."""
    for path in list(cache.parent.glob("*.partial")):
        if path.name.startswith(f"{cache.name}."):
            path.unlink(missing_ok=True)


class Progress:
    """Tells every half minute how much of a long task is done, and how long the rest will take."""

    def __init__(self, what: str, say: Say) -> None:
        self.what, self.say = what, say
        self.begin = self.last = time.monotonic()

    def at(self, share: float) -> None:
        """Called after each batch. share: of the work that is done, above 0 to 1."""
        now = time.monotonic()
        if now - self.last > _SAY_EVERY:
            left, self.last = (now - self.begin) * (1 - share) / share, now
            self.say(f"teacher: {self.what}, {share:.0%} done, about {left / 60:.1f} min left")
