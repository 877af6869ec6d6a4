"""An encoder fine-tuned on labelled texts: random parts of long ones, and single spans, so that it can label
both. The way of short texts, which begins with the frozen encoder's answers, is in tuned.py."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from torch import nn
from torch.nn import functional

from edge_lstm.atomic import write_atomically
from edge_lstm.errors import DataError
from edge_lstm_export.spans import WHOLE_SENTENCES, random_spans
from edge_lstm_export.teacher.labels import Ints
from edge_lstm_export.teacher.transformer import (
    Encoder,
    Transformer,
    TransformerOptions,
    framed,
    pieces_of,
    precision,
)

Say = Callable[[str], None]

STATE = "edge_lstm_teacher"  # the key of what made a kept file, in its metadata
_MINILM = 384  # hidden states of the encoder for which the rate was found
_ALIKE = 16  # batches of spans that are parted by length
_KEEP_EVERY = 600.0  # seconds of training that an interruption may cost
SAY_EVERY = 30.0  # seconds


def fine_tune(
    model: Encoder,
    texts: Sequence[str],
    labels: Ints,
    options: TransformerOptions,
    *,
    state: Path | None = None,
    key: str = "",
    say: Say = lambda line: None,
) -> None:
    """Fine-tunes the model in place. labels: int64 [n].

    state: where an unfinished training is kept, with ``key``, and gone on from. The order of texts, the parts
    that are read and dropout are decided by (seed, step): an interrupted training goes on as if it had not
    been.
    """
    whole, spans, of_text = pieces_of(model, texts), *_labelled_spans(texts, options)
    short = pieces_of(model, spans)
    per_pass = math.ceil(len(whole) / options.batch) + math.ceil(len(short) / (2 * options.batch))
    passes = max(options.passes, math.ceil(options.fewest_steps / per_pass))
    steps = min(passes * per_pass, options.most_steps or passes * per_pass)
    learn_above(model, options.layers)
    optimizer = torch.optim.AdamW(groups(model, options.rate, options.head_rate), betas=(0.9, 0.98))
    done = _restore(model, optimizer, state, key) if state else 0
    begin, said, kept = time.monotonic(), time.monotonic(), time.monotonic()
    loss_sum, first = 0.0, done
    model.train()
    try:
        for step, batch in _steps(
            whole, short, labels, labels[of_text], passes, options, model.most_pieces, done
        ):
            if step == steps:
                break
            rising = min(1.0, (step + 1) / max(1, round(options.warmup * steps)))
            share = rising * (1 - step / steps)
            for group in optimizer.param_groups:
                group["lr"] = group["rate"] * share
            torch.manual_seed(options.seed * 1_000_003 + step)
            pieces, mask = framed(model, batch[0])
            with precision():
                logits = model(pieces, mask)
            loss = functional.cross_entropy(logits.float(), torch.from_numpy(batch[1]))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            loss_sum += float(loss.detach())
            done = step + 1
            now = time.monotonic()
            if now - said > SAY_EVERY or done == steps:
                left = (now - begin) / (done - first) * (steps - done)
                say(f"teacher: step {done:,} of {steps:,}, loss {loss_sum / (done - first):.3f}, "
                    f"{minutes(left)} left")  # fmt: skip
                said = now
            if state and now - kept > _KEEP_EVERY:
                _keep_state(model, optimizer, done, state, key)
                kept = now
    except KeyboardInterrupt:
        if state and done > first:
            _keep_state(model, optimizer, done, state, key)
        raise
    model.eval()


def learn_above(model: Encoder, layers: int | None) -> None:
    """Leaves only the encoder's last ``layers`` to learn, and the head; None: all. DataError where it has not
    so many."""
    if layers is None:
        return
    count = getattr(model.encoder.config, "num_hidden_layers", 0)
    stack = next(
        (part for part in model.encoder.modules() if isinstance(part, nn.ModuleList) and len(part) == count),
        None,
    )
    if stack is None or not 1 <= layers <= count:
        raise DataError(f"teacher-layers must be from 1 to the teacher's {count}, not {layers}")
    model.encoder.requires_grad_(False)
    for layer in list(stack)[count - layers :]:
        layer.requires_grad_(True)


def groups(model: Encoder, rate: float, head_rate: float) -> list[dict[str, Any]]:
    """The parameters that learn, for an optimizer. rate: of an encoder as wide as MiniLM."""
    encoder = [p for p in model.encoder.parameters() if p.requires_grad]
    rate *= min(1.0, math.sqrt(_MINILM / model.encoder.config.hidden_size))
    return [
        {"params": [p for p in encoder if p.ndim > 1], "weight_decay": 0.01, "rate": rate},
        {"params": [p for p in encoder if p.ndim == 1], "weight_decay": 0.0, "rate": rate},
        {"params": list(model.head.parameters()), "weight_decay": 0.0, "rate": head_rate},
    ]


def _labelled_spans(texts: Sequence[str], options: TransformerOptions) -> tuple[list[str], Ints]:
    """One span of each text that has several sentences, and the number of its text. No clause: it says too
    seldom what its text says."""
    spans: list[str] = []
    owners: list[int] = []
    for row, text in enumerate(texts):
        for span in random_spans([text], 1, options.seed + row, WHOLE_SENTENCES):
            spans.append(span)
            owners.append(row)
    return spans, np.array(owners, np.int64)


def _steps(
    whole: list[Ints],
    short: list[Ints],
    labels: Ints,
    span_labels: Ints,
    passes: int,
    options: TransformerOptions,
    most: int,
    done: int,
) -> Iterator[tuple[int, tuple[list[Ints], Ints]]]:
    """(step, (pieces, labels)) from step ``done`` on."""
    step = 0
    for number in range(passes):
        rng = np.random.default_rng([options.seed, number, 0x7F])
        batches = [(rows, False) for rows in _cut(rng.permutation(len(whole)), options.batch)]
        lengths = np.array([len(ids) for ids in short], np.int64).clip(max=options.span)
        batches += [(rows, True) for rows in alike(rng.permutation(len(short)), lengths, 2 * options.batch)]
        for i in rng.permutation(len(batches)):
            rows, is_span = batches[i]
            if step >= done:
                crops = np.random.default_rng([options.seed, step, 0xC7])
                if is_span:
                    yield step, ([short[row][: min(options.span, most)] for row in rows], span_labels[rows])
                else:
                    size = min(options.crop, most)
                    yield step, ([crop(whole[row], size, crops) for row in rows], labels[rows])
            step += 1


def _cut(rows: Ints, size: int) -> list[Ints]:
    return [rows[i : i + size] for i in range(0, len(rows), size)]


def alike(rows: Ints, lengths: Ints, size: int) -> list[Ints]:
    """Batches of rows of about one length, for less padding: of as many rows as several batches hold, drawn
    together, the shortest, the next ones, and so on."""
    found: list[Ints] = []
    for several in _cut(rows, _ALIKE * size):
        found += _cut(several[np.argsort(lengths[several], kind="stable")], size)
    return found


def crop(ids: Ints, size: int, rng: np.random.Generator) -> Ints:
    start = int(rng.integers(0, max(1, len(ids) - size + 1)))
    return ids[start : start + size]


def save_weights(model: Transformer, path: Path, key: str) -> None:
    """Keeps a fine-tuned model's weights with the key of what made them."""
    arrays = {name: value.numpy() for name, value in model.state_dict().items()}
    write_atomically(save(arrays, {STATE: key, "step": "all"}), path, parents=True)


def load_weights(model: Transformer, path: Path, key: str) -> bool:
    """Whether ``path`` held the model's weights, fine-tuned as ``key`` says; they are then in it."""
    try:
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get(STATE) != key or file.metadata()["step"] != "all":
                return False
            model.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except (SafetensorError, OSError, RuntimeError, KeyError):
        return False
    model.eval()
    return True


def _keep_state(model: Transformer, optimizer: Any, done: int, path: Path, key: str) -> None:
    arrays = {f"model.{name}": value.numpy() for name, value in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        for moment, value in optimizer.state.get(parameter, {}).items():
            arrays[f"optimizer.{name}.{moment}"] = value.numpy()
    write_atomically(save(arrays, {STATE: key, "step": str(done)}), path, parents=True)


def _restore(model: Transformer, optimizer: Any, path: Path, key: str) -> int:
    """The steps that were done already; 0 where nothing is kept, or something else."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get(STATE) != key or metadata["step"] == "all":
                return 0
            model.load_state_dict({name: file.get_tensor(f"model.{name}") for name in model.state_dict()})
            names = set(file.keys())
            for name, parameter in model.named_parameters():
                moments = ("step", "exp_avg", "exp_avg_sq")
                if f"optimizer.{name}.step" in names:
                    optimizer.state[parameter] = {
                        m: file.get_tensor(f"optimizer.{name}.{m}") for m in moments
                    }
            return int(metadata["step"])
    except (SafetensorError, OSError, RuntimeError, KeyError, ValueError):
        return 0


def minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
