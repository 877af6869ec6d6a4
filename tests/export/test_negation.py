"""English clauses with a negation, and spans around words that turn others."""

import numpy as np
import pytest
from edge_lstm_export.negation import STRENGTH, negated, negated_clauses
from edge_lstm_export.spans import MOST_AROUND, spans_around


@pytest.mark.parametrize(
    ("clause", "expected"),
    [
        (
            "It was dull.",
            ["It was not dull.", "It wasn't dull.", "It was never dull.", "It wasn't dull at all."],
        ),
        ("the songs have been a treat", ["have not been", "haven't been", "have never been"]),
        ("You will like it", ["will not like", "won't like", "will never like"]),
        ("Great fun!", ["Not great fun!"]),
        ("USELESS", ["Not USELESS"]),
        ("boring", ["not boring"]),
    ],
)
def test_a_clause_is_negated_in_each_way_that_there_is(clause: str, expected: list[str]) -> None:
    found = negated(clause)
    assert len(found) >= len(expected)
    for part in expected:
        assert any(part in text for text in found), found


@pytest.mark.parametrize(
    "clause",
    [
        "",
        "It was not dull.",
        "It never was dull",
        "It isn't dull",
        "Was it dull?",
        "is it",
        "The only one that was dull",
        "It was dull but short",
        "It was dull. He left.",
        "I laughed",
        "the man in the corner shop",
        "It was " + "very " * 12 + "dull",
        "很好",
    ],
)
def test_where_a_negation_has_no_place_or_would_not_turn_it_there_is_none(clause: str) -> None:
    assert negated(clause) == []


def test_labels_are_turned_and_drawn_to_the_middle_where_the_teacher_is_sure() -> None:
    clauses = ["It was dull.", "It was long.", "A treat!", "Not a treat!"]
    labels = np.array([[0.9, 0.1], [0.6, 0.4], [0.05, 0.95], [0.9, 0.1]], np.float32)
    texts, turned = negated_clauses(clauses, labels)
    # Nothing is made of what the teacher is unsure of, nor what stands there already.
    assert texts == negated("It was dull.")
    assert turned == pytest.approx(np.tile([0.5 - 0.4 * STRENGTH, 0.5 + 0.4 * STRENGTH], (len(texts), 1)))
    none, of_none = negated_clauses([], np.zeros((0, 2), np.float32))
    assert none == [] and of_none.shape == (0, 2)


def test_spans_are_drawn_around_words_and_their_endings() -> None:
    texts = [
        'He said it was "not" bad, and it didn\'t hurt. Notes follow. Never!',
        "nothing of the kind",
        "不坏。",
    ]
    found = spans_around(texts, ["NOT", "never", "*n't"], seed=0)
    assert len(found) == 3
    assert '"not" bad,' in found[0]
    assert "didn't hurt." in found[1]
    assert found[2] == "Never!"
    assert found == spans_around(texts, ["not", "never", "*n't"], seed=0)
    assert spans_around(texts, [], seed=0) == []
    many = [" ".join(f"it was not {word}." for word in "abcdefgh")]
    assert len(spans_around(many, ["not"], seed=1)) <= MOST_AROUND
