"""Sentences that people labelled, from elsewhere: the phrases of the Stanford Sentiment Treebank (Socher et
al., 2013), and comments on anything with the emotions that they show (GoEmotions, Demszky et al., 2020).

A teacher of reviews knows films alone.
"""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path

from edge_lstm_export.train.sources.imdb import DATA_VARIABLE

# Probability of "pos": of the treebank's grades, very negative to very positive; of a comment with a positive
# emotion, less sure since those who label them differ.
GRADES, NEUTRAL, EMOTION = (0.02, 0.1, 0.5, 0.9, 0.98), 0.5, 0.9
FEWEST_NEUTRAL = 4  # words: shorter phrases without a sentiment are in every sentence
# Figure 2 of the paper; its other emotions are ambiguous.
# fmt: off
POSITIVE = {
    "admiration", "amusement", "approval", "caring", "desire", "excitement", "gratitude", "joy", "love",
    "optimism", "pride", "relief",
}
NEGATIVE = {
    "anger", "annoyance", "disappointment", "disapproval", "disgust", "embarrassment", "fear", "grief",
    "nervousness", "remorse", "sadness",
}
# fmt: on
_WRITTEN = {"-LRB-": "(", "-RRB-": ")", "``": '"', "''": '"', "`": "'"}
_SPACE = re.compile(r" (?=[.,:;!?)%]|n't\b|'(?:s|re|ve|ll|d|m)\b)|(?<=[($]) ")  # that people do not write


def labelled_sentences(*, trees: bool = True) -> list[dict[str, float]]:
    """Read both from the folder that EDGE_LSTM_DATA names (README.md), or the comments alone."""
    data = Path(os.environ[DATA_VARIABLE])
    phrases = [treebank(data / "trees" / "train.txt", data / "trees" / "dev.txt")] if trees else []
    return [*phrases, emotions(data / "sets" / "goemotions" / "train.csv")]


def treebank(trees: Path, left_out: Path) -> dict[str, float]:
    """Read phrase → probability of "pos". trees, left_out: such as "(3 (2 The) (2 Rock))", one a line; those
    of the second file are left out."""
    out = set(left_out.read_text("utf-8").splitlines())
    found: dict[str, float] = {}
    for tree in trees.read_text("utf-8").splitlines():
        words: list[str] = []
        opened: list[tuple[int, int]] = []  # grade, first word
        for token in () if tree in out else re.findall(r"\(\d|[^\s()]+|\)", tree):
            if token[0] == "(":
                opened.append((int(token[1]), len(words)))
            elif token != ")":
                words.append(_WRITTEN.get(token, token.replace("\\", "")))
            else:
                grade, first = opened.pop()
                if GRADES[grade] != NEUTRAL or len(words) - first >= FEWEST_NEUTRAL:
                    found[_SPACE.sub("", " ".join(words[first:]))] = GRADES[grade]
    return found


def emotions(comments: Path) -> dict[str, float]:
    """Read comment → probability of "pos"; without those of ambiguous or contrary emotions. comments: CSV,
    columns text and labels, joined by "|"."""
    found = {}
    with comments.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            labels = set(row["labels"].split("|"))
            positive, negative = bool(labels & POSITIVE), bool(labels & NEGATIVE)
            if positive != negative or labels == {"neutral"}:
                text = re.sub(r"\[(?:NAME|RELIGION)\]", "", row["text"]).strip()
                found[text] = NEUTRAL if positive == negative else EMOTION if positive else 1 - EMOTION
    return found
