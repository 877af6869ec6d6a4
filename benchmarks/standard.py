"""The sets that papers use: our files beside a linear SVM, other tools and published figures.

    python -m benchmarks.standard

It only writes standard.md, from results/: the runs of ``public_sets`` in public_sets.jsonl and in
standard.jsonl, the tools that ``make bench`` measured, and published.csv, whose sources are named below.
"""

from __future__ import annotations

import csv
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import NamedTuple

from benchmarks.public_sets import RESULTS, SVM, Cell, Figures, load
from benchmarks.sets import ALL, TEN_FOLD
from benchmarks.table import markdown_table

PAGE = Path(__file__).parent / "standard.md"
HERE = "measured here"  # a source
# Their test sentences are in what the sentiment model of the package learnt from, so it must not teach here.
SEEN = ("mr",)
UNDIVIDED = ("mr", "cr", "subj", "mpqa")  # without a published test split
PRESETS = ("small", "base")
ACCURACY, MACRO_F1 = "accuracy", "macro F1"
Runs = Mapping[Cell, Figures]
# Set → its name, and the measure that its papers give.
SETS: Mapping[str, tuple[str, str]] = {
    "sst2": ("SST-2, sentences on films", ACCURACY),
    "sst1": ("SST-1, five grades", ACCURACY),
    "mr": ("MR, sentences on films", ACCURACY),
    "cr": ("CR, customer reviews", ACCURACY),
    "subj": ("Subj, subjectivity", ACCURACY),
    "mpqa": ("MPQA, phrases", ACCURACY),
    "trec6": ("TREC-6, questions", ACCURACY),
    "trec50": ("TREC-50, questions", ACCURACY),
    "banking77": ("BANKING77, intents", ACCURACY),
    "clinc150": ("CLINC150, intents in scope", ACCURACY),
    "tweeteval_emotion": ("TweetEval, emotion", MACRO_F1),
    "hate": ("TweetEval, hate", MACRO_F1),
    "offensive": ("TweetEval, offensive", MACRO_F1),
    "irony": ("TweetEval, irony", MACRO_F1),
    "germeval2": ("GermEval 2018, two labels", MACRO_F1),
    "germeval4": ("GermEval 2018, four labels", MACRO_F1),
    "sms_spam": ("SMS spam", ACCURACY),
    "zh_waimai10k": ("Chinese orders", ACCURACY),
}
ABSENT = {
    "ag_news": "AG News",
    "yelp_polarity": "Yelp, polarity",
    "dbpedia": "DBpedia",
    "model2vec": "model2vec's fifteen sets, 1,000 rows, mean",
}
SOURCES: Mapping[str, tuple[str, str]] = {
    "turc": (
        "https://huggingface.co/google/bert_uncased_L-8_H-128_A-2/blob/main/README.md",
        "Turc et al. (2019), GLUE's test server; fine-tuned on 67,349 phrases of the training sentences",
    ),
    "kim": (
        "https://paperswithcode.com/paper/convolutional-neural-networks-for-sentence",
        "Kim (2014), multichannel; phrases of the training sentences too",
    ),
    "kim-others": (
        "https://www.wizwand.com/paper/68fa617c1e209131ce9f4631",
        "Kim (2014); SST-1: phrases of the training sentences too; Subj: ten-fold cross-validation",
    ),
    "kim-mr": (
        "https://github.com/DataZwer/CNNTextClassification",
        "Kim (2014), table 2; ten-fold cross-validation",
    ),
    "model2vec": (
        "https://github.com/MinishLab/model2vec/tree/main/results#training-results",
        "1,000 rows of each training split; the page does not name the measure",
    ),
    "banking": (
        "https://huggingface.co/a-grishman/bert-base-banking77-pt2",
        "the card does not say which F1",
    ),
    "tweeteval": ("https://github.com/cardiffnlp/tweeteval", "its leaderboard; Barbieri et al. (2020)"),
    "fasttext": ("https://fasttext.cc/docs/en/supervised-models.html", "Joulin et al. (2016)"),
}


class Published(NamedTuple):
    """A line of published.csv: a figure in %, and where it stands."""

    set: str
    system: str
    measure: str
    figure: str
    parameters: str
    size: str
    source: str


def published() -> list[Published]:
    """Read results/published.csv."""
    with RESULTS.with_name("published.csv").open(encoding="utf-8", newline="") as file:
        return [Published(**line) for line in csv.DictReader(file)]


def measured() -> list[Published]:
    """Return what ``make bench`` found of the other tools, each on the sets that it was run on."""
    report = json.loads(RESULTS.with_name("comparison.json").read_text("utf-8"))
    return [
        Published(
            name, tool["name"], ACCURACY, f"{100 * share:.1f}", "", _size(tool["model_bytes"][name]), HERE
        )
        for tool in report["tools"]
        if not tool["name"].startswith(("edge-lstm", "linear SVM"))
        for name, share in tool["accuracy"].items()
    ]


def table(runs: Runs, others: Sequence[Published]) -> str:
    """Return the measured sets as Markdown, with what others report of them."""
    lines, gains = [], [list[float]() for _ in PRESETS]
    for name, (title, measure) in SETS.items():
        teacher = "none" if name in SEEN else "default"
        columns = [_runs(runs, name, SVM), *(_runs(runs, name, teacher, preset) for preset in PRESETS)]
        means = [_mean(column, measure) for column in columns]
        for gain, mean in zip(gains, means[1:]):
            gain += [mean - means[0]] if mean and means[0] else []
        if any(columns[1:]):
            sizes = ["", *(f" ({_size(1000 * _kb(column))})" if column else "" for column in columns[1:])]
            theirs = [other for other in others if other.set == name]
            lines.append([title, measure, *map(str.__add__, _bold(means), sizes), _list(theirs)])
    beside = [f"{statistics.mean(gain):+.1f} ({len(gain)} sets)" if gain else "–" for gain in gains]
    heads = ("set", "measure", "linear SVM", *(f"`{preset}`, int8" for preset in PRESETS), "others")
    return markdown_table(heads, [*lines, ["**mean, beside the SVM**", "", "", *beside, ""]], words=(0, 1, 5))


def page(runs: Runs, others: Sequence[Published]) -> str:
    """Return the whole page."""
    absent = (
        [title, _list([other for other in others if other.set == name])] for name, title in ABSENT.items()
    )
    sources = (f"{number}. <{url}>: {what}" for number, (url, what) in enumerate(SOURCES.values(), 1))
    parts = table(runs, others), NOT_MEASURED, markdown_table(("set", "others"), absent, (0, 1)), SOURCED
    return "\n".join([HEAD, "\n\n".join(parts), *sources, ""])


HEAD = """# The sets that papers use

Written by `python -m benchmarks.standard` ([how](README.md#public-sets-and-decisions)). Test splits, all
rows, all default settings, mean of three seeds, in %; bold: the best of the SVM and our files. SVM: a linear
SVM on TF-IDF of words, word pairs and characters. Others: the best first, with parameters or size where
known; those with a number as published there, the rest as [measured here](../docs/comparison.md). Where
theirs is higher, we are behind.
"""
NOT_MEASURED = """## Not measured

No snapshot that we have holds the training rows of the first three; the last was not run:"""
SOURCED = """## Sources

MR, CR, Subj and MPQA have no published split: ten-fold cross-validation, as in the papers. MR's sentences are
the treebank's, whose training part the package's sentiment model learnt from: it does not teach there
(`--teacher none`).
"""


def _runs(runs: Runs, name: str, teacher: str, preset: str = "small") -> list[Figures]:
    asked = name, TEN_FOLD if name in UNDIVIDED else ALL, teacher, False, preset, 0
    return [run for cell, run in runs.items() if astuple(cell)[:-1] == asked]


def _kb(runs: Sequence[Figures]) -> float:
    return statistics.mean(run.kb for run in runs)


def _mean(runs: Sequence[Figures], measure: str) -> float | None:
    shares = [run.accuracy if measure == ACCURACY else run.macro_f1 for run in runs]
    return round(100 * statistics.mean(shares), 1) if shares else None


def _bold(figures: Sequence[float | None]) -> list[str]:
    best = max(figure for figure in figures if figure is not None)
    shown = ["–" if figure is None else f"{figure:.1f}" for figure in figures]
    return [f"**{text}**" if figure == best else text for figure, text in zip(figures, shown)]


def _list(others: Sequence[Published]) -> str:
    return "; ".join(map(_shown, sorted(others, key=lambda other: -float(other.figure)))) or "–"


def _shown(other: Published) -> str:
    size = ", ".join(filter(None, (other.parameters and f"{other.parameters} parameters", other.size)))
    measure = "" if other.measure in (ACCURACY, MACRO_F1) else f"{other.measure} "
    number = "" if other.source == HERE else f" [{list(SOURCES).index(other.source) + 1}]"
    return f"{other.system} {measure}{other.figure}{f' ({size})' if size else ''}{number}"


def _size(count: float) -> str:
    return f"{count / 1000:,.0f} kB" if count < 1e6 else f"{count / 1e6:.1f} MB"


def main() -> None:
    """Write the page."""
    runs = {**load(RESULTS), **load(RESULTS.with_name("standard.jsonl"))}
    PAGE.write_text(page(runs, [*published(), *measured()]), encoding="utf-8")


if __name__ == "__main__":
    main()
