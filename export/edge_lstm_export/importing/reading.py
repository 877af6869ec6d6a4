"""A model with its tokenizer, and what its files do not say → an imported network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge_lstm.errors import DataError, first_line
from edge_lstm.layers import MAX_IDS, Activation, Padding
from edge_lstm.model_checks import labels_from, thresholds_from
from edge_lstm.text import FIRST_WORD_ID
from edge_lstm_export.importing import keras, pytorch, words
from edge_lstm_export.importing.files import kind_of
from edge_lstm_export.importing.model import (
    ImportedModel,
    PoolingKind,
    Reading,
    Truncation,
)
from edge_lstm_export.importing.words import TextRule


@dataclass(frozen=True)
class Options:
    """The facts that a file does not hold. None: not given.

    labels: in the order of the probabilities; of one sigmoid, the second is the probable one.
    padding, truncation: the side of a text that is filled up, or cut off. length: of the input.
    masked: the network passes over padding. state: the values that are read of the last LSTM.
    activation: of hidden dense layers. logits: the last layer gives logits. multi_label: each label
    has a probability of its own. num_words: ids from here on count as unknown. lower, filters: for
    a dict of words: lower case, and the characters at which words end.
    """

    labels: tuple[str, ...] | None = None
    padding: Padding | None = None
    truncation: Truncation | None = None
    length: int | None = None
    masked: bool | None = None
    state: PoolingKind | None = None
    activation: Activation | None = None
    logits: bool = False
    multi_label: bool = False
    num_words: int | None = None
    lower: bool | None = None
    filters: str | None = None


@dataclass(frozen=True)
class Imported:
    """A network with its text rule and labels.

    missing: options that must still be given, with the reason, before it can answer.
    """

    model: ImportedModel
    rule: TextRule
    labels: tuple[str, ...] | None
    missing: tuple[str, ...]

    def require_complete(self) -> None:
        """Raise DataError, with the first option that is missing."""
        if self.missing:
            raise DataError(self.missing[0])


def from_keras(model: Any, tokenizer: Any = None, options: Options | None = None) -> Imported:
    """Import a Keras model: a path, or a live keras.Model.

    tokenizer: a path or a live tokenizer, see :func:`words.rule_of`; None: the model holds its
        TextVectorization. Raises DataError.
    """
    return read(model, tokenizer, options)


def from_torch(model: Any, tokenizer: Any, options: Options | None = None) -> Imported:
    """Import a PyTorch model: a path, a live nn.Module, or a state_dict.

    tokenizer: as for :func:`from_keras`. Raises DataError.
    """
    return read(model, tokenizer, options)


def read(model: Any, tokenizer: Any, options: Options | None = None) -> Imported:
    """Import a model of Keras or PyTorch: a path, or what from_keras and from_torch take.

    tokenizer: as for :func:`from_keras`. Raises DataError.
    """
    options = options or Options()
    if isinstance(model, (str, Path)):
        return _read_file(Path(model), tokenizer, options)
    if hasattr(model, "get_config"):  # first, since one on PyTorch is an nn.Module too
        return _finished_keras(keras.read_live(model), tokenizer, options)
    if hasattr(model, "named_modules"):
        arrays, activation = pytorch.read_live(model)
        options = replace(options, activation=options.activation or activation)
        return _finished_torch(arrays, tokenizer, options, "PyTorch")
    if isinstance(model, Mapping):
        return _finished_torch(pytorch.arrays_of_state(model), tokenizer, options, "PyTorch")
    kind = type(model).__name__
    raise DataError(f"a {kind} is no model; give a path, a keras.Model or an nn.Module")


def _read_file(path: Path, tokenizer: Any, options: Options) -> Imported:
    """Import a model's file."""
    kind = kind_of(path)
    if kind == "hdf5":
        return _finished_keras(keras.read_hdf5(path), tokenizer, options)
    if kind == "keras zip":
        return _finished_keras(keras.read_zip(path), tokenizer, options)
    if kind == "safetensors":
        return _finished_torch(pytorch.read_safetensors(path), tokenizer, options, kind)
    return _finished_torch(pytorch.read_torch(path), tokenizer, options, "PyTorch state_dict")


def _finished_keras(found: keras.KerasModel, tokenizer: Any, options: Options) -> Imported:
    """Return a Keras model with its text rule and the options."""
    for name in ("state", "activation"):
        if getattr(options, name) is not None:
            raise DataError(f"a Keras model says its {name} itself; leave --{name} out")
    if options.multi_label and found.model.says_answer and not found.model.is_multi_label:
        raise DataError("the model gives each text one label; leave --multi-label out")
    if found.vectorization is None:
        return _finished(found.model, _rule(tokenizer), options)
    config, vocabulary = found.vectorization
    if tokenizer is not None:
        rule = _rule(tokenizer)
        if rule.source not in (words.OWN, words.VECTORIZATION):
            return _finished(found.model, rule, options)
        vocabulary = ["", "[UNK]", *sorted(rule.ids_of, key=rule.ids_of.__getitem__)]
    rule = words.vectorization_rule(config, vocabulary, "the model")
    return _finished(found.model, rule, options)


def _finished_torch(arrays: Any, tokenizer: Any, options: Options, source: str) -> Imported:
    """Return a PyTorch model with its text rule and the options."""
    model = pytorch.model_of_arrays(arrays, options.state, options.activation, source)
    return _finished(model, _rule(tokenizer), options)


def _rule(tokenizer: Any) -> TextRule:
    """Return the text rule of a tokenizer or its file."""
    if tokenizer is None:
        raise DataError("the model holds no tokenizer; give it with --words")
    if isinstance(tokenizer, (str, Path)):
        return words.read_words(Path(tokenizer))
    return words.rule_of(tokenizer)


def _finished(model: ImportedModel, rule: TextRule, options: Options) -> Imported:
    """Apply the options, and list the missing ones."""
    rule = _adjusted_rule(rule, options).of_rows(len(model.embedding.weights))
    reading = _adjusted_reading(model.reading, rule, options)
    if options.multi_label:
        model = replace(model, answer="sigmoid")
    model = replace(model, reading=reading)
    _check_holds(model, rule)
    missing = []
    # The side makes no difference to a network that passes over padding.
    if reading.padding is None and not reading.masked:
        usual = "Keras's pad_sequences pads in front unless it is told otherwise"
        missing.append(f"the model does not say which side was padded; give --padding ({usual})")
    if reading.reads_padding and reading.length is None:
        missing.append("the model does not say how long its input is; give --length")
    if not model.says_answer and not options.logits:
        missing.append("the model's last layer is linear; give --logits if it gives logits")
    if options.labels is None:
        missing.append(f"the model does not name its {model.labels} labels; give --labels")
    else:
        _check_labels(model, options.labels)
    return Imported(model, rule, options.labels, tuple(missing))


def _check_holds(model: ImportedModel, rule: TextRule) -> None:
    """Raise DataError if a model file cannot hold a network."""
    if not rule.known:
        raise DataError("the tokenizer has no word that the network knows; give another --words")
    if len(rule.known) + FIRST_WORD_ID > MAX_IDS:
        raise DataError(
            f"the tokenizer has {len(rule.known):,} words, and files have at most {MAX_IDS:,} ids; "
            "train it with fewer words"
        )
    # Keras's maximum sees the steps that a mask passes over: the last state again if they follow
    # the text, zeros if a direction meets them first.
    meets_padding_last = model.reading.padding == "behind" and model.lstms[-1].directions == 1
    if model.reading.masked and "max" in model.pooling.kind and not meets_padding_last:
        raise DataError(
            f"layer {model.pooling.name!r} is a maximum over masked steps too, which is imported "
            "only of one direction; give --padding behind if texts were padded there"
        )


def _adjusted_rule(rule: TextRule, options: Options) -> TextRule:
    """Return the text rule with the options that concern it."""
    if options.num_words is not None:
        rule = replace(rule, below=options.num_words)
    if rule.source == words.OWN:
        lowercase = rule.splits.lowercase
        if options.lower is not None:
            lowercase = "unicode" if options.lower else "none"
        separators = (options.filters or "") + words.PYTHON_SPACES
        return replace(rule, splits=words.splitting(lowercase, separators))
    if options.lower is not None or options.filters is not None:
        raise DataError(
            f"the {rule.source} says how a text is split; leave --lower and --filters out"
        )
    return rule


def _adjusted_reading(reading: Reading, rule: TextRule, options: Options) -> Reading:
    """Return the reading with the options that concern it."""
    if reading.length is not None and options.length not in (None, reading.length):
        raise DataError(f"the model's input has {reading.length} steps; leave --length out")
    names = ("length", "padding", "truncation", "masked")
    given = {name: getattr(options, name) for name in names}
    given = {name: value for name, value in given.items() if value is not None}
    return replace(reading, pad_id=rule.pad_id, **given)


def _check_labels(model: ImportedModel, labels: tuple[str, ...]) -> None:
    """Raise DataError unless a model file can have these labels."""
    if len(labels) != model.labels:
        raise DataError(
            f"the model has {model.labels} labels; give --labels with {model.labels} different "
            "names"
        )
    if not all(label.strip() for label in labels):
        raise DataError("a label of --labels is blank; give it a name")
    try:
        labels_from(list(labels))
        if model.is_multi_label:
            thresholds_from({"thresholds": [0.5] * model.labels}, labels)
    except ValueError as error:
        raise DataError(f"--labels: {first_line(error)}; give other names") from None
