"""What a transformer says of texts: its cost said beforehand, its answers kept while they are made."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from scipy.special import softmax

from edge_lstm.atomic import write_atomically
from edge_lstm_export.teacher.fine_tuning import (
    SAY_EVERY,
    STATE,
    Say,
    fine_tune,
    learn_above,
    load_weights,
    minutes,
    save_weights,
)
from edge_lstm_export.teacher.hub import load_encoder
from edge_lstm_export.teacher.labels import Floats, Ints
from edge_lstm_export.teacher.transformer import (
    LABELLING_BATCH,
    Transformer,
    TransformerOptions,
    framed,
    logits_of,
    pieces_of,
    precision,
    threads,
)

_CHUNK = 2_000  # texts between two states that are kept


@dataclass(frozen=True)
class Taught:
    """A transformer that has learnt. partial: where its answers are kept while they are made; key: of what
    made it."""

    model: Transformer
    options: TransformerOptions
    partial: Path
    key: str

    def reads_whole(self, texts: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Which texts are not longer than the spans that it learnt from: bool [n]."""
        return np.array([len(ids) <= self.options.span for ids in pieces_of(self.model, texts)], bool)

    def probabilities(self, texts: Sequence[str], what: str, say: Say) -> Floats:
        """float32 [n, L]. An interrupted call goes on where it was; the answers stay until
        :func:`forget_answers`."""
        key = hashlib.sha256(json.dumps([self.key, self.options.to_dict(), list(texts)]).encode()).hexdigest()
        logits = np.zeros((len(texts), self.model.labels), np.float32)
        state = self.partial.with_name(f"{self.partial.name.removesuffix('.partial')}.{key[:8]}.partial")
        done = kept_answers(state, key, logits)
        first, begin, said = done, time.monotonic(), time.monotonic()
        while done < len(texts):
            part = texts[done : done + _CHUNK]
            logits[done : done + len(part)] = logits_of(self.model, part, self.options)
            done += len(part)
            now = time.monotonic()
            if now - said > SAY_EVERY or (done == len(texts) and first == 0):
                left = (now - begin) / (done - first) * (len(texts) - done)
                say(f"teacher: {done:,} of {len(texts):,} {what} labelled, {minutes(left)} left")
                said = now
            write_atomically(save({"logits": logits[:done]}, {STATE: key}), state, parents=True)
        return np.asarray(softmax(logits, axis=1), np.float32)


def taught(
    source: str,
    texts: Sequence[str],
    labels: Ints,
    count: int,
    options: TransformerOptions,
    *,
    kept: Path,
    key: str,
    then: Sequence[str],
    say: Say,
) -> Taught:
    """The encoder of ``source``, fine-tuned on texts with labels (int64 [n], below ``count``).

    kept: the file that keeps its weights, with ``key``; beside it (.partial) what is unfinished. then: what
    it is to label next, so that the time of all of it is said beforehand.
    Raises DataError, MissingPackageError and OutputError.
    """
    partial = kept.with_name(f"{kept.name}.partial")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        model = load_encoder(source, count)
        learn_above(model, options.layers)
        ready = load_weights(model, kept, key)
        say_cost(model, () if ready else texts, then, options, say)
        if ready:
            say(f"teacher: fine-tuned before, in {kept}")
        else:
            say(f"teacher: fine-tuning {source} on {len(texts):,} texts")
            with threads(model):
                fine_tune(model, texts, labels, options, state=partial, key=key, say=say)
            save_weights(model, kept, key)
            partial.unlink(missing_ok=True)
    return Taught(model, options, partial, key)


def say_cost(
    model: Transformer,
    learning: Sequence[str],
    labelling: Sequence[str],
    options: TransformerOptions,
    say: Say,
    *,
    times: float | None = None,
    models: int = 1,
) -> None:
    """Says what fine-tuning on some texts and then labelling others will take on this machine, by a few of
    them that are read now. times: how often each is learnt from, in batches of one length; without it, as
    :func:`fine_tune` does. models: that learn, each from its part of them."""
    rng = np.random.default_rng(options.seed)

    def drawn(texts: Sequence[str], most: int) -> list[Ints]:
        rows = rng.choice(len(texts), min(most, len(texts)), replace=False)
        return pieces_of(model, [texts[row] for row in rows])

    def pieces_each(texts: Sequence[str], most: int) -> float:
        return float(np.mean([min(len(ids), most) for ids in drawn(texts, 200)] or [0]))

    def seconds_each(texts: Sequence[str], count: int, most: int, backward: bool) -> float:
        """Of a piece, the padding with them: the fastest of some, since other work may run; the first one is
        slower than all later ones."""
        few = [ids[:most] for ids in drawn(texts, count)]
        if not few:
            return 0.0
        pieces, mask = framed(model, few)
        fastest = math.inf
        for _ in range(2 if backward else 4):
            begin = time.monotonic()
            with precision(), torch.set_grad_enabled(backward):
                logits = model(pieces, mask)
            if backward:
                logits.float().sum().backward()
                model.zero_grad(set_to_none=True)
            fastest = min(fastest, time.monotonic() - begin)
        return fastest / pieces.numel()

    learns = pieces_each(learning, options.crop)
    reads = pieces_each(labelling, options.window * options.windows)
    with threads(model):
        both = seconds_each(learning, options.batch, options.crop, True)
        forward = seconds_each(labelling, LABELLING_BATCH, options.window, False)
    if times is None:
        # As spans and as parts of texts: at most twice as many pieces.
        passes = max(options.passes, options.fewest_steps * options.batch / (2 * max(1, len(learning))))
        if options.most_steps is not None:  # a step is of half as many texts where they are not spans
            passes = min(passes, options.most_steps * options.batch / (1.5 * max(1, len(learning))))
        times = 1.5 * passes
    seconds = learns * len(learning) * times * both + reads * len(labelling) * forward
    if seconds > SAY_EVERY:
        several = f"{models} times, " if models > 1 else ""
        learnt = f"fine-tuning {several}on {len(learning) // models:,} texts and " if learning else ""
        say(f"teacher: {learnt}labelling {len(labelling):,} takes about {minutes(seconds)} on this machine")


def kept_answers(path: Path, key: str, logits: Floats) -> int:
    """Reads the answers that are kept into ``logits``; how many there are."""
    try:
        with safe_open(path, framework="np") as file:
            if (file.metadata() or {}).get(STATE) != key:
                return 0
            kept = file.get_tensor("logits")
    except (SafetensorError, OSError, KeyError):
        return 0
    if kept.dtype != np.float32 or kept.shape[1:] != logits.shape[1:] or len(kept) > len(logits):
        return 0
    logits[: len(kept)] = kept
    return len(kept)


def forget_answers(weights: Path) -> None:
    """Removes what interrupted calls would have gone on from, beside the fine-tuned ``weights``."""
    if weights.parent.is_dir():
        for path in list(weights.parent.iterdir()):
            if path.name.startswith(f"{weights.name}.") and path.name.endswith(".partial"):
                path.unlink(missing_ok=True)
