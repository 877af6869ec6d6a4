"""What misspelt text costs: accuracy where 5 % of the letters are wrong, beside other tools.

    python -m benchmarks.misspelt [SET …] [--seeds 3] [--held-out SHARE]

Each letter, independently of the others, is wrong with a probability of 0.05: replaced by a letter
of the set as often as that occurs there, left out, doubled, or exchanged with its neighbour, each
equally often. The tools learn from the training split as it is. They answer the test split as it is
and with three draws of such errors, the same for all; with ``--held-out`` a part of the training
split. fastText, whose module must be importable, reads character n-grams of 3 to 6.
"""

from __future__ import annotations

import argparse
import random
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from edge_lstm_export import TextClassifier

from benchmarks.baselines import linear_svm, opened
from benchmarks.comparison_tools import FastText
from benchmarks.sets import DATA, Rows, split
from benchmarks.table import markdown_table

SETS = ("trec6", "sst2", "sms_spam")
TOOLS = ("small", "SVM", "fastText")
SHARE = 0.05
DRAWS = 3
WORD = re.compile(r"[^\W\d_]+")


def misspell(text: str, letters: str, rng: random.Random) -> str:
    """Return a text with wrong letters; those that replace others are drawn from ``letters``."""

    def wrong(match: re.Match[str]) -> str:
        word = list(match.group())
        for i in range(len(word)):
            if rng.random() < SHARE:
                way = rng.randrange(4)
                neighbour = min(abs(i - 1), len(word) - 1)
                if way == 3:
                    word[i], word[neighbour] = word[neighbour], word[i]
                else:
                    word[i] = (rng.choice(letters), "", 2 * word[i])[way]
        return "".join(word)

    return WORD.sub(wrong, text)


def trained(tool: str, train: Rows, seed: int, folder: Path) -> Callable[[list[str]], Any]:
    """Train a tool; return what answers texts with labels. folder: of the files that it opens."""
    if tool == "SVM":
        return linear_svm().fit(*train).predict
    if tool != "fastText":
        return opened(TextClassifier(tool, random_state=seed).fit(*train)).answers
    model = FastText("bin", subwords=(3, 6), seed=seed + 1)
    model.train(*train, folder, "")
    return model.open(folder)


def measure(folder: Path, held_out: float, seed: int) -> dict[str, list[float]]:
    """Return by tool the accuracy on the texts as they are, and on each draw of errors, in %."""
    train, (texts, truth) = split(folder, held_out, seed)
    letters = "".join(WORD.findall("".join(texts).lower()))
    asked = [*texts]
    for rng in map(random.Random, range(DRAWS)):
        asked += [misspell(text, letters, rng) for text in texts]
    shares = {}
    for tool in TOOLS:
        with tempfile.TemporaryDirectory() as made:
            answers = trained(tool, train, seed, Path(made))(asked)
        right = np.array(answers).reshape(-1, len(texts)) == np.array(truth)
        shares[tool] = (100 * right.mean(axis=1)).tolist()
    return shares


def main() -> None:
    """Train, and print a row for each set and tool."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("sets", nargs="*", default=SETS, metavar="SET")
    add("--data", type=Path, default=DATA, help="the folder of the sets")
    add("--seeds", type=int, default=3)
    add("--held-out", type=float, default=0.0, metavar="SHARE")
    asked = parser.parse_args()
    rows = []
    for name in asked.sets:
        runs = [measure(asked.data / name, asked.held_out, seed) for seed in range(asked.seeds)]
        for tool in TOOLS:
            shares = np.array([run[tool] for run in runs])
            means = (shares[:, 0].mean(), shares[:, 1:].mean())
            rows.append([name, tool, *(f"{mean:.1f}" for mean in means)])
    print(markdown_table(("set", "tool", "as it is", "misspelt"), rows, words=(0, 1)))


if __name__ == "__main__":
    main()
