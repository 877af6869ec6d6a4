"""The model card of a model file, in Markdown.

The card has the front matter that the Hugging Face hub reads
(https://huggingface.co/docs/hub/model-cards). Everything comes from the file's metadata. This part
of the metadata is for people and is not checked when the file is opened, so a missing or unexpected
value is left out.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from edge_lstm.core.layers import described
from edge_lstm.core.modelfile import KEY_FORMAT, KEY_TOKENIZER, ModelFile, embedded_model
from edge_lstm.core.question import CHOICE
from edge_lstm.core.risk_coverage import SHOWN_RISKS, RiskCoverage
from edge_lstm.printable import listed, printable, shorten

_MANY_LABELS = 20  # the most that are listed
# Facts about the embedded model that no key of the metadata holds.
_EMBEDDED_LIMITS = (
    (
        "It learnt from IMDB, the Stanford Sentiment Treebank, GoEmotions (Apache 2.0), "
        "and product reviews."
    ),
    (
        "It is for English reviews and sentences. "
        "It is less accurate on other texts, and on texts of one or two words."
    ),
    "Irony and indirect negation mislead it: “It is far from perfect.” is classified as positive.",
)
_NOT_STATED = "Not stated in the file."
# The rows that judged a network, by their names in the metadata.
HELD_OUT = {
    "own": "the source's own test split",
    "file": "rows of another file",
    "random": "random rows of the same data",
    "groups": "rows of other groups",
    "digest": "a fifth of the rows, the same in every training",
    "folds": "folds of the same rows",
    "group folds": "folds by groups",
}
# Keys of the metadata that become rows and columns.
_DATA = (
    "name",
    "sha256",
    "train_texts",
    "validation_texts",
    "test_texts",
    "group_column",
    "groups",
    "unlabelled_texts",
    "unknown_words",
)
_NETWORK = ("embedding_dim", "ngram_words", "ngram_slots")
_ONE = ("accuracy", "macro_f1", "calibration_error")  # scores for one label per text
_MULTI_LABEL = ("micro_f1", "macro_f1", "subset_accuracy")  # scores for several


def model_card(model: ModelFile) -> str:
    """Return the card of a model file: model_card.md, filled in.

    It is Markdown with YAML front matter.
    """
    is_embedded = model.path == embedded_model()
    tokenizer = model.tokenizer
    subwords = f" and {len(tokenizer.pieces):,} subwords" if tokenizer.pieces else ""
    multi_label = ""
    if model.thresholds:
        multi_label = ", and every label whose probability reaches its threshold"
    training = [("Layers", described(model.network.layers))]
    training += [
        *_rows(model.network.to_dict(), _NETWORK),
        *_rows(
            model.training, ("preset", "parameters", "best_epoch", "seed", "teachers", "versions")
        ),
    ]
    for name, text in _rows(model.quantization or {}, ("lstm", "embedding", "ngrams", "head")):
        training.append((f"int8: {name}", text))
    limits = [*(_EMBEDDED_LIMITS if is_embedded else ()), *_limits(model)]
    return Template(
        Path(__file__).with_name("model_card.md").read_text(encoding="utf-8")
    ).substitute(
        licence_tag="license: mit\n" if is_embedded else "",
        tags=json.dumps(["text-classification", "lstm", "onnx", model.precision, "edge"]),
        name=_text(model.path.name.removesuffix(".onnx")),
        kind=f"{model.precision}: {described(model.network.layers)}",
        words=f"{len(tokenizer.words):,} words{subwords}",
        bytes=f"{len(model.data):,}",
        count=len(model.labels),
        labels=listed([f"`{_code(label)}`" for label in model.labels], _MANY_LABELS),
        multi_label=multi_label,
        length=f"{tokenizer.rule.keeps} {tokenizer.length}",
        data="\n\n".join(_data(model)),
        accuracy="\n\n".join(_accuracy(model)),
        training=_table(("", ""), training) or _NOT_STATED,
        limits="\n".join(f"- {line}" for line in limits),
        licence="MIT."
        if is_embedded
        else f"{_NOT_STATED} Add it here and as `license:` in the front matter before publishing.",
        file=_code(model.path.name),
        answer="labels" if model.thresholds else "label",
    )


def accuracy_line(model: ModelFile) -> str:
    """Return the accuracy that the file states, and its texts; empty if it states none."""
    for title, scores in _measured(model).items():
        values = ", ".join(f"{_show(scores, key)} {_title(key)}" for key in _score_keys(model)[:2])
        note = "; measured before quantization" if model.quantization else ""
        return f"{values} on {_show(scores, 'texts')} {title} texts{note}"
    return ""


def _score_keys(model: ModelFile) -> tuple[str, ...]:
    """Return the keys of the scores that fit the model's answers."""
    return _ONE if model.thresholds is None else _MULTI_LABEL


def _measured(model: ModelFile) -> dict[str, Mapping[str, Any]]:
    """Return title → scores of the training, the test texts first."""
    measured = {}
    for title in ("test", "validation"):
        scores = _part(model.training, title)
        if _is_number(scores.get(_score_keys(model)[0])):
            measured[title] = scores
    return measured


def _data(model: ModelFile) -> Iterator[str]:
    """Yield the paragraphs about the training data."""
    yield _table(("", ""), _rows(_part(model.training, "data"), _DATA)) or _NOT_STATED
    if model.examples:
        yield "Example texts that the file shows:"
        yield "\n".join(f"- {_text(text)}" for text in model.examples)


def _accuracy(model: ModelFile) -> Iterator[str]:
    """Yield the paragraphs about accuracy."""
    command = "`edge-lstm evaluate FILE -m MODEL`"
    measured = _measured(model)
    if not measured:
        yield f"{_NOT_STATED} Measure it: {command}."
        return
    yield _scores("split", measured, ("texts", *_score_keys(model), "interval"))
    held_out = _part(model.training, "held_out")
    for name in measured:
        if rows := HELD_OUT.get(str(held_out.get(name))):
            yield f"The {name} texts are {rows}."
    title, scores = next(iter(measured.items()))
    if by_label := _scores(
        "label", _part(scores, "labels"), ("precision", "recall", "f1", "texts")
    ):
        yield f"By label, on the {title} texts:"
        yield by_label
    if model.quantization:
        yield f"Measured in float32, before quantization; {command} measures this file."
    if (curve := model.abstention) is not None:
        yield (
            f"The model can abstain on unsure texts (`--abstain`). Its risk-coverage curve was "
            f"made from {curve.texts:,} labelled texts that it was not trained on. "
            "The curve holds for similar texts."
        )


def _limits(model: ModelFile) -> Iterator[str]:
    """Yield the limits of the model, a line each."""
    yield from filter(None, map(_text, model.warnings))
    other = "gets none of them, or a wrong one" if model.thresholds else "gets a wrong one"
    yield f"It knows only these labels: a text that belongs to none of them {other}."
    unknown = "are read as subwords" if model.tokenizer.pieces else "are ignored"
    yield f"Words outside its vocabulary {unknown}; a text without known words is `unknown_words`."
    if model.quantization:
        yield (
            "int8 answers are bit-identical on x86 CPUs with AVX2 or later, "
            "and within 0.001 on others."
        )


def _rows(part: Mapping[str, Any], keys: Sequence[str]) -> list[tuple[str, str]]:
    """Return title and value of each key that the file states."""
    return [(_title(key), shown) for key in keys if (shown := _cell(part.get(key)))]


def _scores(head: str, parts: Mapping[str, Any], keys: Sequence[str]) -> str:
    """Return a table with a row for each part, by its name, and a column for each key."""
    rows = []
    for name, part in parts.items():
        if isinstance(part, dict):
            rows.append([_text(name), *[_show(part, key) for key in keys]])
    return _table((head, *map(_title, keys)), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown; empty without rows."""
    if not rows:
        return ""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _title(key: str) -> str:
    """Return a key of the metadata for a person."""
    return key.replace("_", " ").replace("f1", "F1").replace("interval", "95 % interval")


def _cell(value: Any, depth: int = 2) -> str:
    """Return a value as text, a share in percent; empty for an unexpected value.

    depth: levels of lists and mappings that are shown.
    """
    if _is_number(value):
        return f"{value:.2%}" if isinstance(value, float) and value <= 1 else f"{value:,}"
    if isinstance(value, str):
        return _text(value)
    cells = []
    if depth and isinstance(value, list):
        cells = [shown for entry in value if (shown := _cell(entry, depth - 1))]
    elif depth and isinstance(value, dict):
        for name, entry in value.items():
            if shown := _cell(entry, depth - 1):
                cells.append(f"{_text(name)} {shown}")
    return listed(cells, _MANY_LABELS)


def _show(part: Mapping[str, Any], key: str) -> str:
    """Return the cell of a value; a dash for an empty one."""
    return _cell(part.get(key)) or "–"


def _text(text: str) -> str:
    """Escape a text of the file, so that Markdown shows it as it is."""
    shown = printable(text)[:500]
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" else c for c in shown)


def _code(text: str) -> str:
    """Replace the marks of Markdown in a text for backquotes, which take no escapes."""
    return shorten(text, 80).replace("`", "'").replace("|", "\\|")


def _part(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return a mapping in the metadata; empty if there is another value, or no value."""
    part = value.get(key)
    return part if isinstance(part, dict) else {}


def _is_number(value: Any) -> bool:
    """Return whether a value is a number, NaN and infinity not included."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def describe(model: ModelFile) -> dict[str, Any]:
    """Return all that the file says of itself as plain values, for ``edge-lstm inspect --json``."""
    metadata = model.onnx.metadata
    words = model.tokenizer.words
    values = {
        **model.facts(),
        "format": int(metadata[KEY_FORMAT]),
        "ir_version": model.onnx.ir_version,
        "opsets": {domain or "ai.onnx": version for domain, version in model.onnx.opsets.items()},
        "inputs": [value._asdict() for value in model.graph.inputs],
        "outputs": [value._asdict() for value in model.graph.outputs],
        "labels": list(model.labels),
    }
    if model.thresholds is not None:
        values["thresholds"] = dict(zip(model.labels, model.thresholds))
    if model.question.type != CHOICE:
        values["question"] = model.question.to_dict()
    if model.fields is not None:
        values["input"] = model.fields.to_dict()
    values |= {
        "tokenizer": json.loads(metadata[KEY_TOKENIZER]),
        "vocabulary": {"words": len(words), "first": list(words[:10])},
        "network": model.network.to_dict(),
        "training": model.training,
        "quantization": model.quantization,
        "golden_rows": len(model.golden),
        "examples": list(model.examples),
    }
    if model.abstention:
        values["abstention"] = _describe_curve(model.abstention)
    names = [f"{node.domain}.{node.op_type}".lstrip(".") for node in model.graph.nodes]
    values["operators"] = Counter(names)
    return values


def _describe_curve(curve: RiskCoverage) -> dict[str, Any]:
    """Return the threshold for some shares of wrong answers, and the share of answered texts."""
    wrong = []
    for share in SHOWN_RISKS:
        point = curve.operating_point(share)
        if point is not None:
            answered = round(point.answered / curve.texts, 3)
            wrong.append({"at most": share, "threshold": point.threshold, "answered": answered})
    return {
        "data": curve.data,
        "texts": curve.texts,
        "default": curve.default,
        "unfamiliar": [{"at most": share, "threshold": score} for share, score in curve.unfamiliar],
        "wrong": wrong,
    }
