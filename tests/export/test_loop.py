"""The training loop: what it learns, what it keeps, and that a run is decided by its inputs
alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from edge_lstm_export.options import CalibrationOptions, LoopOptions, NetworkOptions
from edge_lstm_export.train.calibrate import (
    ComponentLogits,
    expected_stack,
    fit_stack,
    rarity_offset,
    score,
)
from edge_lstm_export.train.examples import Examples, shuffled_batches, sorted_batches
from edge_lstm_export.train.history import best_of
from edge_lstm_export.train.logits import (
    count_correct,
    fit_temperature,
    log_probabilities,
    soft_cross_entropy,
)
from edge_lstm_export.train.loop import Callbacks, fit_network, predict_logits
from edge_lstm_export.train.network import Network
from edge_lstm_export.train.stages import Stage
from hypothesis import given
from hypothesis import strategies as st

from edge_lstm.errors import DataError
from edge_lstm.text import Tokenizer

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


def same(one: Network, other: Network) -> bool:
    return all(map(torch.equal, one.state_dict().values(), other.state_dict().values()))


def of_lengths(lengths: list[int]) -> Examples:
    """Texts whose ids count up."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Examples(
        np.arange(1, offsets[-1] + 1, dtype=np.int32), offsets, one_hot([0] * len(lengths), 2)
    )


many_lengths = st.lists(st.integers(1, 50), min_size=1, max_size=300)


@given(many_lengths, st.integers(1, 16), st.integers(0, 3), st.integers(0, 3))
def test_batches_hold_every_example_once(
    lengths: list[int], size: int, seed: int, epoch: int
) -> None:
    data = of_lengths(lengths)
    every = np.arange(len(data))
    shuffled = shuffled_batches(data, LoopOptions(batch_size=size), seed, epoch)
    for batches in (shuffled, sorted_batches(data.lengths, every, size)):
        assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
        assert max(map(len, batches)) <= size


@pytest.mark.parametrize("labels", [2, 3])
@pytest.mark.parametrize("settings", [{}, {"pooling": "mean+max", "bidirectional": True}])
def test_it_learns_what_can_be_learned(labels: int, settings: dict[str, Any]) -> None:
    data = examples(labels=labels)
    net = network(labels=labels, **settings)
    result = fit_network(net, data, LoopOptions(12, 8, 0.03, patience=12), 0)
    assert count_correct(predict_logits(net, data), torch.from_numpy(data.targets)) == len(data)
    assert result.outcome == "finished" and len(result.history) == 12


def test_the_seed_alone_decides_the_weights_and_the_callers_random_state_stays() -> None:
    one = network()
    other = network()
    third = network()
    for net, seed, noise in ((one, 0, 1), (other, 0, 2), (third, 1, 2)):
        torch.manual_seed(noise)
        expected = torch.rand(3)
        torch.manual_seed(noise)
        fit_network(net, examples(), OPTIONS, seed)
        assert torch.equal(torch.rand(3), expected)
    assert same(one, other) and not same(one, third)


def stopped(net: Network, data: Examples, options: LoopOptions, after: int) -> Stage:
    """The state of a run that is stopped after so many batches, as a file gives it back."""
    kept: list[Stage] = []
    counter: Iterator[int] = iter(range(after - 1))
    stop = Callbacks(keep=kept.append, should_stop=lambda: next(counter, None) is None)
    with pytest.raises(KeyboardInterrupt):
        fit_network(net, data, options, 0, examples(seed=1), stop)
    return Stage(json.loads(json.dumps(kept[-1].plain)), kept[-1].tensors)


@pytest.mark.parametrize("after", [1, 5, 6, 12])
@pytest.mark.parametrize(
    "settings", [{}, {"word_dropout": 0.2, "crops": 0.8, "embedding_rate": 0.5}]
)
def test_a_stopped_and_resumed_run_ends_with_the_same_bits(
    after: int, settings: dict[str, float]
) -> None:
    options = replace(OPTIONS, **settings)
    data = examples(longest=90)
    straight = network()
    fresh = network(seed=9)
    expected = fit_network(straight, data, options, 0, examples(seed=1))
    progress = stopped(network(), data, options, after)
    second = fit_network(fresh, data, options, 0, examples(seed=1), resume=progress)
    assert same(fresh, straight)
    seen, unbroken = (
        [(r.loss, r.validation_loss) for r in run.history] for run in (second, expected)
    )
    assert seen == unbroken


def test_progress_of_another_network_is_refused() -> None:
    progress = stopped(network(), examples(), OPTIONS, 2)
    with pytest.raises(DataError, match="does not fit this training"):
        fit_network(network(hidden=9), examples(), OPTIONS, 0, resume=progress)
    with pytest.raises(DataError, match="does not fit this training"):
        fit_network(network(), examples(), OPTIONS, 0, resume=Stage({}, progress.tensors))


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


def test_what_cannot_be_learnt_is_refused() -> None:
    net = network()
    with torch.no_grad():
        net.head.weight.fill_(float("nan"))
    with pytest.raises(DataError, match=r"lower .*learning_rate"):
        fit_network(net, examples(), OPTIONS, 0)
    with pytest.raises(DataError, match="no training texts"):
        fit_network(network(), examples().subset(np.array([], np.int64)), OPTIONS, 0)


# --- What its answers are worth -------------------------------------------------------------------


@pytest.mark.parametrize("labels", [2, 3])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_the_logits_were_multiplied_by_is_found(
    labels: int, temperature: float
) -> None:
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(
        rng.normal(0, 2, (20_000, 1 if labels == 2 else labels)).astype(np.float32)
    )
    chances = log_probabilities(logits).exp().numpy()
    truth = (chances.cumsum(axis=1) < rng.random((len(logits), 1))).sum(axis=1).clip(max=labels - 1)
    targets = torch.from_numpy(one_hot(truth, labels))
    assert fit_temperature(logits * temperature, targets, 1.6) == pytest.approx(
        temperature, rel=0.05
    )


@pytest.mark.parametrize("multi_label", [True, False])
def test_two_parts_are_weighed_by_what_they_know(multi_label: bool) -> None:
    rng = np.random.default_rng(0)
    options = CalibrationOptions()
    prior = expected_stack(9000, 3, options)
    truth = rng.random((400, 3)) < 0.3 if multi_label else one_hot(rng.integers(0, 3, 400), 3) > 0
    right, noise = (
        (np.where(truth, 2.0, -2.0) * knows + rng.normal(0, 1, truth.shape)).astype(np.float32)
        for knows in (1, 0)
    )
    targets = truth.astype(np.float32)
    stack = fit_stack(
        ComponentLogits(right, noise, targets), prior, options, multi_label=multi_label
    )
    assert stack.lstm > 0.5 > 4 * abs(stack.sparse)
    other = fit_stack(
        ComponentLogits(noise, right, targets), prior, options, multi_label=multi_label
    )
    assert other.sparse > 0.5 > 4 * abs(other.lstm)


@pytest.mark.parametrize("labels", [2, 3])
def test_an_offset_finds_rare_labels(labels: int) -> None:
    rng = np.random.default_rng(0)
    truth = (
        np.array([0] * 180 + [1] * 20) if labels == 2 else np.array([0] * 160 + [1] * 20 + [2] * 20)
    )
    right = one_hot(truth, labels)
    logits = (right * 2 + rng.normal(0, 1, (200, labels)) - [0, 2, 2][:labels]).astype(np.float32)
    logits = logits[:, 1:] - logits[:, :1] if labels == 2 else logits
    little, offset = (
        rarity_offset(logits, right > 0, CalibrationOptions(balance=best)) for best in (False, True)
    )
    names = tuple("abc"[:labels])
    before, unasked, after = (
        score(torch.from_numpy(x), right > 0, names)
        for x in (logits, logits + little, logits + offset)
    )
    assert offset.shape == (logits.shape[1],) and offset[-1] > little[-1] > 0
    assert after.macro_f1 >= unasked.macro_f1 > before.macro_f1
