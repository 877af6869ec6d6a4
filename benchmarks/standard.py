"""The sets that papers use: our files beside a linear SVM, other tools and published figures.

    python -m benchmarks.standard

It only writes standard.md and results/kilobytes.svg, from results/: the runs of ``public_sets`` in
public_sets.jsonl and in standard.jsonl, the tools that ``make bench`` measured, and published.csv,
whose sources are named below.
"""

from __future__ import annotations

import csv
import json
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import NamedTuple

from benchmarks import picture
from benchmarks.public_sets import RESULTS, SVM, Cell, Figures, load
from benchmarks.sets import ALL, TEN_FOLD
from benchmarks.table import markdown_table

PAGE = Path(__file__).parent / "standard.md"
HERE = "measured here"  # a source
UNDIVIDED = ("cr", "subj", "mpqa")  # without a published test split
PRESETS = ("small", "medium", "base")
ALL_PRESETS = ("tiny", *PRESETS)  # in the picture
ACCURACY = "accuracy"
MACRO_F1 = "macro F1"
WEIGHTED_F1 = "weighted F1"
Runs = Mapping[Cell, Figures]
# Set → its title, and the measure that its papers give.
SETS: Mapping[str, tuple[str, str]] = {
    "sst2": ("SST-2, sentences on films", ACCURACY),
    "sst1": ("SST-1, five grades", ACCURACY),
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
_OF_MODEL2VEC = {
    "ag_news": "AG News, topics",
    "counterfactual": "Amazon, counterfactual",
    "bbc": "BBC, topics",
    "emotion": "Emotion, tweets",
    "hatespeech_offensive": "Hate and offence, tweets",
    "cr": "CR, customer reviews",
    "subj": "Subj, subjectivity",
    "tweet_sentiment": "Sentiment of tweets",
}
TOPICS: Mapping[str, tuple[str, str]] = {
    "20ng": ("20 newsgroups, posts by date", ACCURACY),
    "ohsumed": ("Ohsumed, abstracts with 23 labels", ACCURACY),
    "r8": ("R8, news of Reuters", ACCURACY),
    "r52": ("R52, news of Reuters", ACCURACY),
}
# What follows the colon: rows that are drawn from the training split.
FEW = {f"{name}:1000": (title, WEIGHTED_F1) for name, title in _OF_MODEL2VEC.items()}
SOURCES: Mapping[str, tuple[str, str]] = {
    "turc": (
        "https://huggingface.co/google/bert_uncased_L-8_H-128_A-2/blob/main/README.md",
        (
            "Turc et al. (2019), GLUE's test server; fine-tuned on 67,349 phrases of the training "
            "sentences"
        ),
    ),
    "kim": (
        "https://paperswithcode.com/paper/convolutional-neural-networks-for-sentence",
        "Kim (2014), multichannel; phrases of the training sentences too",
    ),
    "kim-others": (
        "https://www.wizwand.com/paper/68fa617c1e209131ce9f4631",
        "Kim (2014); SST-1: phrases of the training sentences too; Subj: ten-fold cross-validation",
    ),
    "model2vec": (
        "https://github.com/MinishLab/model2vec/tree/main/results#training-results",
        "weighted F1, by its 66.5 where one label has 77 % of the rows: the page does not name it",
    ),
    "banking": (
        "https://huggingface.co/a-grishman/bert-base-banking77-pt2",
        "it does not say which F1",
    ),
    "tweeteval": (
        "https://github.com/cardiffnlp/tweeteval",
        "its leaderboard; Barbieri et al. (2020)",
    ),
    "text-gcn": (
        "https://arxiv.org/abs/1809.05679",
        "Yao et al. (2019), which reads the test texts in training, without their labels",
    ),
}


class Published(NamedTuple):
    """A line of published.csv: a figure in %, and where it stands."""

    set: str
    system: str
    measure: str
    figure: str
    parameters: str
    size: str
    source: str = HERE


def published() -> list[Published]:
    """Read results/published.csv."""
    with RESULTS.with_name("published.csv").open(encoding="utf-8", newline="") as file:
        return [Published(**line) for line in csv.DictReader(file)]


def measured() -> list[Published]:
    """Return what ``make bench`` found of the other tools, each on the sets that it was run on."""
    report = json.loads(RESULTS.with_name("comparison.json").read_text("utf-8"))
    return [
        Published(
            name, tool["name"], ACCURACY, f"{100 * share:.1f}", "", _size(tool["model_bytes"][name])
        )
        for tool in report["tools"]
        if not tool["name"].startswith(("edge-lstm", "linear SVM"))
        for name, share in tool["accuracy"].items()
    ]


def table(sets: Mapping[str, tuple[str, str]], runs: Runs, others: Sequence[Published]) -> str:
    """Return the measured sets as Markdown, with what others report of them."""
    lines: list[list[str]] = []
    gains: dict[str, list[float]] = defaultdict(list)  # of each system beside the SVM
    for name, (title, measure) in sets.items():
        systems = [(SVM, "small"), *(("default", preset) for preset in PRESETS)]
        by_seed = [_by_seed(runs, name, teacher, preset) for teacher, preset in systems]
        columns = [[*each.values()] for each in _comparable(name, by_seed)]
        svm, *ours = means = [_mean(column, measure) for column in columns]
        if any(columns[1:]):
            kb = (
                statistics.mean(run.kb for run in column) if column else 0 for column in columns[1:]
            )
            sizes = ["", *(f" ({_size(1000 * each)})" if each else "" for each in kb)]
            theirs = [other for other in others if other.set == name]
            lines.append([title, measure, *map(str.__add__, _bold(means), sizes), _list(theirs)])
            figures = [
                *zip(PRESETS, ours),
                *((other.system, float(other.figure)) for other in theirs),
            ]
            for system, figure in figures:
                gains[system] += [figure - svm] if figure and svm else []
    shown = {
        system: f"{statistics.mean(each):+.1f}"
        for system, each in gains.items()
        if len(each) == len(lines)
    }
    beside = [shown.pop(preset, "–") for preset in PRESETS]
    mean = f"**mean of {len(lines)}, points above the SVM**"
    last = [mean, "", "", *beside, "; ".join(map(" ".join, shown.items()))]
    heads = ("set", "measure", "linear SVM", *(f"`{preset}`, int8" for preset in PRESETS), "others")
    return markdown_table(heads, [*lines, last], words=(0, 1, len(heads) - 1))


class Size(NamedTuple):
    """The files of a preset on all sets: mean 1,000 bytes, and points beside the linear SVM."""

    preset: str
    kb: float
    gain: float


def sizes(runs: Runs) -> tuple[list[Size], int]:
    """Return the presets, and the number of sets that all of them have.

    Sets without a test split count by the folds that all of them have.
    """
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for name, (_, measure) in SETS.items():
        own = [_by_seed(runs, name, "default", preset) for preset in ALL_PRESETS]
        svm = _by_seed(runs, name, SVM)
        if not svm or not all(own):
            continue
        svm, *own = _comparable(name, [svm, *own])
        level = statistics.mean(_shares([*svm.values()], measure))
        for preset, each in zip(ALL_PRESETS, own):
            share = statistics.mean(_shares([*each.values()], measure))
            found[preset].append((statistics.mean(run.kb for run in each.values()), share - level))
    made = [Size(preset, *map(statistics.mean, zip(*columns))) for preset, columns in found.items()]
    return made, min(map(len, found.values()), default=0)


def page(runs: Runs, others: Sequence[Published]) -> str:
    """Return the whole page."""
    sources = (
        f"{number}. <{url}>: {what}" for number, (url, what) in enumerate(SOURCES.values(), 1)
    )
    parts = (
        table(SETS, runs, others),
        LONG_TEXTS,
        table(TOPICS, runs, others),
        FEW_ROWS,
        table(FEW, runs, others),
        SOURCED,
    )
    head = HEAD.format(seeds=_seeds(runs))
    return "\n".join([head, "\n\n".join(parts), *sources, ""])


HEAD = """# The sets that papers use

`python -m benchmarks.standard` writes this page ([how](README.md#public-sets-and-decisions)). Files
are trained on all rows with default settings. Figures are in %, on test splits,
{seeds}. The best of the SVM and our files is in bold. The SVM is linear, on TF-IDF of words,
word pairs and character n-grams. "Others" is sorted by figure, and gives the number of parameters
or the size if known. A number in brackets refers to the source of a published figure; we
[measured](../docs/comparison.md) a figure without a number ourselves. If one of the others has a
higher figure than our files, it is the better one.

![Points above a linear SVM against the size of the file](results/kilobytes.svg)

The picture uses the sets that every preset was trained on. For sets without a test split, it uses
the folds.
"""
LONG_TEXTS = """## Topics

The splits are those that Text GCN uses. For R52 we found 5,878 of the 6,532 training texts, with
stop words removed. Each figure is from one training."""
FEW_ROWS = """## From 1,000 rows

These are the sets of model2vec's table whose rows we found. Each seed draws 1,000 rows. For AG
News, we split its test file. Hate and offence, CR and Subj have no test split, so a fifth of their
rows serves as one. We found no rows of ADE, Enron, newsgroups, MASSIVE and student questions. IMDB
and SST-5 are left out, because the sentiment models were trained on them."""
SOURCED = """## Sources

CR, Subj and MPQA have no published split, so they are measured by folds of ten-fold
cross-validation. The SVM is measured on the same folds as the files. MR is left out: its sentences
are in the treebank, and the package's sentiment models learnt from the treebank's training part.
"""


def _by_seed(runs: Runs, name: str, teacher: str, preset: str = "small") -> dict[int, Figures]:
    name, _, rows = name.partition(":")
    asked = name, rows or (TEN_FOLD if name in UNDIVIDED else ALL), teacher, preset
    return {cell.seed: run for cell, run in runs.items() if astuple(cell)[:-1] == asked}


def _comparable(name: str, systems: Sequence[dict[int, Figures]]) -> list[dict[int, Figures]]:
    """Return the runs of systems that judge the same rows: folds that all of them have, if any."""
    if name not in UNDIVIDED:
        return list(systems)
    folds = set(range(10)).intersection(*(each for each in systems if each))
    return [{seed: run for seed, run in each.items() if seed in folds} for each in systems]


def _shares(runs: Sequence[Figures], measure: str) -> list[float]:
    """Return the figures of a measure, in %."""
    return [100 * getattr(run, measure.lower().replace(" ", "_")) for run in runs]


def _mean(runs: Sequence[Figures], measure: str) -> float | None:
    shares = _shares(runs, measure)
    return round(statistics.mean(shares), 1) if shares else None


def _bold(figures: Sequence[float | None]) -> list[str]:
    best = max(figure for figure in figures if figure is not None)
    shown = ["–" if figure is None else f"{figure:.1f}" for figure in figures]
    return [f"**{text}**" if figure == best else text for figure, text in zip(figures, shown)]


def _seeds(runs: Runs) -> str:
    """Return of how many trainings a figure is the mean."""
    counts = {
        len(found)
        for name in SETS
        for preset in PRESETS
        if (found := _by_seed(runs, name, "default", preset))
    }
    least, most = min(counts, default=0), max(counts, default=0)
    return f"of {least} to {most} trainings" if least < most else f"of {most} trainings"


def _list(others: Sequence[Published]) -> str:
    return "; ".join(map(_shown, sorted(others, key=lambda other: -float(other.figure)))) or "–"


def _shown(other: Published) -> str:
    size = ", ".join(
        filter(None, (other.parameters and f"{other.parameters} parameters", other.size))
    )
    measure = "" if other.measure in (ACCURACY, MACRO_F1, WEIGHTED_F1) else f"{other.measure} "
    number = "" if other.source == HERE else f" [{list(SOURCES).index(other.source) + 1}]"
    return f"{other.system} {measure}{other.figure}{f' ({size})' if size else ''}{number}"


def _size(count: float) -> str:
    return f"{count / 1000:,.0f} kB" if count < 1e6 else f"{count / 1e6:.1f} MB"


def main() -> None:
    """Write the page and the picture."""
    runs = {**load(RESULTS), **load(RESULTS.with_name("standard.jsonl"))}
    PAGE.write_text(page(runs, [*published(), *measured()]), encoding="utf-8")
    drawn = picture.kilobytes(*sizes(runs))
    RESULTS.with_name("kilobytes.svg").write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main()
