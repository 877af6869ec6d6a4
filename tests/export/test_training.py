"""The training loop: what it learns, what it keeps, and that a run is decided by its inputs alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from edge_lstm_export.evaluation import (
    count_correct,
    divide_logits,
    fit_temperature,
    log_probabilities,
    predict_logits,
    score,
    soft_cross_entropy,
)
from edge_lstm_export.examples import (
    FEWEST_TOKENS,
    SMALLEST_CROP,
    Examples,
    cropped,
    evaluation_batches,
    one_hot,
    shuffled_batches,
)
from edge_lstm_export.history import EpochRecord, draw_history, write_history
from edge_lstm_export.job import TrainingJob, sized_options
from edge_lstm_export.network import Network, NetworkConfig
from edge_lstm_export.presets import PRESETS, TrainingOptions, fitted_to_size
from edge_lstm_export.training import Callbacks, Progress, train_network
from hypothesis import given
from hypothesis import strategies as st

from edge_lstm.errors import DataError
from edge_lstm.text import Tokenizer

OPTIONS = TrainingOptions(epochs=3, batch_size=8, learning_rate=0.02)
WORDS = ("good", "bad", "film", "the", "plot")


def examples(count: int = 36, labels: int = 2, seed: int = 0, longest: int = 9) -> Examples:
    """Texts of filler words with one word that tells the label."""
    rng = np.random.default_rng(seed)
    truth = np.arange(count) % labels
    texts = [
        " ".join(rng.permutation([WORDS[label], *rng.choice(WORDS[labels:], rng.integers(1, longest))]))
        for label in truth
    ]
    return Examples.from_texts(Tokenizer(WORDS), texts, one_hot(truth, labels))


def network(seed: int = 0, **settings: Any) -> Network:
    torch.manual_seed(seed)
    return Network(
        NetworkConfig(**{"num_words": 9, "embedding_dim": 4, "hidden": 8, "dropout": 0.2, **settings})
    )


def same(one: Network, other: Network) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values())
    return all(torch.equal(a, b) for a, b in pairs)


def make_examples(lengths: list[int]) -> Examples:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    ids = np.arange(1, offsets[-1] + 1, dtype=np.int32)
    return Examples(ids, offsets, one_hot([0] * len(lengths), 2))


many_lengths = st.lists(st.integers(1, 50), min_size=1, max_size=400)


@given(many_lengths, st.integers(1, 16), st.integers(0, 3), st.integers(0, 3))
def test_batches_hold_every_example_once(lengths: list[int], size: int, seed: int, epoch: int) -> None:
    data = make_examples(lengths)
    for batches in (shuffled_batches(data, size, seed, epoch), list(evaluation_batches(data, size))):
        assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
        assert max(map(len, batches)) <= size


@given(many_lengths, st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 2**31))
def test_a_crop_is_a_run_of_its_texts_tokens(lengths: list[int], share: float, seed: int) -> None:
    data = make_examples([4 * length for length in lengths])
    ids, whole = data.padded(np.arange(len(data)))
    torch.manual_seed(seed)
    cut, left = cropped(ids, whole, share)
    assert cut.shape == (len(data), int(left.max()))
    for text, crop, length, tokens in zip(ids, cut, whole.tolist(), left.tolist()):
        assert min(length, max(FEWEST_TOKENS, int(SMALLEST_CROP * length))) <= tokens <= length
        start = int(crop[0] - text[0])  # the ids of these texts count up
        assert crop[:tokens].tolist() == text[start : start + tokens].tolist()
        assert not crop[tokens:].any()
    if share == 0:
        assert torch.equal(cut, ids)
    if share == 1 and min(lengths) > FEWEST_TOKENS and len(lengths) > 20:
        assert (left < whole).float().mean() > 0.5


@given(many_lengths)
def test_a_batch_is_padded_to_its_longest_text_and_no_further(lengths: list[int]) -> None:
    data = make_examples(lengths)
    for rows in evaluation_batches(data, 7):
        ids, found = data.padded(rows)
        assert ids.shape == (len(rows), found.max())
        assert found.tolist() == [lengths[row] for row in rows]
        for i, row in enumerate(rows):
            assert ids[i].tolist() == [*data.ids[data.offsets[row] : data.offsets[row + 1]]] + [0] * (
                ids.shape[1] - lengths[row]
            )


def test_batches_are_of_similar_length_and_change_with_the_epoch() -> None:
    lengths = np.random.default_rng(0).integers(1, 600, 6400).tolist()
    data = make_examples(lengths)
    batches = shuffled_batches(data, 32, seed=0, epoch=0)
    padded = sum(max(lengths[row] for row in rows) * len(rows) for rows in batches)
    assert padded < 1.05 * sum(lengths)
    other = shuffled_batches(data, 32, seed=0, epoch=1)
    assert [b.tolist() for b in batches] != [b.tolist() for b in other]


@pytest.mark.parametrize("labels", [2, 3])
@pytest.mark.parametrize("settings", [{}, {"pooling": "mean+max", "bidirectional": True, "layers": 2}])
def test_it_learns_what_can_be_learned(labels: int, settings: dict[str, Any]) -> None:
    data = examples(labels=labels)
    net = network(labels=labels, **settings)
    result = train_network(
        net, data, TrainingOptions(epochs=12, batch_size=8, learning_rate=0.03, patience=12)
    )
    assert count_correct(predict_logits(net, data), torch.from_numpy(data.targets)) == len(data)
    assert result.outcome == "finished"


@pytest.mark.parametrize("adversarial", [0.0, 0.2])
def test_the_same_seed_gives_the_same_weights(adversarial: float) -> None:
    options = TrainingOptions(epochs=2, batch_size=8, learning_rate=0.02, adversarial=adversarial)
    one, other, third = network(), network(), network()
    for net, noise in ((one, 1), (other, 2)):
        torch.manual_seed(noise)  # what the caller's random state is does not matter
        train_network(net, examples(), options)
    assert same(one, other)
    train_network(third, examples(), TrainingOptions(**{**options.to_dict(), "seed": 1}))
    assert not same(one, third)


def test_the_callers_random_state_stays_as_it_was() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    net = network(seed=5)
    torch.manual_seed(5)
    train_network(net, examples(), OPTIONS)
    assert torch.equal(torch.rand(3), expected)


def stop_after(batches: int) -> Callbacks:
    counter: Iterator[int] = iter(range(batches - 1))
    return Callbacks(should_stop=lambda: next(counter, None) is None)


@pytest.mark.parametrize("after", [1, 5, 6, 12])
@pytest.mark.parametrize("settings", [{}, {"adversarial": 0.1}, {"word_dropout": 0.2, "crops": 0.8}])
def test_an_interrupted_and_resumed_run_ends_with_the_same_bits(
    after: int, settings: dict[str, float]
) -> None:
    options = TrainingOptions(**{**OPTIONS.to_dict(), **settings})
    straight, broken = network(), network()
    data = examples(longest=3 * FEWEST_TOKENS)
    expected = train_network(straight, data, options, examples(seed=1))
    first = train_network(broken, data, options, examples(seed=1), callbacks=stop_after(after))
    assert first.outcome == "interrupted"
    assert first.progress is not None
    # Through a file and another process: plain values as JSON, a network that was made anew.
    progress = Progress(json.loads(json.dumps(first.progress.plain)), first.progress.tensors)
    fresh = network(seed=9)
    second = train_network(fresh, data, options, examples(seed=1), resume=progress)
    assert same(fresh, straight)
    assert [(r.loss, r.validation_loss) for r in second.history] == [
        (r.loss, r.validation_loss) for r in expected.history
    ]


def test_progress_of_another_network_is_refused() -> None:
    result = train_network(network(), examples(), OPTIONS, callbacks=stop_after(2))
    assert result.progress is not None
    with pytest.raises(DataError, match="does not fit"):
        train_network(network(hidden=9), examples(), OPTIONS, resume=result.progress)


def test_an_interrupted_run_leaves_the_best_epoch_in_the_network() -> None:
    kept: list[Progress] = []
    callbacks = Callbacks(on_epoch=lambda _, progress: kept.append(progress), should_stop=lambda: bool(kept))
    net = network()
    result = train_network(net, examples(), OPTIONS, examples(seed=1), callbacks=callbacks)
    assert result.outcome == "interrupted"
    assert len(result.history) == 1
    best = {n.removeprefix("best."): v for n, v in kept[0].tensors.items() if n.startswith("best.")}
    assert all(torch.equal(value, best[name]) for name, value in net.state_dict().items())


def test_the_best_epoch_is_kept_and_a_run_without_gain_stops_early() -> None:
    # The validation labels contradict the training labels: the first epoch is the best one.
    contrary = examples(seed=1)
    contrary = Examples(contrary.ids, contrary.offsets, contrary.targets[:, ::-1].copy())
    options = TrainingOptions(epochs=30, batch_size=8, learning_rate=0.02, patience=2)
    net, one = network(), network()
    result = train_network(net, examples(), options, contrary)
    assert result.outcome == "stopped early"
    assert result.best is not None
    assert len(result.history) == result.best.epoch + 2
    assert result.best.calibrated_loss == min(r.calibrated_loss or 0 for r in result.history)
    # What the network holds is that epoch's: its loss is the one that was recorded.
    loss = soft_cross_entropy(predict_logits(net, contrary), torch.from_numpy(contrary.targets))
    assert float(loss) == pytest.approx(result.best.validation_loss)
    assert not same(net, one)


def test_second_bias_stays_zero() -> None:
    net = network()
    train_network(net, examples(), OPTIONS)
    assert not net.state_dict()["lstm.layer0_forward.bias_hh_l0"].any()


def test_soft_targets_are_learned_as_they_are() -> None:
    data = examples(count=24)
    soft = np.where(data.targets == 1, 0.7, 0.3).astype(np.float32)
    net = network(dropout=0.0)
    options = TrainingOptions(epochs=20, batch_size=8, learning_rate=0.05, patience=20)
    train_network(net, Examples(data.ids, data.offsets, soft), options)
    given_probabilities = log_probabilities(predict_logits(net, data)).exp().numpy()
    np.testing.assert_allclose(given_probabilities, soft, atol=0.08)


def test_adversarial_noise_raises_the_loss_more_than_chance_does() -> None:
    """Training on it makes the network steadier: the same step against it costs less afterwards."""

    def cost_of_a_step(net: Network) -> float:
        ids, lengths = data.padded(np.arange(len(data)))
        targets = torch.from_numpy(data.targets)
        noise = torch.zeros(*ids.shape, 4, requires_grad=True)
        loss = soft_cross_entropy(net(ids, lengths, noise), targets)
        loss.backward()
        assert noise.grad is not None
        size = 0.3 * net.embedding(ids).norm(dim=(1, 2), keepdim=True)
        moved = size * noise.grad / noise.grad.norm(dim=(1, 2), keepdim=True)
        return float((soft_cross_entropy(net(ids, lengths, moved.detach()), targets) - loss).detach())

    data = examples(count=60)
    plain, steady = network(dropout=0.0), network(dropout=0.0)
    options = TrainingOptions(epochs=6, batch_size=8, learning_rate=0.02)
    train_network(plain, data, options)
    train_network(steady, data, TrainingOptions(**{**options.to_dict(), "adversarial": 0.3}))
    assert cost_of_a_step(steady) < 0.7 * cost_of_a_step(plain)


def test_a_run_that_diverges_says_so() -> None:
    net = network()
    with torch.no_grad():
        net.head.weight.fill_(float("nan"))
    with pytest.raises(DataError, match="smaller --learning-rate"):
        train_network(net, examples(), OPTIONS)


def test_no_texts_are_refused() -> None:
    empty = Examples(np.zeros(0, np.int32), np.zeros(1, np.int64), np.zeros((0, 2), np.float32))
    with pytest.raises(DataError, match="no training texts"):
        train_network(network(), empty, OPTIONS)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"patience": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"weight_decay": -1.0},
        {"adversarial": -0.1},
        {"adversarial": float("inf")},
        {"warmup": 1.0},
        {"seed": -1},
        {"clip": 0.0},
        {"crops": 1.1},
    ],
)
def test_options_that_mean_nothing_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=next(iter(wrong))):
        TrainingOptions(**wrong)


def test_few_texts_get_smaller_batches_and_more_passes() -> None:
    options = PRESETS["seed"].options
    assert fitted_to_size(options, 25_000) == options
    few = fitted_to_size(options, 100)
    assert few.batch_size == 8
    assert options.epochs < few.epochs <= 40
    assert few.patience > options.patience


@pytest.mark.parametrize(
    ("asked", "patience"),
    [({}, 3), ({"epochs": 4}, 3), ({"epochs": 16}, 8), ({"epochs": 16, "patience": 2}, 2)],
)
def test_who_asks_for_many_passes_gets_them(tmp_path: Path, asked: dict[str, int], patience: int) -> None:
    job = TrainingJob("a.csv", tmp_path / "m.safetensors", preset="tiny", options=asked)
    assert sized_options(job, job.base, 50_000).patience == patience


@pytest.mark.parametrize("labels", [2, 3])
@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_the_logits_were_multiplied_by_is_found(
    labels: int, true_temperature: float
) -> None:
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(0, 2, (20_000, 1 if labels == 2 else labels)).astype(np.float32))
    probabilities = log_probabilities(logits).exp().numpy()
    truth = (probabilities.cumsum(axis=1) < rng.random((len(logits), 1))).sum(axis=1).clip(max=labels - 1)
    assert fit_temperature(
        logits * true_temperature, torch.from_numpy(one_hot(truth, labels))
    ) == pytest.approx(true_temperature, rel=0.05)


def test_a_handful_of_right_answers_does_not_make_the_network_overconfident() -> None:
    assert (
        0.5
        < fit_temperature(torch.tensor([[2.0], [-2.0], [3.0]]), torch.from_numpy(one_hot([1, 0, 1], 2)))
        < 1
    )


@pytest.mark.parametrize("labels", [2, 3])
def test_a_temperature_folded_into_the_head_divides_the_logits(labels: int) -> None:
    net, data = network(labels=labels), examples(labels=labels)
    before = predict_logits(net, data)
    divide_logits(net, 2.5)
    torch.testing.assert_close(predict_logits(net, data), before / 2.5)


def test_answers_are_measured_by_label() -> None:
    logits = torch.tensor([[3.0], [2.0], [-1.0], [-4.0]])
    found = score(logits, np.array([1, 0, 0, 0]), ("neg", "pos"))
    assert found.accuracy == 0.75
    assert found.interval.low < 0.75 < found.interval.high
    assert [(row.label, row.support) for row in found.labels] == [("neg", 3), ("pos", 1)]
    assert found.to_dict()["labels"]["pos"]["precision"] == 0.5


def test_the_history_is_written_as_json_and_drawn(tmp_path: Path) -> None:
    history = [
        EpochRecord(1, 0.6, 0.7, 0.7, 0.8, 0.5, 1e-3, 2.0),
        EpochRecord(2, 0.5, 0.8, 0.6, 0.7, 0.6, 0.0, 2.0),
    ]
    write_history(history, tmp_path / "h.json", note="x")
    read = json.loads((tmp_path / "h.json").read_text())
    assert read["best_epoch"] == 1
    assert [epoch["validation_loss"] for epoch in read["epochs"]] == [0.7, 0.6]
    draw_history(history, tmp_path / "h.png", "title")
    assert (tmp_path / "h.png").read_bytes().startswith(b"\x89PNG")
