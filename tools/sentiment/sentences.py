"""Sentences from elsewhere, since a teacher of reviews knows films alone.

They are phrases of the Stanford Sentiment Treebank (Socher et al., 2013), comments on anything with
the emotions that they show (GoEmotions, Demszky et al., 2020), and titles and sentences of reviews
of products (Blitzer et al., 2007), which an encoder labelled.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
from pathlib import Path

from edge_lstm_export.train.sources.imdb import DATA_VARIABLE
from labels import read_kept
from spans import sentences

# Probability of "pos": of the treebank's grades, very negative to very positive; of a comment with
# a positive emotion, less sure since those who label them differ.
GRADES = (0.02, 0.1, 0.5, 0.9, 0.98)
NEUTRAL = 0.5
EMOTION = 0.9
FEWEST_NEUTRAL = 4  # words: shorter phrases without a sentiment are in every sentence
# Figure 2 of the paper; its other emotions are ambiguous.
# fmt: off
POSITIVE = {
    "admiration", "amusement", "approval", "caring", "desire", "excitement", "gratitude", "joy",
    "love",
    "optimism", "pride", "relief",
}
NEGATIVE = {
    "anger", "annoyance", "disappointment", "disapproval", "disgust", "embarrassment", "fear",
    "grief",
    "nervousness", "remorse", "sadness",
}
# fmt: on
KEPT_OF_PRODUCTS = Path(__file__).with_name("products.safetensors")
MOST = 254
LEFT_OUT = 255
PRODUCTS = ("books", "dvd", "electronics", "kitchen_&_housewares")
LONGEST = 250  # characters of a sentence
_REVIEW = re.compile(r"<title>(.*?)</title>.*?<review_text>(.*?)</review_text>", re.DOTALL)
_WRITTEN = {"-LRB-": "(", "-RRB-": ")", "``": '"', "''": '"', "`": "'"}
# A space that people do not write.
_SPACE = re.compile(r" (?=[.,:;!?)%]|n't\b|'(?:s|re|ve|ll|d|m)\b)|(?<=[($]) ")


def labelled_sentences(*, trees: bool = True, products: bool = True) -> list[dict[str, float]]:
    """Read them from the folder that EDGE_LSTM_DATA names (README.md), all or without some.

    Raise DataError.
    """
    data = Path(os.environ[DATA_VARIABLE])
    phrases = [treebank(data / "trees" / "train.txt", data / "trees" / "dev.txt")] if trees else []
    of_products = [labelled_products(data / "sorted_data_acl")] if products else []
    return [*phrases, emotions(data / "sets" / "goemotions" / "train.csv"), *of_products]


def treebank(trees: Path, left_out: Path) -> dict[str, float]:
    """Read phrase → probability of "pos".

    trees, left_out: such as "(3 (2 The) (2 Rock))", one a line; the second file's are left out.
    """
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
    """Read comment → probability of "pos"; without comments of ambiguous or contrary emotions.

    comments: CSV, columns text and labels, joined by "|".
    """
    found = {}
    with comments.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            labels = set(row["labels"].split("|"))
            positive = bool(labels & POSITIVE)
            negative = bool(labels & NEGATIVE)
            if positive != negative or labels == {"neutral"}:
                text = re.sub(r"\[(?:NAME|RELIGION)\]", "", row["text"]).strip()
                if positive == negative:
                    found[text] = NEUTRAL
                else:
                    found[text] = EMOTION if positive else 1 - EMOTION
    return found


def product_texts(folder: Path) -> list[str]:
    """Read titles and sentences.

    folder: of PRODUCTS, with negative.review and positive.review.
    """
    files = [
        folder / name / f"{stars}.review" for name in PRODUCTS for stars in ("negative", "positive")
    ]
    reviews = [
        found for file in files for found in _REVIEW.findall(file.read_text("utf-8", "replace"))
    ]
    texts = (
        " ".join(part.split()) for title, text in reviews for part in (title, *sentences(text))
    )
    return [text for text in dict.fromkeys(texts) if 0 < len(text) <= LONGEST]


def labelled_products(folder: Path, kept: Path = KEPT_OF_PRODUCTS) -> dict[str, float]:
    """Read text → probability of "pos"."""
    texts = product_texts(folder)
    (labels,) = read_kept(kept, hashlib.sha256(json.dumps(texts).encode()).hexdigest(), "labels")
    return {text: n / MOST for text, n in zip(texts, labels.tolist(), strict=True) if n != LEFT_OUT}
