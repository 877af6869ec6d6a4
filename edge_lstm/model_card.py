"""A model card: what a model file says of itself, as Markdown with the front matter that the Hugging Face hub
reads (https://huggingface.co/docs/hub/model-cards).

Everything comes from the file's metadata. That part of it is for people and is not checked when the file is
opened, so a value that is missing, or is not what it should be, is left out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edge_lstm.modelfile import ModelFile, embedded_model
from edge_lstm.printable import printable, shorten

_MANY_LABELS = 20  # so many are listed
# What the file of the package cannot say of itself: no key of the metadata holds it.
_EMBEDDED_LICENCE = "mit"
_EMBEDDED_LIMITS = (
    "It was trained on English film reviews. On other texts, or a word or two, its answers are worth less.",
    "Negation is its weak spot: it takes “It is far from perfect.” for positive.",
)


def model_card(model: ModelFile) -> str:
    """The card of a model file, Markdown with YAML front matter."""
    name = model.path.name.removesuffix(".onnx")
    embedded = model.path == embedded_model()
    licence = _EMBEDDED_LICENCE if embedded else None
    parts = [
        *_front_matter(model, name, licence),
        f"# {_text(name)}",
        f"{_kind(model)} It runs [on a low-power CPU](#how-to-run-it), from {len(model.data):,} bytes.",
        "## Answers",
        _answers(model),
        "## Data",
        *_data(model),
        "## Accuracy",
        *_accuracy(model),
        "## Training",
        *_training(model),
        "## Limits",
        "\n".join(f"- {line}" for line in _limits(model, _EMBEDDED_LIMITS if embedded else ())),
        "## Licence",
        "MIT."
        if licence
        else "The file does not say. Add it here and as `license:` in the front matter before you publish.",
        "## How to run it",
        _PORTS.format(file=_code(model.path.name), answer="labels" if model.thresholds else "label"),
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(model: ModelFile, name: str, licence: str | None) -> Iterator[str]:
    """YAML, of which JSON's strings and numbers are a part."""
    lines = ["---", *([f"license: {licence}"] if licence else []), "library_name: edge-lstm"]
    lines += ["pipeline_tag: text-classification", "tags:"]
    lines += [f"- {tag}" for tag in ("text-classification", "lstm", "onnx", model.precision, "edge")]
    test, data = _part(model.training, "test"), _part(model.training, "data")
    metrics = [
        (kind, value)
        for kind, key in (("accuracy", "accuracy"), ("f1", "macro_f1"))
        if (value := _number(test, key)) is not None
    ]
    if metrics:
        dataset = json.dumps(printable(data["name"] if isinstance(data.get("name"), str) else "unknown"))
        lines += ["model-index:", f"- name: {json.dumps(printable(name))}", "  results:"]
        lines += ["  - task:", "      type: text-classification"]
        lines += ["    dataset:", f"      name: {dataset}", f"      type: {dataset}", "      split: test"]
        lines.append("    metrics:")
        for kind, value in metrics:
            lines += [f"    - type: {kind}", f"      value: {value}"]
    yield "\n".join([*lines, "---"])


def _kind(model: ModelFile) -> str:
    network = model.network
    what = "bidirectional LSTM" if network.get("bidirectional") is True else "LSTM"
    hidden, embedding = _number(network, "hidden"), _number(network, "embedding_dim")
    shape = f" of {hidden:g} units" if hidden else ""
    over = f", over {len(model.tokenizer.words):,} words"
    if model.tokenizer.pieces:
        over += f" and {len(model.tokenizer.pieces):,} pieces of words"
    vectors = f" of {embedding:g} dimensions" if embedding else ""
    beside = ""
    if ngrams := _number(network, "ngrams"):
        wide = _number(network, "ngram_dim")
        many = f"vectors of {wide:g} dimensions" if wide else "vectors"
        beside = f", and beside it {many} for {ngrams:,} words and pairs of words"
    return f"A text classifier in {model.precision}: a {what}{shape}{over}{vectors}{beside}."


def _answers(model: ModelFile) -> str:
    shown = ", ".join(f"`{_code(label)}`" for label in model.labels[:_MANY_LABELS])
    more = len(model.labels) - _MANY_LABELS
    labels = f"{len(model.labels)} labels: {shown}" + (f" and {more} more" if more > 0 else "")
    several = ", and every label that reaches the threshold of its own" if model.thresholds else ""
    read = f"Of more than {model.tokenizer.length:,} tokens the last ones are read."
    return f"{labels}. A text gets a probability for each{several}. {read}"


def _data(model: ModelFile) -> Iterator[str]:
    data = _part(model.training, "data")
    if not data:
        yield "The file does not say what it was trained on."
        return
    rows = [("data set", _text(data["name"]))] if isinstance(data.get("name"), str) else []
    if (digest := data.get("sha256")) and isinstance(digest, str):
        rows.append(("SHA-256", f"`{_code(digest)}`"))
    counts = {k: v for k, v in _part(data, "train_texts").items() if _is_number(v)}
    if counts:
        by_label = ", ".join(f"{_text(k)} {v:,}" for k, v in list(counts.items())[:_MANY_LABELS])
        more = f" and {len(counts) - _MANY_LABELS} more labels" if len(counts) > _MANY_LABELS else ""
        rows.append(("training texts", f"{sum(counts.values()):,} ({by_label}{more})"))
    for key, title in (
        ("validation_texts", "validation texts"),
        ("test_texts", "test texts"),
        ("unlabelled_texts", "texts without a label"),
    ):
        if (count := _number(data, key)) is not None:
            rows.append((title, f"{count:,}"))
    if (share := _number(data, "unknown_words")) is not None:
        rows.append(("words that it does not know", f"{share:.1%} of the words of such texts"))
    yield _table(("", ""), rows) if rows else "The file does not say what it was trained on."


def _accuracy(model: ModelFile) -> Iterator[str]:
    several = model.thresholds is not None
    told = [
        (title, part)
        for title in ("test", "validation")
        if (part := _part(model.training, title))
        and _number(part, "micro_f1" if several else "accuracy") is not None
    ]
    if not told:
        yield "The file does not say. Measure it: `edge-lstm evaluate MODEL --data FILE`."
        return
    scores = _scores_of_sets if several else _scores
    yield _table(("texts", *scores({})), [(title, *scores(part).values()) for title, part in told])
    title, part = told[0]
    labels = [(k, v) for k, v in _part(part, "labels").items() if isinstance(v, Mapping)]
    if labels:
        yield f"Of the {title} texts, by label:"
        yield _table(
            ("label", "precision", "recall", "F1", "texts"),
            [
                (_text(k), *(_percent(v, key) for key in ("precision", "recall", "f1")), _count(v, "texts"))
                for k, v in labels
            ],
        )
    if model.quantization:
        yield (
            "Measured in float32, before the network was quantized; "
            "`edge-lstm evaluate MODEL --data FILE` measures this file."
        )
    if (temperature := _number(model.training, "temperature")) is not None:
        yield (
            f"Probabilities are calibrated on the validation texts (temperature {temperature:.3f}, folded "
            "into the weights): of answers with a probability of 0.9, about 90 % should be right."
            + ("" if several else " The calibration error is the mean distance from that.")
        )
    if model.abstention is not None:
        curve = model.abstention
        yield (
            f"Unsure answers can be left out (`--abstain`), by a curve measured on {curve.texts:,} labelled "
            "texts that the network did not learn from. It holds for texts like these."
        )


def _scores(part: Mapping[str, Any]) -> dict[str, str]:
    """The columns of texts with one label each."""
    low, high = _interval(part)
    return {
        "number": _count(part, "texts"),
        "accuracy": _percent(part, "accuracy"),
        "95 % interval": f"{low:.2%} to {high:.2%}" if low is not None and high is not None else "–",
        "macro F1": _percent(part, "macro_f1"),
        "log loss": _figure(part, "log_loss"),
        "calibration error": _percent(part, "calibration_error"),
    }


def _scores_of_sets(part: Mapping[str, Any]) -> dict[str, str]:
    """The columns of texts with several labels each."""
    return {
        "number": _count(part, "texts"),
        "micro F1": _percent(part, "micro_f1"),
        "macro F1": _percent(part, "macro_f1"),
        "all labels right": _percent(part, "subset_accuracy"),
    }


def _training(model: ModelFile) -> Iterator[str]:
    training = model.training
    rows: list[tuple[str, str]] = []
    if isinstance(training.get("preset"), str):
        rows.append(("preset", _text(training["preset"])))
    for key, title in (
        ("parameters", "parameters"),
        ("best_epoch", "epochs until the best one"),
        ("seed", "seed"),
    ):
        if (value := _number(training, key)) is not None:
            rows.append((title, f"{value:,}"))
    teachers = training.get("teachers")
    if isinstance(teachers, list) and all(
        isinstance(t, dict) and isinstance(t.get("name"), str) for t in teachers
    ):
        rows += [("teacher", _text(teacher["name"])) for teacher in teachers]
    versions = {k: v for k, v in _part(training, "versions").items() if isinstance(v, str)}
    if versions:
        rows.append(("made with", ", ".join(f"{_text(k)} {_text(v)}" for k, v in versions.items())))
    if model.quantization:
        parts = {key: model.quantization.get(key) for key in ("lstm", "embedding", "ngrams", "head")}
        rows += [(f"int8: {key}", _text(what)) for key, what in parts.items() if isinstance(what, str)]
    yield _table(("", ""), rows) if rows else "The file does not say how it was trained."


def _limits(model: ModelFile, own: Sequence[str]) -> Iterator[str]:
    yield from own
    warnings = model.training.get("warnings")
    if isinstance(warnings, list):
        yield from (_text(warning) for warning in warnings if isinstance(warning, str))
    other = "may get none of them, or some all the same" if model.thresholds else "gets one of them"
    yield f"It knows these labels and no others: a text that belongs to none of them {other}."
    unknown = "are read in pieces" if model.tokenizer.pieces else "tell it nothing"
    yield f"Words outside its vocabulary {unknown}; a text without anything it knows is `unknown_words`."
    if model.quantization:
        yield "int8 gives the same bits on every x86 CPU with AVX2 or later; on others they are within 0.001."


_PORTS = """\
The file is whole: vocabulary, labels, and texts to test it with are in it. On a device:

```sh
pip install edge-lstm
edge-lstm doctor {file}     # does it run here, and give its answers
edge-lstm predict -m {file} "A text."
```

From Python:

```python
from edge_lstm import Classifier

Classifier.load("{file}").predict(["A text."])[0].{answer}
```

In the browser, as one HTML file that needs no network:

```sh
edge-lstm page {file} -o page.html
```

Without ONNX Runtime, from a clone of edge-lstm, in JavaScript (`ports/js`) and C (`ports/c`):

```js
import {{ Classifier }} from "./edge-lstm.mjs";

(await Classifier.load("{file}")).predict("A text.").{answer};
```

```sh
make -C ports/c && ports/c/edge-lstm-c {file} "A text."
```

`ports/onnxruntime` has the lines that it takes in C++ and in onnxruntime-web, `ports/reference.py` the whole
computation in NumPy."""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
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


def _number(value: Mapping[str, Any], key: str) -> Any:
    number = value.get(key)
    return number if _is_number(number) else None


def _percent(part: Mapping[str, Any], key: str) -> str:
    number = _number(part, key)
    return "–" if number is None else f"{number:.2%}"


def _figure(part: Mapping[str, Any], key: str) -> str:
    number = _number(part, key)
    return "–" if number is None else f"{number:.4f}"


def _count(part: Mapping[str, Any], key: str) -> str:
    number = _number(part, key)
    return "–" if number is None else f"{number:,}"


def _interval(part: Mapping[str, Any]) -> tuple[float | None, float | None]:
    interval = part.get("interval")
    if isinstance(interval, list) and len(interval) == 2 and all(map(_is_number, interval)):
        return interval[0], interval[1]
    return None, None
