"""Let a model file of make.py learn sentences with a twist (grammar.py), and forget nothing.

    python tools/sentiment/twist.py base FILE -o out/model/base.safetensors

The training goes on from the weights of FILE, a checkpoint. An epoch reads a few thousand reviews,
sentences that people or an encoder labelled, many of them with a negation as people use it, and
sentences of the grammar. That is done from three seeds. The weights of the result lie between those
of FILE and the mean of the trained ones: nearer to FILE, less is forgotten. The vocabulary and the
n-grams stay.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from edge_lstm_export.arrays import Floats
from edge_lstm_export.checkpoint import Checkpoint, load_checkpoint
from edge_lstm_export.checkpoint.checkpoint import save_checkpoint
from edge_lstm_export.network import (
    Examples,
    Network,
    adamw,
    predict_logits,
    random_batches,
    soft_cross_entropy,
    threads,
    tried_rows,
    with_headroom,
)
from edge_lstm_export.options import DataOptions
from edge_lstm_export.train.calibrate import score
from edge_lstm_export.train.sources.read import read_dataset
from grammar import make_sentences
from labels import KEPT, load_labels, read_imdb
from negation import negated_clauses
from sentences import LONGEST, labelled_sentences

from edge_lstm.core.text import Tokenizer
from edge_lstm.errors import EdgeLSTMError
from edge_lstm.system.atomic import check_writable

Texts = tuple[list[str], Floats]  # with the probability of "pos" of each, float32 [n]


# Kind of texts → how many of them an epoch reads; sentences of the grammar are all read.
SHARES: Mapping[str, int] = {
    "labelled": 1500,
    "unlabelled": 1500,
    "spans": 12_000,
    "negations": 14_000,
    "turned": 4000,
    "treebank": 26_000,
    "comments": 6000,
    "products": 18_000,
}


@dataclass(frozen=True)
class Recipe:
    """What differs between the files.

    shares: kind of texts → how many of them an epoch reads, where it is not as in SHARES.
    sentences: of the grammar, of a phenomenon, an epoch.
    new: share of the trained weights in the result.
    level: whether the bias is set so that the comments have their mean log-odds of before.
    """

    shares: Mapping[str, int]
    sentences: int
    epochs: int
    rate: float
    new: float
    level: bool = False

    def share(self, kind: str) -> int:
        """Return how many texts of a kind an epoch reads at most."""
        return self.shares.get(kind, SHARES.get(kind, sys.maxsize))


RECIPES: Mapping[str, Recipe] = {
    "base": Recipe({}, 1600, 4, 1e-3, 0.9),
    "small": Recipe(
        {
            "labelled": 3000,
            "unlabelled": 2000,
            "negations": 6000,
            "comments": 14_000,
            "products": 3000,
        },
        1200,
        2,
        7e-4,
        1,
        level=True,
    ),
    "tiny": Recipe({"labelled": 3000, "unlabelled": 2500, "comments": 0}, 2000, 3, 2e-3, 0.65),
}
TIMES = {  # as many sentences, of what is hard to learn
    "far negation": 3,
    "far from": 3,
    "opinions": 4,
    "comparison": 3,
    "double negation": 2,
    "not that stays": 3,
    "then and now": 3,
    "could have been": 2,
    "questions and wishes": 2,
    "complaints with not": 2,
}
SEEDS = (1, 2, 3)
DROPOUT = 0.1
WARM_UP = 0.1  # of the steps
# Kind of texts → factor of the log-odds of its labels, for people are surer of sentences than an
# encoder; 4 where it does not say. Those of the treebank are people's.
SHARPER: Mapping[str, float] = {"labelled": 1, "unlabelled": 1, "treebank": 2}
SHARPER_ELSE = 4
LONG = 80  # ids: fewer texts of more than these stand in a batch
NEGATION = re.compile(r"\b(?:not|never|no|nothing|nobody|hardly|without|cannot)\b|n't\b", re.I)


def read_texts() -> dict[str, Texts]:
    """Read the texts to learn from, by kind.

    Spans of reviews without a negation are read: those with one the teachers may have wrong.

    Raise DataError.
    """
    texts = read_imdb()
    of_unlabelled, of_spans = load_labels(KEPT, texts)
    rows = [
        row
        for row, span in enumerate(texts.spans)
        if len(span) <= LONGEST and not NEGATION.search(span)
    ]
    spans = [texts.spans[row] for row in rows]
    turned, of_turned = negated_clauses(spans, of_spans[rows])
    kinds = {
        "labelled": (list(texts.train.texts), texts.train.labels[:, 1].astype(np.float32)),
        "unlabelled": (texts.unlabelled, of_unlabelled[:, 1]),
        "spans": (spans, of_spans[rows, 1]),
        "turned": (turned, of_turned[:, 1]),
    }
    negations: dict[str, float] = {}
    for name, said in zip(("treebank", "comments", "products"), labelled_sentences(), strict=True):
        kinds[name] = list(said), np.array(list(said.values()), np.float32)
        if name != "comments":
            negations |= {text: share for text, share in said.items() if NEGATION.search(text)}
    kinds["negations"] = list(negations), np.array(list(negations.values()), np.float32)
    return kinds


def epoch_of(
    kinds: Mapping[str, Examples], recipe: Recipe, rng: np.random.Generator
) -> tuple[Examples, list[np.ndarray]]:
    """Draw the texts of an epoch, a share of each kind, and its batches."""
    parts = []
    for name, examples in kinds.items():
        count = min(recipe.share(name), len(examples))
        parts.append(examples.subset(rng.permutation(len(examples))[:count]))
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.joined(part)
    long = np.flatnonzero(whole.lengths > LONG)
    short = np.flatnonzero(whole.lengths <= LONG)
    batches = [long[rows] for rows in random_batches(whole.lengths[long], 16, 50, rng)]
    batches += [short[rows] for rows in random_batches(whole.lengths[short], 64, 50, rng)]
    return whole, [batches[i] for i in rng.permutation(len(batches))]


def targets(labels: Floats, sharper: float = 1) -> Floats:
    """Probability of "pos" → float32 [n, 2]. sharper: factor of its log-odds."""
    odds = (np.clip(labels, 0.001, 0.999) / np.clip(1 - labels, 0.001, 0.999)) ** sharper
    labels = odds / (1 + odds)
    return np.stack([1 - labels, labels], axis=1).astype(np.float32)


def mean_logit(network: Network, examples: Examples) -> float:
    """Return the mean log-odds of "pos", without dropout."""
    network.eval()
    with torch.inference_mode():
        batches = np.array_split(np.argsort(examples.lengths), len(examples) // 64 + 1)
        rows = [network(*examples.padded(rows))[:, 0].sum().item() for rows in batches]
    return sum(rows) / len(examples)


def drawn(
    texts: Mapping[str, Texts], tokenizer: Tokenizer, recipe: Recipe, rng: np.random.Generator
) -> dict[str, Examples]:
    """Draw as many texts of each kind as all epochs read, as ids."""
    kinds = {}
    for name, (said, labels) in texts.items():
        rows = rng.permutation(len(said))[: recipe.share(name) * recipe.epochs]
        sharper = SHARPER.get(name, SHARPER_ELSE)
        kinds[name] = Examples.from_texts(
            tokenizer, [said[row] for row in rows], targets(labels[rows], sharper)
        )
    return kinds


def grammar(recipe: Recipe, tokenizer: Tokenizer, seed: int) -> Examples:
    """Draw sentences of the grammar, as ids."""
    made = make_sentences(recipe.sentences, seed, TIMES)
    labels = np.array([sentence.label for sentence in made], np.float32)
    return Examples.from_texts(tokenizer, [sentence.text for sentence in made], targets(labels))


def train(
    network: Network,
    kinds: dict[str, Examples],
    tokenizer: Tokenizer,
    recipe: Recipe,
    seed: int,
) -> None:
    """Train the network on, from the weights that it has."""
    rng = np.random.default_rng([seed, 0x7815])
    torch.manual_seed(seed)
    network.train().dropout = DROPOUT
    optimizer = adamw([each for each in network.parameters() if each.requires_grad], recipe.rate)
    step = 0
    steps = 0
    for epoch in range(recipe.epochs):
        of_grammar = grammar(recipe, tokenizer, 10 * seed + epoch)
        examples, batches = epoch_of({**kinds, "grammar": of_grammar}, recipe, rng)
        steps = steps or recipe.epochs * len(batches)
        for rows in batches:
            step += 1
            left = (1 - step / steps) / (1 - WARM_UP)
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate * min(1.0, step / (WARM_UP * steps), max(0.01, left))
            ids, lengths = examples.padded(rows)
            loss = soft_cross_entropy(
                network(ids, lengths), torch.from_numpy(examples.targets[rows])
            )
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            if step % 500 == 0:
                print(f"seed {seed}, step {step:,} of {steps:,}: {loss:.3f}", file=sys.stderr)


def mixed(before: Network, trained: Sequence[Network], share: float) -> Network:
    """Return the mean of the trained networks, between them and the one before.

    The mean of networks that began at the same weights is better than each (Wortsman et al.,
    2022, "Model soups"). share: of the trained weights.
    """
    network = deepcopy(before)
    states = [each.state_dict() for each in trained]
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            value.lerp_(torch.stack([state[name] for state in states]).mean(0), share)
    return network.eval()


def learn(
    checkpoint: Checkpoint, texts: Mapping[str, Texts], recipe: Recipe, seeds: Sequence[int]
) -> Checkpoint:
    """Train on from each seed, and return the checkpoint with the new network."""
    before = checkpoint.network.eval()
    networks = []
    for seed in seeds:
        kinds = drawn(texts, checkpoint.tokenizer, recipe, np.random.default_rng(seed))
        networks.append(deepcopy(before))
        train(networks[-1], kinds, checkpoint.tokenizer, recipe, seed)
    network = mixed(before, networks, recipe.new)
    if recipe.level:
        rise = mean_logit(network, kinds["comments"]) - mean_logit(before, kinds["comments"])
        with torch.no_grad():
            network.head.bias -= rise
    examples, _ = epoch_of(kinds, recipe, np.random.default_rng(0))
    rows = tried_rows(checkpoint.tokenizer)
    return replace(checkpoint, network=with_headroom(network, examples, rows))


def tested(checkpoint: Checkpoint) -> Checkpoint:
    """Return the checkpoint with its scores on IMDB's test reviews in its record.

    The scores on its validation part go: they are of the network as it was.
    """
    reviews = read_dataset(["imdb"], DataOptions()).test
    assert reviews is not None
    examples = Examples.from_texts(
        checkpoint.tokenizer, reviews.texts, targets(reviews.labels[:, 1])
    )
    scores = score(predict_logits(checkpoint.network, examples), reviews.labels, checkpoint.labels)
    record = {**checkpoint.training, "test": scores.to_dict()}
    record.pop("validation", None)
    return replace(checkpoint, training=record)


def main() -> None:
    """Train on and write the checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument("model", type=Path, help="a checkpoint")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("-o", "--output", type=Path, required=True)
    asked = parser.parse_args()
    check_writable(asked.output, parents=True)
    checkpoint = load_checkpoint(asked.model)
    recipe = RECIPES[asked.recipe]
    texts = read_texts()
    with threads(1):
        learnt = learn(checkpoint, texts, recipe, asked.seeds)
        save_checkpoint(tested(learnt), asked.output)


if __name__ == "__main__":
    try:
        main()
    except (EdgeLSTMError, OSError) as error:
        raise SystemExit(f"error: {error}") from None
