"""How much do the LSTM and a label's rarity count? Default trainings, judged by held-out training rows.

    python -m benchmarks.weighing SET … [--data FOLDER] [--seeds 2]

A fifth of each training split judges. Each line is a set and a seed: accuracy, macro F1 in % and log loss in
hundredths of a nat, of the linear SVM, of each part, and of both by the LSTM's expected share and by what
rarity counts. In float32.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np
import torch
from edge_lstm_export import make_plan
from edge_lstm_export.train import calibrate
from edge_lstm_export.train.calibrate import PartLogits
from edge_lstm_export.train.data import Floats
from edge_lstm_export.train.examples import Examples
from edge_lstm_export.train.logits import fit_temperature, two_columns
from edge_lstm_export.train.loop import fit_network
from edge_lstm_export.train.parts import Parts
from edge_lstm_export.train.plan import Asked, facts_of
from edge_lstm_export.train.sources.memory import dataset_from
from edge_lstm_export.train.teachers.load import Teachers
from edge_lstm_export.train.train import with_knowledge
from scipy.special import log_softmax
from sklearn.metrics import accuracy_score, f1_score

from benchmarks.public_sets import linear_svm
from benchmarks.sets import DATA, SETS, Rows, split

SHARES, RARITIES = (0.2, 0.1), (0.0, 0.1, 0.15, 0.2, 0.3)


def trained(train: Rows, judging: Rows, seed: int) -> tuple[Parts, PartLogits, PartLogits]:
    """Return (the parts, what they answer the texts that weigh them, what they answer those that judge)."""
    dataset, asked = dataset_from(*train), Asked(seed=seed)
    plan = make_plan(with_knowledge(facts_of(dataset), dataset, asked), asked)
    parts = Parts(dataset, plan, [], Teachers(plan, dataset.labels, _silent), None, _silent)
    column = {label: i for i, label in enumerate(dataset.labels)}
    truth = np.eye(len(column), dtype=np.float32)[[column[label] for label in judging[1]]]
    examples = Examples.from_texts(parts.tokenizer, judging[0], truth)
    network, unseen = parts.new_network(), parts.cross_validate(_silent) if plan.validation.folds else None
    validation = parts.examples(parts.validation) if len(parts.validation) else None
    fit_network(network, parts.learnt(), parts.final_loop, seed, validation)
    if validation is not None:
        unseen = parts.logits(network, parts.fit_sparse(), validation)
    assert unseen is not None
    return parts, unseen, parts.logits(network, parts.fit_sparse(more=validation), examples)


def weighed(parts: Parts, unseen: PartLogits, asked: PartLogits, share: float, rarity: float) -> Floats:
    """Return logits of the texts that judge, float32 [texts, L], as train._calibrate makes them."""
    calibrate.ROWS_ALONE = calibrate.LSTM_SHARE = share
    calibrate.RARITY = rarity
    prior = calibrate.expected_stack(len(parts.rows), len(parts.pool), parts.config.logits)
    stack = calibrate.fit_stack(unseen, prior, several=False)
    logits = stack.logits(unseen)
    temperature = np.float32(fit_temperature(torch.from_numpy(logits), torch.from_numpy(unseen.targets)))
    offset = calibrate.balance_offset(logits / temperature, unseen.targets > 0.5, best=False)
    return two_columns(stack.logits(asked) / temperature + offset)


def _silent(line: str) -> None:
    pass


def main() -> None:
    """Train each set with each seed, and print what judges it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("sets", nargs="*", default=SETS)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--seeds", type=int, default=1)
    asked = parser.parse_args()
    for seed, name in itertools.product(range(asked.seeds), asked.sets):
        train, judging = split(asked.data / name, 0.2, seed)
        svm = linear_svm().fit(*train).predict(judging[0])
        parts, unseen, answers = trained(train, judging, seed)
        truth, log_losses = answers.targets.argmax(axis=1), {}
        said = {
            "SVM": np.searchsorted(np.array(parts.dataset.labels), svm),
            "LSTM": two_columns(answers.lstm).argmax(axis=1),
            "n-grams": two_columns(answers.sparse).argmax(axis=1),
        }
        for share, rarity in itertools.product(SHARES, RARITIES):
            logits = weighed(parts, unseen, answers, share, rarity)
            said[f"{share}, {rarity}"] = logits.argmax(axis=1)
            log_losses[f"{share}, {rarity}"] = -100 * (answers.targets * log_softmax(logits, 1)).sum(1).mean()
        for way, labels in said.items():
            scores = accuracy_score(truth, labels), f1_score(truth, labels, average="macro")
            print(name, seed, way, *(f"{100 * score:.1f}" for score in scores), log_losses.get(way, ""))


if __name__ == "__main__":
    main()
