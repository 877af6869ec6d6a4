"""The training loop: what it learns, what it keeps, and that a run is decided by its inputs
alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from edge_lstm_export.checkpoint import Stage
from edge_lstm_export.network.examples import Examples, cropped
from edge_lstm_export.network.logits import fit_temperature, log_probabilities, soft_cross_entropy
from edge_lstm_export.network.network import Network
from edge_lstm_export.network.predict import predict_logits
from edge_lstm_export.options import LoopOptions, NetworkOptions
from edge_lstm_export.train.calibrate import (
    ComponentLogits,
    expected_stack,
    fit_stack,
    rarity_offset,
)
from edge_lstm_export.train.lstm.history import best_of
from edge_lstm_export.train.lstm.loop import Callbacks, fit_network

from edge_lstm.core.text import Tokenizer
from edge_lstm.errors import DataError

OPTIONS = LoopOptions(3, 8, 0.02)
WORDS = ("good", "bad", "film", "the", "plot")


def one_hot(labels: Any, count: int) -> Any:
    return np.eye(count, dtype=np.float32)[np.asarray(labels)]


def examples(count: int = 36, labels: int = 2, seed: int = 0, longest: int = 9) -> Examples:
    """Texts of filler words with one word that tells the label."""
    rng = np.random.default_rng(seed)
    truth = np.arange(count) % labels
    texts = [
        " ".join(
            rng.permutation([WORDS[label], *rng.choice(WORDS[labels:], rng.integers(1, longest))])
        )
        for label in truth
    ]
    return Examples.from_texts(Tokenizer(WORDS), texts, one_hot(truth, labels))


def network(seed: int = 0, **settings: Any) -> Network:
    torch.manual_seed(seed)
    shape = {"num_words": 9, "embedding_dim": 4, "hidden": 8, "dropout": 0.2, **settings}
    options = NetworkOptions(**shape)
    return Network(options.config, dropout=options.dropout)


def test_the_best_epoch_is_kept_and_a_run_without_gain_stops_early() -> None:
    contrary = examples(seed=1)  # contradicts what is learnt: the first epoch is the best one
    contrary = replace(contrary, targets=contrary.targets[:, ::-1].copy())
    net = network()
    result = fit_network(net, examples(), LoopOptions(30, 8, 0.02, patience=2), 0, contrary)
    best = best_of(result.history)
    assert result.outcome == "stopped early" and best is not None
    assert len(result.history) == best.epoch + 2
    assert best.calibrated_loss == min(r.calibrated_loss or 0 for r in result.history)
    loss = soft_cross_entropy(predict_logits(net, contrary), torch.from_numpy(contrary.targets))
    assert float(loss) == pytest.approx(best.validation_loss)


def batches_of(monkeypatch: pytest.MonkeyPatch, seed: int) -> list[list[int]]:
    """The rows of each batch of two epochs of 36 texts, 8 at a time."""
    seen: list[list[int]] = []
    padded = Examples.padded

    def noted(self: Examples, rows: Any) -> Any:
        seen.append(rows.tolist())
        return padded(self, rows)

    with monkeypatch.context() as patch:
        patch.setattr(Examples, "padded", noted)
        fit_network(network(), examples(36), LoopOptions(2, 8, 0.02), seed)
    return seen


def test_an_epoch_is_every_text_once_in_an_order_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = batches_of(monkeypatch, 0)
    epochs = [seen[:5], seen[5:]]
    for batches in epochs:
        assert sorted(row for batch in batches for row in batch) == [*range(36)]
        assert sorted(map(len, batches)) == [4, 8, 8, 8, 8]
    assert epochs[0] != epochs[1]
    assert seen == batches_of(monkeypatch, 0) != batches_of(monkeypatch, 1)


@pytest.mark.parametrize("batch", [3, 7, 10])
def test_a_run_that_is_interrupted_anywhere_ends_with_the_same_weights(batch: int) -> None:
    """In an epoch, after its last batch, or in the last one: all that is random goes on, too."""
    options = LoopOptions(3, 8, 0.02)  # five batches an epoch
    straight = network()
    expected = fit_network(straight, examples(), options, 0, examples(seed=1))
    kept: list[Stage] = []
    left = iter([False] * (batch - 1) + [True])
    callbacks = Callbacks(keep=kept.append, should_stop=lambda: next(left))
    with pytest.raises(KeyboardInterrupt):
        fit_network(network(), examples(), options, 0, examples(seed=1), callbacks)
    resumed = network(seed=5)
    found = fit_network(resumed, examples(), options, 0, examples(seed=1), resume=kept[-1])
    for name, value in straight.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    losses = [[(each.loss, each.calibrated_loss) for each in run.history]
              for run in (expected, found)]  # fmt: skip
    assert losses[0] == losses[1] and len(losses[0]) == 3


def test_the_learning_rate_rises_in_a_twentieth_of_the_steps_and_falls_to_nothing() -> None:
    rates: list[float] = []
    callbacks = Callbacks(on_batch=lambda record, *_: rates.append(record.learning_rate))
    fit_network(network(), examples(40), LoopOptions(24, 8, 0.02), 0, callbacks=callbacks)
    # Of the step that comes next: 120 of them, of which the first six rise.
    assert rates[:6] == pytest.approx([0.02 * step / 6 for step in range(2, 7)] + [0.02])
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[62] == pytest.approx(0.01) and rates[-1] == pytest.approx(0)


def test_the_embedding_learns_at_its_own_rate() -> None:
    def moved(rate: float) -> tuple[float, float]:
        net = network()
        before = {name: value.clone() for name, value in net.state_dict().items()}
        fit_network(net, examples(), LoopOptions(1, 8, 0.02, embedding_rate=rate), 0)
        ways = {name: float((value - before[name]).abs().max())
                for name, value in net.state_dict().items()}  # fmt: skip
        return ways.pop("embedding.weight"), max(ways.values())

    (slow, others), (usual, _) = moved(1e-6), moved(1.0)
    assert slow < 1e-3 * usual and others > 1e-2


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_of_a_share_of_the_texts_a_run_of_tokens_is_read(share: float) -> None:
    long = Examples.from_rows([range(1, 61 + row) for row in range(200)], one_hot([0] * 200, 2))
    ids, lengths = long.padded(np.arange(200))
    torch.manual_seed(0)
    cut, left = cropped(ids, lengths, share)
    assert cut.shape == (200, int(left.max()))
    for crop, length, tokens in zip(cut, lengths.tolist(), left.tolist()):
        first = int(crop[0])  # ids count up
        assert crop[:tokens].tolist() == [*range(first, first + tokens)]
        assert not crop[tokens:].any() and first + tokens <= length + 1
        assert tokens >= max(30, int(0.4 * length))
    assert float((left < lengths).float().mean()) == pytest.approx(share, abs=0.1)


def test_a_training_crops_the_planned_share() -> None:
    def tokens(crops: float) -> int:
        net = network()
        read: list[int] = []
        net.register_forward_pre_hook(lambda _, given: read.extend(given[1].tolist()))
        texts = examples(24, longest=120)
        fit_network(net, texts, replace(OPTIONS, epochs=1, crops=crops), 0)
        assert len(read) == 24
        return sum(read) - int(texts.lengths.sum())

    assert tokens(0.0) == 0 > tokens(0.5) > tokens(1.0)


def test_what_cannot_be_learnt_is_refused() -> None:
    net = network()
    with torch.no_grad():
        net.head.weight.fill_(float("nan"))
    with pytest.raises(DataError, match=r"lower .*learning_rate"):
        fit_network(net, examples(), OPTIONS, 0)
    with pytest.raises(DataError, match="no training texts"):
        fit_network(network(), examples().subset(np.array([], np.int64)), OPTIONS, 0)


# --- What its answers are worth -------------------------------------------------------------------


@pytest.mark.parametrize(("labels", "temperature"), [(2, 0.5), (3, 3.0)])
def test_the_temperature_that_the_logits_were_multiplied_by_is_found(
    labels: int, temperature: float
) -> None:
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(0, 2, (5000, 1 if labels == 2 else labels)))
    chances = log_probabilities(logits).exp().numpy()
    truth = (chances.cumsum(axis=1) < rng.random((len(logits), 1))).sum(axis=1).clip(max=labels - 1)
    targets = torch.from_numpy(one_hot(truth, labels))
    found = fit_temperature(logits.float() * temperature, targets)
    assert found == pytest.approx(temperature, rel=0.1)


@pytest.mark.parametrize("multi_label", [True, False])
def test_two_parts_are_weighed_by_what_they_know(multi_label: bool) -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((400, 3)) < 0.3 if multi_label else one_hot(rng.integers(0, 3, 400), 3) > 0
    right = (np.where(truth, 2, -2) + rng.normal(0, 1, (400, 3))).astype(np.float32)
    noise = rng.normal(0, 1, (400, 3)).astype(np.float32)
    targets = truth.astype(np.float32)
    prior = expected_stack(9000, 3)
    of_lstm = fit_stack(ComponentLogits(right, noise, targets), prior, multi_label=multi_label)
    assert of_lstm.lstm > 0.5 > 4 * abs(of_lstm.sparse)
    of_sparse = fit_stack(ComponentLogits(noise, right, targets), prior, multi_label=multi_label)
    assert of_sparse.sparse > 0.5 > 4 * abs(of_sparse.lstm)


def test_an_lstm_of_few_texts_is_expected_to_know_less() -> None:
    shares = [expected_stack(texts, 3) for texts in (0, 500, 2000, 9000)]
    assert [each.lstm for each in shares] == pytest.approx([0, 0.05, 0.2, 0.2])
    assert all(each.lstm + each.sparse == 1 and not each.bias.any() for each in shares)


def test_balance_shifts_as_far_as_the_macro_f1_rises() -> None:
    rarity = np.log((180 + 1) / (20 + 1))
    # Each twentieth of the way finds one more text of the rare label, up to the last.
    rare = -rarity * (np.arange(20) + 0.5) / 20
    logits = np.concatenate([rare, np.full(180, -100.0)]).astype(np.float32)[:, None]
    labels = one_hot([1] * 20 + [0] * 180, 2) > 0
    assert rarity_offset(logits, labels, balance=True) == pytest.approx(rarity)
    assert rarity_offset(logits, labels, balance=False) == pytest.approx(0.15 * rarity)
    apart = np.where(labels[:, 1:], 5, -5).astype(np.float32)
    assert rarity_offset(apart, labels, balance=True) == 0, "no more than is needed"
