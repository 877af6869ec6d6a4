"""Not mine: which texts are unlike those that the model learnt from, and how every way to ask says
so."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import rows
from commands import command, json_of
from hypothesis import given
from hypothesis import strategies as st
from model_files import SMALL, curve, edited, loaded, multi_label
from table_files import write_jsonl

from edge_lstm import Classifier, DamagedModelFileError, DataError, ScoreOptions, score_files
from edge_lstm.core.familiarity import unfamiliarity
from edge_lstm.core.risk_coverage import SHARES, binomial_cdf, cost_thresholds
from edge_lstm.core.text import KERAS_FILTERS, TextRule, Tokenizer
from edge_lstm.metrics import auroc, recall_at

TEXTS = [
    "A wonderful film.",
    "Dull, and far too long!",
    "the film the film",
    "",
    "Qwx zz",
    "not bad, not good",
    "qwx zz film " * 300,
]
LABELS = ["pos", "neg", "neg", "pos", "neg", "pos", "neg"]
FOREIGN = ["def parse(x): return x + 1", "How do I reset my password?"]


def scores_of(classifier: Classifier, texts: list[str]) -> np.ndarray:
    tokenizer = classifier.model.tokenizer
    ids = [tokenizer.encode_text(text).ids for text in texts]
    return unfamiliarity(classifier.probabilities_of(ids), ids, tokenizer)


def with_thresholds(thresholds: Any, texts: int = 1000) -> Classifier:
    return loaded(edited({"abstention": curve((0.0, texts, 0), unfamiliar=thresholds)}))


@pytest.fixture(scope="module")
def threshold() -> float:
    """A score that some of TEXTS exceed."""
    return float(np.sort(scores_of(Classifier.load(SMALL), TEXTS[:3]))[1])


WORDS = tuple(f"w{i}" for i in range(96))  # ids below 100
# The first word's id stands for unknown ones, as in Keras's TextVectorization.
UNKNOWN_FIRST = TextRule(KERAS_FILTERS, start_id=None, oov_id=1, first_word_id=1)


@pytest.mark.parametrize(
    ("probability", "ids", "rule", "score"),
    [
        (0.5, [1, 100], None, 1.5),
        # Of ids below 16 the level is 2, of those from 64 to 255 it is 4.
        (1, [1, 10, 10], None, 0.25),
        (0.9, [1, 4], None, 2 * math.log2(math.sqrt(0.9) + math.sqrt(0.1)) + 0.25),
        (1, [1], None, 0.5),  # no token
        (1, [2, 3], None, 0.5),  # unknown ones alone
        (1, [1, 1], UNKNOWN_FIRST, 0.5),
    ],
)
def test_the_score_is_how_undecided_the_labels_are_and_how_rare_the_tokens(
    probability: float, ids: list[int], rule: TextRule | None, score: float
) -> None:
    tokenizer = Tokenizer(WORDS, rule=rule or Tokenizer(()).rule)
    probabilities = np.array([[probability, 1 - probability]], np.float32)
    assert unfamiliarity(probabilities, [ids], tokenizer) == pytest.approx([score], abs=1e-6)


@given(st.lists(st.floats(0, 2), min_size=1, max_size=400))
def test_a_threshold_costs_no_more_than_its_texts_can_show(scores: list[float]) -> None:
    thresholds = cost_thresholds(np.array(scores))
    for share, value in thresholds:
        above = sum(score > value for score in scores)
        assert binomial_cdf(above, len(scores), share) <= 0.1
        assert share in SHARES
    # Without any text above it, so many show a share, and one fewer does not.
    needed = math.ceil(math.log(0.1) / math.log(1 - 0.05))
    assert (0.05 in dict(thresholds)) is (len(scores) >= needed)


def test_an_unfamiliar_text_says_so_and_keeps_its_label(threshold: float) -> None:
    classifier = with_thresholds([[0.01, 1.99], [0.05, threshold]])
    plain = classifier.predict(TEXTS)
    high = scores_of(classifier, TEXTS) > threshold
    assert plain == Classifier.load(SMALL).predict(TEXTS)  # nothing changes unasked
    asked = classifier.predict(TEXTS, unfamiliar=0.05)
    assert any(high[:3]) and not all(high[:3]) and plain[-1].status == "truncated" and high[-1]
    for before, after, is_high in zip(plain, asked, high):
        is_strange = is_high and before.status in ("ok", "truncated")
        assert after.status == ("unfamiliar" if is_strange else before.status)
        assert (after.label, after.probabilities) == (before.label, before.probabilities)
    assert [p.status for p in asked][3:5] == ["empty", "unknown_words"]
    # The threshold of the next smaller share; and no label at all is said first.
    assert classifier.predict(TEXTS, unfamiliar=0.049) == classifier.predict(TEXTS, unfamiliar=0.01)
    unsure = classifier.predict(TEXTS, unfamiliar=0.05, threshold=1.0)
    assert {p.status for p in unsure if p.label is None} == {"abstained"}


def test_the_commands_say_the_same(threshold: float) -> None:
    classifier = with_thresholds([[0.05, threshold]])
    expected = [p.status for p in classifier.predict(TEXTS, unfamiliar=0.05)]
    assert "unfamiliar" in expected
    asked = ("-m", "m.onnx", "--unfamiliar", "0.05")
    done = command("predict", *asked, *TEXTS)
    assert [line.split("\t")[2] for line in done.stdout.splitlines()] == expected
    write_jsonl("in.jsonl", TEXTS)
    done = command("score", "in.jsonl", *asked)
    assert [json.loads(line)["status"] for line in done.stdout.splitlines()] == expected
    assert f"unfamiliar {expected.count('unfamiliar')}" in done.stderr
    said = command("inspect", "-m", "m.onnx").stdout
    assert "--unfamiliar 0.05 or more" in " ".join(said.split())


@pytest.mark.parametrize(
    ("share", "thresholds", "texts", "says"),
    rows(
        r"""
        0 | [[0.05, 1.5]] | 1000 | above 0 and below 1, not 0; for 5 %, give --unfamiliar 0.05
        1 | [[0.05, 1.5]] | 1000 | above 0 and below 1
        NaN | [[0.05, 1.5]] | 1000 | above 0 and below 1
        0.05 | [] | 1000 | m.onnx has no thresholds for --unfamiliar; export it again
        0.04 | [[0.05, 1.5]] | 60
            | are too few .*; give 0.05 or more, or export .* at least 57 labelled texts
        0.0005 | [[0.001, 1.5]] | 25000 | 0.0005; give 0.001 or more$
        0.05 | [] | 3 | 3 texts .validation part. are too few .* at least 45 labelled
        """
    ),
)
def test_what_cannot_be_shown_is_one_line(
    share: str, thresholds: str, texts: str, says: str
) -> None:
    classifier = with_thresholds(json.loads(thresholds), int(texts))
    with pytest.raises(DataError, match=says) as of_predict:
        classifier.predict(TEXTS, unfamiliar=json.loads(share))
    write_jsonl("in.jsonl", TEXTS)
    options = ScoreOptions(unfamiliar=json.loads(share))
    with pytest.raises(DataError, match=says) as of_score:
        score_files("in.jsonl", "out.jsonl", model=classifier, options=options)
    assert "\n" not in f"{of_predict.value}{of_score.value}"


def test_a_model_of_several_labels_has_no_thresholds() -> None:
    with pytest.raises(DataError, match="a model that gives several labels per text has none"):
        loaded(edited(multi_label([0.5, 0.5]))).predict(TEXTS, unfamiliar=0.05)


@pytest.mark.parametrize(
    "thresholds",
    """
    5
    [[0.05]]
    [[0.05, "1"]]
    [["0.05", 1.0]]
    [[0.05, true]]
    [[0.05, 1.0], [0.02, 1.5]]
    [[1.5, 1.0]]
    [[0.01, 1.0], [0.05, 1.5]]
    [[0.05, -0.1]]
    [[0.05, 1.0], [0.05, 0.9]]
    [[0.0, 1.0]]
    """.strip().splitlines(),
)
def test_thresholds_that_do_not_fit_together_are_a_damaged_file(thresholds: str) -> None:
    with pytest.raises(DamagedModelFileError, match="do not fit together"):
        with_thresholds(json.loads(thresholds))


numbers = st.lists(st.integers(-5, 5), min_size=1, max_size=30).map(
    lambda found: np.array(found, float)
)


@given(numbers, numbers, st.sampled_from([0.01, 0.1, 0.5]))
def test_auroc_and_recall_count_pairs(
    negative: np.ndarray, positive: np.ndarray, share: float
) -> None:
    wins = (positive[:, None] > negative).mean() + (positive[:, None] == negative).mean() / 2
    assert auroc(negative, positive) == pytest.approx(wins)
    allowed = [t for t in negative if (negative > t).mean() <= share]
    assert recall_at(negative, positive, share) == (positive > min(allowed)).mean()


@pytest.fixture
def data() -> None:
    """data.csv: the labelled texts."""
    write_jsonl("data.jsonl", [{"text": text, "label": name} for text, name in zip(TEXTS, LABELS)])


@pytest.mark.usefixtures("data")
def test_evaluate_tells_how_well_foreign_texts_are_found_and_two_labels_told_apart(
    threshold: float,
) -> None:
    classifier = with_thresholds([[0.05, threshold]])
    Path("foreign.txt").write_text("\n".join(FOREIGN))
    asked = ("evaluate", "data.jsonl", "--foreign", "foreign.txt")
    (said,) = json_of(*asked, "-m", "m.onnx")["models"]
    own = scores_of(classifier, TEXTS)
    others = scores_of(classifier, FOREIGN)
    assert said["foreign"] == {
        "auroc": auroc(own, others),
        "recall": (others > own.max()).mean(),
        "found": (others > threshold).mean(),
        "lost": (own > threshold).mean(),
    }
    positive = classifier.probabilities(TEXTS)[:, 1]
    has = np.array([label == "pos" for label in LABELS])
    assert said["auroc"] == auroc(positive[~has], positive[has])
    assert "2 foreign texts against these" in command(*asked, "-m", "m.onnx").stdout
    (without,) = json_of(*asked, "-m", str(SMALL))["models"]
    assert without["foreign"]["found"] is without["foreign"]["lost"] is None


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize("content", ["", "\n  \n"])
def test_foreign_texts_that_are_none_are_refused(content: str) -> None:
    Path("foreign.txt").write_text(content)
    said = command("evaluate", "data.jsonl", "--foreign", "foreign.txt").error
    assert "foreign.txt" in said and ("no foreign text" in said or "empty" in said)
