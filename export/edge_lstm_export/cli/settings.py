"""The settings of ``train`` that few people change: ``--set NAME=VALUE``, or each as a hidden option."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any

import typer


@dataclass(frozen=True)
class Setting:
    """name: as it is typed; part: where it belongs in a TrainingJob ("" is the job itself), by the name
    ``field``; kind: int, float, bool, str or Path; opposite: the option that says no to a bool."""

    name: str
    part: str
    field: str
    kind: Callable[[str], Any]
    help: str
    opposite: str = ""
    repeatable: bool = False

    @property
    def key(self) -> str:
        """The name of the hidden option's parameter."""
        return f"set_{self.name.replace('-', '_')}"


_VALUES: Mapping[Any, str] = {int: "N", float: "X", bool: "yes|no", str: "NAME", Path: "FILE"}
SETTINGS = (
    Setting("num-words", "vocabulary", "num_words", int, "ids below N are in use"),
    Setting("skip-top", "vocabulary", "skip_top", int, "leave out the N most frequent words"),
    Setting(
        "drop-unknown",
        "vocabulary",
        "drop_unknown",
        bool,
        "leave unknown words out of a text, not as id 2",
        "keep-unknown",
    ),
    Setting(
        "words",
        "vocabulary",
        "choice",
        str,
        "which words: the most frequent, or the most informative (telling)",
    ),
    Setting("pieces", "vocabulary", "pieces", bool, "read other words as their parts", "whole-words"),
    Setting(
        "misspelt",
        "vocabulary",
        "misspelt",
        bool,
        "read an unknown word as the known one that is one mistake away",
        "as-spelt",
    ),
    Setting(
        "pretrained",
        "vocabulary",
        "pretrained",
        bool,
        "with pieces, learn from pretrained vectors of English words too, where they help",
        "no-pretrained",
    ),
    Setting(
        "pretrained-vectors",
        "vocabulary",
        "pretrained_vectors",
        Path,
        "word vectors to learn from, of any language: fastText's .vec (or .vec.gz)",
    ),
    Setting("length", "vocabulary", "length", int, "ids of a text that are read"),
    Setting("word-index", "vocabulary", "word_index", Path, "Keras's imdb_word_index.json, for its words"),
    Setting(
        "features",
        "",
        "features",
        str,
        "pairs: a table of words and word pairs (long texts, two labels); ngrams: pieces and vectors "
        "of n-grams (short texts, many labels, any script); auto: by the texts",
    ),
    Setting("pairs", "network", "pair_buckets", int, "rows for word pairs in the linear part"),
    Setting("embedding", "network", "embedding_dim", int, "embedding dimensions"),
    Setting("hidden", "network", "hidden", int, "LSTM units"),
    Setting("layers", "network", "layers", int, "LSTM layers"),
    Setting("bidirectional", "network", "bidirectional", bool, "read from both ends", "one-directional"),
    Setting("pooling", "network", "pooling", str, "last, mean, max or mean+max"),
    Setting("dropout", "network", "dropout", float, "probability, on the embedding and before the head"),
    Setting("batch-size", "options", "batch_size", int, "texts a step"),
    Setting("learning-rate", "options", "learning_rate", float, "its peak"),
    Setting("warmup", "options", "warmup", float, "share of the steps in which the learning rate rises"),
    Setting("weight-decay", "options", "weight_decay", float, "AdamW's, on matrices"),
    Setting("clip", "options", "clip", float, "largest norm of the gradient"),
    Setting("patience", "options", "patience", int, "stop after N epochs without gain"),
    Setting(
        "adversarial",
        "options",
        "adversarial",
        float,
        "train on embeddings moved by this share of their norm too; twice the time",
    ),
    Setting(
        "bfloat16",
        "options",
        "bfloat16",
        bool,
        "the LSTM's precision in training, where the CPU has it",
        "float32",
    ),
    Setting("word-vectors", "options", "word_vectors", bool, "start the embedding from words' neighbours"),
    Setting(
        "embedding-rate", "options", "embedding_rate", float, "the embedding's learning rate, as a share"
    ),
    Setting("word-dropout", "options", "word_dropout", float, "share of ids read as unknown in a step"),
    Setting("crops", "options", "crops", float, "share of texts of which a step reads a random part"),
    Setting(
        "validation", "", "validation_share", float, "share of the training texts that judges the epochs"
    ),
    Setting("test-share", "data", "test_share", float, "held out for the test where the source has none"),
    Setting(
        "precision",
        "",
        "precision",
        float,
        "of several labels a text, what each label's threshold is to reach; else the best F1",
    ),
    Setting("own-labels", "", "own_labels", float, "how much a text's own label counts beside the teacher's"),
    Setting(
        "made-texts",
        "",
        "made_texts",
        int,
        "of short texts, how many are made of each row and labelled by teachers; 0: none; else by the rows",
    ),
    Setting("soft-labels", "", "soft_labels", Path, "keeps the teacher's labels, for the next training"),
    Setting("spans", "", "spans", int, "sentences of a text that a transformer labels for themselves"),
    Setting(
        "around",
        "",
        "around",
        str,
        "words around which a transformer labels a few words of a text too: not,never,*n't",
    ),
    Setting("teacher-windows", "", "teacher_windows", int, "parts that a transformer reads of a long text"),
    Setting("teacher-steps", "", "teacher_steps", int, "most steps of a transformer's fine-tuning"),
    Setting("teacher-layers", "", "teacher_layers", int, "its last layers, which alone are fine-tuned"),
    Setting("teacher-span", "", "teacher_span", int, "word pieces of the longest span it is fine-tuned on"),
    Setting(
        "earlier-labels",
        "",
        "earlier_labels",
        Path,
        "another teacher's labels; of spans up to teacher-span a transformer makes them anew",
    ),
    Setting("negate", "", "negate", bool, 'learn short English clauses with "not" too, their label turned'),
    Setting(
        "teacher-model",
        "",
        "teacher_models",
        Path,
        "a model file that labels the unlabelled texts together with the teacher; repeatable",
        repeatable=True,
    ),
    Setting(
        "keep-rows",
        "",
        "keep_rows",
        bool,
        "keep the texts in the checkpoint (not in the model file), for --from; with --from: as it does",
    ),
    Setting("follow-links", "data", "follow_links", bool, "read what symbolic links inside a folder lead to"),
    Setting("device", "", "device", str, "cpu, or cuda where there is one"),
)
_BY_NAME = {setting.name: setting for setting in SETTINGS}


def hidden_options() -> list[tuple[Parameter, Any]]:
    """A parameter and its annotation for each setting: what used to be an option works as one still."""
    options = []
    for setting in SETTINGS:
        flag = f"--{setting.name}" + (f"/--{setting.opposite}" if setting.opposite else "")
        kind: Any = list[setting.kind] if setting.repeatable else setting.kind  # type: ignore[name-defined]
        annotation = Annotated[kind | None, typer.Option(flag, hidden=True)]
        parameter = Parameter(setting.key, Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        options.append((parameter, annotation))
    return options


def parsed(assignments: Sequence[str], options: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """``NAME=VALUE`` lines and hidden options → by the part of the job, field → value.

    Raises typer.BadParameter where a name is unknown or a value is of another kind.
    """
    parts: dict[str, dict[str, Any]] = {part: {} for part in ("", "data", "vocabulary", "network", "options")}
    for setting in SETTINGS:
        value = options.get(setting.key)
        if value is not None and value != []:
            parts[setting.part][setting.field] = tuple(value) if setting.repeatable else value
    for line in assignments:
        name, equals, text = line.partition("=")
        known = _BY_NAME.get(name.strip().replace("_", "-"))
        if known is None or not equals:
            near = difflib.get_close_matches(name.strip(), _BY_NAME, 1)
            hint = f" (do you mean {near[0]}?)" if near and near[0] != name else ""
            raise typer.BadParameter(f"{line!r}{hint}; give NAME=VALUE, --list-settings lists the names")
        value = _value(known, text.strip())
        if known.repeatable:
            value = (*parts[known.part].get(known.field, ()), value)
        parts[known.part][known.field] = value
    return parts


def _value(setting: Setting, text: str) -> Any:
    if setting.kind is bool:
        values = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
        if text.lower() in values:
            return values[text.lower()]
        raise typer.BadParameter(f"{setting.name} is yes or no, not {text!r}")
    try:
        return setting.kind(text)
    except ValueError:
        kind = "a whole number" if setting.kind is int else "a number"
        raise typer.BadParameter(f"{setting.name} is {kind}, not {text!r}") from None


def rows(preset: str) -> list[tuple[str, str, str]]:
    """Each setting with what ``preset`` has it at, and what it is."""
    from edge_lstm_export.fit import VocabularyOptions
    from edge_lstm_export.job import TrainingJob
    from edge_lstm_export.presets import preset as named

    base, plain = named(preset), TrainingJob("", Path("m.safetensors"))
    values: dict[str, Any] = {
        "": {field.name: getattr(plain, field.name) for field in fields(plain)}
        | {"own_labels": base.own_labels},
        "data": vars(plain.data),
        "vocabulary": {**vars(VocabularyOptions()), "num_words": base.network.num_words, **base.vocabulary},
        "network": vars(base.network),
        "options": vars(base.options),
    }

    def shown(setting: Setting) -> str:
        value = values[setting.part][setting.field]
        if isinstance(value, bool):
            return "yes" if value else "no"
        return "" if value in (None, ()) else f"{value:,}" if isinstance(value, int) else str(value)

    return [(f"{s.name}={_VALUES[s.kind]}", shown(s), s.help) for s in SETTINGS]
