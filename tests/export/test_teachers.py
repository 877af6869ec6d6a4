"""Teachers: cross-fitted so that none sees what it labels, kept where they help, weighed by log
loss."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from edge_lstm_export import DatasetStats, TextClassifier, TrainingRequest, make_plan
from edge_lstm_export.options import SourceFile
from edge_lstm_export.train.data import (
    EnsemblePredictions,
    LabelledRows,
    Predictions,
    TrainingData,
    TransferSet,
)
from edge_lstm_export.train.fit import fit
from edge_lstm_export.train.plan.decisions import decide
from edge_lstm_export.train.plan.stats import dataset_stats
from edge_lstm_export.train.plan.trial import try_teacher
from edge_lstm_export.train.sources.dataset import Split, folds_of
from edge_lstm_export.train.teachers import base
from edge_lstm_export.train.teachers.linear import LinearTeacher
from edge_lstm_export.train.teachers.load import Teachers
from made import dataset, rows, words_of

from edge_lstm.core.text import Tokenizer

NOTHING = np.zeros((6, 0), np.bool_)
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
    return base.cross_fit(teacher, split.labels, folds_of(split, 5, 0), NOTHING).labelled


def knows(truth: Any, right: float, seed: int, sure: float = 2.0) -> Any:
    """Logits that are right for about this share of the rows."""
    rng = np.random.default_rng(seed)
    said = np.where(rng.random(len(truth)) < right, truth, 1 - truth)
    return (one_hot(said) * sure).astype(np.float32)


TRUTH = np.arange(200) % 2
FOLD = np.arange(200) // 2 % 5


def test_no_model_sees_the_labels_of_the_fold_that_it_predicts() -> None:
    spy = Spy()
    labels = one_hot([0, 1] * 6)
    fold = np.array([0, 1, 2] * 4)
    asked = np.array([[1, 0, 1, 1], [0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1]], np.bool_)
    found = base.cross_fit(spy, labels, fold, asked)
    for k, ((learnt, targets), answered) in enumerate(zip(spy.learnt, spy.asked_of)):
        own = np.flatnonzero(fold == k).tolist()
        assert learnt == np.flatnonzero(fold != k).tolist()
        assert targets == labels[learnt].tolist()
        assert answered == own + (12 + np.flatnonzero(asked[k])).tolist()
    assert (found.labelled[:, 0] == fold + 1).all()
    # Not a number where a fold's model was not asked.
    assert np.array_equal(~np.isnan(found.transfer[:, :, 0]), asked)
    # The mean of those that were; a model of all rows is asked alone.
    assert found.of_transfer_set()[:, 0].tolist() == [1, 2, 2, 4] and len(spy.learnt[-1][0]) == 12


def test_a_fold_that_leaves_one_label_has_no_opinion() -> None:
    fold = np.array([0, 0, 1, 1])
    found = base.cross_fit(Spy(), one_hot([0, 0, 0, 1]), fold, np.ones((3, 3), np.bool_))
    assert not found.labelled[fold == 1].any() and not found.transfer[1].any()
    assert found.labelled[fold == 0].all()


def test_a_made_text_is_labelled_by_the_model_that_saw_none_of_its_rows() -> None:
    """A text of a log by each; by the model of all rows if folds judge the network too."""
    source_fold = np.array([-1, 0, 1, 2])
    alone = base.queries(source_fold, 3, judged_by_folds=False).astype(int)
    assert alone.tolist() == [[1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1], [0, 0, 0, 0]]
    judged = base.queries(source_fold, 3, judged_by_folds=True).astype(int)
    assert judged.tolist() == [[1, 1, 1, 1]] * 3 + [[1, 0, 0, 0]]


def test_what_judges_a_fold_learns_nothing_of_its_labels() -> None:
    """Neither of its rows, nor of texts made of them, nor from teachers that saw these labels."""
    plan = make_plan(DatasetStats(12, 2), TrainingRequest("tiny", "none"))
    plan = replace(plan, hard_label_weight=0.75)
    whole = dataset(rows(12)).train
    fold = np.arange(12) % 3
    made = TransferSet(("of a log", "made of 0", "made of 1"), np.array([-1, 0, 1]))
    # Model k says sea with log odds of k + 1; the one of all rows, asked for the log alone, 9.
    of_model = np.arange(1, 5)[:, None, None] * np.array([1.0, 0.0])
    asked = np.broadcast_to(of_model, (4, 3, 2)).astype(np.float32).copy()
    asked[3] = [[9, 0], [np.nan] * 2, [np.nan] * 2]
    said = np.zeros((12, 2), np.float32)
    data = TrainingData(
        ("sea", "shop"),
        plan,
        LabelledRows(whole, fold, whole.subset(np.array([], np.int64)), None),
        made,
        Tokenizer(("wave", "till", "of", "made")),
        plan.network,
        EnsemblePredictions(Predictions(said, asked), (), 1.0),
    )
    for k in range(3):
        learnt = data.learnt(k)
        odds = np.log(learnt.targets[:, 0] / learnt.targets[:, 1])
        others = [text for text in (0, 1, 2) if made.source_fold[text] != k]
        assert len(learnt) == 8 + len(others)
        # 0.75 of the row's own label, the rest of teachers that know nothing.
        assert learnt.targets[:8, 0] == pytest.approx(0.125 + 0.75 * whole.labels[fold != k, 0])
        assert odds[8:] == pytest.approx([k + 1] * len(others), rel=1e-5)
    # For the network that is written: by all rows, or the mean of the folds' models.
    final = data.learnt()
    odds = np.log(final.targets[12:, 0] / final.targets[12:, 1])
    assert len(final) == 15 and odds == pytest.approx([9, 2, 2], rel=1e-3)


def told(*teachers: Any, multi_label: bool = False) -> Any:
    labels = one_hot(TRUTH)
    return base.ensemble(
        teachers, labels, FOLD, NOTHING, multi_label=multi_label, say=lambda line: None
    )


def test_a_teacher_weighs_what_it_knows() -> None:
    good = Known(knows(TRUTH, 0.75, 0))
    found = told(good, Known(knows(TRUTH, 0.5, 2), name="harmless"))
    assert [member.name for member in found.members] == ["known", "harmless"]
    assert found.members[1].weight < 0.2
    harmed = told(good, Known(knows(TRUTH, 0.1, 4), name="harmful"))
    assert harmed.members[1].weight < 0.05
    assert found.members[0].accuracy == base.accuracy(good.answers, one_hot(TRUTH), False)
    found = told(good, Known(knows(TRUTH, 0.95, 1), name="better"))
    assert found.members[1].weight > found.members[0].weight and found.accuracy > 0.9


@pytest.mark.parametrize("multi_label", [True, False])
def test_no_teacher_weighs_below_nothing(multi_label: bool) -> None:
    """Not even one that is nearly always wrong, whose opposite would be a good guess."""
    good = knows(TRUTH, 0.75, 0) - multi_label
    wrong = knows(TRUTH, 0.1, 4) - multi_label
    weights = base.stacking_weights([good, wrong], one_hot(TRUTH), multi_label)
    assert weights[0] > 0 == weights[1]


def test_random_labels_do_not_leak_into_their_own_predictions() -> None:
    """Though they are in order, as files of one label lie side by side."""
    labels = np.sort(np.random.default_rng(5).integers(0, 2, 200))
    names = np.random.default_rng(1).integers(0, 2**60, 200)  # a word of its own for each text
    table = [
        (f"{text} {name:x}", str(label))
        for (text, _), name, label in zip(rows(200, "a"), names, labels)
    ]
    split = dataset(table).train
    found = out_of_fold(LinearTeacher(False), split)
    assert base.accuracy(found, split.labels, False) < 0.65  # fitted without folds it is 1


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


def test_it_teaches_unasked_only_where_it_knows_the_labels() -> None:
    about = [
        (f"The {thing} number {i}", ("odd", "even")[i % 2]) for i, thing in enumerate(THINGS * 2)
    ]
    sets = [(text, f"{label}|x") for text, label in OPINIONS]
    tickets = [(text, f"label {i % 17}") for i, (text, _) in enumerate(OPINIONS)]
    for data, helps, finding in (
        (dataset(OPINIONS), True, "tried: cross-validated accuracy 100.0% with it, 65.0%"),
        (dataset(about), False, "tried: accuracy .* alone, 50.0% by the most frequent label"),
        (dataset(sets, multi_label=True), False, "not tried: several labels per text"),
        (dataset(OPINIONS[:8]), False, "not tried: 8 rows are too few"),
        (dataset(tickets), False, "not tried: many labels"),
    ):
        stats = replace(dataset_stats(data), english=1.0)
        trial = try_teacher(data, stats, SENTIMENT, 0)
        assert trial.helps == helps
        assert re.match(finding, trial.finding), trial.finding
        if stats.rows >= 10:  # fewer have no teacher anyway
            assert trial.finding in decide(replace(stats, trial=trial)).reasons["teachers"]


def test_a_model_that_is_asked_for_teaches_and_starts_the_lstm_and_texts_are_made() -> None:
    texts, labels = zip(*OPINIONS)
    asked = TrainingRequest("tiny", "sentiment", epochs=1, validation=0.0)
    plan = make_plan(DatasetStats(20, 2), asked)
    few = replace(plan.augmentation, texts_per_row=2)
    taught = TextClassifier(plan=replace(plan, augmentation=few)).fit(texts, labels)
    names = [each["name"] for each in taught.report["teachers"]]
    assert names == ["linear", "model sentiment"]
    assert taught.report["data"]["augmented_texts"] > 0
    assert taught.plan_.start.source == "sentiment-small"
    alone = make_plan(DatasetStats(20, 2), replace(asked, teacher="none"))
    assert not alone.start.source and not alone.augmentation.texts_per_row


def test_what_the_network_cannot_learn_asks_for_texts_without_labels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts = [f"entry{i} of number{i}" for i in range(40)]  # no word says anything of another text
    truth = np.random.default_rng(0).permutation(np.arange(40) % 2)
    data = dataset([(text, "ab"[label]) for text, label in zip(texts, truth)])

    known = Known(np.tile(one_hot(truth) * np.float32(9), (200, 1)))
    monkeypatch.setattr(Teachers, "load", lambda _: [known])
    log = tuple(f"entry{i}" for i in range(40))
    stats = dataset_stats(replace(data, unlabelled=log))
    plan = make_plan(stats, TrainingRequest("tiny", "none", epochs=1))
    for unlabelled, asks in (((), True), (log, False)):
        found = fit(replace(data, unlabelled=unlabelled), plan).remarks
        remark = "the teachers reach an accuracy of 100.0%, the network "
        assert any(line.startswith(remark) for line in found) == asks
