"""What a model file says of itself: a model card in Markdown, with the front matter that the
Hugging Face hub reads (https://huggingface.co/docs/hub/model-cards), and a CycloneDX bill of
materials.

Everything comes from the file's metadata. That part of it is for people and is not checked when the
file is opened, so a value that is missing, or is not what it should be, is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from edge_lstm._version import __version__
from edge_lstm.modelfile import ModelFile, embedded_model
from edge_lstm.printable import listed, printable, shorten

_MANY_LABELS = 20  # so many are listed
# What the file of the package cannot say of itself: no key of the metadata holds it.
_EMBEDDED_LIMITS = (
    "It learnt from IMDB, the Stanford Sentiment Treebank, GoEmotions (Apache 2.0), and reviews of products.",
    "It is for English reviews and sentences. On other texts, or one or two words, it is less accurate.",
    "Irony and indirect negation mislead it: “It is far from perfect.” is classified as positive.",
)
_TEMPLATE = Path(__file__).with_name("model_card.md")
# Keys of the metadata that become rows and columns, scores for one label per text and for several.
_DATA = (
    *("name", "sha256", "train_texts", "validation_texts", "test_texts", "unlabelled_texts"),
    "unknown_words",
)
_NETWORK = ("hidden", "embedding_dim", "ngrams")
_TRAINING = ("preset", "parameters", "best_epoch", "seed", "teachers", "versions")
_INT8 = ("lstm", "embedding", "ngrams", "head")
_ONE = ("accuracy", "macro_f1", "calibration_error")
_SEVERAL = ("micro_f1", "macro_f1", "subset_accuracy")
_BY_LABEL = ("precision", "recall", "f1", "texts")


def model_card(model: ModelFile) -> str:
    """The card of a model file, Markdown with YAML front matter: model_card.md, filled in."""
    is_embedded = model.path == embedded_model()
    publish = "Not stated in the file. Add it here and as `license:` in the front matter before publishing."
    subwords = f" and {len(model.tokenizer.pieces):,} subwords" if model.tokenizer.pieces else ""
    several = (
        ", and every label whose probability reaches its threshold" if model.thresholds else ""
    )
    training = [*_rows(model.network, _NETWORK), *_rows(model.training, _TRAINING)]
    int8 = [(f"int8: {name}", text) for name, text in _rows(model.quantization or {}, _INT8)]
    limits = [*(_EMBEDDED_LIMITS if is_embedded else ()), *_limits(model)]
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        licence_tag="license: mit\n" if is_embedded else "",
        tags=json.dumps(["text-classification", "lstm", "onnx", model.precision, "edge"]),
        name=_text(model.path.name.removesuffix(".onnx")),
        kind=f"{model.precision}: {'a bidirectional' if model.network.get('bidirectional') else 'an'} LSTM",
        words=f"{len(model.tokenizer.words):,} words{subwords}",
        bytes=f"{len(model.data):,}",
        count=len(model.labels),
        labels=listed([f"`{_code(label)}`" for label in model.labels], _MANY_LABELS),
        several=several,
        length=model.tokenizer.length,
        data="\n\n".join(_data(model)),
        accuracy="\n\n".join(_accuracy(model)),
        training=_table(("", ""), [*training, *int8]) or "Not stated in the file.",
        limits="\n".join(f"- {line}" for line in limits),
        licence="MIT." if is_embedded else publish,
        file=_code(model.path.name),
        answer="labels" if model.thresholds else "label",
    )


def bill_of_materials(model: ModelFile) -> dict[str, Any]:
    """The CycloneDX 1.6 ML-BOM of a model file (https://cyclonedx.org/docs/1.6/json/), plain values
    for JSON.
    Without a time or a serial number: the same file gives the same one."""
    sha256, data = model.sha256(), _part(model.training, "data")
    measured_in = ", float32" if model.quantization else ""
    parameters = {
        "approach": {"type": "supervised"},
        "task": "text-classification",
        "architectureFamily": "LSTM",
        "datasets": [{"type": "dataset", "name": str(data["name"])}] if data.get("name") else [],
        "inputs": [{"format": "text"}],
        "outputs": [{"format": "label"}],
    }
    metrics = [
        {"type": key, "value": str(scores[key]), "slice": f"{title}{measured_in}"}
        for title, scores in _measured(model).items()
        for key in _score_keys(model)
        if _is_number(scores.get(key))
    ]
    made = {f"made with {name}": text for name, text in _part(model.training, "versions").items()}
    facts = {
        "precision": model.precision,
        "bytes": len(model.data),
        "data sha256": data.get("sha256"),
    }
    properties = [*(("label", label) for label in model.labels), *{**facts, **made}.items()]
    component = {
        "type": "machine-learning-model",
        "name": model.path.name,
        "version": sha256[:12],
        "hashes": [{"alg": "SHA-256", "content": sha256}],
        "licenses": [{"license": {"id": "MIT"}}] if model.path == embedded_model() else [],
        "modelCard": {
            "modelParameters": parameters,
            "quantitativeAnalysis": {"performanceMetrics": metrics},
        },
        "properties": [
            {"name": f"edge-lstm:{k}", "value": str(v)} for k, v in properties if v is not None
        ],
    }
    tool = {"type": "application", "name": "edge-lstm", "version": __version__}
    metadata = {"tools": {"components": [tool]}, "component": component}
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "metadata": metadata}


def accuracy_line(model: ModelFile) -> str:
    """The accuracy that the file tells, and on which texts, for ``inspect``; empty where it does
    not say."""
    for title, scores in _measured(model).items():
        values = ", ".join(f"{_show(scores, key)} {_title(key)}" for key in _score_keys(model)[:2])
        where = "; measured before quantization" if model.quantization else ""
        return f"{values} on {_show(scores, 'texts')} {title} texts{where}"
    return ""


def _score_keys(model: ModelFile) -> tuple[str, ...]:
    return _ONE if model.thresholds is None else _SEVERAL


def _measured(model: ModelFile) -> dict[str, Mapping[str, Any]]:
    """What was measured in training, the test texts first: title → scores."""
    parts = {title: _part(model.training, title) for title in ("test", "validation")}
    return {
        title: part for title, part in parts.items() if _is_number(part.get(_score_keys(model)[0]))
    }


def _data(model: ModelFile) -> Iterator[str]:
    yield _table(("", ""), _rows(_part(model.training, "data"), _DATA)) or "Not stated in the file."
    if model.examples:
        yield "Example texts that the file shows:"
        yield "\n".join(f"- {_text(text)}" for text in model.examples)


def _accuracy(model: ModelFile) -> Iterator[str]:
    measured, measure = _measured(model), "`edge-lstm evaluate MODEL FILE`"
    if not measured:
        yield f"Not stated in the file. Measure it: {measure}."
        return
    yield _scores("of", measured, ("texts", *_score_keys(model), "interval"))
    title, scores = next(iter(measured.items()))
    if by_label := _scores("label", _part(scores, "labels"), _BY_LABEL):
        yield f"By label, on the {title} texts:"
        yield by_label
    if model.quantization:
        yield f"Measured in float32, before quantization; {measure} measures this file."
    if (curve := model.abstention) is not None:
        yield (
            f"The model can abstain on unsure texts (`--abstain`), by its risk-coverage curve of "
            f"{curve.texts:,} labelled texts that it was not trained on. The curve holds for similar texts."
        )


def _limits(model: ModelFile) -> Iterator[str]:
    yield from filter(None, map(_text, model.warnings))
    other = "gets none of them, or a wrong one" if model.thresholds else "gets a wrong one"
    yield f"It knows these labels only: a text that belongs to none of them {other}."
    unknown = "are read as subwords" if model.tokenizer.pieces else "are ignored"
    yield f"Words outside its vocabulary {unknown}; a text without known words is `unknown_words`."
    if model.quantization:
        yield "int8 answers are bit-identical on x86 CPUs with AVX2 or later, and within 0.001 on others."


def _rows(part: Mapping[str, Any], keys: Sequence[str]) -> list[tuple[str, str]]:
    """Title and value of each key, without those that the file does not say."""
    return [(_title(key), shown) for key in keys if (shown := _cell(part.get(key)))]


def _scores(head: str, parts: Mapping[str, Any], keys: Sequence[str]) -> str:
    """A row for each part, by its name, a column for each key."""
    scores = {name: part for name, part in parts.items() if isinstance(part, dict)}
    rows = [(_text(name), *(_show(part, key) for key in keys)) for name, part in scores.items()]
    return _table((head, *map(_title, keys)), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Empty where there are no rows."""
    lines = [head, ["---"] * len(head), *rows] if rows else []
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _title(key: str) -> str:
    return key.replace("_", " ").replace("f1", "F1").replace("interval", "95 % interval")


def _cell(value: Any, depth: int = 2) -> str:
    """A text, a number (a share in %), or what lists and mappings hold of them; empty for anything
    else."""
    if _is_number(value):
        return f"{value:.2%}" if isinstance(value, float) and value <= 1 else f"{value:,}"
    if isinstance(value, str):
        return _text(value)
    inner: list[str] = []
    if depth and isinstance(value, list):
        inner = [_cell(entry, depth - 1) for entry in value]
    elif depth and isinstance(value, dict):
        inner = [
            f"{_text(name)} {shown}" for name, v in value.items() if (shown := _cell(v, depth - 1))
        ]
    return listed([shown for shown in inner if shown], _MANY_LABELS)


def _show(part: Mapping[str, Any], key: str) -> str:
    """The cell of a value, – where there is none."""
    return _cell(part.get(key)) or "–"


def _text(text: str) -> str:
    """What a file says, as Markdown shows it and no more."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" else c for c in printable(text)[:500])


def _code(text: str) -> str:
    """The same within backquotes, which take no escapes."""
    return shorten(text, 80).replace("`", "'").replace("|", "\\|")


def _part(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = value.get(key)
    return part if isinstance(part, dict) else {}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
