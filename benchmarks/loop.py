"""Five turns of ``serve --log`` and ``train --replace``, next to turns without weights.

``python -m benchmarks.loop`` trains hundreds of times, so a linear SVM stands for the network. The
weights, the calibration, the curve and the choice between two files are the product's.

The upstream is simulated: it is wrong about the texts that a linear model is least sure of, and
gives that model's label for them. In turn 1 it answers everything. From turn 2 on it answers what
the file is unsure of, and a share of the sure answers. From turn 3 on, texts of the rarer half of
the labels come three times as often.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from edge_lstm_export.arrays import Bools, Floats, Ints
from edge_lstm_export.network.logits import fit_temperature, probabilities
from edge_lstm_export.train.sources.dataset import as_traffic
from edge_lstm_export.train.turn import answered_well
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import KFold
from sklearn.pipeline import make_union
from sklearn.svm import LinearSVC

from benchmarks import sets
from benchmarks.table import markdown_table
from edge_lstm.core.risk_coverage import RiskCoverage
from edge_lstm.core.text import text_key
from edge_lstm.metrics import wilson_interval

SETS = ("banking77", "goemotions", "trec6")
TURNS = 5
REQUESTS = 1800  # in a turn; a sixth of a small set
CHANGE = 3  # the turn at which the mixture changes
RISK = 0.05
ABSENT = -3.0  # the logit of a label without a text


@dataclass(frozen=True)
class Texts:
    """A set: what the model reads, and the label of each text.

    wrong: the labels of a linear model, which never are the true ones.
    hardness: the rank of each text from the hardest, 0 to 1.
    """

    features: csr_matrix
    keys: Ints
    truth: Ints
    wrong: Ints
    hardness: Floats

    @property
    def labels(self) -> int:
        """Their number."""
        return int(self.truth.max()) + 1

    def upstream(self, right: float) -> Ints:
        """Return the labels of an upstream that is right about this share of the texts."""
        return np.where(self.hardness < 1 - right, self.wrong, self.truth)


@dataclass(frozen=True)
class File:
    """A linear model. said: its accuracy by the log."""

    model: LinearSVC
    labels: int
    temperature: float
    threshold: float
    said: float

    def chances(self, features: csr_matrix) -> Floats:
        """float32 [n, labels]."""
        return _chances(_logits(self.model, features, self.labels), self.temperature)


@dataclass(frozen=True)
class Turn:
    """What a file did in a turn, as shares: of the requests, of the answers, of all labels."""

    requests: int
    answered: int
    disagreed: float
    wrong: float
    agreement: float
    said: float


def read(name: str, data: Path) -> Texts:
    """Read a set."""
    texts: list[str] = []
    names: list[str] = []
    for part in ("train", "test"):
        if name == "goemotions":
            more, labels = sets.read(data / name / f"{part}.csv", "labels")
        else:
            more, labels = sets.read(data / name / f"{part}.csv")
        kept = [i for i, label in enumerate(labels) if "|" not in label]
        texts += [more[i] for i in kept]
        names += [labels[i] for i in kept]
    chosen = np.random.default_rng(0).permutation(len(texts))[:12000]
    texts = [texts[i] for i in chosen]
    truth = np.unique([names[i] for i in chosen], return_inverse=True)[1]
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 4), min_df=3)
    features = csr_matrix(make_union(words, characters).fit_transform(texts))
    logits = _unseen(features, truth, int(truth.max()) + 1)
    every = np.arange(len(truth))
    own = logits[every, truth]
    others = logits.copy()
    others[every, truth] = -np.inf
    order = np.argsort(own - others.max(axis=1), kind="stable")
    hardness = np.empty(len(truth))
    hardness[order] = every / len(truth)
    keys = np.array([text_key(text) for text in texts], np.uint64)
    return Texts(features, keys, truth, others.argmax(axis=1), hardness)


def _logits(model: LinearSVC, features: csr_matrix, labels: int) -> Floats:
    given = model.decision_function(features)
    logits = np.full((features.shape[0], labels), ABSENT, np.float32)
    logits[:, model.classes_] = given
    return logits


def _unseen(features: csr_matrix, labels: Ints, count: int) -> Floats:
    """Return the logits of each text by a model that has not learnt from it."""
    logits = np.zeros((len(labels), count), np.float32)
    for learnt, judged in KFold(3, shuffle=True, random_state=0).split(labels):
        model = LinearSVC(C=0.5).fit(features[learnt], labels[learnt])
        logits[judged] = _logits(model, features[judged], count)
    return logits


def _chances(logits: Floats, temperature: float) -> Floats:
    return probabilities(torch.from_numpy(logits / np.float32(temperature)), multi_label=False)


def trained(texts: Texts, rows: Ints, given: Ints, weights: Floats, held: Bools) -> File:
    """Train on the rows of a log. given: the upstream's labels. held: not learnt from."""
    learnt = rows[~held]
    logits = _unseen(texts.features[learnt], given[~held], texts.labels)
    model = LinearSVC(C=0.5).fit(texts.features[learnt], given[~held])
    traffic = as_traffic(weights[~held])
    targets = np.eye(texts.labels, dtype=np.float32)[given[~held][traffic]]
    temperature = fit_temperature(torch.from_numpy(logits[traffic]), torch.from_numpy(targets))
    chances = _chances(logits[traffic], temperature)
    truth = given[~held][traffic]
    said = float((chances.argmax(axis=1) == truth).mean())
    file = File(model, texts.labels, temperature, math.inf, 0.0)
    if held.any():
        judged = np.flatnonzero(held)[as_traffic(weights[held])]
        chances = np.concatenate([chances, file.chances(texts.features[rows[judged]])])
        truth = np.concatenate([truth, given[judged]])
        # As train says it: by the held-out texts where there are some.
        said = float((chances[len(traffic) :].argmax(axis=1) == truth[len(traffic) :]).mean())
    point = RiskCoverage.from_predictions(chances, truth, "log").operating_point(RISK)
    threshold = math.inf if point is None else point.threshold
    return replace(file, threshold=threshold, said=said)


def turns(
    texts: Texts, upstream: Ints, shadow: float, seed: int, *, is_weighted: bool
) -> Iterator[Turn]:
    """Yield turn 2 and those that follow."""
    rng = np.random.default_rng([seed, 79])
    frequency = np.bincount(texts.truth)
    is_rare = frequency[texts.truth] < np.median(frequency[texts.truth])
    left = rng.permutation(len(texts.truth))
    requests = min(REQUESTS, len(left) // (TURNS + 1))
    log = np.zeros(0, np.int64)
    weights = np.zeros(0)
    file = None
    for turn in range(1, TURNS + 1):
        chance = np.where(is_rare[left], 3.0 if turn >= CHANGE else 1.0, 1.0)
        drawn = rng.choice(len(left), requests, replace=False, p=chance / chance.sum())
        rows = left[drawn]
        left = np.delete(left, drawn)
        if file is None:
            is_logged = np.ones(len(rows), np.bool_)
            share = np.ones(len(rows))
        else:
            chances = file.chances(texts.features[rows])
            is_sure = chances.max(axis=1) >= file.threshold
            agrees = chances.argmax(axis=1) == upstream[rows]
            is_right = chances.argmax(axis=1) == texts.truth[rows]
            yield Turn(
                len(rows),
                int(is_sure.sum()),
                float((~agrees[is_sure]).mean()) if is_sure.any() else 0.0,
                float((~is_right[is_sure]).mean()) if is_sure.any() else 0.0,
                float(agrees.mean()),
                file.said,
            )
            is_logged = ~is_sure | (rng.random(len(rows)) < shadow)
            share = np.where(is_sure, shadow, 1.0)
        log = np.concatenate([log, rows[is_logged]])
        weights = np.concatenate([weights, 1 / share[is_logged]])
        given = upstream[log]
        if not is_weighted:
            file = trained(texts, log, given, np.ones(len(log)), np.zeros(len(log), np.bool_))
            continue
        held = texts.keys[log] % np.uint64(5) == 0
        new = trained(texts, log, given, weights, held)
        judged = np.flatnonzero(held)[as_traffic(weights[held])]
        counts = []
        for each in (new, file):
            if each is not None:
                chances = each.chances(texts.features[log[judged]])
                is_right = chances.argmax(axis=1) == given[judged]
                counts.append(answered_well(chances.max(axis=1), is_right, each.threshold, RISK))
        if (counts[0] == max(counts) and new.threshold < math.inf) or file is None:
            file = new


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=sets.DATA)
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--right", type=float, nargs="+", default=[0.85, 0.95, 1.0])
    parser.add_argument("--shadow", type=float, nargs="+", default=[0.2])
    parser.add_argument("--seeds", type=int, default=2)
    given = parser.parse_args()
    heads = ["set", "upstream right", "shadow", "seed", "loop"]
    heads += [f"turn {turn}" for turn in range(2, TURNS + 1)]
    rows = []
    for name in given.sets:
        texts = read(name, given.data)
        for right in given.right:
            for shadow in given.shadow:
                for seed in range(given.seeds):
                    for is_weighted in (True, False):
                        loop = "weighted" if is_weighted else "unweighted"
                        found = turns(
                            texts, texts.upstream(right), shadow, seed, is_weighted=is_weighted
                        )
                        cells = [_cell(turn) for turn in found]
                        rows.append(
                            [name, f"{right:.0%}", f"{shadow:.0%}", str(seed), loop, *cells]
                        )
                        print(*rows[-1], sep=" | ", flush=True)
    print(markdown_table(heads, rows, words=(0, 4)))


def _cell(turn: Turn) -> str:
    """Return answered ± interval · disagreed, wrong · said, measured; in percent."""
    interval = wilson_interval(turn.answered, turn.requests)
    half = 50 * (interval.high - interval.low)
    return (
        f"{100 * turn.answered / turn.requests:.0f} ± {half:.0f} · {100 * turn.disagreed:.1f}, "
        f"{100 * turn.wrong:.1f} · {100 * turn.said:.1f}, {100 * turn.agreement:.1f}"
    )


if __name__ == "__main__":
    main()
