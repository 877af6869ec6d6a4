"""How is an n-gram part fitted to a log that teachers label? Judged by a fifth of the training split.

    python -m benchmarks.log_labels ENCODER SET:ROWS … [--draws 2]

The n-gram part alone, in float32: on targets as they are or sharper (a power of the probabilities), by a
logistic regression or by SVMs with naive Bayes, without a word table and with the English one; of many
labels as vectors, merged with the SVMs of the rows or not. The teachers, of all rows, count as below, about
as cross-fitting weighs them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from edge_lstm_export.train import ngrams
from edge_lstm_export.train.examples import Examples
from edge_lstm_export.train.linear import Floats
from edge_lstm_export.train.logits import two_columns
from edge_lstm_export.train.options import MOST_EXACT_LABELS
from edge_lstm_export.train.parts import Parts
from edge_lstm_export.train.plan import EMBEDDINGS, SENTIMENT, Asked, Plan, facts_of, make_plan
from edge_lstm_export.train.sources.memory import dataset_from
from edge_lstm_export.train.teachers.base import probabilities
from edge_lstm_export.train.teachers.load import Teachers
from edge_lstm_export.train.train import quiet_thread, with_kind, with_knowledge

from benchmarks.sets import DATA, draw, split

FEW, MANY = (
    {"linear": 0.4, SENTIMENT: 0.3, "fine-tuned": 0.7},
    {"linear": 0.44, "probe": 0.58, "fine-tuned": 0.65},
)


def soft_labels(plan: Plan, teachers: Teachers, labels: np.ndarray, texts: list[str]) -> Floats:
    """Return what the teachers of all rows say of the texts behind the rows, as probabilities."""
    weights = MANY if labels.shape[1] > MOST_EXACT_LABELS else FEW
    total = np.zeros((len(texts) - len(labels), labels.shape[1]), np.float32)
    for name, teacher in zip(plan.teachers, teachers.load()):
        if weight := weights.get(name.partition(" ")[0]):
            teacher.read(texts)
            answers = teacher.fit(np.arange(len(labels)), labels)(np.arange(len(labels), len(texts)))
            low = np.minimum(answers.max(axis=1, keepdims=True), 20) - 40  # as in the cross-fitting
            total += np.float32(weight) * np.clip(answers, low, 20)
    return probabilities(total, False)


def fits(parts: Parts, soft: Floats, embeddings: float) -> Iterator[tuple[str, ngrams.SparseWeights]]:
    """Yield each way of fitting, and what it fitted."""
    many = parts.plan.network.labels > MOST_EXACT_LABELS
    for power in (1, 2, 3):
        sharp = soft.astype(np.float64) ** power
        parts.soft_labels = (sharp / sharp.sum(axis=1, keepdims=True)).astype(np.float32)
        learnt = parts.learnt()
        data = ngrams.SparseData(parts.features, learnt, False, embeddings)
        if not many:
            yield f"logistic, power {power}", ngrams.fit_logistic(data)
            continue
        vectors = ngrams.fit_low_rank(data, parts.plan.network.ngram_dim, parts.plan.sparse.epochs, 0)
        rows = ngrams.SparseData(parts.features, learnt.subset(np.arange(len(parts.rows))), False, embeddings)
        yield f"vectors, power {power}", vectors
        yield f"vectors + SVM, power {power}", ngrams.merged(vectors, ngrams.fit_svm(rows), rows)
    for bayes in () if many else (0, 0.5, 1):
        yield f"SVM, naive Bayes {bayes}", ngrams.fit_svm(data, bayes)


def measure(encoder: str, name: str, rows: str, seed: int) -> None:
    """Print the accuracy of each fit on a draw."""
    train, (questions, truth) = split(DATA / name, 0.2, seed)
    texts, labels = draw(train, rows, seed)
    rest = sorted({*train[0]} - {*texts, *questions})
    dataset, asked = dataset_from(texts, labels), with_kind(Asked("small", encoder, seed=seed))
    facts = with_knowledge(facts_of(dataset, len(rest)), dataset, asked)
    plan = replace(make_plan(facts, asked), word_table="none")
    if SENTIMENT in plan.teachers:
        plan = replace(plan, word_table="sentiment")
    teachers = Teachers(plan, dataset.labels)
    soft = soft_labels(plan, teachers, dataset.train.labels, [*dataset.train.texts, *rest])
    right = np.array([dataset.labels.index(label) for label in truth])
    for table in dict.fromkeys((plan.word_table, "english")):
        embeddings = 0.0 if table == "none" else EMBEDDINGS
        sparse = replace(plan.sparse, embeddings=embeddings)
        told = replace(plan, teachers=(), own_labels=1.0, word_table=table, sparse=sparse)
        parts = Parts(dataset, told, rest, Teachers(told, dataset.labels), soft, print)
        judged = Examples.from_texts(
            parts.tokenizer, questions, np.zeros((len(right), soft.shape[1]), np.float32)
        )
        for way, weights in fits(parts, soft, embeddings):
            answers = two_columns(weights.logits(parts.features, judged)).argmax(axis=1)
            print(f"{name} {rows} {seed}, {table}, {way}: {(answers == right).mean():.2%}", flush=True)


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("encoder")
    parser.add_argument("cells", nargs="+", metavar="SET:ROWS")
    parser.add_argument("--draws", type=int, default=2)
    asked = parser.parse_args()
    with quiet_thread():
        for name, _, rows in (cell.partition(":") for cell in asked.cells):
            for seed in range(asked.draws):
                measure(asked.encoder, name, rows, seed)


if __name__ == "__main__":
    main()
