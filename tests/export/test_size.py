"""A preset is a size: the file is never larger, and full where the texts have enough words and
pairs."""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import command
from edge_lstm_export import DatasetStats, Plan, TrainingRequest, make_plan
from edge_lstm_export.checkpoint.checkpoint import Checkpoint
from edge_lstm_export.network.network import Network
from edge_lstm_export.onnx.exporting import export
from edge_lstm_export.options import AugmentationOptions
from edge_lstm_export.train.fit import fit
from edge_lstm_export.train.lstm import component
from edge_lstm_export.train.lstm.loop import LoopResult
from edge_lstm_export.train.plan.defaults import PRESETS
from edge_lstm_export.train.plan.stats import dataset_stats
from edge_lstm_export.train.sources.dataset import Dataset, hold_out
from made import checkpoint_file, dataset, make_checkpoint, model_of

from edge_lstm.core.familiarity import level
from edge_lstm.core.text import FIRST_WORD_ID
from edge_lstm.errors import DataError

# words of a text
SHORT = 8
MEDIUM = 30
LONG = 105
# words of a text, labels, and whether a text has two of them
DATA = [
    (SHORT, 2, False),
    (SHORT, 8, True),
    (MEDIUM, 30, True),
    (LONG, 8, False),
    (LONG, 2, True),
]
FILES = [
    *(("tiny", *data) for data in DATA),
    pytest.param("tiny", SHORT, 150, False, marks=pytest.mark.slow),
    pytest.param("small", SHORT, 8, True, marks=pytest.mark.slow),
    pytest.param("medium", LONG, 30, False, marks=pytest.mark.slow),
    pytest.param("base", LONG, 2, True, marks=pytest.mark.slow),
]
DIFFERENT_WORDS = {"tiny": 6_000, "small": 30_000, "medium": 60_000, "base": 100_000}
WORDS = {"tiny": 24_000, "small": 150_000, "medium": 330_000, "base": 600_000}  # of all texts


@functools.cache
def texts_of(words: int, preset: str) -> tuple[str, ...]:
    """Different texts, with word pairs enough for the preset's file where they are said twice."""
    rng = np.random.default_rng(0)
    letters = rng.integers(97, 123, (DIFFERENT_WORDS[preset], 12)).astype(np.uint8)
    sizes = rng.integers(3, 12, len(letters))
    vocabulary = [row[:size].tobytes().decode() for row, size in zip(letters, sizes)]
    drawn = np.minimum(
        rng.pareto(0.7, (WORDS[preset] // words, words)) * 20, len(vocabulary) - 1
    ).astype(int)
    return tuple(" ".join(vocabulary[i] for i in row) for row in drawn)


def labelled(preset: str, words: int, labels: int, multi_label: bool = False) -> Dataset:
    texts = texts_of(words, preset)
    names = [f"label {i} of them all, so named" for i in range(labels)]
    answers = []
    for i in range(len(texts)):
        chosen = {names[i % labels], names[(i // labels if multi_label else i) % labels]}
        answers.append("|".join(sorted(chosen)))
    return dataset([*zip(texts, answers)] * 2, multi_label=multi_label)


def plan_for(data: Dataset, preset: str) -> Plan:
    """The plan without what takes time and no byte: teachers, characters."""
    plan = make_plan(dataset_stats(data), TrainingRequest(preset, "none", epochs=1))
    plan = replace(plan, teachers=(), hard_label_weight=1.0, augmentation=AugmentationOptions())
    sparse = replace(plan.sparse, characters=False)
    return replace(plan, sparse=sparse)


def made_of(data: Dataset, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    """The checkpoint of a training whose LSTM learns nothing: that takes time and no byte."""

    def untrained(network: Network, *_: object) -> LoopResult:
        network.eval()
        return LoopResult("finished", ())

    monkeypatch.setattr(component, "fit_network", untrained)
    return fit(data, plan).checkpoint


@pytest.mark.parametrize(("preset", "words", "labels", "multi_label"), FILES)
def test_a_file_is_full_and_no_larger_than_its_preset(
    preset: str, words: int, labels: int, multi_label: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = labelled(preset, words, labels, multi_label)
    least = 0.98
    if labels == 2:  # the figures of test texts take their bytes too
        train, test = hold_out(data.train, 0.05, 0)
        data = replace(data, train=train, test=test, test_rows="random")
        least = 0.96
    checkpoint = made_of(data, plan_for(data, preset), monkeypatch)
    size = len(export(checkpoint, quantize="int8", max_drop=100).data)
    most = PRESETS[preset].max_kilobytes * 1000
    assert least * most <= size <= most


def test_words_that_are_longer_than_planned_are_left_out_the_rarest_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = labelled("tiny", SHORT, 2).train.texts
    texts = [" ".join(f"{word}{'é' * 20}" for word in text.split()) for text in plain]
    data = dataset([(text, "ab"[i % 2]) for i, text in enumerate(texts)])
    plan = plan_for(labelled("tiny", SHORT, 2), "tiny")
    tokenizer = made_of(data, plan, monkeypatch).tokenizer
    assert tokenizer.num_ids < plan.network.num_words
    counts = Counter(word for text in texts for word in text.split())
    uses = np.array([counts[word] for word in tokenizer.words])
    levels = level(np.arange(FIRST_WORD_ID, FIRST_WORD_ID + len(uses)))
    for each in range(levels[0], levels[-1]):
        assert uses[levels == each].min() >= uses[levels == each + 1].max()
    left_out = counts.keys() - set(tokenizer.words)
    assert left_out and max(counts[word] for word in left_out) <= uses.min()


# --- What does not fit ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("preset", "labels", "said"),
    [
        ("tiny", 300, "--preset small$"),
        ("tiny", 700, "--preset medium$"),
        ("small", 5_000, "merge rare labels$"),
    ],
)
def test_labels_that_leave_no_room_are_refused_with_the_smallest_preset_that_has_it(
    preset: str, labels: int, said: str
) -> None:
    with pytest.raises(
        DataError, match=f"{labels:,} labels leave no room for words in preset {preset}.*{said}"
    ):
        make_plan(DatasetStats(4 * labels, labels, label_bytes=25), TrainingRequest(preset))


def test_an_edited_plan_whose_network_alone_is_too_large_is_refused() -> None:
    data = labelled("tiny", SHORT, 2)
    plan = plan_for(data, "tiny")
    with pytest.raises(
        DataError,
        match=r"no room for words in 60 kB; give a larger max_kilobytes, or fewer hidden",
    ):
        fit(data, replace(plan, network=replace(plan.network, hidden=400)))


def test_an_int8_file_that_is_larger_than_its_plan_is_refused() -> None:
    output = Path("m.onnx")
    checkpoint = make_checkpoint(ngram_words=150, ngram_slots=150, ngram_dim=1)
    planned = replace(checkpoint, plan={"max_kilobytes": 1})
    source = checkpoint_file("c.safetensors", planned)
    error = command("export", source, "-o", output, "--quantize", "int8").error
    assert "bytes, more than its plan's 1 kB; no file was written" in error
    assert not output.exists()
    assert command("export", source, "-o", output).returncode == 0, "fp32 files are not bounded"


# --- Many labels ----------------------------------------------------------------------------------


def test_a_file_names_its_labels_once_and_has_their_figures_in_order() -> None:
    checkpoint = make_checkpoint(labels=150)
    scores = {"precision": 0.123456, "recall": 1.0, "f1": 0.2, "texts": 3}
    by_name = {"train_texts": dict.fromkeys(checkpoint.labels, 4)}
    validation = {"accuracy": 0.5, "labels": dict.fromkeys(checkpoint.labels, scores)}
    training = {"data": by_name, "validation": validation, "test": None}
    file = model_of(replace(checkpoint, training=training), quantize="int8")
    assert file.data.count(b"label149") == 1
    read = {"precision": [0.1235] * 150, "recall": [1] * 150, "f1": [0.2] * 150, "texts": [3] * 150}
    assert file.training["validation"]["labels"] == read
    assert file.training["data"] == {"train_texts": [4] * 150}
