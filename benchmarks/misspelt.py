"""What misspelt text costs: accuracy where 5 % of the letters are wrong, beside other tools.

    python -m benchmarks.misspelt [SET …] [--tools small SVM fastText] [--held-out SHARE]

Each letter, independently of the others, is wrong with a probability of 0.05: replaced by a letter
of the set as often as that occurs there, left out, doubled, or exchanged with its neighbour, each
equally often. The tools learn from the training split as it is. They answer the test split as it is
and with three draws of such errors, the same for all; with ``--held-out`` a part of the training
split. A training is a line of results and is not made again. fastText, whose module must be
importable, reads character n-grams of 3 to 6.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import random
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from edge_lstm_export import TextClassifier

from benchmarks.comparison_tools import FastText
from benchmarks.public_sets import int8_answers, linear_svm
from benchmarks.sets import DATA, append, lines, split
from benchmarks.table import markdown_table

RESULTS = Path(__file__).parent / "results" / "misspelt.jsonl"
SETS = ("trec6", "sst2", "sms_spam")
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


def answers(
    tool: str, train: tuple[list[str], list[str]], questions: list[str], seed: int
) -> Sequence[str]:
    """Train a tool, an SVM, fastText or a preset, and return what it answers."""
    if tool == "SVM":
        return linear_svm().fit(*train).predict(questions)
    if tool != "fastText":
        return int8_answers(TextClassifier(tool, random_state=seed).fit(*train), questions)[0]
    with tempfile.TemporaryDirectory() as folder:
        model = FastText("bin", subwords=(3, 6), seed=seed + 1)
        model.train(*train, Path(folder), "")
        return model.open(Path(folder))(questions)


def measure(tool: str, folder: Path, held_out: float, seed: int) -> list[float]:
    """Return the accuracy on the texts as they are, and on each draw of errors, 0 to 1."""
    train, (texts, truth) = split(folder, held_out, seed)
    letters = "".join(WORD.findall("".join(texts).lower()))
    asked = [*texts]
    for rng in map(random.Random, range(DRAWS)):
        asked += [misspell(text, letters, rng) for text in texts]
    right = np.array(answers(tool, train, asked, seed)).reshape(-1, len(texts)) == np.array(truth)
    return right.mean(axis=1).tolist()


def main() -> None:
    """Make the runs that are asked for and not there, and print a row for each set and tool."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("sets", nargs="*", default=SETS, metavar="SET")
    add("--data", type=Path, default=DATA, help="the folder of the sets")
    add("--tools", nargs="+", default=["small", "SVM", "fastText"])
    add("--seeds", type=int, default=3)
    add("--held-out", type=float, default=0.0, metavar="SHARE", help="needs other --results")
    add("--results", type=Path, default=RESULTS, help="JSON lines")
    asked = parser.parse_args()
    runs = {(run["set"], run["tool"], run["seed"]): run["accuracy"] for run in lines(asked.results)}
    wanted = list(itertools.product(asked.sets, asked.tools, range(asked.seeds)))
    needs_fasttext = any(key[1] == "fastText" and key not in runs for key in wanted)
    if needs_fasttext and importlib.util.find_spec("fasttext") is None:
        raise SystemExit(
            "error: no module fasttext; install fasttext-community, or give --tools small SVM"
        )
    for key in wanted:
        if key not in runs:
            name, tool, seed = key
            runs[key] = measure(tool, asked.data / name, asked.held_out, seed)
            append(asked.results, {"set": name, "tool": tool, "seed": seed, "accuracy": runs[key]})
    rows = []
    for name, tool in dict.fromkeys(key[:2] for key in runs):
        shares = 100 * np.array(
            [accuracy for key, accuracy in runs.items() if key[:2] == (name, tool)]
        )
        lost = shares[:, :1] - shares[:, 1:]
        means = (shares[:, 0].mean(), shares[:, 1:].mean())
        rows.append(
            [name, tool, *(f"{m:.1f}" for m in means), f"{lost.mean():.1f} ± {lost.std():.1f}"]
        )
    print(markdown_table(("set", "tool", "as it is", "misspelt", "lost"), rows, words=(0, 1)))


if __name__ == "__main__":
    main()
