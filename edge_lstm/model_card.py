"""A model card: what a model file says of itself, as Markdown with the front matter that the Hugging Face hub
reads (https://huggingface.co/docs/hub/model-cards).

Everything comes from the file's metadata. That part of it is for people and is not checked when the file is
opened, so a value that is missing, or is not what it should be, is left out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from edge_lstm.modelfile import ModelFile, embedded_model
from edge_lstm.printable import listed, printable, shorten

_MANY_LABELS = 20  # so many are listed
# What the file of the package cannot say of itself: no key of the metadata holds it.
_EMBEDDED_LIMITS = (
    "It was trained on English film reviews. On other texts, or a word or two, predictions are worth less.",
    "Negation is its weak spot: it takes “It is far from perfect.” for positive.",
)
_TEMPLATE = Path(__file__).with_name("model_card.md")
# Of the scores in the metadata, the columns: title and key, for one label per text and for several.
_ONE = {"accuracy": "accuracy", "macro F1": "macro_f1", "calibration error": "calibration_error"}
_SCORES = ("precision", "recall", "f1")
_SEVERAL = {"micro F1": "micro_f1", "macro F1": "macro_f1", "all labels right": "subset_accuracy"}


def model_card(model: ModelFile) -> str:
    """The card of a model file, Markdown with YAML front matter: model_card.md, filled in."""
    is_embedded = model.path == embedded_model()
    name = model.path.name.removesuffix(".onnx")
    publish = "The file does not say. Add it here and as `license:` in the front matter before you publish."
    limits = [*(_EMBEDDED_LIMITS if is_embedded else ()), *_limits(model)]
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        licence_tag="license: mit\n" if is_embedded else "",
        tags=json.dumps(["text-classification", "lstm", "onnx", model.precision, "edge"]),
        name=_text(name),
        kind=_kind(model),
        bytes=f"{len(model.data):,}",
        labels=_labels(model),
        data=_table(("", ""), _data(model)) or "The file does not say what it was trained on.",
        accuracy="\n\n".join(_accuracy(model)),
        training=_table(("", ""), _training(model)) or "The file does not say how it was trained.",
        limits="\n".join(f"- {line}" for line in limits),
        licence="MIT." if is_embedded else publish,
        file=_code(model.path.name),
        answer="labels" if model.thresholds else "label",
    )


def accuracy_line(model: ModelFile) -> str:
    """The accuracy that the file tells, and on which texts, for ``inspect``; empty where it does not say."""
    columns = _ONE if model.thresholds is None else _SEVERAL
    for title, scores in _measured(model)[:1]:
        values = ", ".join(f"{_show(scores, key)} {name}" for name, key in list(columns.items())[:2])
        where = "; measured before quantization" if model.quantization else ""
        return f"{values} on {_show(scores, 'texts', ',')} {title} texts{where}"
    return ""


def _kind(model: ModelFile) -> str:
    network, words = model.network, f"{len(model.tokenizer.words):,} words"
    kind = "bidirectional LSTM" if network.get("bidirectional") is True else "LSTM"
    if model.tokenizer.pieces:
        words += f" and {len(model.tokenizer.pieces):,} subwords"
    ngrams = ""
    if _is_number(network.get("ngrams")) and network["ngrams"]:
        ngrams = (
            f", and beside it vectors of {_show(network, 'ngram_dim', 'g')} dimensions for "
            f"{network['ngrams']:,} words and pairs of words"
        )
    return (
        f"A text classifier in {model.precision}: a {kind} of {_show(network, 'hidden', 'g')} units, over "
        f"{words} with embeddings of {_show(network, 'embedding_dim', 'g')} dimensions{ngrams}."
    )


def _labels(model: ModelFile) -> str:
    names = listed([f"`{_code(label)}`" for label in model.labels], _MANY_LABELS)
    several = ", and it has every label that reaches the threshold of that label" if model.thresholds else ""
    read = f"Of a text of more than {model.tokenizer.length:,} tokens the last ones are read."
    return f"{len(model.labels)} labels: {names}. A text gets a probability for each{several}. {read}"


def _data(model: ModelFile) -> Iterator[tuple[str, str]]:
    data = _part(model.training, "data")
    if isinstance(data.get("name"), str):
        yield "data set", _text(data["name"])
    if isinstance(data.get("sha256"), str):
        yield "SHA-256", f"`{_code(data['sha256'])}`"
    if counts := {k: v for k, v in _part(data, "train_texts").items() if _is_number(v)}:
        by_label = listed([f"{_text(k)} {v:,}" for k, v in counts.items()], _MANY_LABELS)
        yield "training texts", f"{sum(counts.values()):,} ({by_label})"
    for key in ("validation", "test", "unlabelled"):
        if _is_number(data.get(f"{key}_texts")):
            yield f"{key} texts", _show(data, f"{key}_texts", ",")
    if _is_number(data.get("unknown_words")):
        yield "out-of-vocabulary words", f"{data['unknown_words']:.1%} of the words of such texts"


def _measured(model: ModelFile) -> list[tuple[str, Mapping[str, Any]]]:
    """What was measured in training, the test texts first: title and scores."""
    key = "accuracy" if model.thresholds is None else "micro_f1"
    parts = [(title, _part(model.training, title)) for title in ("test", "validation")]
    return [(title, part) for title, part in parts if _is_number(part.get(key))]


def _accuracy(model: ModelFile) -> Iterator[str]:
    measured, training = _measured(model), model.training
    measure = "`edge-lstm evaluate MODEL FILE`"
    if not measured:
        yield f"The file does not say. Measure it: {measure}."
        return
    columns = _ONE if model.thresholds is None else _SEVERAL
    rows = []
    for title, part in measured:
        ends = part.get("interval")
        is_interval = isinstance(ends, list) and len(ends) == 2 and all(map(_is_number, ends))
        interval = f"{ends[0]:.2%} to {ends[1]:.2%}" if is_interval and ends else "–"
        rows.append((title, _show(part, "texts", ","), *(_show(part, k) for k in columns.values()), interval))
    yield _table(("texts", "number", *columns, "95 % interval"), rows)
    title, part = measured[0]
    if labels := {k: v for k, v in _part(part, "labels").items() if isinstance(v, Mapping)}:
        yield f"Of the {title} texts, by label:"
        cells = (
            (_text(k), *(_show(v, s) for s in _SCORES), _show(v, "texts", ",")) for k, v in labels.items()
        )
        yield _table(("label", *_SCORES, "texts"), cells)
    if model.quantization:
        yield f"Measured in float32, before the network was quantized; {measure} measures this file."
    if _is_number(training.get("temperature")):
        temperature = _show(training, "temperature", ".3f")
        yield (
            f"Probabilities are calibrated on the validation texts (temperature {temperature}, folded into "
            "the weights): of predictions with a probability of 0.9, about 90 % should be right."
        )
    if (curve := model.abstention) is not None:
        yield (
            f"Unsure predictions can be left out (`--abstain`), by a risk-coverage curve of {curve.texts:,} "
            "labelled texts that the network was not trained on. It holds for texts like these."
        )


def _training(model: ModelFile) -> Iterator[tuple[str, str]]:
    training, quantization = model.training, model.quantization or {}
    if isinstance(training.get("preset"), str):
        yield "preset", _text(training["preset"])
    for key in ("parameters", "best_epoch", "seed"):
        if _is_number(training.get(key)):
            yield key.replace("_", " "), _show(training, key, ",")
    teachers = training.get("teachers")
    for teacher in teachers if isinstance(teachers, list) else ():
        if isinstance(teacher, dict) and isinstance(teacher.get("name"), str):
            yield "teacher", _text(teacher["name"])
    if versions := {k: v for k, v in _part(training, "versions").items() if isinstance(v, str)}:
        yield "made with", ", ".join(f"{_text(k)} {_text(v)}" for k, v in versions.items())
    for key in ("lstm", "embedding", "ngrams", "head"):
        if isinstance(quantization.get(key), str):
            yield f"int8: {key}", _text(quantization[key])


def _limits(model: ModelFile) -> Iterator[str]:
    warnings = model.training.get("warnings")
    yield from (_text(w) for w in (warnings if isinstance(warnings, list) else ()) if isinstance(w, str))
    other = "may get none of them, or some all the same" if model.thresholds else "gets one of them"
    yield f"It knows these labels and no others: a text that belongs to none of them {other}."
    unknown = "are read as subwords" if model.tokenizer.pieces else "tell it nothing"
    yield f"Words outside its vocabulary {unknown}; a text without anything it knows is `unknown_words`."
    if model.quantization:
        yield "int8 gives the same bits on every x86 CPU with AVX2 or later; on others they are within 0.001."


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Empty where there are no rows."""
    cells = list(rows)
    lines = [head, ["---"] * len(head), *cells] if cells else []
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(value: Any) -> str:
    """What a file says, as Markdown shows it and no more."""
    text = printable(str(value))[:500]
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" else c for c in text)


def _code(text: str) -> str:
    """The same within backquotes, which take no escapes."""
    return shorten(text, 80).replace("`", "'").replace("|", "\\|")


def _part(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = value.get(key)
    return part if isinstance(part, dict) else {}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _show(part: Mapping[str, Any], key: str, form: str = ".2%") -> str:
    """A number in the given form, – where there is none."""
    value = part.get(key)
    return format(value, form) if _is_number(value) else "–"
