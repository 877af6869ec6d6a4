"""The table of the network's linear part: a weight for every word and every hashed word pair.

Gradient steps do not suit it (a text adds up hundreds of weights, and the sum swings), least squares do,
in seconds, twice. Before the LSTM is trained the table is fitted to a teacher's soft labels, which leave
the LSTM something to learn, where a table fitted to the texts' own labels knows them by heart. When the
LSTM is done, it is fitted to the labels themselves, and the validation part weighs the two against each
other.

With few texts the table is most of the answer, and ten validation texts weigh nothing. There its
regularisation and its scale come from cross-validation on the training texts, the LSTM counts for little
until the validation part says otherwise, and at last the table learns from the validation part too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import optimize, sparse
from scipy.special import expit, log_softmax

from edge_lstm_export.evaluation import predict_logits
from edge_lstm_export.examples import Examples
from edge_lstm_export.network import Network, NetworkConfig, pair_bucket
from edge_lstm_export.teacher.nbsvm import log_ratios, stratified_folds

Floats = npt.NDArray[np.float32]

# Of 100, 300 and 500, and of targets cut at 0.01 and 0.05, on film-disjoint parts of IMDB's training split.
# It is meant for so many texts and grows with them.
RIDGE, RIDGE_TEXTS = 300.0, 73_705
FEW = 20_000  # below it, one of RECIPES is chosen
FOLDS = 5
MOST_WORK = 25_000  # texts times labels that are cross-validated
CLIP = 0.05  # a target counts as at least so far from 0 and 1: its logit is what is fitted
SHARE = 0.5  # what the LSTM is trained beside, of the fitted logits
MOST_TEXTS = 200_000  # a random part of more: the fit holds their counts in memory, 6 kB for a review
# How far the weights of the two parts are trusted before there is a validation text, in nats: ten texts
# cannot move them, a thousand decide.
PRIOR = 10.0


@dataclass(frozen=True)
class Table:
    """Logits = counts @ weights + intercept. weights: float32 [rows, logits]; intercept: float32 [logits]."""

    weights: Floats
    intercept: Floats


@dataclass(frozen=True)
class Recipe:
    """How a table is fitted. ridge: as a share of a text's mean square, so that it suits short texts and long
    ones. idf_normalised: rare words count for more (inverse document frequency), and a long text no more
    than a short one."""

    ridge: float
    idf_normalised: bool = False


# Normalised by idf is better for few texts a label (five labels of 500 reviews: 40 % against 37 to 39 %),
# worse for many (of 2,000: 45 % against 48 %).
RECIPES = (Recipe(0.1), Recipe(0.3), Recipe(1.0), Recipe(3.0), Recipe(0.03, True), Recipe(0.3, True))


@dataclass(frozen=True)
class Tuned:
    """What cross-validation found: the recipe, and what makes its logits probabilities: they are multiplied
    by ``scale``, then ``bias``, float32 [logits], is added."""

    recipe: Recipe
    scale: float
    bias: Floats


@dataclass(frozen=True)
class Finished:
    """What a finished linear part consists of: its table times ``linear``, the LSTM's logits times ``lstm``.

    tuned: None where there are many texts.
    """

    table: Table
    lstm: float
    linear: float
    tuned: Tuned | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for the provenance."""
        recipe = {} if self.tuned is None else asdict(self.tuned.recipe)
        return {"lstm": round(self.lstm, 4), "linear": round(self.linear, 4), **recipe}


def begin_linear_part(network: Network, examples: Examples) -> None:
    """Sets the table that the LSTM is trained beside: half of what fits the examples' soft targets best."""
    if network.pairs is not None:
        table = fit_table(examples, network.config)
        _set(network, table, 1.0, SHARE, np.zeros(1, np.float32))


def finish_linear_part(network: Network, examples: Examples, validation: Examples) -> Finished:
    """Fits the table to the examples' targets and weighs both parts by the validation part."""
    few = len(examples) < FEW
    tuned = tune(examples, network.config) if few else None
    table = fit_table(examples, network.config, tuned)
    _set_table(network, np.zeros_like(table.weights))
    lstm = predict_logits(network, validation).numpy()
    linear = count_matrix(validation, network.config) @ table.weights + table.intercept
    # A network that knows its few texts by heart answers new ones with large logits: it is their size that
    # has to prove itself.
    size = max(1.0, float(np.sqrt(np.mean(lstm**2)))) if few else 1.0
    expected = len(examples) / FEW if few else 1.0
    share, linear_share, bias = _weigh(lstm / np.float32(size), linear, validation.targets, expected)
    share /= size
    _set(network, table, share, linear_share, bias)
    return Finished(table, share, linear_share, tuned)


def learn_from_all(network: Network, finished: Finished, examples: Examples, temperature: float) -> None:
    """Fits the table again, to more examples, and puts it in the place of the one that was weighed.

    temperature: what the logits were divided by since. Nothing is done where there are many texts.
    """
    if finished.tuned is None:
        return
    table, share = fit_table(examples, network.config, finished.tuned), finished.linear / temperature
    _set_table(network, share * table.weights)
    with torch.no_grad():
        network.head.bias.add_(torch.from_numpy(share * (table.intercept - finished.table.intercept)))


def tune(examples: Examples, config: NetworkConfig) -> Tuned:
    """Cross-validates the recipes: the one whose logits, scaled, have the least loss on texts left out."""
    rng = np.random.default_rng(0)
    most = MOST_WORK // examples.targets.shape[1]
    rows = np.sort(rng.permutation(len(examples))[:most])
    counts, targets = count_matrix(examples, config)[rows], examples.targets[rows]
    fold = stratified_folds(targets.argmax(axis=1), FOLDS, rng)
    logits = np.zeros((len(RECIPES), len(rows), config.logits), np.float32)
    for k in range(FOLDS):
        own = fold == k
        for i, table in enumerate(_tables(counts[~own], targets[~own], RECIPES)):
            logits[i, own] = counts[own] @ table.weights + table.intercept
    fits = [least_loss([one], targets, [1.0]) for one in logits]
    best = int(np.argmin([loss for _, loss in fits]))
    weights = fits[best][0]
    return Tuned(RECIPES[best], float(weights[0]), weights[1:].astype(np.float32))


def fit_table(examples: Examples, config: NetworkConfig, tuned: Tuned | None = None) -> Table:
    """Least squares on the logits of the targets, one column for two labels, else one a label."""
    rows = np.arange(len(examples))
    if len(rows) > MOST_TEXTS:
        rows = np.sort(np.random.default_rng(0).choice(rows, MOST_TEXTS, replace=False))
    recipes = [None if tuned is None else tuned.recipe]
    (table,) = _tables(count_matrix(examples, config)[rows], examples.targets[rows], recipes)
    if tuned is None:
        return table
    return Table(tuned.scale * table.weights, tuned.scale * table.intercept + tuned.bias)


def _tables(counts: Any, targets: Floats, recipes: Sequence[Recipe | None]) -> list[Table]:
    """counts: [texts, rows of the table]; targets: [texts, labels] → a table for each recipe; None is the
    one for many texts.

    The columns are scaled by their naive-Bayes log ratios first, as in NB-SVM (see teacher/nbsvm.py), so
    that the regularisation spares those that tell labels apart.
    """
    from sklearn.linear_model import Ridge

    texts, width = counts.shape
    present = counts.copy()
    present.data[:] = 1
    rarity = np.log((1 + texts) / (1 + np.asarray(present.sum(axis=0)).ravel())) + 1
    outputs = targets.T[1:] if targets.shape[1] == 2 else targets.T
    weights = np.zeros((len(recipes), width, len(outputs)), np.float32)
    intercepts = np.zeros((len(recipes), len(outputs)), np.float32)
    for column, target in enumerate(outputs):
        ratios = log_ratios(present, target)
        clipped = np.clip(target, CLIP, 1 - CLIP)
        for i, recipe in enumerate(recipes):
            idf_normalised = recipe is not None and recipe.idf_normalised
            scale = sparse.diags((ratios * rarity if idf_normalised else ratios).astype(np.float32))
            scaled, length = counts @ scale, 1.0
            squares = np.asarray(scaled.multiply(scaled).sum(axis=1)).ravel()
            if idf_normalised:
                each = np.sqrt(np.maximum(squares, 1e-6) / squares.mean())
                scaled, length = sparse.diags((1 / each).astype(np.float32)) @ scaled, each.mean()
            ridge = RIDGE * texts / RIDGE_TEXTS if recipe is None else recipe.ridge * squares.mean()
            model = Ridge(alpha=ridge, solver="lsqr", max_iter=60, tol=1e-4)
            model.fit(scaled, np.log(clipped / (1 - clipped)))
            weights[i, :, column] = scale @ model.coef_ / length
            intercepts[i, column] = model.intercept_
    weights[:, 0] = 0  # padding
    return [Table(*parts) for parts in zip(weights, intercepts)]


def count_matrix(examples: Examples, config: NetworkConfig) -> Any:
    """float32 [texts, rows of the table], CSR: how often a text holds each word and each bucket of pairs."""
    owner = np.repeat(np.arange(len(examples)), examples.lengths)
    ids = examples.ids.astype(np.int64)
    bucket = pair_bucket(torch.from_numpy(ids[:-1]), torch.from_numpy(ids[1:]), config.pair_buckets).numpy()
    same = owner[:-1] == owner[1:]
    rows = np.concatenate([owner, owner[:-1][same]])
    columns = np.concatenate([ids, config.pair_start + bucket[same]])
    ones = np.ones(len(rows), np.float32)
    shape = (len(examples), config.pair_start + config.pair_buckets)
    return sparse.coo_matrix((ones, (rows, columns)), shape=shape).tocsr()  # equal places are added up


def _weigh(lstm: Floats, linear: Floats, targets: Floats, expected: float) -> tuple[float, float, Floats]:
    """lstm, linear: [n, logits]; targets: [n, labels] → the two weights and a bias [logits] of least loss.

    expected: the LSTM's weight before there is a validation text.
    """
    best, _ = least_loss([lstm, linear], targets, [expected, 1 - (1 - SHARE) * expected])
    return float(best[0]), float(best[1]), best[2:].astype(np.float32)


def least_loss(
    parts: Sequence[Floats], targets: Floats, expected: Sequence[float], *, several: bool = False
) -> tuple[npt.NDArray[np.float64], float]:
    """parts: [n, logits] each → (a weight for each and a bias [logits], their loss): the least sum of cross
    entropy and of PRIOR for what differs from the expected weights and from no bias. several: each label has
    a cross entropy of its own."""
    outputs = parts[0].shape[1]
    prior = np.array([*expected, *np.zeros(outputs)])

    def loss(weights: npt.NDArray[Any]) -> tuple[float, npt.NDArray[Any]]:
        z = sum(weight * part for weight, part in zip(weights, parts)) + weights[len(parts) :]
        if several:
            nats = float((np.logaddexp(0, z) - targets * z).sum())
            slope = expit(z) - targets
        else:
            z = np.concatenate([np.zeros_like(z), z], axis=1) if outputs == 1 else z
            logs = log_softmax(z, axis=1)
            nats = -float((targets * logs).sum())
            slope = (np.exp(logs) * targets.sum(axis=1, keepdims=True) - targets)[:, -outputs:]
        gradient = [*(float((slope * part).sum()) for part in parts), *slope.sum(axis=0)]
        return (
            nats + PRIOR * float(((weights - prior) ** 2).sum()),
            np.array(gradient, np.float64) + 2 * PRIOR * (weights - prior),
        )

    found = optimize.minimize(loss, prior, method="L-BFGS-B", jac=True)
    return found.x, float(found.fun)


def _set(network: Network, table: Table, lstm: float, linear: float, bias: Floats) -> None:
    """Logits become ``lstm`` times those of the LSTM's head, ``linear`` times the table's, and the bias."""
    _set_table(network, linear * table.weights)
    with torch.no_grad():
        network.head.weight.mul_(lstm)
        network.head.bias.mul_(lstm).add_(torch.from_numpy(linear * table.intercept + bias))


def _set_table(network: Network, weights: Floats) -> None:
    assert network.pairs is not None
    with torch.no_grad():
        network.pairs.weight.copy_(torch.from_numpy(weights))
