"""A preset is a size: the file is never larger, and full where the texts have enough words and
pairs."""

from __future__ import annotations

import functools
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import command, train
from edge_lstm_export.checkpoint.checkpoint import Checkpoint, save_checkpoint
from edge_lstm_export.network.network import Network
from edge_lstm_export.onnx.draft import Draft
from edge_lstm_export.onnx.exporting import export
from edge_lstm_export.onnx.size import file_parts
from edge_lstm_export.options import AugmentationOptions, Plan, TrainingRequest
from edge_lstm_export.train.fit import fit
from edge_lstm_export.train.lstm import component
from edge_lstm_export.train.lstm.loop import LoopResult
from edge_lstm_export.train.plan.decisions import make_plan
from edge_lstm_export.train.plan.defaults import PRESETS
from edge_lstm_export.train.plan.sizes import expected_parts
from edge_lstm_export.train.plan.stats import DatasetStats, dataset_stats
from edge_lstm_export.train.sources.dataset import Dataset, hold_out
from made import dataset, make_checkpoint, opened, prepare, write_csv

from edge_lstm.core.familiarity import level
from edge_lstm.core.modelfile import KEY_TRAINING
from edge_lstm.core.text import FIRST_WORD_ID
from edge_lstm.errors import CheckError, DataError

# words of a text
SHORT = 8
MEDIUM = 30
LONG = 105
# words of a text, labels, and whether a text has two of them
DATA = [
    (SHORT, 2, False),
    pytest.param(SHORT, 150, False, marks=pytest.mark.slow),
    (SHORT, 8, True),
    (MEDIUM, 3, False),
    pytest.param(MEDIUM, 30, True, marks=pytest.mark.slow),
    (LONG, 8, False),
    pytest.param(LONG, 30, False, marks=pytest.mark.slow),
    (LONG, 2, True),
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
    """The plan without what takes time and no byte: teachers, word vectors, characters."""
    plan = make_plan(dataset_stats(data), TrainingRequest(preset, "none", epochs=1))
    plan = replace(plan, teachers=(), hard_label_weight=1.0, augmentation=AugmentationOptions())
    sparse = replace(plan.sparse, characters=False)
    return replace(plan, loop=replace(plan.loop, word_vectors=False), sparse=sparse)


def made_of(data: Dataset, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    """The checkpoint of a training whose LSTM learns nothing: that takes time and no byte."""

    def untrained(network: Network, *_: object) -> LoopResult:
        network.eval()
        return LoopResult("finished", ())

    monkeypatch.setattr(component, "fit_network", untrained)
    return fit(data, plan).checkpoint


@pytest.mark.parametrize(
    "preset",
    ["tiny", *(pytest.param(name, marks=pytest.mark.slow) for name in ("small", "medium", "base"))],
)
@pytest.mark.parametrize(("words", "labels", "multi_label"), DATA)
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


def test_the_bytes_of_a_draft_are_the_files_whatever_it_answers() -> None:
    for checkpoint in (make_checkpoint(), make_checkpoint(labels=3, multi_label=True)):
        most = Draft(checkpoint, None, int8=True).most_bytes
        assert 0.97 * most <= len(export(checkpoint, quantize="int8").data) <= most


def test_words_that_are_longer_than_planned_are_left_out_the_rarest_first() -> None:
    plain = labelled("tiny", SHORT, 2).train.texts
    texts = [" ".join(f"{word}{'é' * 20}" for word in text.split()) for text in plain]
    data = dataset([(text, "ab"[i % 2]) for i, text in enumerate(texts)])
    plan = plan_for(labelled("tiny", SHORT, 2), "tiny")
    prepared = prepare(data, plan).data
    tokenizer = prepared.tokenizer
    assert tokenizer.num_ids < plan.network.num_words
    fewest = replace(prepared.plan.network, ngram_slots=2).config
    size = 1000 * plan.max_kilobytes
    assert 0.99 * size < sum(file_parts(tokenizer, data.labels, fewest).values()) <= size
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


def test_too_many_labels_are_refused_before_any_work(tmp_path: Path) -> None:
    rows = [(f"a text of the {i // 4}th label", f"label {i // 4:020}") for i in range(4 * 300)]
    source = write_csv(tmp_path / "rows.csv", rows)
    output = tmp_path / "m.safetensors"
    assert "give --preset small" in train(source, "-o", output, "--preset", "tiny").error
    assert train(source, "--dry-run", "--preset", "small").returncode == 0


def test_an_edited_plan_whose_network_alone_is_too_large_is_refused() -> None:
    data = labelled("tiny", SHORT, 2)
    plan = plan_for(data, "tiny")
    with pytest.raises(
        DataError,
        match=r"no room for words in 60 kB; give a larger max_kilobytes, or fewer hidden",
    ):
        prepare(data, replace(plan, network=replace(plan.network, hidden=400)))


def test_an_export_that_is_larger_than_its_plan_is_written_only_where_it_is_asked_for(
    tmp_path: Path,
) -> None:
    source = tmp_path / "c.safetensors"
    output = tmp_path / "m.onnx"
    checkpoint = make_checkpoint(ngram_words=150, ngram_slots=150, ngram_dim=1)
    save_checkpoint(replace(checkpoint, plan={"max_kilobytes": 1}), source)
    error = command("export", source, "-o", output, "--quantize", "int8").error
    assert "bytes, more than its plan's 1 kB; no file was written" in error
    assert "--any-size" in error and not output.exists()
    written = command("export", source, "-o", output, "--quantize", "int8", "--any-size")
    assert written.returncode == 0, written.stderr
    size = output.stat().st_size
    with pytest.raises(CheckError, match=f"the file takes {size:,} bytes"):
        export(replace(checkpoint, plan={"max_kilobytes": size // 1000}), quantize="int8")
    export(replace(checkpoint, plan={"max_kilobytes": size // 1000 + 1}), quantize="int8")
    assert command("export", source, "-o", output).returncode == 0, "fp32 files are not bounded"


# --- Many labels ----------------------------------------------------------------------------------


def many_labels() -> Checkpoint:
    checkpoint = make_checkpoint(labels=150)
    scores = {"precision": 0.123456, "recall": 1.0, "f1": 0.2, "texts": 3}
    training: dict[str, Any] = {
        "data": {"train_texts": dict.fromkeys(checkpoint.labels, 4)},
        "validation": {"accuracy": 0.5, "labels": dict.fromkeys(checkpoint.labels, scores)},
        "test": None,
    }
    return replace(checkpoint, training=training)


def test_a_file_names_its_labels_once_and_reads_the_figures_by_name() -> None:
    checkpoint = many_labels()
    file = opened(export(checkpoint, quantize="int8").data)
    written = json.loads(file.onnx.metadata[KEY_TRAINING])
    assert written["data"]["train_texts"] == [4] * 150
    scores = {"precision": 0.1235, "recall": 1, "f1": 0.2, "texts": 3}
    assert written["validation"]["labels"] == {name: [n] * 150 for name, n in scores.items()}
    assert '"recall":[1,1,' in file.onnx.metadata[KEY_TRAINING]
    assert file.data.count(b"label149") == 1
    read = {"precision": 0.1235, "recall": 1.0, "f1": 0.2, "texts": 3}
    assert file.training["validation"]["labels"] == dict.fromkeys(checkpoint.labels, read)
    assert file.training["data"]["train_texts"] == dict.fromkeys(checkpoint.labels, 4)


def test_what_a_file_will_take_is_known_from_the_plan() -> None:
    stats = DatasetStats(9_000, 8, mean_length=105)
    for preset in ("tiny", "small", "medium", "base"):
        plan = make_plan(stats, TrainingRequest(preset))
        parts = expected_parts(plan.network, plan.max_kilobytes, stats)
        assert sum(parts.values()) == pytest.approx(PRESETS[preset].max_kilobytes * 1000, rel=0.02)
        assert all(
            parts[name] > 0 for name in ("embedding", "n-grams", "vocabulary", "LSTM", "head")
        )
