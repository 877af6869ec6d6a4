"""A pretrained transformer that reads texts: an encoder.

It is a folder in the form of the Hugging Face hub, or a name on the hub.

Weights are read from safetensors only, code that comes with a model is never run, and only a name
on the hub opens a connection.
"""

from __future__ import annotations

import logging
import math
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edge_lstm.core.fields import without_fields
from edge_lstm.errors import DataError
from edge_lstm.extras import needs
from edge_lstm.printable import counted
from edge_lstm.system.machine import available_cores
from edge_lstm_export.arrays import Floats, Ints
from edge_lstm_export.network import threads
from edge_lstm_export.train.teachers.base import Say

# owner/name, or a name from the days before owners.
_HUB_NAME = re.compile(r"\w[\w.-]{0,95}(/\w[\w.-]{0,95})?", re.ASCII)
_FOLDER = "a folder with config.json, tokenizer.json and model.safetensors"
_BATCH = 32  # windows of full length that are read at once
_WIDE = 256  # hidden states from which one product keeps several cores busy


class Transformer(nn.Module):
    """Outputs of word pieces: float32 [B, width].

    They are the mean of its last layer over the text, as Sentence-BERT has it (Reimers & Gurevych,
    2019).
    """

    def __init__(self, body: Any, tokenizer: Any) -> None:
        super().__init__()
        self.body = body
        self.tokenizer = tokenizer
        self.width: int = body.config.hidden_size
        plain = tokenizer("a", add_special_tokens=False)["input_ids"]
        framed = tokenizer("a")["input_ids"]
        starts = (i for i in range(len(framed)) if framed[i : i + len(plain)] == plain)
        start = next(starts)
        # Special pieces before and after a text.
        self.frame = framed[:start], framed[start + len(plain) :]
        positions = getattr(body.config, "max_position_embeddings", None) or 1_000_000
        # Two are lost where positions count from the padding's id, as RoBERTa's do.
        self.most_pieces = max(1, positions - 2 - len(framed) + len(plain))

    def forward(self, pieces: Tensor, mask: Tensor) -> Tensor:
        """pieces, mask: int64 [B, T] → float32 [B, width]."""
        output = self.body(input_ids=pieces, attention_mask=mask)
        weight = mask.unsqueeze(2).float()
        total: Tensor = (output.last_hidden_state.float() * weight).sum(dim=1)
        return total / weight.sum(dim=1).clamp_min(1)

    @property
    def word_table(self) -> Tensor | None:
        """Embeddings of its word pieces, float32 [pieces, hidden]; None if it reads characters."""
        try:
            weight: Tensor = self.body.get_input_embeddings().weight
        except (NotImplementedError, AttributeError):
            return None
        return weight

    def tokenize(self, texts: Sequence[str]) -> list[Ints]:
        """Return the word pieces of each text, without special ones: int64 [pieces]."""
        plain = [without_fields(text).replace("<br />", " ") for text in texts]
        if not plain:
            return []
        read = self.tokenizer(plain, add_special_tokens=False, verbose=False)
        return [np.array(row, np.int64) for row in read["input_ids"]]

    def batch(self, rows: Sequence[Ints]) -> tuple[Tensor, Tensor]:
        """Pieces and mask, int64 [B, T]: with the special pieces, padded on the right."""
        before, after = self.frame
        framed = [torch.tensor([*before, *ids.tolist(), *after]) for ids in rows]
        mask = [torch.ones_like(ids) for ids in framed]
        pad = partial(nn.utils.rnn.pad_sequence, batch_first=True)
        return pad(framed, padding_value=self.tokenizer.pad_token_id or 0), pad(mask)


def outputs_of(model: Transformer, texts: Sequence[str], say: Say) -> Floats:
    """Return the model's outputs, float32 [n, width]; the mean for a text of several windows."""
    model.eval()
    size = min(254, model.most_pieces)  # 256 with the marks of a beginning and an end
    windows: list[tuple[int, Ints]] = []
    for row, ids in enumerate(model.tokenize(texts)):
        windows += [(row, part) for part in _windows(ids, size)]
    windows.sort(key=lambda window: len(window[1]))
    total = np.zeros((len(texts), model.width), np.float32)
    counts = np.bincount([row for row, _ in windows], minlength=len(texts))[:, None]
    work = np.cumsum([0, *(len(part) + 2 for _, part in windows)])
    start = 0
    done = progress(f"encoding {counted(len(texts), 'text')}", say)
    with torch.inference_mode(), enough_threads(model):
        while start < len(windows):
            # As many short ones at once as there is room for in a batch of long ones.
            last = min(start + _BATCH, len(windows)) - 1
            length = max(8, len(windows[last][1]))
            batch_size = _BATCH * max(1, min(8, size // (2 * length)))
            rows, parts = zip(*windows[start : start + batch_size])
            np.add.at(total, list(rows), model(*model.batch(parts)).numpy())
            start += len(rows)
            done(float(work[start] / work[-1]))
    return np.asarray(total / counts, np.float32)


def _windows(ids: Ints, size: int) -> list[Ints]:
    """Return the windows of a text, at most three, spread over it evenly. size: word pieces."""
    count = max(1, min(3, math.ceil(len(ids) / size)))
    starts = np.linspace(0, max(0, len(ids) - size), count).astype(int)
    return [ids[start : start + size] for start in starts]


def enough_threads(model: Transformer) -> AbstractContextManager[None]:
    """Use every core for a wide transformer, whose products are large enough."""
    cores = available_cores() if model.body.config.hidden_size >= _WIDE else 1
    return threads(max(torch.get_num_threads(), cores))


def progress(what: str, say: Say) -> Callable[[float], None]:
    """Return a function that is called with the done share of a long task, above 0 to 1.

    Every half minute it says how long the rest will take.
    """
    begin = last = time.monotonic()

    def at(share: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last > 30:
            left = (now - begin) * (1 - share) / share
            last = now
            say(f"teacher: {what}, {share:.0%} done, about {left / 60:.1f} min left")

    return at


# --- Where it comes from --------------------------------------------------------------------------


def check_encoder(source: str) -> None:
    """Look for an encoder, so that an hour of training does not begin without a model.

    No weights are read. Raise DataError for a missing one, MissingPackageError without
    transformers.
    """
    path = Path(source)
    if not path.is_dir() and (path.exists() or not _HUB_NAME.fullmatch(source)):
        raise DataError(
            f"no teacher {source!r}: it is neither a folder nor a name on the hub; give {_FOLDER}"
        )
    with needs("transformers", "a transformer as teacher"):
        import transformers
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)  # it counts its retries aloud
    # Of a model without safetensors, transformers would ask a service to convert it.
    os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")
    with _errors_of(source):
        transformers.AutoConfig.from_pretrained(source, **_options(source))
    if path.is_dir():
        _check_folder(path)


def load_transformer(source: str) -> Transformer:
    """Raise DataError if it cannot be read, MissingPackageError without transformers."""
    check_encoder(source)
    import transformers

    options = _options(source)
    with _errors_of(source):
        tokenizer = transformers.AutoTokenizer.from_pretrained(source, use_fast=True, **options)
        body = transformers.AutoModel.from_pretrained(source, use_safetensors=True, **options)
    return Transformer(body, tokenizer)


def _check_folder(folder: Path) -> None:
    if not any(folder.glob("*.safetensors")):
        unsafe = [path.name for path in folder.iterdir() if path.suffix in (".bin", ".pt", ".h5")]
        weights = f"weights in {unsafe[0]}, which can hold code" if unsafe else "no weights"
        raise DataError(f"{folder} has {weights}; give {_FOLDER} (save_pretrained writes them)")
    if not (folder / "tokenizer.json").is_file() and not any(folder.glob("vocab*")):
        raise DataError(f"{folder} has no tokenizer; save the model's tokenizer there too")


def _options(source: str) -> dict[str, bool]:
    return {"trust_remote_code": False, "local_files_only": Path(source).is_dir()}


@contextmanager
def _errors_of(source: str) -> Iterator[None]:
    """Whatever transformers raises, as a DataError of one line."""
    try:
        yield
    except Exception as error:
        if not Path(source).is_dir():
            reason = "no such folder, and not on the Hugging Face hub"
            raise DataError(f"no teacher {source!r}: {reason}; give {_FOLDER}") from None
        reason = " ".join(str(error).split())[:160]
        raise DataError(f"cannot use the teacher in {source} ({reason}); give {_FOLDER}") from None
