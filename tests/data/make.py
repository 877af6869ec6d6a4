"""Make keras.int8.onnx, the small model file that tests work on: ``python tests/data/make.py``.

Keras's text rule, no risk-coverage curve, labels neg and pos. It learns from film sentences that
the templates below make up, so every word that is not in them is unknown to it. The same seed gives
the same file on the same versions.
"""

from __future__ import annotations

import random
from pathlib import Path

from edge_lstm_export import options
from edge_lstm_export.estimator import TextClassifier
from edge_lstm_export.options import Plan

PATH = Path(__file__).parent / "keras.int8.onnx"
TEXTS = 3000

# fmt: off
# What is praised or blamed, and the words for it.
THINGS = [
    "film", "movie", "story", "plot", "acting", "music", "ending", "cast", "scene", "script",
    "picture",
    "camera", "dialogue",
]
PRAISE = [
    "good", "wonderful", "great", "brilliant", "moving", "funny", "lovely", "superb", "touching",
    "charming",
    "excellent", "fine", "best",
]
BLAME = [
    "bad", "dull", "boring", "awful", "terrible", "tedious", "weak", "silly", "worst", "poor",
    "slow", "flat",
    "long",
]
OPINIONS = {
    "pos": [
        "I loved the {thing}", "a joy", "a joy from start to end", "I enjoyed every minute of it",
    ],
    "neg": ["I hated the {thing}", "a waste of time", "far too long", "a mess from start to end"],
}
JUDGEMENTS = [
    "a {word} {thing}", "the {thing} is {word}", "the {thing} was {word} and {second}",
    "{word}, {word}",
    "what a {word} {thing}!", "{word} {thing}", "it is {word}", "really {word}", "not {other}",
    "{word}",
    "such a {word} and {second} {thing}", "the {thing} is not {other} at all",
    "this is a {word} one",
    "I think the {thing} was {word}",
]
NEUTRAL = [
    "it is a {thing}", "the {thing}", "we saw it at home",
    "the {thing} is about a family in the city",
    "I saw it", "not {other}, not {word}", "they made it in two weeks", "it is what it is",
    "he said so",
]
# fmt: on


def sentence(rng: random.Random, label: str) -> str:
    """One sentence that praises (pos), blames (neg) or does neither."""
    words, others = (PRAISE, BLAME) if label == "pos" else (BLAME, PRAISE)
    kind = rng.random()
    templates = NEUTRAL
    if kind < 0.65:
        templates = JUDGEMENTS
    elif kind < 0.85:
        templates = OPINIONS[label]
    template = rng.choice(templates)
    word, second = rng.sample(words, 2)
    filled = template.format(
        thing=rng.choice(THINGS), word=word, second=second, other=rng.choice(others)
    )
    return filled[0].upper() + filled[1:] + ("" if filled.endswith("!") else ".")


def made_texts(count: int, seed: int) -> tuple[list[str], list[str]]:
    """(texts of one to four sentences, their labels)"""
    rng = random.Random(seed)
    labels = [rng.choice(("neg", "pos")) for _ in range(count)]
    return [
        " ".join(sentence(rng, label) for _ in range(rng.randint(1, 4))) for label in labels
    ], labels


def plan() -> Plan:
    """A small network of every part that a model file may have, without validation: so without a
    curve."""
    shape = {
        "bidirectional": True,
        "pooling": "mean+max",
        "dropout": 0.3,
        "ngram_words": 398,
        "ngram_slots": 419,
        "ngram_dim": 1,
    }
    return Plan(
        preset="small",
        max_kilobytes=250,
        text=options.TextOptions("keras"),
        network=options.NetworkOptions(400, 14, 30, **shape),
        sparse=options.SparseOptions("logistic"),
        validation=options.Validation(0.0),
        loop=options.LoopOptions(epochs=6),
    )


if __name__ == "__main__":
    model = TextClassifier(plan=plan(), verbose=True).fit(*made_texts(TEXTS, seed=0))
    texts, labels = made_texts(500, seed=1)
    print(f"accuracy on 500 new texts: {model.score(texts, labels):.3f}")
    model.export(PATH, quantize="int8")
    print(f"{PATH}: {PATH.stat().st_size:,} bytes")
