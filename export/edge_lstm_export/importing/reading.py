"""A model with its tokenizer, and what its files do not say → an imported network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge_lstm.errors import DataError, first_line
from edge_lstm.model_checks import labels_from, thresholds_from
from edge_lstm_export.importing import keras, pytorch, words
from edge_lstm_export.importing.files import kind_of
from edge_lstm_export.importing.model import (
    Activation,
    ImportedModel,
    Padding,
    PoolingKind,
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

    def rows(self, texts: Any) -> list[list[int]]:
        """Return the texts' ids, as the network reads them before padding."""
        return [self.rule.ids(text) for text in texts]

    def require_complete(self) -> None:
        """Raise DataError, with the first option that is missing."""
        if self.missing:
            raise DataError(self.missing[0])


def from_keras(model: Any, tokenizer: Any = None, options: Options | None = None) -> Imported:
    """Import a Keras model: a path, or a live keras.Model.

    tokenizer: a path or a live tokenizer, see :func:`words.rule_of`; None: the model holds its
        TextVectorization. Raises DataError.
    """
    options = options or Options()
    if isinstance(model, (str, Path)):
        return read(Path(model), tokenizer, options)
    return _finished_keras(keras.read_live(model), tokenizer, options)


def from_torch(model: Any, tokenizer: Any, options: Options | None = None) -> Imported:
    """Import a PyTorch model: a path, a live nn.Module, or a state_dict. Raises DataError."""
    options = options or Options()
    if isinstance(model, (str, Path)):
        return read(Path(model), tokenizer, options)
    if hasattr(model, "named_modules"):
        arrays, activation = pytorch.read_live(model)
        options = replace(options, activation=options.activation or activation)
    else:
        arrays = pytorch.arrays_of_state(model)
    return _finished_torch(arrays, tokenizer, options, "PyTorch")


def read(path: Path, tokenizer: Any, options: Options | None = None) -> Imported:
    """Import a model's file, of Keras or PyTorch. Raises DataError.

    tokenizer: as for :func:`from_keras`.
    """
    options = options or Options()
    kind = kind_of(path)
    if kind == "hdf5":
        return _finished_keras(keras.read_hdf5(path), tokenizer, options)
    if kind == "keras zip":
        return _finished_keras(keras.read_zip(path), tokenizer, options)
    if kind == "safetensors":
        return _finished_torch(pytorch.read_safetensors(path), tokenizer, options, kind)
    return _finished_torch(pytorch.read_torch(path), tokenizer, options, "PyTorch state_dict")


def _finished_keras(found: keras.KerasModel, tokenizer: Any, options: Options) -> Imported:
    model = found.model
    if options.state is not None:
        raise DataError("the model's file says what is read of its LSTM; leave --state out")
    if found.vectorization is not None:
        config, vocabulary = found.vectorization
        if tokenizer is None:
            rule = words.vectorization_rule(config, vocabulary, "the model")
        else:
            rule = _rule(tokenizer)
            if rule.source in ("word to id", "TextVectorization"):
                listed = sorted(rule.ids_of, key=rule.ids_of.__getitem__)
                rule = words.vectorization_rule(config, ["", "[UNK]", *listed], "the model")
        return _finished(model, rule, options)
    return _finished(model, _rule(tokenizer), options)


def _finished_torch(arrays: Any, tokenizer: Any, options: Options, source: str) -> Imported:
    model = pytorch.model_of_arrays(arrays, options.state, options.activation, source)
    return _finished(model, _rule(tokenizer), options)


def _rule(tokenizer: Any) -> TextRule:
    if tokenizer is None:
        raise DataError("the model holds no tokenizer; give it with --words")
    if isinstance(tokenizer, (str, Path)):
        return words.read_words(Path(tokenizer))
    return words.rule_of(tokenizer)


def _finished(model: ImportedModel, rule: TextRule, options: Options) -> Imported:
    """Apply the options, and list the missing ones."""
    rule = _adjusted_rule(rule, options).of_rows(len(model.embedding.weights))
    model, missing = _adjusted_reading(model, rule, options)
    if not model.head.is_known and not options.logits:
        missing.append("the model's last layer is linear; give --logits if it gives logits")
    if options.multi_label:
        model = replace(model, head=replace(model.head, answer="sigmoid"))
    if options.labels is None:
        count = max(2, model.logits)
        missing.append(f"the model does not name its {count} labels; give --labels")
    else:
        _check_labels(model, options.labels)
    return Imported(model, rule, options.labels, tuple(missing))


def _adjusted_rule(rule: TextRule, options: Options) -> TextRule:
    """Return the text rule with the options that concern it."""
    if options.num_words is not None:
        rule = replace(rule, below=options.num_words)
    if rule.source == "word to id":
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


def _adjusted_reading(
    model: ImportedModel, rule: TextRule, options: Options
) -> tuple[ImportedModel, list[str]]:
    """Return the model with the options on its input, and the missing ones with their reasons."""
    missing = []
    changes = {
        "length": options.length,
        "padding": options.padding,
        "truncation": options.truncation,
        "masked": options.masked,
    }
    given = {name: value for name, value in changes.items() if value is not None}
    length = model.reading.length
    if length is not None and options.length not in (None, length):
        raise DataError(f"the model's input has {length} steps; leave --length out")
    model = model.with_reading(pad_id=rule.pad_id, **given)
    reading = model.reading
    if reading.padding is None and reading.masked:
        # The side makes no difference to a network that passes over padding.
        model = model.with_reading(padding="behind")
    elif reading.padding is None:
        usual = "Keras's pad_sequences pads in front unless it is told otherwise"
        missing.append(f"the model does not say which side was padded; give --padding ({usual})")
    elif reading.reads_padding and reading.length is None:
        missing.append("the model does not say how long its input is; give --length")
    return model, missing


def _check_labels(model: ImportedModel, labels: tuple[str, ...]) -> None:
    """Raise DataError unless a model file can have these labels."""
    count = max(2, model.logits)
    if len(labels) != count:
        raise DataError(f"the model has {count} labels; give --labels with {count} different names")
    if not all(label.strip() for label in labels):
        raise DataError("a label of --labels is blank; give it a name")
    try:
        labels_from(list(labels))
        if model.is_multi_label:
            thresholds_from({"thresholds": [0.5] * count}, labels)
    except ValueError as error:
        how = f"give other names to its {count} labels"
        raise DataError(f"--labels: {first_line(error)}; {how}") from None
