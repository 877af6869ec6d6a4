"""The presets' results → a page: figures with their spread, and the recipe of each with its command."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from edge_lstm_export.distillation import KEPT
from edge_lstm_export.presets import PRESETS

from benchmarks.bars import percent
from benchmarks.conditions import cpu_of

Json = dict[str, Any]
# Options of 'edge-lstm train' that are not called as the account of a training calls them.
_FLAGS = {"choice": "words", "embedding_dim": "embedding", "pair_buckets": "pairs"}
_SWITCHES = {"bfloat16": ("bfloat16", "float32"), "drop_unknown": ("drop-unknown", "keep-unknown")}
_SWITCHES |= {"bidirectional": ("bidirectional", "one-directional"), "pieces": ("pieces", "whole-words")}
_OTHER_TEXTS = (
    "What the same files get right elsewhere, in %, the mean of their seeds: sentences on films (SST-2), on "
    "restaurants (Yelp) and on goods (Amazon), `examples/reviews.csv`, and pairs of reviews of which one "
    "says the opposite of the other, both right. No preset was trained on any of them, nor chosen by them "
    "(`python -m benchmarks.other_texts`)."
)
_CERTAINTY = (
    "What they say of texts without a sentiment: the mean probability, in %, of the label that they answer "
    "(50: none)."
)
_SHAPE = ("embedding_dim", "hidden", "layers", "bidirectional", "pooling", "pair_buckets", "dropout")


def page(report: Json) -> str:
    """Markdown."""
    before, recipes = report["conditions"]["before"], report["recipes"]
    busy = "; **the machine was busy with other work**" if before["busy"] else ""
    heads = ("preset", "file", "test accuracy", "95 %", "validation", "log loss", "calibration error")
    heads += ("a review alone", "in batches", "text → ids")
    parts = [
        "# Accuracy, kilobytes, microseconds",
        (
            f"{report['data']['texts']:,} reviews, {report['data']['name']}, through each file in ONNX "
            f"Runtime.\n{cpu_of(before)}; Python {before['python']}; "
            f"{before['time']}; load average {before['load_average']} before, "
            f"{report['conditions']['after']['load_average']} after{busy}."
        ),
        "![accuracy against size](results/curve.svg)",
        _table(heads, [_row(recipe) for recipe in recipes]),
        (
            f"A review alone (batch 1), and its text → ids: median over {report['timed_texts']} test "
            "reviews. In batches of similar length, of as many texts as is the file's default: the mean. One "
            f"thread; the files took turns at every review; the fastest of {report['rounds']} rounds counts. "
            "Only the first file of a recipe is timed. Interval: Wilson's, of the first file. Validation: "
            "each training's own figure, before int8."
        ),
    ]
    kept = [recipe for recipe in recipes if "earlier" in recipe]
    for then in {recipe["earlier"]["time"]: recipe["earlier"] for recipe in kept}.values():
        names = ", ".join(f"`{recipe['name']}`" for recipe in kept if recipe["earlier"] == then)
        parts.append(
            f"Not made anew: {names}. Their figures are of {then['time']}, {cpu_of(then)}; their times do "
            "not compare with the others."
        )
    several = [recipe for recipe in recipes if len(recipe["files"]) > 1]
    if several:
        parts += [
            "## Seeds",
            _table(("preset", "seeds", "test accuracy", "validation"), map(_spread, several)),
        ]
    others = [recipe for recipe in recipes if recipe["files"][0].get("other_texts")]
    if others:
        parts += ["## Other texts", _OTHER_TEXTS, _others(others, "other_texts"), _CERTAINTY]
        parts.append(_others(others, "certainty"))
    alone = [recipe["name"] for recipe in recipes if len(recipe["files"]) == 1]
    if alone:
        parts.append(f"One seed only: {', '.join(alone)}. Another seed may differ by some tenths of a point.")
    parts.append("## Recipes")
    for recipe in recipes:
        parts += _recipe(recipe)
    parts.append(
        "The file of each is then made by `edge-lstm export FILE -o FILE.onnx --quantize int8`, and this "
        "page by `python -m benchmarks.accuracy NAME=FILE.onnx,… …`, once more without measuring by `--draw`."
    )
    return "\n\n".join(parts) + "\n"


def command(training: Mapping[str, Any], network: Mapping[str, Any]) -> str:
    """What trains this file again: the preset, and what differs from it."""
    preset, data = PRESETS[training["preset"]], training["data"]
    words = [f"edge-lstm train {data['name']} -o model.safetensors --preset {training['preset']}"]
    teaching = training.get("distillation") or {}
    teacher = teaching.get("teacher", "none")
    if teacher != preset.teacher:
        words.append(f"--teacher {teacher}")
    if teacher == KEPT:
        words.append("--set soft-labels=export/labels/imdb.safetensors")
    if teaching.get("unlabelled"):
        words.append(f"--unlabelled {teaching['unlabelled']}")
    models = range(1, len(teaching.get("models_sha256", ())) + 1)
    words += [f"--teacher-model TEACHER{number}.onnx" for number in models]
    if teaching.get("own_labels", preset.own_labels) != preset.own_labels:
        words.append(f"--own-labels {teaching['own_labels']}")
    share = data["validation_texts"] / (data["validation_texts"] + sum(data["train_texts"].values()))
    if round(share, 2) != 0.1:
        words.append(f"--validation {round(share, 2):g}")
    usual = {**preset.options.to_dict(), "num_words": preset.network.num_words, "skip_top": 0}
    usual |= {"length": 600, "choice": "frequent", "drop_unknown": False, "pieces": False}
    usual |= preset.vocabulary
    shape = preset.network.to_dict()
    usual |= {name: shape[name] for name in _SHAPE}
    used = {**training["options"], **training["vocabulary"], **{name: network[name] for name in _SHAPE}}
    for name, value in usual.items():
        if used.get(name, value) != value:
            words.append(_flag(name, used[name]))
    return " ".join(words)


def _flag(name: str, value: Any) -> str:
    if name in _SWITCHES:
        return f"--{_SWITCHES[name][0 if value else 1]}"
    return f"--{_FLAGS.get(name, name).replace('_', '-')} {value}"


def _row(recipe: Json) -> list[str]:
    files, times = recipe["files"], recipe["times"]
    first = files[0]
    low, high = (100 * value for value in first["interval"])
    checked = [f["training"]["validation"]["accuracy"] for f in files if f["training"].get("validation")]
    return [
        recipe["name"],
        f"{first['bytes'] / 1000:,.0f} kB",
        f"**{percent(statistics.mean(file['accuracy'] for file in files))} %**",
        f"{low:.2f} to {high:.2f}",
        f"{100 * statistics.mean(checked):.2f} %" if checked else "–",
        f"{statistics.mean(file['log_loss'] for file in files):.4f}",
        f"{100 * statistics.mean(file['calibration_error'] for file in files):.2f} %",
        f"{times['alone']:.0f} µs",
        f"{times['batches']:.0f} µs ({recipe['batch_size']} texts)",
        f"{times['words']:.0f} µs",
    ]


def _others(recipes: Sequence[Json], key: str) -> str:
    """A row for each recipe, a column for each kind of text."""
    kinds = list(dict.fromkeys(kind for recipe in recipes for kind in recipe["files"][0][key]))
    return _table(
        ("preset", *kinds),
        [
            [
                recipe["name"],
                *(
                    f"{100 * statistics.mean(file[key][kind] for file in recipe['files']):.1f}"
                    if kind in recipe["files"][0][key]
                    else "–"
                    for kind in kinds
                ),
            ]
            for recipe in recipes
        ],
    )


def _spread(recipe: Json) -> list[str]:
    files = recipe["files"]
    return [
        recipe["name"],
        ", ".join(str(file["training"].get("seed", "?")) for file in files),
        _mean_and_spread([file["accuracy"] for file in files]),
        _mean_and_spread([file["training"]["validation"]["accuracy"] for file in files]),
    ]


def _mean_and_spread(shares: Sequence[float]) -> str:
    mean, low, high = map(percent, (statistics.mean(shares), min(shares), max(shares)))
    return f"{mean} % ± {100 * statistics.stdev(shares):.2f} ({low} to {high})"


def _recipe(recipe: Json) -> list[str]:
    first = recipe["files"][0]
    training, network = first["training"], first["network"]
    directions = " in both directions" if network["bidirectional"] else ""
    pairs = f", {network['pair_buckets']:,} word pairs" if network.get("pair_buckets") else ""
    teaching = training.get("distillation") or {}
    taught = ""
    if teaching:
        taught = (
            f" Teacher {teaching['teacher']} ({teaching['cross_fitted_accuracy']:.2%}, cross-fitted) on the "
            f"training texts and {teaching['unlabelled_texts']:,} unlabelled ones."
        )
        if teaching.get("validation_accuracy"):
            reached = ", ".join(
                f"{name} {share:.2%}" for name, share in teaching["validation_accuracy"].items()
            )
            taught = (
                f" Kept labels of {teaching['unlabelled_texts']:,} further texts and {teaching['spans']:,} "
                f"spans (on the validation part: {reached})."
            )
        models = ", ".join(f"`{digest[:16]}…`" for digest in teaching.get("models_sha256", ()))
        if models:
            taught += (
                f" Model files that labelled these too, of the stages of `make model` (sha256): {models}."
            )
    return [
        f"### {recipe['name']}",
        (
            f"{training['parameters']:,} parameters: {network['num_words']:,} ids, embedding "
            f"{network['embedding_dim']}, LSTM {network['hidden']}{directions}, {network['pooling']}{pairs}. "
            f"{training['data']['validation_texts']:,} validation texts chose epoch {training['best_epoch']} "
            f"of {training['epochs']}.{taught}"
        ),
        f"```\n{command(training, network)}\n```",
        "\n".join(
            f"- seed {file['training'].get('seed', '?')}: {percent(file['accuracy'])} %, "
            f"{file['bytes']:,} bytes, sha256 `{file['sha256'][:16]}…`"
            for file in recipe["files"]
        ),
    ]


def _table(heads: Sequence[str], rows: Any) -> str:
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)
