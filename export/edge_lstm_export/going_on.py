"""Going on from a checkpoint: new rows and new labels, the old knowledge kept.

The rows of the first training come back: those that the checkpoint keeps, or ``--replay`` its file. (Without
them a network forgets: nothing in it says what the texts of a label looked like.) Embedding, LSTM and the
head's rows of the old labels begin as they are in the checkpoint, and so do the vectors of n-grams where the
labels are many, so that a few passes over old and new rows do. Which n-grams have a vector is chosen anew;
with few labels they are fitted anew, too. The vocabulary stays: new words are read as their pieces where
the text rule knows pieces, else as unknown.

Rows of the old validation part and test split stay what they were, so that calibration and figures are of
texts that neither training has learnt from. A new row with the words of an old one takes its place, wherever
that was: it is a correction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from edge_lstm.answering import reach
from edge_lstm.errors import DataError
from edge_lstm.metrics import mcnemar
from edge_lstm.printable import listed, shorten
from edge_lstm_export.checkpoint import Checkpoint, load_checkpoint
from edge_lstm_export.datasets import DataOptions, Dataset, Split, hold_out
from edge_lstm_export.datasets.dataset import file_digest, label_names, make_sets, make_split, set_names
from edge_lstm_export.datasets.sources import TEST_SHARE, read_rows
from edge_lstm_export.datasets.warnings import checked
from edge_lstm_export.evaluation import (
    EVALUATION_BATCH,
    log_probabilities,
    predict_logits,
    soft_cross_entropy,
)
from edge_lstm_export.examples import Examples, evaluation_batches, one_hot
from edge_lstm_export.fit import OldTest, Prepared
from edge_lstm_export.kept import TEST, TRAIN, VALIDATION, Kept
from edge_lstm_export.narrow_vectors import carried_over
from edge_lstm_export.network import Network
from edge_lstm_export.ngram_svm import Vectors
from edge_lstm_export.optimizer import AdamW
from edge_lstm_export.presets import TrainingOptions
from edge_lstm_export.pretrained import english
from edge_lstm_export.vocabulary import unknown_share

# Of the passes, the texts a step and the learning rate that a training from nothing takes
# (benchmarks/going_on.md).
EPOCHS, BATCH, RATE = 0.22, 1.5, 1.5**0.5
# Of the head, before the rest: steps, but one pass at least, texts a step, learning rate.
HEAD_STEPS, HEAD_BATCH, HEAD_RATE = 170, 256, 0.05
# What a row of the first training teaches the LSTM: its own label so much, the rest what the checkpoint says
# of it, its logits divided by the softening (distillation: Hinton et al., 2015).
OWN_LABELS, SOFTENING = 0.5, 2.0
# How much a validation text of an old label counts beside one of a new label, where the two kinds are weighed
# against each other: new labels take texts from old ones, and what was right before is to stay right. On
# parts of the training rows (three draws of banking77, two of GoEmotions) 1.5 gives the old labels 0.4 to 2.8
# points and takes 0.6 to 6 from the new ones; of all texts as many are right as without it, on the mean.
OLD_COUNTS = 1.5
LEAST_REPLAYED = 0.5  # of the texts by which the rows of the first training are known
FEWEST_TO_HOLD_OUT = 10  # new rows of a label, of which some judge or test


@dataclass(frozen=True)
class Beginning:
    """What a training goes on from. path: of the checkpoint; replay: the file of its rows, or None for those
    that it keeps."""

    path: Path
    checkpoint: Checkpoint
    replay: Path | None

    @property
    def kept(self) -> Kept:
        """What the checkpoint keeps. DataError where it does not say which rows were its validation part."""
        if self.checkpoint.kept is None:
            raise DataError(
                f"{self.path} does not say which rows judged it: it is unfinished, or made before 0.3; "
                "train it again"
            )
        return self.checkpoint.kept

    @property
    def several(self) -> bool:
        """Whether a text may have several labels, or none."""
        return self.checkpoint.network.config.several

    @property
    def preset(self) -> str:
        """The preset that the checkpoint was trained with."""
        return str(self.checkpoint.training.get("preset", "small"))


def begin(path: Path, replay: Path | None) -> Beginning:
    """Opens a checkpoint to go on from. DataError where it is none, or has no rows to go on with."""
    if path.suffix == ".onnx":
        raise DataError(
            f"{path} is a model file, which cannot learn; give its checkpoint (.safetensors) to --from"
        )
    beginning = Beginning(path, load_checkpoint(path), replay)
    if beginning.kept.rows is None and replay is None:
        raise DataError(
            f"{path} keeps no rows, and without them it would forget; add --replay FILE with the rows it was "
            "trained on, or train it with --set keep-rows=yes"
        )
    return beginning


def prepare_from(
    beginning: Beginning, source: str, options: DataOptions, validation_share: float
) -> Prepared:
    """Old and new rows as the training takes them, in the checkpoint's vocabulary. Raises DataError."""
    several = beginning.several
    texts, names, digest = read_rows(Path(source), options, several=several)
    digests = [file_digest(beginning.path), digest]
    kept, old_labels = beginning.kept, beginning.checkpoint.labels
    old: list[tuple[int, tuple[str, ...], str]]
    if beginning.replay is not None:
        old_texts, old_names, digest = read_rows(beginning.replay, options, several=several)
        digests.append(digest)
        old = [(TRAIN, own, text) for own, text in zip(old_names, old_texts)]
    else:
        old = [(part, tuple(old_labels[i] for i in own), text) for part, own, text in kept.rows or ()]
    labels = _all_labels(old_labels, [*names, *(own for _, own, _ in old)], source, several)
    new = _split(texts, names, labels, source, several)
    old_texts, old_names = [text for _, _, text in old], [own for _, own, _ in old]
    rows = _split(old_texts, old_names, labels, str(beginning.replay), several)
    parts = np.array([part for part, _, _ in old], dtype=np.int64)
    if beginning.replay is not None:
        parts[np.isin(rows.keys, kept.validation)] = VALIDATION
        parts[np.isin(rows.keys, kept.test)] = TEST
        _check_replayed(beginning, rows, len(old_labels))
    parts[np.isin(rows.keys, new.keys)] = -1  # corrected
    test = rows.subset(np.flatnonzero(parts == TEST))
    if options.test is not None:
        test_texts, test_names, digest = read_rows(options.test, options, several=several)
        digests.append(digest)
        test = _split(test_texts, test_names, labels, str(options.test), several)
    elif share := TEST_SHARE if options.test_share is None else options.test_share:
        new, held = _hold_out(new, share, options.seed)
        test = _joined(test, held)
    train, validation = _hold_out(new, validation_share, options.seed)
    replayed = rows.subset(np.flatnonzero(parts == TRAIN))
    train = _joined(replayed, train)
    validation = _joined(rows.subset(np.flatnonzero(parts == VALIDATION)), validation)
    tokenizer = beginning.checkpoint.tokenizer
    both = hashlib.sha256("".join(digests).encode()).hexdigest()
    name = f"{Path(source).name} after {beginning.path.name}"
    dataset = Dataset(name, labels, _joined(train, validation), test if len(test) else None, both)
    everything = checked(dataset)
    unknown = unknown_share(tokenizer, train.texts)
    prepared = Prepared(everything, tokenizer, train, validation, unknown, replayed=len(replayed))
    taught = _taught_words(beginning.checkpoint.training)
    if taught is None or tokenizer.pieces is None:
        return prepared
    return replace(
        prepared,
        meanings=english().of_ids(tokenizer.words, tokenizer.num_ids),
        alone=replace(tokenizer, words=tokenizer.words[:taught]),
    )


def _taught_words(training: Mapping[str, Any]) -> int | None:
    """How many of a checkpoint's words its texts taught, where others came from the package's vectors."""
    data, vocabulary = training.get("data"), training.get("vocabulary")
    if isinstance(vocabulary, Mapping) and vocabulary.get("pretrained_vectors_sha256") is not None:
        return None
    found = data.get("taught_words") if isinstance(data, Mapping) else None
    return found if isinstance(found, int) else None


def read_texts(beginning: Beginning, examples: Examples) -> torch.Tensor:
    """What the checkpoint's LSTM gives its head of each text: float32 [n, pooled_dim]."""
    network = beginning.checkpoint.network.eval()
    read = torch.empty(len(examples), network.config.pooled_dim)
    with torch.no_grad():
        for rows in evaluation_batches(examples, EVALUATION_BATCH):
            ids, lengths = examples.padded(rows)
            read[torch.from_numpy(rows)] = network.pool(network.embed(ids), lengths)
    return read


def taught_by_checkpoint(beginning: Beginning, prepared: Prepared, read: torch.Tensor) -> Examples:
    """What the LSTM learns from, of one label a text: the rows that come back have half of their target from
    the checkpoint, which says what else they are like; new rows, corrections among them, their label. read:
    of the training texts, see :func:`read_texts`."""
    network = beginning.checkpoint.network
    replayed, new = prepared.train_examples.split(prepared.replayed)
    said = np.zeros_like(replayed.targets)
    if len(replayed):
        with torch.no_grad():
            logits = _said(network, replayed, read[: len(replayed)])
        soft = log_probabilities(logits / SOFTENING).exp().numpy()
        said[:, : soft.shape[1]] = soft
    targets = OWN_LABELS * replayed.targets + (1 - OWN_LABELS) * said
    return replace(replayed, targets=targets).joined(new)


def _said(network: Network, examples: Examples, read: torch.Tensor) -> torch.Tensor:
    """The network's logits, where its LSTM has read the examples: float32 [n, logits]."""
    if network.ngrams is None:
        return network.head(read)  # type: ignore[no-any-return]
    logits = torch.empty(len(examples), network.config.logits)
    for rows in evaluation_batches(examples, EVALUATION_BATCH):
        both = [read[torch.from_numpy(rows)], network.ngrams(*examples.padded(rows))]
        logits[torch.from_numpy(rows)] = network.head(torch.cat(both, dim=1))
    return logits


def carry_over(
    network: Network, beginning: Beginning, examples: Examples, seed: int, read: torch.Tensor
) -> None:
    """Embedding, LSTM and the head's rows of the old labels, from the checkpoint into a new network of the
    same shape. Then the head is fitted to what that LSTM makes of the examples (:func:`read_texts`)."""
    old = beginning.checkpoint.network
    parts = beginning.checkpoint.training.get("parts") or {}
    # The finished head has the LSTM's share and the temperature in it; training begins without them.
    scale = float(parts.get("lstm", 1.0)) / float(beginning.checkpoint.training.get("temperature", 1.0))
    with torch.no_grad():
        network.embedding.weight.copy_(old.embedding.weight)
        network.lstm.load_state_dict(old.lstm.state_dict())
        width = network.config.pooled_dim
        if old.config.logits > 1 and scale > 1e-3:
            network.head.weight[: old.config.logits, :width] = old.head.weight[:, :width] / scale
    _fit_head(network, examples, seed, read)


def carry_over_ngrams(network: Network, beginning: Beginning) -> Vectors | None:
    """What the n-gram part of a new network begins with; None where the checkpoint keeps none that is like
    it. It has not learnt from the validation part, which the finished one has."""
    old, before = beginning.kept.ngrams, beginning.checkpoint.network.ngrams
    if old is None or before is None or network.ngrams is None:
        return None
    return carried_over(old, before.ids.numpy(), network.ngrams.ids.numpy(), network.config.labels)


def _fit_head(network: Network, examples: Examples, seed: int, read: torch.Tensor) -> None:
    """A few steps that change the LSTM's part of the head alone.

    The rows of new labels are drawn by chance, and while they are, what they teach the LSTM is chance too.
    """
    width = network.config.pooled_dim
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        weight = network.head.weight[:, :width].clone().requires_grad_()
        bias = network.head.bias.clone().requires_grad_()
        optimizer = AdamW([{"params": [weight, bias]}], HEAD_RATE)
        targets = torch.from_numpy(examples.targets)
        with torch.enable_grad():
            for _ in range(-(-HEAD_STEPS // -(-len(examples) // HEAD_BATCH))):
                for chosen in torch.split(torch.randperm(len(examples)), HEAD_BATCH):
                    shown = functional.dropout(read[chosen], network.config.dropout)
                    logits = functional.linear(shown, weight, bias)
                    loss = soft_cross_entropy(logits, targets[chosen], several=network.config.several)
                    optimizer.zero_grad()
                    loss.backward()  # type: ignore[no-untyped-call]
                    optimizer.step()
        network.head.weight[:, :width] = weight
        network.head.bias.copy_(bias)


def fewer_passes(options: TrainingOptions) -> TrainingOptions:
    """The options of a training from nothing → those of one that goes on."""
    epochs = max(2, round(EPOCHS * options.epochs))
    return replace(
        options,
        epochs=epochs,
        patience=epochs,
        batch_size=round(BATCH * options.batch_size),
        learning_rate=RATE * options.learning_rate,
        word_vectors=False,
    )


def compare_on_old(beginning: Beginning, new: Checkpoint, prepared: Prepared) -> OldTest | None:
    """Both networks on the test texts that have no new label; None where there are none."""
    test, old = prepared.dataset.test, beginning.checkpoint
    if test is None:
        return None
    first_new = len(old.labels)
    has_new = test.labels >= first_new if test.sets is None else test.sets[:, first_new:].any(axis=1)
    part = test.subset(np.flatnonzero(~has_new))
    if not len(part):
        return None
    right = [_right(checkpoint, part) for checkpoint in (old, new)]
    found = mcnemar(int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum()))
    return OldTest(len(part), float(right[0].mean()), float(right[1].mean()), found)


def describe(beginning: Beginning, prepared: Prepared, old_test: OldTest | None) -> dict[str, Any]:
    """For the provenance: plain values."""
    return {
        "from": beginning.path.name,
        "sha256": file_digest(beginning.path),
        "labels": len(beginning.checkpoint.labels),
        "new_labels": list(prepared.dataset.labels[len(beginning.checkpoint.labels) :]),
        "old_test": None if old_test is None else asdict(old_test),
    }


def check_unchanged(beginning: Beginning, preset: str, asked: Mapping[str, Sequence[str]]) -> None:
    """DataError where a setting is asked for that the checkpoint has fixed. preset: "small" where none is
    asked for; asked: names of settings, by what they are of."""
    if preset not in ("small", beginning.preset):
        raise DataError(
            f"{beginning.path} has preset {beginning.preset}, which --from keeps; leave --preset {preset} out"
        )
    for what, names in asked.items():
        if names:
            raise DataError(
                f"--from keeps the {what} of {beginning.path}; leave out {', '.join(sorted(names))}, "
                "or train anew"
            )


def _right(checkpoint: Checkpoint, part: Split) -> npt.NDArray[np.bool_]:
    """bool [n]: which texts, whose labels the checkpoint knows, it answers rightly; of several labels, with
    exactly theirs."""
    count = len(checkpoint.labels)
    targets = part.sets[:, :count] if part.sets is not None else one_hot(part.labels, count)
    examples = Examples.from_texts(checkpoint.tokenizer, part.texts, targets.astype(np.float32))
    logits = predict_logits(checkpoint.network, examples)
    if checkpoint.thresholds is not None:
        given = reach(torch.sigmoid(logits).numpy(), checkpoint.thresholds)
        return np.asarray((given == targets).all(axis=1))
    return np.asarray(log_probabilities(logits).argmax(dim=1).numpy() == part.labels)


def _check_replayed(beginning: Beginning, rows: Split, labels: int) -> None:
    """DataError where the replayed rows are not those of the checkpoint, which has so many labels. Some may
    have been removed or corrected since."""
    replay, path, kept = beginning.replay, beginning.path, beginning.kept
    known = np.union1d(kept.validation, kept.train)
    found = int(np.isin(known, rows.keys).sum())
    if found < LEAST_REPLAYED * len(known):
        raise DataError(
            f"{replay} holds {found:,} of {len(known):,} texts that {path} was trained or judged by; give "
            "the file that it was trained on"
        )
    lacking = [name for name, n in zip(beginning.checkpoint.labels, rows.counts(labels)) if not n]
    if lacking:
        names = listed([shorten(name) for name in lacking])
        raise DataError(
            f"{replay} has no text of {names}, which {path} knows; give the file that it was trained on"
        )


def _all_labels(
    old: tuple[str, ...], names: Sequence[tuple[str, ...]], source: str, several: bool
) -> tuple[str, ...]:
    """The old labels, then the new ones. DataError where a new name can be none."""
    known = set(old)
    if known.issuperset(name for own in names for name in own):
        return old
    every = [*names, *((name,) for name in old)]
    found = set_names(every, source) if several else label_names([name for (name,) in every], source)
    return (*old, *(name for name in found if name not in known))


def _split(
    texts: Sequence[str],
    names: Sequence[tuple[str, ...]],
    labels: Sequence[str],
    where: str,
    several: bool,
) -> Split:
    if several:
        return make_sets(texts, names, labels, where)
    return make_split(texts, [name for (name,) in names], labels, where)


def _hold_out(new: Split, share: float, seed: int) -> tuple[Split, Split]:
    """As hold_out, of the labels with many new rows only: a handful of corrections is for learning."""
    many = np.bincount(new.labels, minlength=1)[new.labels] >= FEWEST_TO_HOLD_OUT
    rest, held = hold_out(new.subset(np.flatnonzero(many)), share, seed)
    return _joined(new.subset(np.flatnonzero(~many)), rest), held


def _joined(first: Split, second: Split) -> Split:
    sets = None
    if first.sets is not None and second.sets is not None:
        sets = np.concatenate([first.sets, second.sets])
    both = Split(first.texts + second.texts, np.concatenate([first.labels, second.labels]), sets)
    vars(both).update(keys=np.concatenate([first.keys, second.keys]))  # known already
    return both
