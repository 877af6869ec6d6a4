"""A model with its tokenizer, and what its files do not say → an imported network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge_lstm.core.layers import MAX_IDS
from edge_lstm.core.model_checks import labels_from, thresholds_from
from edge_lstm.core.text import FIRST_WORD_ID
from edge_lstm.errors import DataError, first_line
from edge_lstm_export.bounded import Contents, bounded
from edge_lstm_export.importing import keras, words
from edge_lstm_export.importing.files import FileKind, file_kind, readable
from edge_lstm_export.importing.model import (
    SIDES,
    ImportedModel,
    ImportOptions,
    Reading,
    imported_model,
    packed,
)
from edge_lstm_export.importing.words import ImportedRule


@dataclass(frozen=True)
class Imported:
    """A network with its text rule and labels.

    missing: options that must still be given, with the reason, before it can answer.
    """

    model: ImportedModel
    rule: ImportedRule
    labels: tuple[str, ...] | None
    missing: tuple[str, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should look at, in sentences."""
        notes = []
        rows = len(self.model.embedding.weights)
        if len(self.rule.known) < rows / 2:
            notes.append(
                f"the tokenizer has {len(self.rule.known):,} words, and the network's embedding "
                f"{rows:,} rows: is it this network's tokenizer?"
            )
        if self.rule.unread:
            notes.append(f"texts get no {', '.join(self.rule.unread)}")
        return tuple(notes)

    def require_complete(self) -> None:
        """Check that no option is missing; the error names the first that is.

        Raises DataError if not.
        """
        if self.missing:
            raise DataError(self.missing[0])


def read(model: Any, tokenizer: Any = None, options: ImportOptions | None = None) -> Imported:
    """Import a model: a path, a live keras.Model, a live nn.Module, or a state_dict.

    tokenizer: a path or a live tokenizer, see :func:`words.rule_of`; None: the model holds its
        TextVectorization. Raises DataError.
    """
    options = options or ImportOptions()
    # First the words, which need no PyTorch: it takes seconds to load.
    rule = None if tokenizer is None else _rule_of(tokenizer)
    if isinstance(model, (str, Path)):
        found = _of_file(Path(model), options)
    elif hasattr(model, "get_config"):  # first, since one on PyTorch is an nn.Module too
        found = keras.read_live(model, options)
    else:
        from edge_lstm_export.importing import pytorch

        found = pytorch.read_live(model, options)
    return _finished(found, _rule(found, rule), options)


def _of_file(path: Path, options: ImportOptions) -> ImportedModel:
    """Return the model of a file, which a child process reads."""
    read_kind = _reader(file_kind(path))

    def read() -> Contents:
        with readable(path):
            return packed(read_kind(path, options))

    return imported_model(*bounded(path, read))


def _reader(kind: FileKind) -> Callable[[Path, ImportOptions], ImportedModel]:
    """Return the reader of a kind. Loading PyTorch takes none of the time that a file has."""
    if kind == "hdf5":
        return keras.read_hdf5
    if kind == "keras zip":
        return keras.read_zip
    from edge_lstm_export.importing import pytorch

    return pytorch.read_torch if kind == "torch" else pytorch.read_safetensors


def _rule(model: ImportedModel, rule: ImportedRule | None) -> ImportedRule:
    """Return the given text rule, or the rule of the model's own TextVectorization."""
    own = model.vectorization
    if rule is None and own is None:
        raise DataError(
            "the model holds no tokenizer; give it with --words. After imdb.load_data() it is what "
            "imdb.get_word_index() returns, the file imdb_word_index.json"
        )
    if rule is None:
        return words.rule_of(own, "the model")
    if own is None or rule.source not in (words.OWN, words.VECTORIZATION):
        return rule
    # The words of another file, which the model's own layer splits.
    listed = ["", "[UNK]", *sorted(rule.ids_of, key=rule.ids_of.__getitem__)]
    return words.rule_of(replace(own, vocabulary=listed), "the model")


def _rule_of(tokenizer: Any) -> ImportedRule:
    """Return the text rule of a tokenizer, or of its file, which a child process reads."""
    if not isinstance(tokenizer, (str, Path)):
        return words.rule_of(tokenizer)
    path = Path(tokenizer)

    def read() -> Contents:
        with readable(path):
            rule = words.read_words(path)
            return {**vars(rule), "splits": vars(rule.splits)}, {}

    # Words are looked at one by one, and there may be a million.
    values, _ = bounded(path, read, seconds=6)
    return words.imported_rule(values)


def _finished(model: ImportedModel, rule: ImportedRule, options: ImportOptions) -> Imported:
    """Apply the options, and list the missing ones."""
    rule = _adjusted_rule(rule, options).of_rows(len(model.embedding.weights))
    reading = _adjusted_reading(model.reading, rule, options)
    says_answer = model.says_answer or options.logits
    *hidden, last = model.dense
    if options.multi_label:
        last = replace(last, activation="sigmoid")
    model = replace(model, reading=reading, dense=(*hidden, last))
    _check_holds(model, rule)
    missing = []
    # The side makes no difference to a network that passes over padding.
    if reading.padding is None and not reading.masked:
        missing.append(
            "the model does not say which side was padded; give --padding "
            "(Keras's pad_sequences: pre, unless it is told otherwise)"
        )
    if reading.reads_padding and reading.length is None:
        missing.append("the model does not say how long its input is; give --length")
    if not says_answer:
        missing.append("the model's last layer is linear; give --logits if it gives logits")
    if options.labels is None:
        missing.append(f"the model does not name its {model.labels} labels; give --labels")
    else:
        _check_labels(model, options.labels)
    return Imported(model, rule, options.labels, tuple(missing))


def _check_holds(model: ImportedModel, rule: ImportedRule) -> None:
    """Check that a model file can hold a network.

    Raises DataError if not.
    """
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
            "only of one direction; give --padding post if texts were padded there"
        )


def _adjusted_rule(rule: ImportedRule, options: ImportOptions) -> ImportedRule:
    """Return the text rule with the options that concern it."""
    if options.num_words is not None:
        rule = replace(rule, below=options.num_words)
    if rule.source == words.OWN:
        splits = rule.splits
        if options.lower is not None:
            splits = replace(splits, lowercase="unicode" if options.lower else "none")
        if options.pattern is not None:
            splits = words.splitting_by(options.pattern, splits.lowercase)
        return replace(rule, splits=splits)
    for option in ("lower", "pattern"):
        if getattr(options, option) is not None:
            raise DataError(f"the {rule.source} says how a text is split; leave --{option} out")
    return rule


def _adjusted_reading(reading: Reading, rule: ImportedRule, options: ImportOptions) -> Reading:
    """Return the reading with the options that concern it."""
    if reading.length is not None and options.length not in (None, reading.length):
        raise DataError(f"the model's input has {reading.length} steps; leave --length out")
    given: dict[str, Any] = {
        "length": options.length,
        "padding": SIDES.get(options.padding or "", options.padding),
        "truncation": SIDES.get(options.truncation or ""),
    }
    if options.padding == "masked":
        given |= {"padding": None, "masked": True}
    given = {name: value for name, value in given.items() if value is not None}
    return replace(reading, pad_id=rule.pad_id, **given)


def _check_labels(model: ImportedModel, labels: tuple[str, ...]) -> None:
    """Check that a model file can have these labels.

    Raises DataError if not.
    """
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
