"""Five turns of ``serve --log`` and ``train --replace``, next to turns without weights.

``python -m benchmarks.loop`` trains hundreds of times, so a linear SVM stands for the network. The
weights, the calibration, the curve and the choice between two files are the product's.

The upstream is simulated: it is wrong about the texts that a linear model is least sure of, and
gives that model's label for them. In turn 1 it answers everything. From turn 2 on it answers what
the file is unsure of, and a share of the sure answers. From turn 3 on, texts of the rarer half of
the labels come three times as often. Each seed holds out another fifth of the texts.

A file says its accuracy when a turn is over, from the texts that are held out. A turn later the log
says how often it agreed with the upstream. Both are held against the agreement on all texts that no
turn has seen, in the mixture of the turn.
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
from edge_lstm.metrics import Interval, wilson_interval

SETS = ("banking77", "goemotions", "trec6")
TURNS = 5
REQUESTS = 1800  # in a turn, or as many as a small set has
CHANGE = 3  # the turn at which the mixture changes
MORE = 3  # times as often come the rarer labels from then on
CLOSE = 0.02  # between what is said and what is measured
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
class Share:
    """A share that was counted among so many rows."""

    count: int
    rows: int

    @classmethod
    def of(cls, are_counted: Bools) -> Share:
        """Count."""
        return cls(int(are_counted.sum()), len(are_counted))

    @property
    def value(self) -> float:
        """0 to 1; 0 without rows."""
        return self.count / max(1, self.rows)

    @property
    def interval(self) -> Interval:
        """95 %."""
        return wilson_interval(self.count, self.rows)

    def holds(self, value: float) -> bool:
        """Tell whether the interval holds a value."""
        return self.interval.low <= value <= self.interval.high


@dataclass(frozen=True)
class File:
    """A linear model. said: its accuracy by the log."""

    model: LinearSVC
    labels: int
    temperature: float
    threshold: float
    said: Share

    def chances(self, features: csr_matrix) -> Floats:
        """float32 [n, labels]."""
        return _chances(_logits(self.model, features, self.labels), self.temperature)


@dataclass(frozen=True)
class Turn:
    """What a file did in a turn.

    answered: of the requests. checked: the number of answers that the upstream gave too.
    disagreed, wrong: of the answers, against the upstream and against the truth.
    agreement: of all labels with the upstream's, on the texts that no turn has seen.
    said: of itself, before the turn. logged: what the log has of it, after the turn.
    """

    answered: Share
    checked: int
    disagreed: Share
    wrong: Share
    agreement: float
    said: Share
    logged: Share

    @property
    def asked(self) -> int:
        """The requests that reached the upstream."""
        return self.answered.rows - self.answered.count + self.checked


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
    said = Share.of(chances.argmax(axis=1) == truth)
    file = File(model, texts.labels, temperature, math.inf, said)
    if held.any():
        judged = np.flatnonzero(held)[as_traffic(weights[held])]
        chances = np.concatenate([chances, file.chances(texts.features[rows[judged]])])
        truth = np.concatenate([truth, given[judged]])
    point = RiskCoverage.from_predictions(chances, truth, "log").operating_point(RISK)
    return file if point is None else replace(file, threshold=point.threshold)


def better(texts: Texts, rows: Ints, given: Ints, new: File, old: File | None) -> File:
    """Return the file to use, with its accuracy on the rows, which are held out."""
    answered = []
    said = []
    for file in (new, old or new):
        chances = file.chances(texts.features[rows])
        is_right = chances.argmax(axis=1) == given
        answered.append(answered_well(chances.max(axis=1), is_right, file.threshold, RISK))
        said.append(Share.of(is_right))
    if old is not None and (answered[0] < answered[1] or new.threshold == math.inf):
        return replace(old, said=said[1])
    return replace(new, said=said[0])


def turns(
    texts: Texts, upstream: Ints, shadow: float, seed: int, *, is_weighted: bool
) -> Iterator[Turn]:
    """Yield turn 2 and those that follow."""
    rng = np.random.default_rng([seed, 79])
    frequency = np.bincount(texts.truth)
    is_rare = frequency[texts.truth] < np.median(frequency[texts.truth])
    rare = float(is_rare.mean())
    more = MORE * rare / (MORE * rare + 1 - rare)
    # A tenth of the rarer texts, or more, stays for the end.
    needed = (CHANGE - 1) * rare + (TURNS - CHANGE + 1) * more
    requests = min(REQUESTS, int(0.9 * is_rare.sum() / needed))
    left = rng.permutation(len(texts.truth))
    log = np.zeros(0, np.int64)
    weights = np.zeros(0)
    file = None
    for turn in range(1, TURNS + 1):
        rarely = more if turn >= CHANGE else rare
        rares = is_rare[left]
        chance = np.where(rares, rarely / rares.sum(), (1 - rarely) / (~rares).sum())
        count = round(rarely * requests)
        drawn = np.concatenate(
            [
                rng.choice(np.flatnonzero(rares), count, replace=False),
                rng.choice(np.flatnonzero(~rares), requests - count, replace=False),
            ]
        )
        rows = left[drawn]
        is_logged = np.ones(len(rows), np.bool_)
        share = np.ones(len(rows))
        if file is not None:
            agrees = file.chances(texts.features[left]).argmax(axis=1) == upstream[left]
            chances = file.chances(texts.features[rows])
            is_sure = chances.max(axis=1) >= file.threshold
            is_logged = ~is_sure | (rng.random(len(rows)) < shadow)
            share = np.where(is_sure, shadow, 1.0)
            traffic = np.flatnonzero(is_logged)[as_traffic(1 / share[is_logged])]
            yield Turn(
                Share.of(is_sure),
                int((is_sure & is_logged).sum()),
                Share.of(~agrees[drawn][is_sure]),
                Share.of(chances.argmax(axis=1)[is_sure] != texts.truth[rows][is_sure]),
                float(chance @ agrees),
                file.said,
                Share.of(agrees[drawn][traffic]),
            )
        left = np.delete(left, drawn)
        log = np.concatenate([log, rows[is_logged]])
        weights = np.concatenate([weights, 1 / share[is_logged]])
        given = upstream[log]
        if not is_weighted:
            file = trained(texts, log, given, np.ones(len(log)), np.zeros(len(log), np.bool_))
            continue
        held = (texts.keys[log] >> np.uint64(8 * seed)) % np.uint64(5) == 0
        judged = np.flatnonzero(held)[as_traffic(weights[held])]
        new = trained(texts, log, given, weights, held)
        file = better(texts, log[judged], given[judged], new, file)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=sets.DATA)
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--right", type=float, nargs="+", default=[0.85, 0.95, 1.0])
    parser.add_argument("--shadow", type=float, default=0.2)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--price", type=float, help="dollars for 1,000 requests to the upstream")
    parser.add_argument("--price-from", help="where that figure is from; printed with the money")
    given = parser.parse_args()
    if (given.price is None) != (given.price_from is None):
        parser.error("--price and --price-from go together")
    rows = []
    sums = []
    money = []
    for name in given.sets:
        texts = read(name, given.data)
        for is_weighted in (True, False):
            loop = "weighted" if is_weighted else "unweighted"
            runs = []
            for right in given.right:
                for seed in range(given.seeds):
                    upstream = texts.upstream(right)
                    run = [*turns(texts, upstream, given.shadow, seed, is_weighted=is_weighted)]
                    runs.append(run)
                    rows.append([name, f"{right:.0%}", str(seed), loop, *map(_cell, run)])
                    print(*rows[-1], sep=" | ", flush=True)
            sums.append([name, loop, *_sums(runs)])
            if is_weighted and given.price is not None:
                money.append([name, *_money(runs, given.price)])
    later = [f"turn {turn}" for turn in range(2, TURNS + 1)]
    print(markdown_table(["set", "upstream right", "seed", "loop", *later], rows, words=(0, 3)))
    heads = ["set", "loop", *later, "falls", "rises"]
    print(markdown_table(heads, sums, words=(0, 1)))
    if money:
        print(f"{given.price:g} dollars for 1,000 requests: {given.price_from}")
        heads = ["set", "requests", "handed back", "checked", "price of all", "price", "saved"]
        print(markdown_table(heads, money))


def _cell(turn: Turn) -> str:
    """Return answered ± interval · disagreed, wrong · said (interval), logged, measured; in %."""
    half = 50 * (turn.answered.interval.high - turn.answered.interval.low)
    said = turn.said.interval
    return (
        f"{100 * turn.answered.value:.0f} ± {half:.0f} · "
        f"{100 * turn.disagreed.value:.1f}, {100 * turn.wrong.value:.1f} · "
        f"{100 * turn.said.value:.1f} ({100 * said.low:.0f} to {100 * said.high:.0f}), "
        f"{100 * turn.logged.value:.1f}, {100 * turn.agreement:.1f}"
    )


def _sums(runs: list[list[Turn]]) -> list[str]:
    """Return in how many of the runs something holds, by turn.

    The intervals of what is said, and of what the log has, hold the agreement; they are within
    CLOSE of it. A turn answers less than the one before by more than its interval, but for the
    change. The last turn answers more than the one of the change.
    """
    cells = []
    falls = 0
    for place in range(TURNS - 1):
        each = [run[place] for run in runs]
        said = sum(turn.said.holds(turn.agreement) for turn in each)
        logged = sum(turn.logged.holds(turn.agreement) for turn in each)
        close = sum(abs(turn.said.value - turn.agreement) <= CLOSE for turn in each)
        cells.append(f"{said}, {logged}, {close}")
        if place + 2 != CHANGE and place:
            before = [run[place - 1].answered.value for run in runs]
            lows = [2 * turn.answered.value - turn.answered.interval.low for turn in each]
            falls += sum(share > high for share, high in zip(before, lows))
    rises = sum(run[-1].answered.value > run[CHANGE - 2].answered.value for run in runs)
    return [*cells, str(falls), str(rises)]


def _money(runs: list[list[Turn]], price: float) -> list[str]:
    """Return the requests of a run on average, those that the upstream got, and their price."""
    first = runs[0][0].answered.rows
    requests = first * TURNS
    checked = sum(turn.checked for run in runs for turn in run) / len(runs)
    asked = first + sum(turn.asked for run in runs for turn in run) / len(runs)
    whole = requests * price / 1000
    paid = asked * price / 1000
    counts = [requests, asked - checked, checked]
    return [
        *(f"{each:,.0f}" for each in counts),
        f"{whole:.2f}",
        f"{paid:.2f}",
        f"{1 - paid / whole:.0%}",
    ]


if __name__ == "__main__":
    main()
