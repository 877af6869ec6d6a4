"""Few texts: the linear part is cross-validated, and the LSTM has to prove itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from edge_lstm_export import linear_part
from edge_lstm_export.evaluation import predict_logits
from edge_lstm_export.examples import Examples, one_hot
from edge_lstm_export.linear_part import finish_linear_part, fit_table, learn_from_all, tune
from edge_lstm_export.network import Network, NetworkConfig

CONFIG = NetworkConfig(num_words=60, embedding_dim=4, hidden=5, pair_buckets=97, pooling="mean+max")
ONLY_NEW = 59  # a word that stands in no training text


def made(count: int, seed: int = 0, labels: int = 2) -> Examples:
    """Texts of 30 common words and, in most of them, one that tells the label."""
    rng = np.random.default_rng(seed)
    truth = np.arange(count) % labels
    rows = []
    for label in truth:
        telling = 40 + label if rng.random() < 0.8 else 50
        rows.append(np.append(rng.integers(5, 35, 12), telling))
    return examples(rows, one_hot(truth, labels))


def examples(rows: list[np.ndarray], targets: np.ndarray) -> Examples:
    offsets = np.cumsum([0, *map(len, rows)])
    return Examples(np.concatenate(rows).astype(np.int32), offsets, targets)


def accuracy(network: Network, of: Examples) -> float:
    logits = predict_logits(network, of).numpy()
    answers = (logits[:, 0] > 0) if logits.shape[1] == 1 else logits.argmax(axis=1)
    return float((answers == of.targets.argmax(axis=1)).mean())


def overconfident() -> Network:
    """A network whose LSTM answers at random, and is sure of it."""
    torch.manual_seed(0)
    network = Network(CONFIG)
    with torch.no_grad():
        network.embedding.weight.normal_()
        network.head.weight.mul_(40)
    return network


def test_ten_validation_texts_do_not_hand_the_answer_to_the_lstm() -> None:
    network, new = overconfident(), made(500, seed=9)
    assert accuracy(network, new) < 0.7
    finished = finish_linear_part(network, made(100), made(10, seed=1))
    assert accuracy(network, new) > 0.8
    assert finished.to_dict()["ridge"] > 0


def test_an_lstm_that_proves_itself_counts() -> None:
    """It knows what the table cannot: which texts were labelled at random."""
    network = Network(CONFIG)
    with torch.no_grad():
        network.embedding.weight.zero_()
        network.embedding.weight[40], network.embedding.weight[41] = -3.0, 3.0
    rng = np.random.default_rng(0)
    blurred = made(100)
    noise = examples(
        [blurred.ids[blurred.offsets[i] : blurred.offsets[i + 1]] for i in range(100)],
        one_hot(rng.integers(0, 2, 100), 2),
    )
    untrained = finish_linear_part(network, noise, made(10, seed=1))
    validated = Network(CONFIG)
    validated.load_state_dict(network.state_dict())
    with torch.no_grad():
        head = torch.linalg.lstsq(
            torch.cat([_pooled(validated, made(400, seed=2)), torch.ones(400, 1)], dim=1),
            torch.from_numpy(made(400, seed=2).targets[:, 1:] * 8 - 4),
        ).solution
        validated.head.weight.copy_(head[:-1].T)
        validated.head.bias.copy_(head[-1])
    proven = finish_linear_part(validated, noise, made(1000, seed=1))
    assert abs(untrained.lstm) < 0.2
    assert proven.lstm > 0.5


def _pooled(network: Network, of: Examples) -> torch.Tensor:
    ids, lengths = of.padded(np.arange(len(of)))
    network.eval()
    with torch.inference_mode():
        return network.pool(network.embed(ids), lengths).clone()


def test_labels_that_the_texts_do_not_tell_are_answered_with_small_logits() -> None:
    telling = made(200)
    at_random = Examples(
        telling.ids, telling.offsets, one_hot(np.random.default_rng(1).integers(0, 2, 200), 2)
    )
    assert tune(telling, CONFIG).scale > 0.5
    assert abs(tune(at_random, CONFIG).scale) < 0.3


@pytest.mark.parametrize("labels", [2, 5])
def test_the_tuned_table_answers_texts_it_has_not_seen(labels: int) -> None:
    config = NetworkConfig(num_words=60, pair_buckets=97, labels=labels)
    train, new = made(150, labels=labels), made(500, seed=9, labels=labels)
    table = fit_table(train, config, tune(train, config))
    logits = linear_part.count_matrix(new, config) @ table.weights + table.intercept
    answers = (logits[:, 0] > 0) if labels == 2 else logits.argmax(axis=1)
    assert (answers == new.targets.argmax(axis=1)).mean() > 0.8 + 0.2 / labels - 0.08


def test_at_last_the_table_learns_from_the_validation_part() -> None:
    network, train = overconfident(), made(100)
    rows = [np.array([ONLY_NEW, 6, 7])] * 10
    validation = examples(rows, one_hot(np.ones(10, np.int64), 2))
    finished = finish_linear_part(network, train, validation)
    assert network.pairs is not None
    assert not network.pairs.weight[ONLY_NEW].any()
    learn_from_all(network, finished, train.joined(validation), temperature=1.0)
    assert network.pairs.weight[ONLY_NEW] > 0


def test_learning_from_the_same_texts_again_changes_nothing() -> None:
    network, train = overconfident(), made(100)
    finished = finish_linear_part(network, train, made(10, seed=1))
    before = predict_logits(network, train)
    learn_from_all(network, finished, train, temperature=1.0)
    assert torch.allclose(before, predict_logits(network, train), atol=1e-5)


def test_many_texts_are_fitted_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_part, "FEW", 50)
    network, train, validation = overconfident(), made(100), made(10, seed=1)
    finished = finish_linear_part(network, train, validation)
    assert set(finished.to_dict()) == {"lstm", "linear"}
    before = predict_logits(network, train)
    learn_from_all(network, finished, train.joined(validation), temperature=1.0)
    assert torch.equal(before, predict_logits(network, train))


def test_joined_examples_are_these_then_the_others() -> None:
    one, other = made(3), made(5, seed=1)
    both = one.joined(other)
    ids, lengths = both.padded(np.array([0, 3, 7]))
    assert len(both) == 8
    assert lengths.tolist() == [13, 13, 13]
    assert ids[1].tolist() == other.ids[:13].tolist()
    assert ids[2].tolist() == other.ids[-13:].tolist()
