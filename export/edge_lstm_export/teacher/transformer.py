"""A pretrained transformer as teacher: an encoder that is fine-tuned on the training texts, or a classifier
that labels as it is.

Of a text's last layer the mean is taken, and one linear layer makes logits of it (as Sentence-BERT does,
Reimers & Gurevych, 2019). It learns from random parts of long texts and from single spans, so that it can
label both. Weights are read from safetensors only, and code that comes with a model is never run.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from scipy.special import softmax
from torch import Tensor, nn
from torch.nn import functional

from edge_lstm.atomic import write_atomically
from edge_lstm.errors import DataError, EdgeLSTMError
from edge_lstm.extras import needs
from edge_lstm.machine import available_cores
from edge_lstm.printable import shorten
from edge_lstm_export.datasets.dataset import file_digest
from edge_lstm_export.spans import WHOLE_SENTENCES, random_spans
from edge_lstm_export.training import multiplies_bfloat16

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Say = Callable[[str], None]

# To be raised with every change that may give a text another label.
TRANSFORMER_VERSION = 2
LABELLING_BATCH = 32
_CHUNK = 2_000  # texts between two states that are kept
_WIDE = 256  # of hidden states
_MINILM = 384  # hidden states of the encoder for which the rate was found
_ALIKE = 16  # batches of spans that are parted by length
_KEEP_EVERY = 600.0  # seconds of training that an interruption may cost
_SAY_EVERY = 30.0  # seconds


@dataclass(frozen=True)
class TransformerOptions:
    """How an encoder is fine-tuned, and how texts are cut for it.

    crop, span: most word pieces of a random part of a text, and of a span; batch: texts a step, twice as many
    where they are spans. passes: over the training texts, as parts and as spans; more where they are few, so
    that there are ``fewest_steps``, and not more than ``most_steps``. layers: the last ones, which learn;
    those below stay as they were pretrained, which saves time. rate: of an encoder of 384 hidden states, as
    MiniLM has; a wider one learns more slowly, by the root of it. window: word pieces that are read at once
    of a text that is labelled; windows: most of them, spread over the text.
    """

    passes: int = 1
    fewest_steps: int = 300
    most_steps: int | None = None
    layers: int | None = None
    batch: int = 32
    crop: int = 128
    span: int = 64
    rate: float = 6e-5
    head_rate: float = 1e-3
    warmup: float = 0.06
    window: int = 254
    windows: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        if self.most_steps is not None and not 1 <= self.most_steps <= 1_000_000:
            raise DataError(f"teacher-steps must be from 1 to 1,000,000, not {self.most_steps}")
        if self.layers is not None and self.layers < 1:
            raise DataError(f"teacher-layers must be 1 or more, not {self.layers}")
        if not 8 <= self.span <= 512:
            raise DataError(f"teacher-span must be from 8 to 512, not {self.span}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    def of_fine_tuning(self) -> dict[str, Any]:
        """Those that decide the weights, and not how texts are read with them."""
        return {name: value for name, value in asdict(self).items() if name not in ("window", "windows")}


class Transformer(nn.Module):
    """Pieces [B, T] and their mask → logits float32 [B, L]."""

    def __init__(self, encoder: Any, tokenizer: Any, labels: int) -> None:
        super().__init__()
        self.encoder, self.tokenizer, self.labels = encoder, tokenizer, labels
        plain = tokenizer("a", add_special_tokens=False)["input_ids"]
        framed = tokenizer("a")["input_ids"]
        start = next(i for i in range(len(framed)) if framed[i : i + len(plain)] == plain)
        self.frame = framed[:start], framed[start + len(plain) :]  # marks of beginning and end
        positions = getattr(encoder.config, "max_position_embeddings", None) or 1_000_000
        # Two are lost where positions count from the padding's id, as RoBERTa's do.
        self.most_pieces = max(1, positions - 2 - len(framed) + len(plain))


class Encoder(Transformer):
    """The mean over the text of the last layer, and one linear layer that is to learn."""

    def __init__(self, encoder: Any, tokenizer: Any, labels: int) -> None:
        super().__init__(encoder, tokenizer, labels)
        self.head = nn.Linear(encoder.config.hidden_size, labels)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)
        self.dropout = nn.Dropout(0.1)

    def forward(self, pieces: Tensor, mask: Tensor) -> Tensor:
        """pieces, mask: int64 [B, T]."""
        logits: Tensor = self.head(self.dropout(self.mean(pieces, mask)))
        return logits

    def mean(self, pieces: Tensor, mask: Tensor) -> Tensor:
        """Of the last layer, over the text: float32 [B, hidden]."""
        hidden = self.encoder(input_ids=pieces, attention_mask=mask).last_hidden_state.float()
        weight = mask.unsqueeze(2).float()
        mean: Tensor = (hidden * weight).sum(dim=1) / weight.sum(dim=1).clamp_min(1)
        return mean


class ReadyClassifier(Transformer):
    """A classifier as it is. columns: of its logits, one for each label of the data."""

    def __init__(self, model: Any, tokenizer: Any, columns: Sequence[int]) -> None:
        super().__init__(model, tokenizer, len(columns))
        self.columns = list(columns)

    def forward(self, pieces: Tensor, mask: Tensor) -> Tensor:
        """pieces, mask: int64 [B, T]."""
        logits: Tensor = self.encoder(input_ids=pieces, attention_mask=mask).logits.float()
        return logits[:, self.columns]


def check_source(source: str) -> None:
    """Asked before an hour of training: whether there is a model in a folder, or of a name on the hub.

    Raises DataError and MissingPackageError.
    """
    _configuration(source)
    folder = Path(source)
    if not folder.is_dir():
        return
    if not any(folder.glob("*.safetensors")):
        old = next(
            (path.name for pattern in ("*.bin", "*.pt", "*.h5") for path in folder.glob(pattern)), None
        )
        found = f"weights in {old}, which can hold code" if old else "no weights"
        raise DataError(
            f"{source} has {found}; give a folder with model.safetensors "
            "(transformers' save_pretrained writes it)"
        )
    if not (folder / "tokenizer.json").is_file() and not any(folder.glob("vocab*")):
        raise DataError(f"{source} has no tokenizer; save the model's tokenizer there too")


def classifier_labels(source: str) -> tuple[str, ...] | None:
    """The names of a classifier's labels, in its order; None where the source is an encoder.

    Raises DataError where it answers something else than one of several labels.
    """
    config = _configuration(source)
    if not any(name.endswith("ForSequenceClassification") for name in config.architectures or ()):
        return None
    if config.num_labels < 2 or config.problem_type not in (None, "single_label_classification"):
        raise DataError(
            f"the teacher {source} does not choose one label of several; give a classifier that does, "
            "or an encoder"
        )
    return tuple(str(config.id2label[i]) for i in range(config.num_labels))


def load_classifier(source: str, labels: Sequence[str], names: Mapping[str, str]) -> ReadyClassifier:
    """A classifier that answers with ``labels``, in their order. names: its label → the data's, where they
    differ. Raises DataError where a label is unknown to it."""
    known = classifier_labels(source) or ()
    for name in names:
        if name not in known:
            raise DataError(
                f"the teacher {source} has no label {name!r}; it has {', '.join(map(shorten, known))}"
            )
    renamed = [names.get(name, name) for name in known]
    missing = [label for label in labels if label not in renamed]
    if missing:
        raise DataError(
            f"the teacher {source} does not know the label {shorten(missing[0])}, its labels are "
            f"{', '.join(map(shorten, known))}; say which is which: "
            f"--teacher-labels {shorten(known[0])}={shorten(labels[0])},…"
        )
    import transformers

    with _said_of(source):
        tokenizer = transformers.AutoTokenizer.from_pretrained(source, use_fast=True, trust_remote_code=False)
        model = transformers.AutoModelForSequenceClassification.from_pretrained(
            source, use_safetensors=True, trust_remote_code=False
        )
    return ReadyClassifier(model, tokenizer, [renamed.index(label) for label in labels])


def load_encoder(source: str, labels: int) -> Encoder:
    """A folder in the form of the Hugging Face hub, or a name on the hub, with a fresh head for ``labels``.

    Raises DataError where there is none or it cannot be used, MissingPackageError without transformers.
    """
    _configuration(source)
    import transformers

    with _said_of(source):
        tokenizer = transformers.AutoTokenizer.from_pretrained(source, use_fast=True, trust_remote_code=False)
        encoder = transformers.AutoModel.from_pretrained(
            source, use_safetensors=True, trust_remote_code=False
        )
    return Encoder(encoder, tokenizer, labels)


def _configuration(source: str) -> Any:
    with needs("transformers", "a transformer as teacher"):
        import transformers
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)  # it counts its retries aloud
    if not Path(source).is_dir() and not _HUB_NAME.fullmatch(source):
        raise DataError(
            f"no teacher {source!r}: no folder, and no name on the Hugging Face hub; "
            "give nb-svm, embedded, or a folder with config.json, tokenizer.json and model.safetensors"
        )
    with _said_of(source):
        return transformers.AutoConfig.from_pretrained(source, trust_remote_code=False)


# owner/name, or a name from the days before owners.
_HUB_NAME = re.compile(r"[\w.-]{1,96}(/[\w.-]{1,96})?", re.ASCII)


@contextmanager
def _said_of(source: str) -> Iterator[None]:
    """What transformers raises, which may be anything, as a DataError of one line."""
    try:
        yield
    except EdgeLSTMError:
        raise
    except Exception as error:
        raise _refused(source, error) from None


def _refused(source: str, error: Exception) -> DataError:
    if Path(source).is_dir():
        reason = " ".join(str(error).split())[:160]
        return DataError(
            f"cannot use the teacher in {source} ({reason}); give a folder with config.json, tokenizer.json "
            "and model.safetensors"
        )
    return DataError(
        f"no teacher {source!r}: no such folder, and not to be had from the Hugging Face hub; "
        "give nb-svm, embedded, or a folder that holds the model"
    )


def source_digest(source: str) -> str:
    """sha256 (hex) of a folder's configuration, tokenizer and weights; for a name on the hub, the name."""
    digest = hashlib.sha256()
    folder = Path(source)
    if not folder.is_dir():
        return f"hub: {source}"
    for path in sorted(folder.glob("*.json")) + sorted(folder.glob("*.safetensors")):
        try:
            digest.update(f"{path.name} {file_digest(path)}".encode())
        except OSError as error:
            raise DataError(f"cannot read {path} ({error.strerror}); give another --teacher") from None
    return digest.hexdigest()


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
            if now - said > _SAY_EVERY or (done == len(texts) and first == 0):
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
        _learn_above(model, options.layers)
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
    if seconds > _SAY_EVERY:
        several = f"{models} times, " if models > 1 else ""
        learnt = f"fine-tuning {several}on {len(learning) // models:,} texts and " if learning else ""
        say(f"teacher: {learnt}labelling {len(labelling):,} takes about {minutes(seconds)} on this machine")


@contextmanager
def threads(model: Transformer) -> Iterator[None]:
    """The products of a wide transformer are large enough for every CPU, those of a small one are not: its
    threads would wait for each other."""
    before = torch.get_num_threads()
    if model.encoder.config.hidden_size >= _WIDE:
        torch.set_num_threads(max(before, available_cores()))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def forget_answers(weights: Path) -> None:
    """Removes what interrupted calls would have gone on from, beside the fine-tuned ``weights``."""
    if weights.parent.is_dir():
        for path in list(weights.parent.iterdir()):
            if path.name.startswith(f"{weights.name}.") and path.name.endswith(".partial"):
                path.unlink(missing_ok=True)


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


def pieces_of(model: Transformer, texts: Sequence[str]) -> list[Ints]:
    """The word pieces of each text, without the marks of beginning and end: int64 [pieces]."""
    found: list[Ints] = []
    for start in range(0, len(texts), 1000):
        batch = [text.replace("<br />", " ") for text in texts[start : start + 1000]]
        encoded = model.tokenizer(batch, add_special_tokens=False, verbose=False)["input_ids"]
        found += [np.array(ids, np.int64) for ids in encoded]
    return found


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
    _learn_above(model, options.layers)
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
            if now - said > _SAY_EVERY or done == steps:
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


def logits_of(model: Transformer, texts: Sequence[str], options: TransformerOptions) -> Floats:
    """Logits float32 [n, L]; of a text longer than a window the mean of up to ``windows`` of them, spread
    over it evenly."""
    return _over_windows(model, model, model.labels, texts, options)


def vectors_of(model: Encoder, texts: Sequence[str], options: TransformerOptions) -> Floats:
    """The means of the last layer, as :func:`logits_of` reads a text, of length 1: float32 [n, hidden]."""
    vectors = means_of(model, texts, options)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-9), np.float32)


def means_of(model: Encoder, texts: Sequence[str], options: TransformerOptions) -> Floats:
    """The same as they are: float32 [n, hidden]."""
    return _over_windows(model, model.mean, model.head.in_features, texts, options)


def _over_windows(
    model: Transformer,
    answer: Callable[[Tensor, Tensor], Tensor],
    width: int,
    texts: Sequence[str],
    options: TransformerOptions,
) -> Floats:
    model.eval()
    pieces = pieces_of(model, texts)
    most = min(options.window, model.most_pieces)
    windows = [(row, part) for row, ids in enumerate(pieces) for part in _windows(ids, most, options.windows)]
    windows.sort(key=lambda item: len(item[1]))
    total = np.zeros((len(texts), width), np.float32)
    counts = np.bincount([row for row, _ in windows], minlength=len(texts)).astype(np.float32)
    with torch.inference_mode(), precision(), threads(model):
        start = 0
        while start < len(windows):
            # As many short ones at once as there is room for in a batch of long ones.
            length = max(8, len(windows[min(start + LABELLING_BATCH, len(windows)) - 1][1]))
            size = LABELLING_BATCH * max(1, min(8, most // (2 * length)))
            batch = windows[start : start + size]
            found = answer(*framed(model, [window for _, window in batch])).float().numpy()
            np.add.at(total, [row for row, _ in batch], found)
            start += size
    return np.asarray(total / counts[:, None], np.float32)


def _windows(ids: Ints, size: int, most: int) -> list[Ints]:
    count = min(most, math.ceil(len(ids) / size))
    if count <= 1:
        return [ids[-size:]]
    starts = np.linspace(0, len(ids) - size, count).astype(int)
    return [ids[start : start + size] for start in starts]


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


def framed(model: Transformer, batch: list[Ints]) -> tuple[Tensor, Tensor]:
    """Pieces and mask, int64 [B, T]: with the marks of beginning and end, padded on the right."""
    before, after = model.frame
    framed = [[*before, *ids.tolist(), *after] for ids in batch]
    longest = max(map(len, framed))
    pieces = torch.full((len(framed), longest), model.tokenizer.pad_token_id or 0)
    mask = torch.zeros_like(pieces)
    for row, ids in enumerate(framed):
        pieces[row, : len(ids)] = torch.tensor(ids)
        mask[row, : len(ids)] = 1
    return pieces, mask


def _learn_above(model: Encoder, layers: int | None) -> None:
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


def word_table(model: Transformer) -> Tensor | None:
    """What the encoder reads for each piece of its vocabulary: float32 [pieces, hidden]; None where it has no
    such table, as one that reads characters."""
    try:
        weight: Tensor = model.encoder.get_input_embeddings().weight
    except (NotImplementedError, AttributeError):
        return None
    return weight


def groups(model: Encoder, rate: float, head_rate: float) -> list[dict[str, Any]]:
    """The parameters that learn, for an optimizer. rate: of an encoder as wide as MiniLM."""
    encoder = [p for p in model.encoder.parameters() if p.requires_grad]
    rate *= min(1.0, math.sqrt(_MINILM / model.encoder.config.hidden_size))
    return [
        {"params": [p for p in encoder if p.ndim > 1], "weight_decay": 0.01, "rate": rate},
        {"params": [p for p in encoder if p.ndim == 1], "weight_decay": 0.0, "rate": rate},
        {"params": list(model.head.parameters()), "weight_decay": 0.0, "rate": head_rate},
    ]


def precision() -> AbstractContextManager[Any]:
    """bfloat16 products where the CPU has them; elsewhere they are slower than float32."""
    return torch.autocast("cpu", torch.bfloat16) if multiplies_bfloat16() else nullcontext()


def minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


STATE = "edge_lstm_teacher"


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
