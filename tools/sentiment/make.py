"""Make a model of the package, or the small one of the examples: a student of kept labels, on IMDB.

    python tools/sentiment/make.py base -o out/model/base.safetensors

See README.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from edge_lstm_export.checkpoint.checkpoint import save_checkpoint
from edge_lstm_export.network import Examples
from edge_lstm_export.options import Plan, TrainingRequest
from edge_lstm_export.train.fit import fit, quiet_thread
from edge_lstm_export.train.lstm.loop import Callbacks
from edge_lstm_export.train.plan.decisions import make_plan
from edge_lstm_export.train.plan.stats import dataset_stats
from edge_lstm_export.train.sources.dataset import Dataset
from labels import KEPT, SEED, VALIDATION, load_labels, read_imdb
from negation import negated_clauses
from residual import with_ngrams
from sentences import labelled_sentences

from edge_lstm.errors import EdgeLSTMError
from edge_lstm.system.atomic import check_writable


@dataclass(frozen=True)
class Recipe:
    """What differs from the preset, which is for any data: many labels bear less dropout.

    pairs: slots of word pairs; 0: an LSTM without n-grams, in both directions, on short texts, in
        a larger file.
    sentences, products: whether these teach too (README.md).
    """

    pairs: int
    words: int
    hidden: int
    dropout: float
    epochs: int = 8
    sentences: bool = False
    products: bool = False


RECIPES: Mapping[str, Recipe] = {
    "tiny": Recipe(2473, 2000, 46, 0.05),
    "small": Recipe(0, 16_000, 30, 0.05, sentences=True),
    "base": Recipe(20_887, 16_000, 94, 0.1, sentences=True, products=True),
}
say = partial(print, file=sys.stderr)


def plan_of(name: str, dataset: Dataset) -> Plan:
    """Return the plan of a preset for these texts.

    The labels are at hand, so no teacher is asked.
    """
    recipe = RECIPES[name]
    request = TrainingRequest(name, "none", epochs=recipe.epochs, validation=VALIDATION, seed=SEED)
    plan = make_plan(dataset_stats(dataset), request)
    network = replace(
        plan.network,
        num_words=recipe.words,
        hidden=recipe.hidden,
        dropout=recipe.dropout,
        bidirectional=plan.network.bidirectional or not recipe.pairs,
        ngram_words=0,
        ngram_slots=0,
        ngram_dim=0,
    )
    size = plan.max_kilobytes if recipe.pairs else 500
    return replace(plan, network=network, teachers=(), hard_label_weight=1.0, max_kilobytes=size)


def main() -> None:
    """Train and write the checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", choices=RECIPES)
    parser.add_argument(
        "--no-treebank", action="store_true", help="to be judged by its sentences (MR)"
    )
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    check_writable(arguments.output, parents=True)  # before an hour's work
    texts = read_imdb()
    unlabelled, of_spans = load_labels(KEPT, texts)
    negated, turned = negated_clauses(texts.spans, of_spans)
    more = [*texts.spans, *negated]
    soft = [of_spans, turned]
    recipe = RECIPES[arguments.recipe]
    if recipe.pairs:
        more = [*texts.unlabelled, *more]
        soft = [unlabelled, *soft]
    if recipe.sentences:
        for said in labelled_sentences(trees=not arguments.no_treebank, products=recipe.products):
            more += said
            soft.append(np.array([[1 - share, share] for share in said.values()], np.float32))
    plan = plan_of(arguments.recipe, texts.dataset)
    labels = np.concatenate(soft)
    told = Callbacks(say, on_epoch=lambda epoch: say(str(epoch)))
    with quiet_thread():
        dataset = replace(texts.dataset, unlabelled=tuple(more))
        result = fit(dataset, plan, soft_labels=labels, callbacks=told)
    checkpoint = result.checkpoint
    if recipe.pairs:
        read = [*texts.train.texts, *more]
        targets = np.concatenate([texts.train.labels.astype(np.float32), labels])
        learnt = Examples.from_texts(checkpoint.tokenizer, read, targets)
        checkpoint = with_ngrams(checkpoint, learnt, recipe.pairs)
    save_checkpoint(checkpoint, arguments.output)


if __name__ == "__main__":
    try:
        main()
    except (EdgeLSTMError, OSError) as error:
        raise SystemExit(f"error: {error}") from None
