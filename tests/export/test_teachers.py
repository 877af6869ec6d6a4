"""Teachers: cross-fitted so that none sees what it labels, kept where they help, weighed by log
loss."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from edge_lstm_export.options import (
    EnsembleOptions,
    LinearOptions,
    SourceFile,
    TrainingRequest,
)
from edge_lstm_export.train.components import new_network
from edge_lstm_export.train.data import Split, folds_of
from edge_lstm_export.train.plan import make_plan
from edge_lstm_export.train.start import PACKAGED, first_weights, lstm_shape, open_source
from edge_lstm_export.train.stats import TeacherTrial, dataset_stats, try_teacher
from edge_lstm_export.train.teachers import base
from edge_lstm_export.train.teachers.linear import LinearTeacher
from edge_lstm_export.train.teachers.load import Teachers
from edge_lstm_export.train.teachers.model import model_teacher
from edge_lstm_export.train.train import fit
from hypothesis import given, settings
from hypothesis import strategies as st
from made import dataset, multi_label_rows, prepare, rows, words_of

from edge_lstm.text import Tokenizer

NOTHING = base.Queries.none(5)
OPTIONS = EnsembleOptions()
SENTIMENT = SourceFile("sentiment")


def one_hot(labels: Any, count: int = 2) -> Any:
    return np.eye(count, dtype=np.bool_)[np.asarray(labels)]


class Spy(base.Teacher):
    """Notes which rows it learnt and was asked of; answers how often it learnt."""

    def __init__(self) -> None:
        self.learnt: list[Any] = []
        self.asked_of: list[Any] = []

    def fit(self, rows: Any, labels: Any) -> Any:
        self.learnt.append((rows.tolist(), labels.tolist()))
        return self.predict

    def predict(self, rows: Any) -> Any:
        self.asked_of.append(rows.tolist())
        return np.full((len(rows), 2), len(self.learnt), np.float32)


@dataclass(frozen=True)
class Known(base.Teacher):
    """Answers what it was told, whatever it learns."""

    answers: Any
    name: str = "known"

    def read(self, texts: Any) -> None:
        pass

    def fit(self, rows: Any, labels: Any) -> Any:
        return lambda asked: self.answers[asked]


def out_of_fold(teacher: base.Teacher, split: Split) -> Any:
    teacher.read(split.texts)
    return base.cross_fit(teacher, split.labels, folds_of(split, 5, 0), NOTHING, OPTIONS).labelled


def knows(truth: Any, right: float, seed: int, sure: float = 2.0) -> Any:
    """Logits that are right for about this share of the rows."""
    rng = np.random.default_rng(seed)
    said = np.where(rng.random(len(truth)) < right, truth, 1 - truth)
    return (one_hot(said) * sure).astype(np.float32)


TRUTH = np.arange(200) % 2
FOLD = np.arange(200) // 2 % 5


def test_no_model_sees_the_labels_of_the_fold_that_it_predicts() -> None:
    spy, labels, fold = Spy(), one_hot([0, 1] * 6), np.array([0, 1, 2] * 4)
    by_fold = np.array([[1, 0, 1, 1], [0, 1, 1, 0], [0, 0, 1, 0]], np.bool_)
    by_all = np.array([0, 0, 0, 1], np.bool_)
    asked = [*by_fold, by_all]
    found = base.cross_fit(spy, labels, fold, base.Queries(by_fold, by_all), OPTIONS)
    for k, ((learnt, targets), answered) in enumerate(zip(spy.learnt, spy.asked_of)):
        own = np.flatnonzero(fold == k).tolist()
        assert learnt == np.flatnonzero(fold != k).tolist()
        assert targets == labels[learnt].tolist()
        assert answered == own + (12 + np.flatnonzero(asked[k])).tolist()
    assert (found.labelled[:, 0] == fold + 1).all()
    # Not a number where a fold's model was not asked.
    assert np.array_equal(~np.isnan(found.by_fold[:, :, 0]), by_fold)
    assert np.array_equal(~np.isnan(found.by_all[:, 0]), by_all)
    # The mean of those that were; a model of all rows is asked alone.
    assert found.of_transfer_set()[:, 0].tolist() == [1, 2, 2, 4] and len(spy.learnt[-1][0]) == 12
    assert (
        found.of_transfer_set(1)[[1, 2], 0].tolist() == [2, 2]
        and np.isnan(found.of_transfer_set(1)[0]).all()
    )
    nobody = base.Queries(np.zeros((3, 1), np.bool_), np.zeros(1, np.bool_))
    assert np.isnan(base.cross_fit(Spy(), labels, fold, nobody, OPTIONS).of_transfer_set()).all()


def test_a_fold_that_leaves_one_label_has_no_opinion() -> None:
    labels, fold = one_hot([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    everyone = base.Queries(np.ones((2, 3), np.bool_), np.ones(3, np.bool_))
    found = base.cross_fit(Spy(), labels, fold, everyone, OPTIONS)
    assert not found.labelled[fold == 1].any() and not found.by_fold[1].any()
    assert found.labelled[fold == 0].all()


def test_one_wrong_text_cannot_decide_alone() -> None:
    sure = (one_hot(TRUTH) * 1e9).astype(np.float32)
    sure[0] = [-np.inf, 1e30]
    found = base.cross_fit(Known(sure), one_hot(TRUTH), FOLD, NOTHING, OPTIONS).labelled
    assert (
        np.isfinite(found).all() and np.abs(found).max() <= 20 and np.ptp(found, axis=1).max() <= 40
    )
    assert base.accuracy(found, one_hot(TRUTH), False) >= 199 / 200


def told(*teachers: Any, multi_label: bool = False) -> Any:
    labels = one_hot(TRUTH)
    return base.ensemble(
        teachers, labels, FOLD, NOTHING, OPTIONS, multi_label=multi_label, say=lambda line: None
    )


def test_a_teacher_stays_unless_it_does_harm_and_weighs_what_it_knows() -> None:
    good = Known(knows(TRUTH, 0.75, 0))
    found = told(good, Known(knows(TRUTH, 0.5, 2), name="harmless"))
    assert [member.name for member in found.members] == ["known", "harmless"] and not found.dropped
    assert found.members[1].weight < 0.2
    assert found.members[0].accuracy == base.accuracy(good.answers, one_hot(TRUTH), False)
    found = told(good, Known(knows(TRUTH, 0.95, 1), name="better"))
    assert found.members[1].weight > found.members[0].weight and found.accuracy > 0.9
    first = told(Known(knows(TRUTH, 0.5, 3)))
    assert len(first.members) == 1  # the first is always there


def test_one_more_teacher_improves_where_accuracy_and_log_loss_surely_do() -> None:
    good, better = knows(TRUTH, 0.75, 0), knows(TRUTH, 0.95, 1)
    labels = one_hot(TRUTH)
    assert base.accuracy_gain(better, good, labels, False) > 4
    assert base.log_loss_gain(better, good, labels, False) > 4
    assert (
        base.accuracy_gain(good, better, labels, False)
        < 0
        == base.accuracy_gain(good, good, labels, False)
    )


SHARES = st.lists(st.floats(0.1, 1.0), min_size=1, max_size=4)


@settings(max_examples=30)
@given(right=SHARES, sure=st.floats(0.01, 15), multi_label=st.booleans())
def test_no_teacher_has_a_weight_below_nothing(
    right: list[float], sure: float, multi_label: bool
) -> None:
    parts = [knows(TRUTH, share, i, sure) for i, share in enumerate(right)]
    parts = [part - sure / 2 for part in parts] if multi_label else parts
    labels = one_hot(TRUTH)
    weights = base.stacking_weights(parts, labels, multi_label, 1.0)
    assert min(weights) >= 0 and len(weights) == len(parts)
    mixed, equal = base.stacked(parts, labels, multi_label, 1.0), sum(parts) / len(parts)
    assert (
        base.log_losses(mixed, labels, multi_label).sum()
        <= base.log_losses(equal, labels, multi_label).sum() + 1e-3
    )


@pytest.mark.parametrize("characters", [True, False])
@pytest.mark.parametrize("multi_label", [True, False])
def test_a_linear_teacher_is_better_than_the_most_frequent_label(
    characters: bool, multi_label: bool
) -> None:
    table = multi_label_rows(150) if multi_label else rows(150, ("sea", "shop", "zoo"))
    data = dataset(table, multi_label=multi_label)
    found = out_of_fold(
        LinearTeacher(multi_label, LinearOptions(characters=characters)), data.train
    )
    assert base.accuracy(found, data.train.labels, multi_label) > 0.8
    assert found.shape == data.train.labels.shape


@pytest.mark.parametrize("in_order", [False, True])
def test_random_labels_do_not_leak_into_their_own_predictions(in_order: bool) -> None:
    labels = np.random.default_rng(5).integers(0, 2, 200)
    labels = np.sort(labels) if in_order else labels  # as files of one label lie side by side
    names = np.random.default_rng(1).integers(0, 2**60, 200)  # a word of its own for each text
    data = dataset(
        [
            (f"{text} {name:x}", str(label))
            for (text, _), name, label in zip(rows(200, "a"), names, labels)
        ]
    )
    found = out_of_fold(LinearTeacher(False, LinearOptions()), data.train)
    assert base.accuracy(found, data.train.labels, False) < 0.65  # fitted without folds it is 1


# --- The package's sentiment model ----------------------------------------------------------------

GOOD = words_of(
    "superb wonderful brilliant delightful charming touching excellent fantastic gorgeous witty"
)
BAD = words_of("awful terrible dreadful boring tedious dull lousy pathetic stupid horrible")
THINGS = words_of("soup chair waiter lamp carpet towel parcel driver battery screen")
# Each opinion is of a word of its own, so that one row teaches a linear model nothing of another.
OPINIONS = [
    (f"The {thing} was {word}.", label)
    for thing, good, bad in zip(THINGS, GOOD, BAD)
    for word, label in ((good, "yes"), (bad, "no"))
]


def test_the_sentiment_model_tells_praise_from_blame_whatever_the_labels_are_called() -> None:
    data = dataset(OPINIONS)
    teacher = model_teacher(SENTIMENT, False, OPTIONS)
    teacher.read([*data.train.texts, "A wonderful evening.", ""])
    everyone = base.Queries(np.ones((5, 2), np.bool_), np.ones(2, np.bool_))
    found = base.cross_fit(
        teacher, data.train.labels, folds_of(data.train, 5, 0), everyone, OPTIONS
    )
    assert base.accuracy(found.labelled, data.train.labels, False) > 0.9
    assert (
        found.of_transfer_set()[0].argmax() == data.labels.index("yes")
        and np.isfinite(found.of_transfer_set()).all()
    )


def test_it_teaches_unasked_only_where_it_knows_the_labels() -> None:
    trial = tried(OPINIONS)
    assert trial is not None and trial.helps
    assert trial.with_it > 0.9 > trial.without and trial.alone > 0.9
    about = [
        (f"The {thing} number {i}", ("odd", "even")[i % 2]) for i, thing in enumerate(THINGS * 2)
    ]
    assert tried(about) is None
    assert tried([(t, f"{y}|x") for t, y in OPINIONS], multi_label=True) is None
    assert tried(OPINIONS[:8]) is None  # too few to tell


def tried(table: Any, *, multi_label: bool = False) -> TeacherTrial | None:
    return try_teacher(dataset(table, multi_label=multi_label), SENTIMENT, 0, is_english=True)


@pytest.mark.parametrize("name", PACKAGED)
def test_a_training_can_start_from_each_model_file_of_the_package(name: str) -> None:
    shape = lstm_shape(open_source(SourceFile(name)))
    lstm, vectors = first_weights(SourceFile(name), Tokenizer.of_subwords(("good", "qqqq")))
    assert vectors.shape == (6, shape.embedding_dim)
    assert lstm["lstms.0.backwards.weight_hh_l0"].shape == (4 * shape.hidden, shape.hidden)
    assert not np.isnan(vectors[:5]).any()


def test_where_it_teaches_texts_are_made_and_the_lstm_reads_its_words() -> None:
    data = dataset(OPINIONS)
    asked = [
        TrainingRequest("tiny", name, epochs=1, validation=0.0) for name in ("sentiment", "none")
    ]
    plans = [make_plan(dataset_stats(data), each) for each in asked]
    assert [teacher.name for teacher in plans[0].teachers] == ["linear", "model sentiment"]
    assert plans[0].vocabulary.expansion
    for plan, expected in zip(plans, (True, False)):
        few = min(2, plan.augmentation.texts_per_row)
        plan = replace(plan, augmentation=replace(plan.augmentation, texts_per_row=few))
        trained = fit(data, plan)
        known = [teacher["name"] for teacher in trained.checkpoint.training["teachers"]]
        assert ("model sentiment" in known) == expected
        prepared = prepare(data, plan)
        weights = new_network(prepared.data, prepared.features, prepared.embeddings).weights()
        lstm, vectors = first_weights(SourceFile("sentiment-small"), prepared.data.tokenizer)
        pairs = [
            (weights["embedding.weight"][4:9], vectors[4:9]),
            *((weights[n], lstm[n]) for n in lstm),
        ]
        assert bool(plan.start.source) == expected == all(np.array_equal(*pair) for pair in pairs)
        assert (trained.checkpoint.training["data"]["augmented_texts"] > 0) == expected


def test_what_the_network_cannot_learn_asks_for_texts_without_labels() -> None:
    texts = [f"entry{i} of number{i}" for i in range(40)]  # no word says anything of another text
    truth = np.random.default_rng(0).permutation(np.arange(40) % 2)

    learnt: list[int] = []

    class Counting(Known):
        def fit(self, rows: Any, labels: Any) -> Any:
            learnt.append(len(rows))
            return super().fit(rows, labels)

    class Knowing(Teachers):
        def load(self) -> list[base.Teacher]:
            return [Counting(np.tile(one_hot(truth) * np.float32(9), (200, 1)))]

    data = dataset([(text, "ab"[label]) for text, label in zip(texts, truth)])
    plan = make_plan(dataset_stats(data), TrainingRequest("tiny", "none", epochs=1))
    known = Knowing(plan, data.labels)
    remark = "the teachers reach an accuracy of 100.0%, the network "
    assert any(line.startswith(remark) for line in fit(data, plan, teachers=known).remarks)
    assert len(learnt) == 3 and max(learnt) < 40
    log = tuple(f"entry{i}" for i in range(40))
    with_log = fit(data, replace(plan, unlabelled=40), unlabelled=log, teachers=known)
    assert not any(line.startswith(remark) for line in with_log.remarks)
    assert len(learnt) == 7 and max(learnt) == 40  # a log is labelled by a teacher of all rows
