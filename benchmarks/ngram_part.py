"""What does the n-gram part lose beside a linear SVM on all n-grams? Alone, on held-out training rows.

    python -m benchmarks.ngram_part [SET …] [--data FOLDER] [--seeds 2]

The part is fitted as a default training of labels alone fits it, to three quarters of a training split, and
judged by the rest; then with each change of ``CHANGES``. ``--whole`` runs default trainings on four fifths
(2,000 rows or more): what the LSTM adds. Runs are kept in results/ngram_part.jsonl and not made again. The
tables go to standard output.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from edge_lstm_export import Plan, make_plan
from edge_lstm_export.train import calibrate, ngrams
from edge_lstm_export.train.data import Dataset, Floats
from edge_lstm_export.train.examples import Examples
from edge_lstm_export.train.logits import fit_temperature, two_columns
from edge_lstm_export.train.loop import fit_network
from edge_lstm_export.train.options import Validation
from edge_lstm_export.train.parts import Parts
from edge_lstm_export.train.plan import NO_TEACHER, Asked, facts_of
from edge_lstm_export.train.sources.memory import dataset_from
from edge_lstm_export.train.teachers.load import Teachers
from edge_lstm_export.train.train import with_knowledge

from benchmarks.ablation import Off, off
from benchmarks.public_sets import SVM, linear_svm
from benchmarks.sets import DATA, SETS, Rows, append, lines, split
from benchmarks.table import markdown_table

RESULTS = Path(__file__).parent / "results" / "ngram_part.jsonl"
ONCE, LSTM = "pairs of one text", "LSTM"
# Of stacking: how far the expected weights are trusted, in nats, and the LSTM's share where it is fixed.
PRIORS, SHARES = (20.0, 100.0, 500.0), (0.0, 0.1, 0.2, 0.3, 0.5)
Runs = dict[tuple[str, int, str], float]  # (set, seed, change) → accuracy, 0 to 1
CHANGES: Mapping[str, Off] = {
    "as planned": off(),
    "no naive Bayes": off(sparse={"bayes": 0.0}),
    "naive Bayes 1": off(sparse={"bayes": 1.0}),
    "naive Bayes 2": off(sparse={"bayes": 2.0}),
    "related words": off(related_words=True),
    ONCE: off(),
}


def measure(name: str, train: Rows, judging: Rows, seed: int, runs: Runs) -> None:
    """Add those runs of a draw that are not there."""
    dataset, asked = dataset_from(*train), Asked(teacher=NO_TEACHER, seed=seed)
    facts = with_knowledge(facts_of(dataset), dataset, asked)
    plan = replace(make_plan(facts, asked), teachers=(), own_labels=1.0, validation=Validation(0.0))
    for change in (SVM, *CHANGES):
        if (run := (name, seed, change)) not in runs:
            if change == SVM:
                runs[run] = float(linear_svm().fit(*train).score(*judging))
            elif change == "related words" and plan.word_table == "none":
                runs[run] = runs[name, seed, "as planned"]
            else:
                with patch.object(ngrams, "FEWEST_TEXTS", 1 if change == ONCE else ngrams.FEWEST_TEXTS):
                    parts = parts_of(dataset, CHANGES[change](plan, facts))
                weights = parts.fit_sparse()
                assert parts.features is not None and weights is not None
                logits = weights.logits(parts.features, examples_of(parts, judging[0]))
                runs[run] = right(dataset, logits, judging[1])
            append(RESULTS, {"run": run, "accuracy": runs[run]})
            print(*run, runs[run], flush=True)


def measure_whole(name: str, train: Rows, judging: Rows, seed: int, runs: Runs) -> None:
    """Add those runs of a whole training that are not there: what the LSTM adds, weighed in several ways."""
    dataset, asked = dataset_from(*train), Asked(seed=seed)
    plan = make_plan(with_knowledge(facts_of(dataset), dataset, asked), asked)
    for related in sorted({plan.related_words, plan.word_table != "none"}):
        suffix = ", related words" if related else ""
        if (name, seed, LSTM + suffix) not in runs:
            parts = parts_of(dataset, replace(plan, related_words=related))
            for column, logits in weighed(parts, judging[0]).items():
                run = name, seed, column + suffix
                runs[run] = right(dataset, logits, judging[1])
                append(RESULTS, {"run": run, "accuracy": runs[run]})
                print(*run, runs[run], flush=True)


def weighed(parts: Parts, texts: Sequence[str]) -> dict[str, Floats]:
    """Train both parts. Return logits of the texts, float32 [texts, outputs], by how both are weighed."""
    network, validation = parts.new_network(), parts.examples(parts.validation)
    learnt, several = parts.learnt(), parts.plan.network.several
    fit_network(network, learnt, parts.final_loop, parts.plan.seed, validation)
    unseen = parts.logits(network, parts.fit_sparse(), validation)
    asked = parts.logits(network, parts.fit_sparse(more=validation), examples_of(parts, texts))
    logits = {LSTM: asked.lstm}
    for prior in PRIORS:
        with patch.object(calibrate, "PRIOR", prior):
            stack = calibrate.fit_stack(unseen, len(learnt), several=several)
        logits[f"prior {prior:g}"] = stack.logits(asked)
    targets = torch.from_numpy(unseen.targets)
    warm = [
        fit_temperature(torch.from_numpy(part), targets, several=several)
        for part in (unseen.lstm, unseen.sparse)
    ]
    for share in SHARES:
        logits[f"share {share:g}"] = share * asked.lstm / warm[0] + (1 - share) * asked.sparse / warm[1]
    return logits


def parts_of(dataset: Dataset, plan: Plan) -> Parts:
    """Return the parts of a network, not fitted."""
    return Parts(dataset, plan, [], Teachers(plan, dataset.labels, _silent), None, _silent)


def examples_of(parts: Parts, texts: Sequence[str]) -> Examples:
    """Return texts whose labels are not known."""
    unknown = np.zeros((len(texts), len(parts.dataset.labels)), np.float32)
    return Examples.from_texts(parts.tokenizer, texts, unknown)


def right(dataset: Dataset, logits: Floats, truth: Sequence[str]) -> float:
    """Return the share of texts that are labelled right, 0 to 1."""
    answers = np.array(dataset.labels)[two_columns(logits).argmax(axis=1)]
    return float((answers == np.array(truth)).mean())


def _silent(line: str) -> None:
    pass


def table(runs: Runs, heads: Sequence[str]) -> str:
    """Return the accuracies in %, the mean of a set's seeds, of the sets that have all, and their mean."""
    means: dict[str, list[float]] = {}
    for name in dict.fromkeys(name for name, _, _ in runs):
        found = [[100 * v for run, v in runs.items() if run[::2] == (name, head)] for head in heads]
        if all(found):
            means[name] = list(map(statistics.mean, found))
    means["**mean**"] = [statistics.mean(column) for column in zip(*means.values())]
    return markdown_table(
        ("set", *heads), ([name, *(f"{v:.1f}" for v in row)] for name, row in means.items())
    )


def main() -> None:
    """Make the runs that are not there, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("sets", nargs="*", default=SETS)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--whole", action="store_true", help="whole trainings, by a fifth that is held out")
    asked = parser.parse_args()
    runs: Runs = {tuple(line["run"]): line["accuracy"] for line in lines(RESULTS)}
    for seed, name in itertools.product(range(asked.seeds), asked.sets):
        made = measure_whole if asked.whole else measure
        made(name, *split(asked.data / name, 0.2 if asked.whole else 0.25, seed), seed, runs)
    weighed_by = (LSTM, *(f"prior {p:g}" for p in PRIORS), *(f"share {s:g}" for s in SHARES))
    whole = (table(runs, [head + suffix for head in weighed_by]) for suffix in ("", ", related words"))
    print(table(runs, (SVM, *CHANGES)), *whole, sep="\n\n")


if __name__ == "__main__":
    main()
