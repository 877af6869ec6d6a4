"""What a model file says of itself: lines for a person, JSON, and a model card in Markdown.

The card has the front matter that the Hugging Face hub reads
(https://huggingface.co/docs/hub/model-cards). Everything comes from the file's metadata. This part
of the metadata is for people and is not checked when the file is opened, so a missing or unexpected
value is left out.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from string import Template
from typing import Any

from edge_lstm.core.layers import described
from edge_lstm.core.modelfile import KEY_FORMAT, KEY_TOKENIZER, ModelFile, embedded_model
from edge_lstm.core.question import CHOICE
from edge_lstm.core.risk_coverage import SHOWN_RISKS, RiskCoverage
from edge_lstm.printable import counted, cut, listed, printable, shorten, to_json

QUANTIZED_PARTS = ("lstm", "embedding", "ngrams")  # parts of a network that a person knows
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
    (
        "Irony and comparisons mislead it, and so do questions: "
        "“Is it good?” is classified as positive."
    ),
)
# Keys of the training with a value for each label, of which there may be thousands.
_BY_LABEL = ("labels", "train_texts")


def overview(model: ModelFile) -> dict[str, str]:
    """Return eleven lines for a person, by name; facts that the file does not state are unknown."""
    tokenizer = model.tokenizer
    network = model.network
    subwords = f", {len(tokenizer.pieces):,} subwords" if tokenizer.pieces else ""
    ngrams = f", {network.ngrams:,} n-grams" if network.ngrams else ""
    length = f"the {tokenizer.rule.keeps} {tokenizer.length:,} tokens of a text"
    parts = (model.quantization or {}).items()
    quantized = [f"{name}: {what}" for name, what in parts if name in QUANTIZED_PARTS]
    fields = "" if model.fields is None else "; ".join(model.fields.in_words())
    versions = model.training.get("versions")
    packages = versions.items() if isinstance(versions, dict) else ()
    return {
        "model": f"{model.path.name}: {described(network.layers)}",
        "labels": _labels(model),
        "accuracy": _accuracy(model)
        or "unknown; measure it with 'edge-lstm evaluate FILE -m MODEL'",
        "size": f"{len(model.data):,} bytes, {model.precision}",
        **({"fields": fields} if fields else {}),
        "vocabulary": f"{len(tokenizer.words):,} words{subwords}{ngrams}",
        "length": "; ".join(filter(None, (length, model.padding_line))),
        "quantization": "; ".join(quantized) or "none",
        "abstention": _abstention(model),
        "examples": listed_examples(model.examples) if model.examples else "none",
        "sha256": model.sha256(),
        "made with": ", ".join(f"{name} {version}" for name, version in packages) or "unknown",
    }


def listed_examples(texts: Sequence[str]) -> str:
    """Return the number of example texts and their beginnings."""
    shown = ", ".join(f"“{cut(text, 60)}”" for text in texts)
    return f"{counted(len(texts), 'text')}: {shown}"


def _labels(model: ModelFile) -> str:
    """Return the labels, and the type of a question other than a choice."""
    kind = model.question.type
    name = "" if kind == CHOICE else f", a {kind.replace('_', '/')} question"
    return f"{len(model.labels)}{name}: {listed([shorten(label) for label in model.labels], 10)}"


def _accuracy(model: ModelFile) -> str:
    """Return the accuracy that the file states, and its texts; empty if it states none."""
    names = {"accuracy": "accuracy", "macro_f1": "macro F1"}
    if model.thresholds is not None:
        names = {"micro_f1": "micro F1", "macro_f1": "macro F1"}
    for part in ("test", "validation"):
        scores = model.training.get(part)
        if not isinstance(scores, dict):
            continue
        values = [
            f"{scores[key]:.2%} {name}" for key, name in names.items() if _is_share(scores, key)
        ]
        texts = scores.get("texts")
        if values and isinstance(texts, int):
            note = "; measured before quantization" if model.quantization else ""
            return f"{', '.join(values)} on {texts:,} {part} texts{note}"
    return ""


def _is_share(scores: dict[str, Any], key: str) -> bool:
    return type(scores.get(key)) in (int, float) and 0 <= scores[key] <= 1


def _abstention(model: ModelFile) -> str:
    """Return the thresholds, or the shares that --abstain and --unfamiliar take."""
    if model.thresholds is not None:
        pairs = zip(model.labels, model.thresholds)
        thresholds = [f"{shorten(name)} {value:.3f}" for name, value in pairs]
        return f"none; threshold per label: {listed(thresholds, 10)}"
    curve = model.abstention
    if curve is None:
        return "no risk-coverage curve: --threshold works, --abstain does not"
    default = "off by default"
    if curve.default is not None:
        default = f"--abstain {curve.default:g} by default"
    strange = ""
    if curve.unfamiliar:
        least, _ = curve.unfamiliar[0]
        strange = f", --unfamiliar {least:g} or more"
    texts = f"{counted(curve.texts, 'text')} ({curve.data})"
    return f"{default}; --abstain {curve.min_risk:.2g} or more{strange}, by {texts}"


def model_card(model: ModelFile) -> str:
    """Return the card of a model file: model_card.md, filled in.

    It is Markdown with YAML front matter.
    """
    is_embedded = model.path == embedded_model()
    training = {
        name: {key: part[key] for key in part if key not in _BY_LABEL}
        if isinstance(part, dict)
        else part
        for name, part in model.training.items()
    }
    limits = [*(_EMBEDDED_LIMITS if is_embedded else ()), *_limits(model)]
    facts = [f"| {name} | {_text(text)} |" for name, text in overview(model).items()]
    return Template(
        Path(__file__).with_name("model_card.md").read_text(encoding="utf-8")
    ).substitute(
        licence_tag="license: mit\n" if is_embedded else "",
        tags=json.dumps(["text-classification", "lstm", "onnx", model.precision, "edge"]),
        name=_text(model.path.name.removesuffix(".onnx")),
        facts="\n".join(facts),
        training=to_json(training, indent=1),
        limits="\n".join(f"- {line}" for line in limits),
        licence="MIT."
        if is_embedded
        else "Add it here and as `license:` in the front matter before publishing.",
        file=shorten(model.path.name, 80).replace("`", "'"),
        answer="labels" if model.thresholds else "label",
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


def _text(text: str) -> str:
    """Escape a text of the file, so that Markdown shows it as it is."""
    shown = printable(text)[:500]
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" else c for c in shown)


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
